"""What may go wrong in the streets: links that fill until they block others, signals that go dark, roads that close."""

import numpy as np
import scipy.sparse as sp

from aggregator.domains.traffic.dynamics import CLOSED, DARK, Drive, Habits, capacity, flows
from aggregator.domains.traffic.streets import Streets
from aggregator.twin import Floats
from aggregator.twin.model import Sparse
from aggregator.twin.risk import Risk, ranked
from aggregator.twin.series import Series

FULL = 0.85  # of its storage: a link so full holds up the one before
HOURS_A_YEAR = 8766.0
CLOSED_H = 1.0  # that an accident closes a link, usually
STOPS = 0.25  # of a free drive's emission more for each time that it takes longer, up to the most
STOPS_MOST = 2.0


def stop_and_go(slower: Floats) -> Floats:
    """Factor of a free drive's emission a km, where it takes `slower` times as long: accelerations and idling."""
    return np.minimum(1 + STOPS * np.maximum(slower - 1, 0.0), STOPS_MOST)


def indicators(streets: Streets, habits: Habits, X: Floats, drive: Drive, step_s: float) -> dict[str, Floats]:
    n = np.maximum(X[: streets.E], 0.0)
    free = flows(streets, habits, n, drive) * streets.free_s[:, None]  # so many would be there if nobody waited
    over = np.maximum(n - FULL * streets.storage[:, None], 0.0)
    return {
        "time lost, veh·h": np.maximum(n - free, 0.0).sum(axis=0) * step_s / 3600,
        "vehicles beyond room": over.sum(axis=0),
    }


def risks(streets: Streets, series: Series, hour: float) -> list[Risk]:
    """Each link filled up at its worst step; what it costs: everybody on it and before it waits a horizon longer."""
    E = streets.E
    wide = np.concatenate([FULL * streets.storage, np.full(E, np.inf)])
    probability = series.exceedance(wide).max(axis=0)[:E]
    hours = series.horizon * series.dt_ns / 3.6e12
    before = np.asarray((streets.turns > 0) @ streets.storage).ravel()
    return ranked(
        Risk(one.id, "queue spills back", float(p), float(hour * hours * (room + reach) / 2), way_out(one.id, held))
        for one, p, room, reach, held in zip(
            streets.links, probability, streets.storage, before, streets.held, strict=True
        )
    )


def way_out(link: str, held: float) -> str:
    return f"longer green for {link}, less into it" if held else f"send traffic around {link}"


def settled(turns: Sparse, entering: Floats) -> Floats:
    """(E,) veh/s on each link when as many leave as come; 1 in 1,000 gives up at each, so that circles end."""
    E = turns.shape[0]
    found: Floats = sp.linalg.spsolve(sp.csc_array(sp.eye_array(E) - 0.999 * turns), entering)
    return np.maximum(found, 0.0)


def contingencies(streets: Streets, habits: Habits, drive: Drive, series: Series, hour: float) -> list[Risk]:
    """Loss of each junction's signals and of each link: vehicles an hour not served, times how long, and who waits."""
    flow = settled(habits.turns, np.maximum(habits.entering * drive.demand, 0.0))
    most = capacity(streets, habits, drive)
    hours = series.horizon * series.dt_ns / 3.6e12
    found = [link_lost(streets, i, flow, most, hours, hour) for i in range(streets.E)]
    found += [
        signals_lost(streets, j, flow, most, hours, hour)
        for j, one in enumerate(streets.junctions)
        if one.number("cycle_s") > 0
    ]
    return ranked(found)


def link_lost(streets: Streets, i: int, flow: Floats, most: Floats, hours: float, hour: float) -> Risk:
    """Those who would drive it wait half of the closure, or as long as the links beside it lack room for them."""
    link = streets.links[i]
    begin, _ = streets.ends
    beside = np.flatnonzero((begin == begin[i]) & (np.arange(streets.E) != i))
    spare = float(np.maximum(most[beside] - flow[beside], 0.0).sum())
    unserved = max(float(flow[i]) * (1 - CLOSED) - spare, 0.0)
    waits = 3600 * unserved * CLOSED_H * CLOSED_H / 2
    around = 3600 * min(float(flow[i]), spare) * CLOSED_H * 2 * float(streets.free_s[i]) / 3600
    chance = 1 - np.exp(-link.number("blocked_per_year") * hours / HOURS_A_YEAR)
    action = f"keep {link.id} clear; {3600 * unserved:.0f} veh/h find no other way"
    return Risk(link.id, "link closed", float(chance), hour * (waits + around), action)


def signals_lost(streets: Streets, j: int, flow: Floats, most: Floats, hours: float, hour: float) -> Risk:
    """What is above half of the capacity waits, on average half of the repair."""
    junction = streets.junctions[j]
    _, end = streets.ends
    here = np.flatnonzero((end == j) & (streets.held > 0))
    unserved = float(np.maximum(flow[here] - DARK * most[here], 0.0).sum())
    slower = float(flow[here].sum()) * 5.0  # all must stop: 5 s each (HCM 2016, ch. 20, level of service A)
    repair = junction.number("repair_h")
    chance = 1 - np.exp(-junction.number("fails_per_year") * hours / HOURS_A_YEAR)
    lost = 3600 * unserved * repair * repair / 2 + slower * repair
    return Risk(junction.id, "signals dark", float(chance), hour * lost, f"police to {junction.id}, spare lamps ready")
