"""What may go wrong: tanks that run low or over, containers that overflow, pumps and pipes that fail."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from aggregator.twin import BadModel, Floats
from aggregator.twin.belief import Belief
from aggregator.twin.risk import Risk, ranked
from aggregator.twin.series import Series

if TYPE_CHECKING:
    from aggregator.domains.services import Domain

HOUR_NS = 3_600_000_000_000
YEAR_H = 8766.0
FULL = 100.0


def below(series: Series, limit: Floats, states: slice) -> Floats:
    """(k,) probability to be below a limit at the worst step."""
    sd = np.sqrt(np.maximum(series.variance[:, states], 1e-12))
    found: Floats = ndtr((limit - series.mean[:, states]) / sd).max(axis=0)
    return found


def risks(domain: "Domain", series: Series) -> list[Risk]:
    return ranked([*_tanks(domain, series), *_containers(domain, series)])


def _tanks(domain: "Domain", series: Series) -> Iterator[Risk]:
    sizes, hours = domain.sizes, series.horizon * series.dt_ns / HOUR_NS
    tanks = domain.water.tanks
    low = below(series, np.array([one.number("low_m") for one in tanks]), sizes.level)
    high = 1 - below(series, np.array([one.number("high_m") for one in tanks]), sizes.level)
    harm = float(domain.water.mean.sum()) * hours * domain.number("not_served")
    for one, p_low, p_high in zip(tanks, low, high, strict=True):
        yield Risk(one.id, "tank runs low", float(p_low), harm, f"run more pumps towards {one.id}, earlier")
        yield Risk(one.id, "tank overflows", float(p_high), harm / 10, f"stop a pump towards {one.id}")


def _containers(domain: "Domain", series: Series) -> Iterator[Risk]:
    sd = np.sqrt(np.maximum(series.variance[:, domain.sizes.fill], 1e-12))
    over = ndtr((series.mean[:, domain.sizes.fill] - FULL) / sd).max(axis=0)
    for one, p in zip(domain.containers, over, strict=True):
        yield Risk(
            one.id, "container overflows", float(p), one.number("overflow_cost"), f"empty {one.id} on the next tour"
        )


def contingencies(domain: "Domain", belief: Belief, series: Series) -> list[Risk]:
    """Each pump and pipe out of order: the demand that would not be served while it is repaired."""
    hours = series.horizon * series.dt_ns / HOUR_NS
    found = []
    for i, one in enumerate(domain.water.links):
        short = not_served(domain, i, belief.k)
        chance = 1 - np.exp(-one.number("fails_per_year") * hours / YEAR_H)
        loss = short * domain.number("repair_h") * domain.number("not_served")
        action = (
            f"repair {one.id} first: {short:.1f} m3/h without it"
            if short > 0
            else f"{one.id} can wait: others carry it"
        )
        found.append(Risk(one.id, f"{one.kind} out of order (N-1)", float(chance), float(loss), action))
    return ranked(found)


def not_served(domain: "Domain", link: int, k: int) -> float:
    """m3/h of junctions that have too little pressure, or none, without a link; by the full equations."""
    water, usual = domain.water, domain.usual(k)
    on = np.ones(len(water.links), np.bool_)
    on[link] = False
    demand = np.zeros(water.net.nodes)
    demand[: len(usual)] = usual / 3600
    try:
        head = water.net.solved(demand, water.heads_of(water.usual_level), on).head[: len(usual)]
    except BadModel:
        return float(usual.sum())
    low = head - water.elevation < domain.least
    return float(usual[low].sum())
