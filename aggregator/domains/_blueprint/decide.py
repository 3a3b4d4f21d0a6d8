"""What may be done: pumps. The limits, and the cheapest plan that keeps them with a margin for what is not known."""

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

from aggregator.twin import Floats
from aggregator.twin.belief import Belief
from aggregator.twin.domain import Limits, Plan
from aggregator.twin.model import Sparse

MARGIN_SD = 2.0  # kept from a limit: 98 % sure at each step
PENALTY = 1e3  # for a m over a limit that may be broken, against 1 for a m that is pumped


class Pumped(Protocol):
    @property
    def rim_m(self) -> float: ...
    @property
    def pump_m(self) -> float: ...


def limits(ponds: Sequence[Pumped]) -> Limits:
    """Level ≤ rim if it can be; 0 ≤ pump ≤ its most, always."""
    n = len(ponds)
    one, none = sp.eye_array(n), sp.csr_array((n, n))
    G = sp.vstack([one, none, none], format="csr")
    L = sp.vstack([none, one, -one], format="csr")
    c = np.concatenate([[p.rim_m for p in ponds], [p.pump_m for p in ponds], np.zeros(n)])
    return Limits(G, L, c, np.arange(3 * n) >= n)


def plan(F: Sparse, inflow: Floats, noise_m: float, limits: Limits, belief: Belief, deadline_s: float) -> Plan:
    """Pump rates (T, n), by HiGHS: least pumping, with slack where a limit may be broken.

    x(t) = F x(t-1) + inflow(t) - u(t);  G x(t) + L u(t) ≤ c - margin(t) + slack(t), no slack where it is hard.
    """
    T, n = inflow.shape
    free, sd = foreseen(F, inflow, noise_m, belief)
    effect = response(F, T)  # of u (T n,) on x (T n,)
    G, L = sp.kron(sp.eye_array(T), limits.G), sp.kron(sp.eye_array(T), limits.L)
    margin = MARGIN_SD * np.concatenate([abs(limits.G) @ one for one in sd])
    soft = np.tile(~limits.hard, T)
    slack = -sp.eye_array(len(soft), format="csc")[:, np.flatnonzero(soft)]
    A = sp.hstack([G @ effect + L, slack], format="csr")
    b = np.tile(limits.c, T) - G @ free.ravel() - margin * soft
    cost = np.concatenate([np.ones(T * n), np.full(int(soft.sum()), PENALTY)])
    found = linprog(cost, A_ub=A, b_ub=b, method="highs", options={"time_limit": deadline_s})
    if found.x is None or found.fun is None:
        return Plan(np.zeros((T, n)), 0.0, 0.0, "fallback", f"pumps stay off: {found.message}")
    over = found.x[T * n :].sum()
    why = "every pond stays below its rim" if over < 1e-9 else f"not enough pumps: {over:.2f} m·steps over the rims"
    status: Literal["optimal", "feasible"] = "optimal" if found.status == 0 else "feasible"
    bound = float(found.fun) if status == "optimal" else 0.0
    without = PENALTY * float(np.maximum(-b[soft], 0.0).sum())
    return Plan(found.x[: T * n].reshape(T, n), float(found.fun), bound, status, why, without)


def foreseen(F: Sparse, inflow: Floats, noise_m: float, belief: Belief) -> tuple[Floats, Floats]:
    """Mean and standard deviation (T, n) with all pumps off."""
    x, P, dense = belief.x, belief.covariance(), F.toarray()
    mean, sd = np.empty_like(inflow), np.empty_like(inflow)
    for t, into in enumerate(inflow):
        x = F @ x + into
        P = dense @ P @ dense.T + noise_m**2 * np.eye(len(x))
        mean[t], sd[t] = x, np.sqrt(np.diag(P))
    return mean, sd


def response(F: Sparse, T: int) -> Sparse:
    """-F^(t-τ) for τ ≤ t, as blocks (T n, T n)."""
    powers = [sp.eye_array(F.shape[0], format="csr")]
    for _ in range(T - 1):
        powers.append(powers[-1] @ F)
    blocks = [[-powers[t - τ] if τ <= t else None for τ in range(T)] for t in range(T)]
    found: Sparse = sp.block_array(blocks, format="csr")
    return found
