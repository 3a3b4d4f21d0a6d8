"""How levels move: every pond gives a share of its water to the one below, and takes what flows in."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import scipy.sparse as sp

from aggregator.twin import Floats
from aggregator.twin.model import Sparse


class Drains(Protocol):
    @property
    def drains_per_step(self) -> float: ...
    @property
    def into(self) -> int | None: ...
    @property
    def distance_m(self) -> float: ...


def transition(ponds: Sequence[Drains]) -> Sparse:
    """F (n, n): what stays, and what comes from above. Ponds have equal areas, so water is conserved in the columns."""
    n = len(ponds)
    below = [(one.into, i) for i, one in enumerate(ponds) if one.into is not None]
    rows = [*range(n), *(to for to, _ in below)]
    columns = [*range(n), *(of for _, of in below)]
    share = [1 - one.drains_per_step for one in ponds] + [ponds[of].drains_per_step for _, of in below]
    found: Sparse = sp.coo_array((np.array(share), (rows, columns)), shape=(n, n)).tocsr()
    return found


def distances(ponds: Sequence[Drains]) -> Sparse:
    """(n, n) m between a pond and the one below, both ways."""
    n = len(ponds)
    half = [(i, one.into, one.distance_m) for i, one in enumerate(ponds) if one.into is not None]
    above, below, length = (np.array(column) for column in zip(*half, strict=True)) if half else (np.zeros(0, int),) * 3
    one_way = sp.coo_array((length.astype(np.float64), (above, below)), shape=(n, n))
    found: Sparse = (one_way + one_way.T).tocsr()
    return found


def f(F: Sparse, X: Floats, u: Floats) -> Floats:
    """x(k) = F x(k-1) + u."""
    return F @ X + u[:, None]


def Q(n: int, noise_m: float) -> tuple[Floats, Floats]:
    return np.full(n, noise_m**2), np.zeros((n, 0))
