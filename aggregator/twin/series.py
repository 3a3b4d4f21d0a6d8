"""Forecast series: what is expected of every state, step after step, and how surely."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from aggregator.twin import BadModel, Floats, Ints
from aggregator.twin.belief import Belief
from aggregator.twin.fuser import Scheme
from aggregator.twin.model import Model


@dataclass(frozen=True, eq=False, slots=True)
class Series:
    """T steps after step `k`: the first row is k + 1."""

    k: int
    dt_ns: int
    mean: Floats  # (T, n)
    variance: Floats  # (T, n)

    @property
    def horizon(self) -> int:
        return len(self.mean)

    @property
    def t_ns(self) -> Ints:
        """(T,) UTC."""
        return (self.k + 1 + np.arange(self.horizon, dtype=np.int64)) * self.dt_ns

    @property
    def sd(self) -> Floats:
        return np.sqrt(self.variance)

    def at(self, k: int) -> tuple[Floats, Floats]:
        """Mean and variance (n,) at step k. Raises BadModel outside of the horizon."""
        if not 0 < k - self.k <= self.horizon:
            raise BadModel(f"step {k} is not forecast; ask for {self.k + 1} … {self.k + self.horizon}")
        return self.mean[k - self.k - 1], self.variance[k - self.k - 1]

    def exceedance(self, limit: Floats | float) -> Floats:
        """(T, n) probability that a state is above `limit` (n,) or one number, each state and step alone."""
        sd = self.sd
        certain = (self.mean > limit).astype(np.float64)
        z = np.divide(self.mean - limit, sd, out=np.zeros_like(sd), where=sd > 0)
        return np.where(sd > 0, ndtr(z), certain)


def forecast(model: Model, scheme: Scheme, belief: Belief, steps: int, q_scale: float = 1.0) -> Series:
    """What `belief` becomes when nothing more is measured. `q_scale` is the calibration's."""
    if steps < 1:
        raise BadModel(f"a forecast of {steps} steps; at least 1")
    mean, variance = np.empty((steps, model.n)), np.empty((steps, model.n))
    moving = belief
    for i in range(steps):
        moving = scheme.forecast(model, moving, belief.k + 1 + i, q_scale)
        mean[i], variance[i] = moving.x, moving.variance
    return Series(belief.k, model.dt_ns, mean, variance)
