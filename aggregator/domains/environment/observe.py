"""How sensors see the air: the value where they stand, and their own drift. What others say of a station, beside it."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from aggregator.domains.environment.air import Air
from aggregator.domains.environment.field import Field
from aggregator.twin import Floats, Ints
from aggregator.twin.model import Sparse


def h(air: Air, X: Floats, channel: Ints) -> Floats:
    """(m, N): c + b."""
    return X[air.sensed[channel]] + X[air.values + channel]


def H(air: Air, channel: Ints) -> Sparse:
    """(m, n)."""
    m = len(channel)
    columns = np.column_stack([air.sensed[channel], air.values + channel]).ravel()
    return sp.csr_array((np.ones(2 * m), columns, np.arange(0, 2 * m + 1, 2)), shape=(m, air.n))


@dataclass(frozen=True, eq=False, slots=True)
class Reference:
    """What the other sensors say that each one should read (m,), and how surely; NaN where there are no others."""

    mean: Floats
    variance: Floats

    def z(self, y: Floats) -> Floats:
        """How far off each one is, in standard deviations."""
        found: Floats = (y - self.mean) / np.sqrt(self.variance)
        return found


def reference(field: Field, at: Ints, y: Floats, R: Floats) -> Reference:
    """Kriging of each reading y (m,) of values `at` (m,), errors R (m,), from all others of the same time.

    One solve for all: with K = C + R, ŷᵢ = yᵢ - (K⁻¹(y - μ))ᵢ / (K⁻¹)ᵢᵢ, variance 1/(K⁻¹)ᵢᵢ (Dubrule 1983).
    """
    if len(at) < 2:
        none = np.full(len(at), np.nan)
        return Reference(none, none)
    s = field.level(_spread_out(field, at, y))[at]
    K = s[:, None] * s * field.C[np.ix_(at, at)] + np.diag(R)
    inverse = np.linalg.inv(K)
    own = np.diag(inverse)
    return Reference(y - inverse @ (y - field.mean[at]) / own, 1 / own)


def _spread_out(field: Field, at: Ints, y: Floats) -> Floats:
    """(v,) a rough picture of all values for the level: the usual one, as much higher as the readings are."""
    pollutants = len(field.steady)
    p = len(field.mean) // pollutants
    x = field.mean.copy()
    for q in range(pollutants):
        here = at // p == q
        if here.any():
            x[q * p : (q + 1) * p] *= max(y[here].mean() / field.mean[at[here]].mean(), 0.0)
    return x
