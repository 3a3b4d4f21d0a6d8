"""Where depots or ambulances stand: the p-median, and the most demand within reach (MCLP).

Exact by HiGHS up to EXACT_MAX sites, in the compact form by radii (Cornuéjols, Nemhauser & Wolsey 1980; García, Labbé
& Marín 2011): z(i, k) says that nothing is open within the k-th radius of customer i, so its cost is a sum of steps.
Above, and as a first solution, fast interchange (Whitaker 1983; Teitz & Bart 1968) from several greedy beginnings.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy.sparse as sp

from aggregator.twin import BadModel, Floats, Ints

EXACT_MAX = 500  # sites; beyond, only the heuristic
SITES_MAX = 20_000
STARTS = 8  # of the heuristic
BETTER = 1e-9  # a swap that gains less is rounding


@dataclass(frozen=True, slots=True)
class Sites:
    """`open` places ascending; `cost`: distance weighted by demand (p-median), or the demand reached (MCLP).

    `bound`: nothing can be better; -inf or inf where nobody has looked.
    """

    open: tuple[int, ...]
    cost: float
    bound: float
    optimal: bool


def p_median(distance: Floats, p: int, seconds: float, weight: Floats | None = None, seed: int = 0) -> Sites:
    """Open p of S sites so that C customers have it near: `distance` (C, S), `weight` (C,). Raises BadModel."""
    check(distance, p)
    cost = distance if weight is None else distance * weight[:, None]
    first = interchange(cost, p, seed)
    if distance.shape[1] > EXACT_MAX:
        return first
    return exact(cost, p, first, seconds)


def check(distance: Floats, p: int) -> None:
    if distance.ndim != 2 or not np.isfinite(distance).all() or (distance < 0).any():
        raise BadModel("distances from customers to sites are finite numbers from 0 on")
    if not 1 <= p <= distance.shape[1] <= SITES_MAX:
        raise BadModel(f"{p} of {distance.shape[1]} sites to be opened; 1 to all of them, at most {SITES_MAX}")


def interchange(cost: Floats, p: int, seed: int = 0) -> Sites:
    """The best of several local optima, each such that no swap of an open with a closed site gains anything."""
    noise = np.random.default_rng(seed)
    found = [swapped(cost, greedy(cost, p, noise if start else None)) for start in range(STARTS)]
    best = min(found, key=lambda one: value(cost, one))
    return Sites(tuple(sorted(best.tolist())), value(cost, best), -np.inf, False)


def value(cost: Floats, open_: Ints) -> float:
    return float(cost[:, open_].min(axis=1).sum())


def greedy(cost: Floats, p: int, noise: np.random.Generator | None) -> Ints:
    """One after the other, each the one that gains most; with `noise` among a random half."""
    near, chosen = np.full(len(cost), np.inf), list[int]()
    for _ in range(p):
        gain = np.minimum(cost, near[:, None]).sum(axis=0)
        gain[chosen] = np.inf
        if noise is not None:
            gain[noise.random(len(gain)) < 0.5] += np.abs(gain[np.isfinite(gain)]).max()
        chosen.append(int(np.argmin(gain)))
        near = np.minimum(near, cost[:, chosen[-1]])
    return np.array(chosen)


def swapped(cost: Floats, open_: Ints) -> Ints:
    """Fast interchange: for every closed site the best to close for it, from nearest and second-nearest distances."""
    open_ = open_.copy()
    rows = np.arange(len(cost))
    while len(open_) < cost.shape[1]:
        here = cost[:, open_]
        order = np.argsort(here, axis=1, kind="stable")[:, :2]
        first = here[rows, order[:, 0]]
        second = here[rows, order[:, 1]] if len(open_) > 1 else np.full(len(cost), np.inf)
        gain = np.maximum(first[:, None] - cost, 0.0).sum(axis=0)
        # whoever loses its site goes to the new one or to its second
        lost = np.minimum(np.maximum(cost, first[:, None]), second[:, None]) - first[:, None]
        owner = sp.csr_array((np.ones(len(rows)), (order[:, 0], rows)), shape=(len(open_), len(rows)))
        net = gain[None, :] - owner @ np.where(np.isfinite(lost), lost, 1e18)
        net[:, open_] = -np.inf
        out, into = np.unravel_index(int(np.argmax(net)), net.shape)
        if net[out, into] <= BETTER:
            return open_
        open_[out] = into
    return open_


def exact(cost: Floats, p: int, first: Sites, seconds: float) -> Sites:
    """The mixed-integer program by radii; `first` caps what is worth looking at."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    customers, sites = cost.shape
    rows, columns, values, low, steps = list[int](), list[int](), list[float](), list[float](), list[float]()
    base, z = 0.0, sites
    row = 0
    for i in range(customers):
        radii = np.unique(cost[i])
        base += float(radii[0])
        order = np.argsort(cost[i], kind="stable")
        sorted_ = cost[i][order]
        for k, (near, far) in enumerate(pairwise(radii)):
            within = order[: int(np.searchsorted(sorted_, near, side="right"))]
            if len(within) > sites - p:
                break  # p sites are open: one of these is
            fresh = within if k == 0 else order[int(np.searchsorted(sorted_, near)) : len(within)]
            rows += [row] * (len(fresh) + 1 + (k > 0))
            columns += [*fresh.tolist(), z] + ([z - 1] if k > 0 else [])
            values += [1.0] * (len(fresh) + 1) + ([-1.0] if k > 0 else [])
            low.append(1.0 if k == 0 else 0.0)
            steps.append(float(far - near))
            z += 1
            row += 1
    rows += [row] * sites
    columns += list(range(sites))
    values += [1.0] * sites
    A = sp.csr_array((np.array(values), (rows, columns)), shape=(row + 1, z))
    lower, upper = np.array([*low, float(p)]), np.array([*([np.inf] * row), float(p)])
    whole = np.arange(z) < sites
    found = milp(
        np.array([0.0] * sites + steps),
        constraints=LinearConstraint(A, lower, upper),
        bounds=Bounds(0.0, np.where(whole, 1.0, np.inf)),
        integrality=whole.astype(int),
        options={"time_limit": seconds},
    )
    bound = base + float(found.mip_dual_bound) if found.mip_dual_bound is not None else -np.inf
    if found.x is None:
        return Sites(first.open, first.cost, bound, False)
    open_ = np.flatnonzero(found.x[:sites] > 0.5)
    best = Sites(tuple(open_.tolist()), value(cost, open_), bound, found.status == 0)
    return best if best.cost <= first.cost or best.optimal else Sites(first.open, first.cost, bound, False)


def most_reached(reach: Floats, weight: Floats, p: int, seconds: float) -> Sites:
    """MCLP (Church & ReVelle 1974): p sites that reach the most demand. `reach` (C, S) 0 or 1, `weight` (C,)."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    check(reach, p)
    customers, sites = reach.shape
    within = np.hstack([(reach > 0).astype(np.float64), -np.eye(customers)])
    A = sp.csr_array(np.vstack([within, (np.arange(sites + customers) < sites).astype(np.float64)]))
    low, high = np.append(np.zeros(customers), p), np.append(np.full(customers, np.inf), p)
    found = milp(
        np.append(np.zeros(sites), -weight),
        constraints=LinearConstraint(A, low, high),
        bounds=Bounds(0.0, 1.0),
        integrality=(np.arange(sites + customers) < sites).astype(int),
        options={"time_limit": seconds},
    )
    if found.x is None:
        raise BadModel(f"no sites within {seconds:g} s: {found.message}")
    open_ = np.flatnonzero(found.x[:sites] > 0.5)
    reached = float(weight[(reach[:, open_] > 0).any(axis=1)].sum())
    return Sites(tuple(open_.tolist()), reached, -float(found.mip_dual_bound), found.status == 0)
