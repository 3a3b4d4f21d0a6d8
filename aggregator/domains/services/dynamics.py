"""How the state moves: tanks by their balance, unusual demand back to the usual, containers by what they fill in a day.

s(k) = a s(k-1) + w          unusual demand of a junction
l(k) = l(k-1) + dt / area · (q0 + Qd (D + s) + Ql (l - l0))     q into the tank, linear around a usual hour
c(k) = c(k-1) + r dt,  r(k) = r(k-1) + w                        fill and rate of a container
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aggregator.domains.services.water import Hour
from aggregator.twin import Floats

DAY_S = 86_400.0


class Sizes(NamedTuple):
    """How many tanks, junctions and containers: the parts of a state."""

    tanks: int
    junctions: int
    containers: int

    @property
    def n(self) -> int:
        return self.tanks + self.junctions + 2 * self.containers

    @property
    def level(self) -> slice:
        return slice(0, self.tanks)

    @property
    def unusual(self) -> slice:
        return slice(self.tanks, self.tanks + self.junctions)

    @property
    def fill(self) -> slice:
        return slice(self.tanks + self.junctions, self.tanks + self.junctions + self.containers)

    @property
    def rate(self) -> slice:
        return slice(self.tanks + self.junctions + self.containers, self.n)


def f(sizes: Sizes, hour: Hour, X: Floats, usual: Floats, emptied: Floats, a: float, step_s: float) -> Floats:
    """(n, N); `usual` (j,) m3/h that is taken, `emptied` (c,) 0 … 1."""
    moved = X.copy()
    taken = usual[:, None] + X[sizes.unusual]
    moved[sizes.level] += hour.rise(X[sizes.level], taken) * step_s / 3600
    moved[sizes.unusual] = a * X[sizes.unusual]
    filled = X[sizes.fill] + X[sizes.rate] * step_s / DAY_S
    moved[sizes.fill] = filled * (1 - emptied[:, None])
    return moved


def Q(sizes: Sizes, mean: Floats, spread: Sequence[float], a: float, step_s: float) -> tuple[Floats, Floats]:
    """`mean` (j,) m3/h; `spread`: of demand as share, of a level in an hour, of a fill in a day (%), of rates (%)."""
    diag = np.empty(sizes.n)
    diag[sizes.level] = spread[1] ** 2 * step_s / 3600
    diag[sizes.unusual] = (1 - a**2) * (spread[0] * np.maximum(mean, 0.01)) ** 2
    diag[sizes.fill] = spread[2] ** 2 * step_s / DAY_S
    diag[sizes.rate] = (0.1 * spread[3]) ** 2 * step_s / DAY_S
    return diag, np.zeros((sizes.n, 0))
