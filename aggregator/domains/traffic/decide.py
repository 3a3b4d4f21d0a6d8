"""Splits and offsets over all junctions: the plan that leaves the fewest vehicles waiting, and waves of green.

Splits are the rolling-horizon store-and-forward programme (Aboudolas, Papageorgiou & Kosmatopoulos, Transportation
Research C 17, 2009) as a linear programme for HiGHS: what leaves a link in a step is at most what its greens let pass
and what has come to its end; what finds no room beyond costs more. Offsets follow from the way that green waves take
(Little 1966, with the greens given): each junction begins when the platoon of its heaviest neighbour arrives.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

from aggregator.domains.traffic.dynamics import Drive, Habits, capacity
from aggregator.domains.traffic.risk import FULL, settled
from aggregator.domains.traffic.streets import Streets
from aggregator.twin import Floats
from aggregator.twin.belief import Belief
from aggregator.twin.domain import Limits, Plan
from aggregator.twin.model import Sparse

SPILLED = 3.0  # what a vehicle beyond a link's room costs, against 1 for one that is anywhere: it holds up others
STEPS_MAX = 60  # of a horizon: an hour of minutes; more changes the first step no more


def limits(streets: Streets, controls: int, n: int) -> Limits:
    """Least greens, greens that fit into the cycle, offsets within it: all hard. Vehicles ≤ room: where it can be."""
    S = len(streets.stages)
    lit = [j for j, one in enumerate(streets.junctions) if one.number("cycle_s") > 0]
    room = sp.hstack([sp.eye_array(streets.E), sp.csr_array((streets.E, n - streets.E))])
    least = sp.hstack([-sp.eye_array(S), sp.csr_array((S, controls - S))])
    fits = sp.lil_array((len(lit), controls))
    within = sp.lil_array((len(lit), controls))
    for row, j in enumerate(lit):
        fits[row, np.flatnonzero(streets.stage_at == j)] = 1.0
        within[row, S + row] = 1.0
    L = sp.vstack([sp.csr_array((streets.E, controls)), least, fits, within, -within], format="csr")
    G = sp.vstack([room, sp.csr_array((L.shape[0] - streets.E, n))], format="csr")
    c = np.concatenate(
        [
            FULL * streets.storage,
            [-one.number("min_green_s") for one in streets.stages],
            [streets.junctions[j].number("cycle_s") - streets.junctions[j].number("lost_s") for j in lit],
            streets.cycles[lit],
            np.zeros(len(lit)),
        ]
    )
    return Limits(G, L, c, np.arange(len(c)) >= streets.E)


def plan(
    streets: Streets, habits: Habits, belief: Belief, drives: Sequence[Drive], step_s: float, deadline_s: float
) -> Plan:
    """Greens of every stage and offsets of every junction (T, controls)."""
    T, S = min(len(drives), STEPS_MAX), len(streets.stages)
    cost, A, b, equal, right = programme(streets, habits, belief, drives[:T], step_s)
    bounds = bounds_of(streets, T, len(cost))

    found = linprog(cost, A, b, equal, right, bounds, method="highs", options={"time_limit": deadline_s / 2})
    offsets = waves(streets, habits, drives[0])
    usual = np.concatenate([streets.greens, offsets])
    if found.x is None or found.fun is None:
        return Plan(np.tile(usual, (len(drives), 1)), 0.0, 0.0, "fallback", f"greens stay: {found.message}")
    fixed = list(bounds)
    fixed[len(cost) - T * S :] = [(green, green) for _ in range(T) for green in streets.greens]
    before = linprog(cost, A, b, equal, right, fixed, method="highs", options={"time_limit": deadline_s / 2})
    greens = found.x[len(cost) - T * S :].reshape(T, S)
    u = np.hstack([greens, np.tile(offsets, (T, 1))])
    u = np.vstack([u, np.tile(u[-1], (len(drives) - T, 1))])
    status: Literal["optimal", "feasible"] = "optimal" if found.status == 0 else "feasible"
    hours = step_s / 3600
    without = float(before.fun) * hours if before.fun is not None else float("nan")
    fun = float(found.fun) * hours
    why = f"{fun:.1f} veh·h on the streets over {T} steps, {without:.1f} with the greens that run"
    return Plan(u, fun, fun if status == "optimal" else 0.0, status, why, without)


def programme(
    streets: Streets, habits: Habits, belief: Belief, drives: Sequence[Drive], step_s: float
) -> tuple[Floats, Any, Floats, Any, Floats]:
    """Cost, A, b, A=, b= over [vehicles (T E), out (T E), spilled (T E), greens (T S)], vehicles and out per step.

    n(t) = n(t-1) + entering + T out(t) - out(t);   out(t) ≤ c · green / usual green · step
    out(t) ≤ what has reached the end: (1 - e^(-step/τ)) (n(t-1) + half of what comes);   n(t) - spilled(t) ≤ room
    """
    T, E, S = len(drives), streets.E, len(streets.stages)
    one = sp.eye_array(E, format="csr")
    lit, fit = together(streets)
    before = sp.kron(sp.eye_array(T, k=-1), one, format="csr")
    every = sp.eye_array(T * E, format="csr")
    inflow = sp.kron(sp.eye_array(T), habits.turns, format="csr")
    reaches = -np.expm1(-step_s / np.maximum(habits.delay_s, 1.0))
    reach = sp.kron(sp.eye_array(T), sp.diags_array(reaches), format="csr")
    start, surplus = np.maximum(belief.x[:E], 0.0), belief.x[E:] / 3600
    fading = habits.memory ** np.arange(1, T + 1)
    comes = [
        step_s * np.maximum(habits.entering * drive.demand + fade * surplus, 0.0)
        for drive, fade in zip(drives, fading, strict=True)
    ]
    first = np.concatenate([start, np.zeros((T - 1) * E)])
    zero, few = sp.csr_array((T * E, T * E)), sp.csr_array((T * E, T * S))
    equal = sp.hstack([every - before, every - inflow, zero, few], format="csr")
    right = np.concatenate(comes) + first
    open_ = [step_s * capacity(streets, habits, drive) for drive in drives]
    per_green = [
        sp.diags_array(each / np.maximum(streets.share(streets.greens), 1e-3)) @ shares(streets) for each in open_
    ]
    green = sp.block_diag(per_green, format="csr") if S else few
    held = np.tile(streets.held, T)
    A = sp.vstack(
        [
            sp.hstack([zero, every, zero, -green if S else few]),
            sp.hstack([-reach @ before, every - 0.5 * reach @ inflow, zero, few]),
            sp.hstack([every, zero, -every, few]),
            sp.hstack([sp.csr_array((T * len(lit), 3 * T * E)), sp.kron(sp.eye_array(T), fit)]),
        ],
        format="csr",
    )
    flat = np.concatenate(open_)
    b = np.concatenate(
        [
            np.where(held > 0, 0.0, flat),
            np.tile(reaches, T) * (first + 0.5 * np.concatenate(comes)),
            np.tile(FULL * streets.storage, T),
            np.tile([streets.junctions[j].number("cycle_s") - streets.junctions[j].number("lost_s") for j in lit], T),
        ]
    )
    cost = np.concatenate([np.ones(T * E), np.zeros(T * E), np.full(T * E, SPILLED), np.zeros(T * S)])
    return cost, A, b, equal, right


def together(streets: Streets) -> tuple[list[int], Sparse]:
    """Junctions with stages, and (those, S) 1 where a stage is one of theirs."""
    lit = sorted(set(streets.stage_at.tolist()))
    return lit, sp.csr_array((np.array(lit).reshape(-1, 1) == streets.stage_at).astype(np.float64))


def shares(streets: Streets) -> Sparse:
    """(E, S) share of the cycle that a second of a stage's green is to a link."""
    cycle = np.maximum(streets.cycles[streets.ends[1]], 1.0)
    return sp.csr_array(sp.diags_array(1 / cycle) @ streets.serves)


def bounds_of(streets: Streets, T: int, count: int) -> list[tuple[float, float | None]]:
    """Vehicles, flows, spilled ≥ 0; greens from their least."""
    least: list[tuple[float, float | None]] = [(one.number("min_green_s"), None) for one in streets.stages]
    return [(0.0, None)] * (count - T * len(streets.stages)) + least * T


def waves(streets: Streets, habits: Habits, drive: Drive) -> Floats:
    """(lit junctions,) s: each begins when the platoon of its heaviest lit neighbour comes; the first of all at 0.

    Junctions are joined along the links with most traffic, as far as none is joined twice (a spanning tree).
    """
    lit = [j for j, one in enumerate(streets.junctions) if one.number("cycle_s") > 0]
    row = {j: i for i, j in enumerate(lit)}
    flow = settled(habits.turns, np.maximum(habits.entering * drive.demand, 0.0))
    begin, end = streets.ends
    offset, joined = np.zeros(len(lit)), np.arange(len(lit))
    for i in np.argsort(-flow):
        a, b = row.get(int(begin[i])), row.get(int(end[i]))
        if a is None or b is None or joined[a] == joined[b]:
            continue
        shift = offset[a] + streets.free_s[i] - offset[b]
        moved = joined == joined[b]
        offset[moved] += shift
        joined[moved] = joined[a]
    cycles = streets.cycles[lit]
    return np.mod(offset, cycles) if len(lit) else offset
