"""Events: what happens, where, how likely, and how long until then. Fused from watches and from other domains.

Sources that see the same thing in different ways are taken as independent witnesses: P = 1 - Π (1 - pᵢ) (noisy or,
Pearl 1988). That is on the careful side: what they have in common is counted twice.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from aggregator.domains.safety.ground import Ground
from aggregator.twin import Floats
from aggregator.twin.series import Series

AIR_ERROR = 0.3  # of a PM2.5 that another domain gives: its uncertainty does not come with it
LIKELY = 1e-3  # less is no event


@dataclass(frozen=True, slots=True)
class Event:
    """`lead_s`: from the forecast's begin until it is likelier than what a warning costs against its loss (C/L).

    inf: it never is. `probability` at its worst step.
    """

    kind: str
    place: str
    probability: float
    lead_s: float
    why: str


def exceedance(ground: Ground, series: Series) -> Floats:
    """(T, w) probability that a level is above its limit."""
    w = ground.w
    limits = np.concatenate([ground.values("limit"), np.full(w, np.inf)])
    found: Floats = series.exceedance(limits)[:, :w]
    return found


def read_over(ground: Ground, y: Floats, before: Floats) -> Floats:
    """(w,) probability that a level is above its limit by two readings in a row alone, y and `before` (sensors,).

    The filter takes a jump for a broken sensor until it stays; a gas alarm must not wait for that. Where no reading is
    (NaN) nothing is said.
    """
    sd = np.array([one.sd for one in ground.part.sensors])
    limit = ground.values("limit")[ground.sensed]
    p = np.nan_to_num(ndtr((np.fmin(y, before) - limit) / sd))
    found = np.zeros(ground.w)
    np.maximum.at(found, ground.sensed, p)
    return found


def threshold(ground: Ground) -> Floats:
    """(w,) C/L of each watch's warning (Murphy 1977); inf where a warning averts nothing."""
    averted = ground.values("harm") * ground.values("averts")
    found: Floats = np.divide(ground.values("warning_cost"), averted, out=np.full(ground.w, np.inf), where=averted > 0)
    return found


def lead(p: Floats, limit: float, step_s: float) -> float:
    """s until p (T,) is first above `limit`; inf for never."""
    above = np.flatnonzero(p > limit)
    return float(above[0] + 1) * step_s if len(above) else float("inf")


def events(ground: Ground, series: Series, taken: Mapping[str, Floats]) -> list[Event]:
    """Of watches, and of wards as far as others tell of them; the likeliest first."""
    p, limits, step_s = exceedance(ground, series), threshold(ground), series.dt_ns / 1e9
    found = [
        Event(
            ground.hazards[i],
            one.id,
            float(p[:, i].max()),
            lead(p[:, i], float(limits[i]), step_s),
            f"{ground.hazards[i]} above {one.number('limit'):g} {ground.unit_of(i)}",
        )
        for i, one in enumerate(ground.watches)
        if p[:, i].max() > LIKELY
    ]
    found += _of_wards(ground, p.max(axis=0), taken)
    return sorted(found, key=lambda one: (-one.probability, one.place, one.kind))


def _of_wards(ground: Ground, p: Floats, taken: Mapping[str, Floats]) -> Iterator[Event]:
    for i, ward in enumerate(ground.wards):
        for kind, chances in witnesses(ground, i, p, taken).items():
            together = either(chances)
            if together > LIKELY:
                yield Event(kind, ward.id, together, 0.0, f"{len(chances)} witnesses of {kind}")


def witnesses(ground: Ground, ward: int, p: Floats, taken: Mapping[str, Floats]) -> dict[str, list[float]]:
    """By kind of event: what each source says about a ward; p (w,) of the watches."""
    here = np.flatnonzero(ground.ward_of[ward])
    found: dict[str, list[float]] = {}
    for i in here.tolist():
        found.setdefault(ground.hazards[i], []).append(float(p[i]))
        if taken["outage"][i] > 0:
            found.setdefault("outage", []).append(float(np.clip(taken["outage"][i], 0, 1)))
    if taken["flood"][ward] > 0:
        found.setdefault("flood", []).append(float(np.clip(taken["flood"][ward], 0, 1)))
    if taken["pm25"][ward] > 0:
        limit = ground.wards[ward].number("limit_pm25")
        pm25 = float(taken["pm25"][ward])
        found["air"] = [float(ndtr((pm25 - limit) / (AIR_ERROR * pm25)))]
    return found


def either(chances: Sequence[float]) -> float:
    """At least one of them."""
    return 1 - float(np.prod(1 - np.array(chances)))
