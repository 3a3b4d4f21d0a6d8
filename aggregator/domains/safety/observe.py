"""How sensors see danger: each reads the level that it stands at."""

import numpy as np
import scipy.sparse as sp

from aggregator.twin import Floats, Ints
from aggregator.twin.model import Sparse


def h(X: Floats, place: Ints) -> Floats:
    """(m, N)."""
    return X[place]


def H(n: int, place: Ints) -> Sparse:
    """(m, n)."""
    m = len(place)
    return sp.csr_array((np.ones(m), place, np.arange(m + 1)), shape=(m, n))
