"""What the readings of one step say about a state: y = h(x) + v, and how far a belief was from it."""

from dataclasses import dataclass

import numpy as np

from aggregator.twin import Floats, Ints
from aggregator.twin.belief import Belief
from aggregator.twin.measurement import Meas
from aggregator.twin.model import Model, Sparse


@dataclass(frozen=True, eq=False, slots=True)
class Observation:
    """m readings of step k. `H` (m, n) is None where the domain has none."""

    k: int
    channel: Ints  # (m,)
    y: Floats  # (m,)
    R: Floats  # (m,) variances: errors of different readings are taken as independent
    H: Sparse | None


@dataclass(frozen=True, eq=False, slots=True)
class Innovation:
    """How one step's readings met what was forecast, and what was left over. Arrays (m,), in the order of fusion."""

    k: int
    channel: Ints
    y: Floats
    d: Floats  # y - h(x), x the forecast
    S: Floats  # variance of d: H P Hᵀ + R, of each reading alone
    residual: Floats  # y - h(x), x the analysis
    R: Floats
    nis: float  # dᵀ S⁻¹ d of all readings together: m on average when every variance is true
    softened: int  # readings whose error was widened because they were too far off

    @property
    def m(self) -> int:
        return len(self.y)

    @property
    def z(self) -> Floats:
        """d in standard deviations."""
        return self.d / np.sqrt(self.S)


def observe(model: Model, x: Floats, meas: Meas, k: int, r_scale: Floats) -> Observation:
    """`r_scale` (C,) is what calibration has learned of each channel's error variance."""
    return Observation(k, meas.channel, meas.y, meas.var * r_scale[meas.channel], model.H(x, meas.channel, k))


def seen(model: Model, belief: Belief, channel: Ints, H: Sparse | None) -> tuple[Floats, Floats]:
    """What `belief` says that channels (m,) read: mean (m,) and factor Y (m, c), Y Yᵀ = H P Hᵀ.

    Without H the factor is the central difference of h along each factor of P (Nørgaard, Poulsen & Ravn 2000, DD1),
    which is exact for a linear h.
    """
    C = belief.factor() if belief.diag.any() else belief.A
    if H is not None:
        return model.h(belief.x[:, None], channel, belief.k)[:, 0], H @ C
    up, down = (model.h(belief.x[:, None] + sign * C, channel, belief.k) for sign in (1, -1))
    return model.h(belief.x[:, None], channel, belief.k)[:, 0], (up - down) / 2


def predict(model: Model, belief: Belief, channel: Ints) -> tuple[Floats, Floats]:
    """Mean and variance (m,) that `belief` gives to the noise-free readings of `channel` (m,)."""
    H = model.H(belief.x, channel, belief.k)
    if H is None:
        mean, Y = seen(model, belief, channel, None)
        return mean, np.einsum("ij,ij->i", Y, Y)
    mean = model.h(belief.x[:, None], channel, belief.k)[:, 0]
    Y = H @ belief.A
    return mean, np.einsum("ij,ij->i", Y, Y) + H.multiply(H) @ belief.diag


def soften(d: Floats, S: Floats, R: Floats, gate: float) -> tuple[Floats, int]:
    """R (m,), wider for readings more than `gate` standard deviations off, so that they are exactly so many off.

    What is far off still counts, and the less the further it is: a belief that has lost its way is not locked out.
    """
    excess = d * d / (gate * gate) - S
    return R + np.maximum(excess, 0.0), int(np.count_nonzero(excess > 0))
