"""Who goes where: units to incidents, on live roads, with green asked for on their way."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from aggregator.domains.safety.ground import Ground
from aggregator.domains.safety.interlock import Interlocks
from aggregator.domains.safety.roads import Route
from aggregator.twin import Floats, Ints


@dataclass(frozen=True, eq=False, slots=True)
class Dispatch:
    """`target` (units,) the crossing that each is sent to, -1 for none; `cost` with late ones at what they count as."""

    target: Ints
    minutes: Floats  # (units,) until it is there; nan for those that stay
    cost: float
    without: float  # when nobody is sent
    unserved: Ints  # crossings that nobody is sent to


def dispatch(ground: Ground, need: Floats, locks: Interlocks, live: Floats) -> Dispatch:
    """Units to crossings that need help, `need` (crossings,) 0…1; the least expected cost of waiting.

    One unit an incident, the assignment problem (Kuhn 1955; Jonker & Volgenant 1987 in scipy). Waiting costs the need
    times the minutes, at most `late_min`, times what a unit's minute costs.
    """
    late = ground.number("late_min")
    rate = np.array([one.number("per_minute") for one in ground.units])
    dear = float(rate.max(initial=0.0))
    incidents = np.flatnonzero(need > 0)
    target, minutes = np.full(len(ground.units), -1), np.full(len(ground.units), np.nan)
    without = float(need.sum() * late * dear)
    if not len(incidents) or not len(ground.units):
        return Dispatch(target, minutes, without, without, incidents)
    away = ground.roads.until(locks.seconds(ground, live), incidents)[:, ground.crossing_of_unit] / 60
    cost = need[incidents, None] * np.where(np.isfinite(away), np.minimum(away, late), late) * rate
    cost[:, locks.units] = (need[incidents] * late * dear)[:, None]
    waits = need[incidents] * late * dear
    rows, columns = linear_sum_assignment(cost - waits[:, None])
    goes = np.isfinite(away[rows, columns]) & ~locks.units[columns] & (cost[rows, columns] < waits[rows])
    rows, columns = rows[goes], columns[goes]
    target[columns], minutes[columns] = incidents[rows], away[rows, columns]
    left = np.setdiff1d(np.arange(len(incidents)), rows)
    total = float(cost[rows, columns].sum() + waits[left].sum())
    return Dispatch(target, minutes, total, without, incidents[left])


def needs(ground: Ground, p: Floats, taken: Mapping[str, Floats]) -> Floats:
    """(crossings,) what calls say, and watches whose event is likely (p (w,)) at the crossing nearest to them."""
    found = np.clip(taken["call"], 0.0, 1.0)
    for i in np.flatnonzero(p >= ground.number("needed")).tolist():
        at = int(ground.crossing_of_watch[i])
        if at >= 0:
            found[at] = max(found[at], p[i])
    return found


def routes(ground: Ground, target: Ints, locks: Interlocks, live: Floats) -> dict[int, Route]:
    """Unit → its way, for those that are sent."""
    seconds = locks.seconds(ground, live)
    sent = np.flatnonzero(target >= 0).tolist()
    return {i: ground.roads.route(seconds, int(ground.crossing_of_unit[i]), int(target[i])) for i in sent}


def preempted(ground: Ground, ways: Mapping[int, Route], locks: Interlocks) -> Floats:
    """(crossings,) 1 where green is asked for: signals that a unit reaches within `ahead_s`. A request, no order."""
    asked = np.zeros(len(ground.crossings))
    for way in ways.values():
        asked[way.crossings[way.at_s <= ground.number("ahead_s")]] = 1.0
    signals = np.array([one.number("signals") > 0 for one in ground.crossings], np.bool_)
    return np.where(signals & ~locks.signals, asked, 0.0)
