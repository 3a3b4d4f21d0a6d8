"""How danger moves: a level returns to its usual one, rain, outages and traffic push it; a rise goes on for a while.

r(k) = γ r(k-1) + w_r                                      a damped local trend (Gardner & McKenzie 1985)
l(k) = m + ρ (l(k-1) - m) + r(k) + dt · push + w_l,        m = usual + vehicles
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from aggregator.domains.safety.ground import Ground, apart
from aggregator.twin import Floats
from aggregator.twin.model import Sparse

BESIDE_M = 1.0  # in the graph: from a level to its own rise


@dataclass(frozen=True, eq=False)
class Drive:
    """The exogenous input u, by its parts."""

    push: Floats  # (w,) per step
    vehicles: Floats  # (w,) what they add to the usual level
    warned: Floats  # (w,) 0…1
    sent: Floats  # (units,) crossing from 1; 0 for none

    def u(self) -> Floats:
        return np.concatenate([self.push, self.vehicles, self.warned, self.sent])

    @classmethod
    def of(cls, u: Floats, ground: Ground) -> "Drive":
        return cls(*np.split(u, [ground.w, 2 * ground.w, 3 * ground.w]))


def pace(ground: Ground) -> tuple[Floats, Floats]:
    """ρ and γ (w,)."""
    dt = ground.step_h
    return np.exp(-dt / ground.values("memory_h")), np.exp(-dt / ground.values("trend_h"))


def f(ground: Ground, X: Floats, u: Floats) -> Floats:
    """(2 w, N)."""
    drive, w = Drive.of(u, ground), ground.w
    ρ, γ = (one[:, None] for one in pace(ground))
    usual = (ground.values("usual") + drive.vehicles)[:, None]
    rise = γ * X[w:]
    return np.vstack([usual + ρ * (X[:w] - usual) + rise + drive.push[:, None], rise])


def Q(ground: Ground) -> tuple[Floats, Floats]:
    """Levels as spread, and rises as steep, as on usual days; what shakes a rise shakes the level with it."""
    ρ, γ = pace(ground)
    w = ground.w
    diag = np.concatenate([(1 - ρ**2) * ground.values("spread") ** 2, np.zeros(w)])
    rise = np.sqrt(1 - γ**2) * ground.values("trend") * ground.step_h
    return diag, np.vstack([np.diag(rise), np.diag(rise)])


def distances(ground: Ground) -> Sparse:
    """(2 w, 2 w) m: each watch to the nearest other of its hazard; its rise beside it."""
    w = ground.w
    far = np.maximum(apart(ground.watches, ground.watches), BESIDE_M)
    graph = np.zeros((2 * w, 2 * w))
    hazards = np.array(ground.hazards)
    for i in range(w):
        graph[i, w + i] = graph[w + i, i] = BESIDE_M
        same = np.flatnonzero((hazards == hazards[i]) & (np.arange(w) != i))
        if len(same):
            j = int(same[far[i, same].argmin()])
            graph[i, j] = graph[j, i] = far[i, j]
    return sp.csr_array(graph)
