"""What may go wrong: people in air above a limit; a station or a fan that fails when it is needed."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from aggregator.domains.environment.air import Air
from aggregator.domains.environment.dynamics import Drive
from aggregator.domains.environment.observe import reference
from aggregator.twin import Floats
from aggregator.twin.belief import Belief
from aggregator.twin.risk import Risk, ranked
from aggregator.twin.series import Series

if TYPE_CHECKING:
    from aggregator.domains.environment import Domain

STATION_HOURS, FAN_HOURS = 4_000.0, 10_000.0  # mean time between failures
HOUR_NS = 3_600_000_000_000


def indicators(air: Air, X: Floats, drive: Drive) -> Mapping[str, Floats]:
    """(N,) of one step."""
    values = X[: air.values].reshape(len(air.pollutants), air.p, -1)
    over = (values > air.limits.reshape(len(air.pollutants), air.p, 1)).any(axis=0)
    hours = air.number("step_s") / 3600
    weight = air.people / max(air.people.sum(), 1.0) if air.people.any() else np.full(air.p, 1 / max(air.p, 1))
    found = {
        "harm": air.harm @ over,
        "people above a limit, h": air.people @ over * hours,
        "cost of measures": np.full(X.shape[1], hours * float(costs(air) @ acting(drive))),
    }
    for name, one in zip(air.pollutants, values, strict=True):
        found[f"{name} that people breathe, ug/m3"] = np.maximum(weight @ one, 0.0)
    return found


def costs(air: Air) -> Floats:
    """Of an hour of each measure in full: restrictions and advice of zones, fans."""
    zones = [[one.number(key) for one in air.zones] for key in ("restriction_cost", "advice_cost")]
    return np.array([*zones[0], *zones[1], *(one.number("cost") for one in air.fans)])


def acting(drive: Drive) -> Floats:
    return np.concatenate([drive.restricted, drive.advised, drive.fans])


def exceedance(domain: "Domain", series: Series) -> Floats:
    """(T, p) probability that a place is above the limit of one of the pollutants; they go together, so the largest."""
    air = domain.air
    limits = np.concatenate([air.limits, np.full(air.n - air.values, np.inf)])
    every = series.exceedance(limits)[:, : air.values]
    found: Floats = every.reshape(series.horizon, len(air.pollutants), air.p).max(axis=1)
    return found


def risks(domain: "Domain", series: Series) -> list[Risk]:
    """Each place where people are: the chance that it is above a limit at its worst step, and for how long then."""
    air = domain.air
    p = exceedance(domain, series)
    worst = p.max(axis=0)
    steps = np.divide(p.sum(axis=0), worst, out=np.zeros(air.p), where=worst > 0)
    return ranked(
        Risk(one.id, "air above a limit", float(worst[i]), float(air.harm[i] * steps[i]), remedy(air, i))
        for i, one in enumerate(air.places)
    )


def remedy(air: Air, place: int) -> str:
    fans = np.flatnonzero(air.fanned[place])
    if len(fans):
        return f"run {air.fans[int(fans[0])].id}"
    zone = int(air.zone_of[place])
    if zone < 0:
        return "advise people near by; no zone reaches it"
    worth = air.restrictable.any() and air.zones[zone].number("restrictable") > 0
    return f"{'restrict traffic, advise people' if worth else 'advise people'} in {air.zones[zone].id}"


def contingencies(domain: "Domain", belief: Belief, series: Series) -> list[Risk]:
    """N-1: without a station its zone is advised by what the others say; without a fan its air stays as it is."""
    return ranked([*_stations(domain, belief, series), *_fans(domain, series)])


def _stations(domain: "Domain", belief: Belief, series: Series) -> Iterator[Risk]:
    """Wrong advice: the chance that the virtual reference and the truth lie on different sides of the limit."""
    air, field = domain.air, domain.field
    sensors = air.part.sensors
    if len(sensors) < 2:
        return
    y, R = belief.x[air.sensed], np.array([one.sd**2 for one in sensors])
    error = np.sqrt(reference(field, air.sensed, y, R).variance)
    wrong = ndtr(-np.abs(series.mean[:, air.sensed] - air.limits[air.sensed]) / error).sum(axis=0)
    hours = series.horizon * series.dt_ns / HOUR_NS
    chance = -float(np.expm1(-hours / STATION_HOURS))
    for i, one in enumerate(sensors):
        place = int(air.sensed[i]) % air.p
        zone = int(air.zone_of[place])
        share = air.zones[zone].number("advice_protects") if zone >= 0 else 0.0
        harmed = air.harm[air.within(zone)].sum() if zone >= 0 else air.harm[place]
        action = f"send a mobile sensor to {one.asset}; until then go by its virtual reference"
        yield Risk(
            one.asset, f"{one.quantity} sensor {one.point} lost", chance, float(share * harmed * wrong[i]), action
        )


def _fans(domain: "Domain", series: Series) -> Iterator[Risk]:
    air = domain.air
    p = exceedance(domain, series).sum(axis=0)
    chance = -float(np.expm1(-series.horizon * series.dt_ns / HOUR_NS / FAN_HOURS))
    for i, one in enumerate(air.fans):
        loss = float(p @ (air.harm * (air.fanned[:, i] > 0)))
        yield Risk(one.id, "fan lost", chance, loss, f"keep people away from {one.id}, or repair it first")
