"""What is usual, learned from history: how long links take, what they discharge, where vehicles turn, what is missed.

Turning shares are learned where links meet, from the counts of those who leave and those who come in (least squares
with no share below 0; Cremer & Keller, Transportation Research B 21, 1987); time and capacity of a link from how its
discharge goes with the vehicles on it. How far links are from usual goes in patterns over the whole net, principal
components of the history, each with a memory of its own: so what is seen at one link tells of others that no detector
sees, and in the long run the twin strays as widely, and in the same ways, as the city did.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from scipy.optimize import nnls

from aggregator.domains.traffic.dynamics import Habits, Learned, wanting
from aggregator.domains.traffic.streets import Streets
from aggregator.twin import BadModel, Floats

STEPS_MIN = 30  # of history, below which what is learned is chance
DELAYS = np.geomspace(0.5, 8.0, 25)  # times the usual time on a link that are tried
CAPACITIES = np.geomspace(1.0, 8.0, 13)  # times the largest flow of a step that are tried
RANK = 40  # directions that are kept of a covariance
MEMORY = 0.0, 0.98  # what a pattern may keep from step to step
RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # strengths that are tried, of the mean variance
KEPT = 0.05  # of a variance stays the link's own: no reading of one link makes another certain


@dataclass(frozen=True, eq=False, slots=True)
class Day:
    """T steps of all E links, in the city file's order: mean vehicles, and how many came in and left, per step."""

    vehicles: Floats  # (T, E)
    entered: Floats
    left: Floats


def learned(streets: Streets, assumed: Habits, days: Sequence[Day], step_s: float) -> Habits:
    """Raises BadModel for days that do not fit the streets, or too few steps."""
    check(streets, days)
    delay_s, most = discharge(assumed, days, step_s)
    turns, entering = turning(streets, days, step_s)
    usual = np.concatenate([one.vehicles for one in days]).mean(axis=0)
    off = [one.vehicles - usual for one in days]
    returns, noise, spread = patterns(off)
    variance = np.maximum(lagged(off, 0).diagonal(), 1e-4)
    rest = np.maximum(variance - (spread * spread).sum(axis=1), KEPT * variance)
    left = [one.left / step_s for one in days]
    mean = np.concatenate(left).mean(axis=0)
    leaving = ridge(off, [one - mean for one in left]).T
    miss = np.concatenate([y - mean - x @ leaving.T for x, y in zip(off, left, strict=True)])
    return replace(
        assumed,
        delay_s=delay_s,
        capacity=most,
        turns=turns,
        entering=entering,
        vehicles=usual,
        spread=spread,
        spread_rest=rest,
        noise=noise,
        noise_rest=rest,
        surplus_rest=np.zeros(streets.E),
        learned=Learned(returns, mean, leaving, miss.std(axis=0)),
    )


def patterns(off: Sequence[Floats]) -> tuple[Floats, Floats, Floats]:
    """How the city returns to what is usual (E, E), what is new in a step and what that makes in the long run (E, q).

    Each principal pattern of history keeps its own share from step to step, and its own variance for ever.
    """
    C = lagged(off, 0)
    weight, V = np.linalg.eigh(C)
    keep = np.argsort(weight)[::-1][: min(RANK, max(1, int((weight > 1e-9 * weight.max()).sum())))]
    V, weight = V[:, keep], np.maximum(weight[keep], 1e-12)
    kept = np.clip(np.einsum("iq,ij,jq->q", V, lagged(off, 1), V) / weight, *MEMORY)
    return (V * kept) @ V.T, V * np.sqrt(weight * (1 - kept**2)), V * np.sqrt(weight)


def check(streets: Streets, days: Sequence[Day]) -> None:
    total = sum(len(one.vehicles) for one in days)
    faults = [
        f"day {i}: {what} is {array.shape}; give (steps, {streets.E} links), finite, none below 0"
        for i, one in enumerate(days)
        for what, array in (("vehicles", one.vehicles), ("entered", one.entered), ("left", one.left))
        if array.ndim != 2 or array.shape[1] != streets.E or not np.isfinite(array).all() or (array < 0).any()
    ]
    if total < STEPS_MIN:
        faults.append(f"history of {total} steps; at least {STEPS_MIN}")
    if faults:
        raise BadModel("\n".join(faults))


def discharge(assumed: Habits, days: Sequence[Day], step_s: float) -> tuple[Floats, Floats]:
    """τ and c (E,) with which c (1 - exp(-n / τ c)) comes nearest to what left; as assumed where nobody drove."""
    n = np.concatenate([one.vehicles for one in days]).T
    out = np.concatenate([one.left for one in days]).T / step_s
    total = out.sum(axis=1)
    drove = total > 0
    delay = np.divide(n.sum(axis=1), total, out=assumed.delay_s.copy(), where=drove)
    largest = np.where(drove, np.maximum(out.max(axis=1), 1e-3), assumed.capacity)
    best = np.full(len(delay), np.inf)
    found = delay.copy(), largest.copy()
    for a in DELAYS:
        for b in CAPACITIES:
            miss = ((wanting(n, np.maximum(delay / a, 1.0), largest * b) - out) ** 2).sum(axis=1)
            better = drove & (miss < best)
            best = np.where(better, miss, best)
            for kept, tried in zip(found, (np.maximum(delay / a, 1.0), largest * b), strict=True):
                kept[better] = tried[better]
    return found


def turning(streets: Streets, days: Sequence[Day], step_s: float) -> tuple[sp.csr_array, Floats]:
    """(E, E) shares and (E,) veh/s that come from nowhere."""
    begin, end = streets.ends
    came = np.concatenate([one.entered for one in days])
    out = np.concatenate([one.left for one in days])
    shares, entering = np.zeros((streets.E, streets.E)), np.zeros(streets.E)
    for m in range(streets.E):
        before = np.flatnonzero(end == begin[m])
        A = np.column_stack([out[:, before], np.ones(len(out))])
        found, _ = nnls(A, came[:, m])
        shares[m, before], entering[m] = found[:-1], found[-1] / step_s
    total = shares.sum(axis=0)
    return sp.csr_array(shares / np.maximum(total, 1.0)), entering


def ridge(x: Sequence[Floats], y: Sequence[Floats]) -> Floats:
    """(E, E): y ≈ x B, as strong as foretells the last day best from the others."""

    def solved(xs: Floats, ys: Floats, strength: float) -> Floats:
        C = xs.T @ xs
        weight = strength * max(float(np.trace(C)), 1e-9) / len(C)
        return np.asarray(np.linalg.solve(C + weight * np.eye(len(C)), xs.T @ ys), np.float64)

    if len(x) > 1:
        rest = np.concatenate(x[:-1]), np.concatenate(y[:-1])
        error = [float(((y[-1] - x[-1] @ solved(*rest, one)) ** 2).sum()) for one in RIDGES]
        best = RIDGES[int(np.argmin(error))]
    else:
        best = RIDGES[-1]
    return solved(np.concatenate(x), np.concatenate(y), best)


def lagged(series: Sequence[Floats], lag: int) -> Floats:
    count = sum(len(one) - lag for one in series)
    total = np.sum([one[lag:].T @ one[: len(one) - lag] for one in series], axis=0) / count
    found: Floats = (total + total.T) / 2
    return found
