"""Where a pipe leaks: the node whose outflow explains best what pressures lack.

A leak q at node j lowers the pressures of the sensors by q S_j, S from the linearised network. Residuals have two more
causes that are known in size: the sensors' errors and what customers take otherwise than thought, which shows through
the same S. So generalised least squares for each node, and the probability of each by its likelihood, all nodes alike
beforehand (Bayes; in the line of Pérez et al. 2011, and Poulakis et al. 2003).
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from aggregator.twin import BadModel, Floats, Ints

FLOOR = 1e-300


@dataclass(frozen=True, eq=False, slots=True)
class Suspects:
    """All nodes asked about, the likeliest first."""

    nodes: Ints  # (n,)
    probability: Floats  # (n,)
    flow: Floats  # (n,) what would leak there, in the unit of the demands

    def within(self, share: float) -> Ints:
        """The fewest nodes that hold so much of the probability."""
        count = int(np.searchsorted(np.cumsum(self.probability), share)) + 1
        return self.nodes[:count]


def suspects(residual: Floats, S: Floats, demand_sd: Floats, sensor_sd: float, nodes: Ints) -> Suspects:
    """From residuals (T, m), measured less expected, and S (T, m, N) change of each sensor by each node's demand.

    `demand_sd` (T, N): what is not known of each demand. `nodes` (n,): where it may leak. Raises BadModel for arrays
    that do not fit, or no reading at all.
    """
    T, m = residual.shape
    if S.shape[:2] != (T, m) or demand_sd.shape != (T, S.shape[2]) or not np.isfinite(residual).any():
        raise BadModel(f"residuals {residual.shape}, sensitivities {S.shape}, demands {demand_sd.shape} do not fit")
    known, told = np.zeros(len(nodes)), np.zeros(len(nodes))
    for t in range(T):
        heard = np.flatnonzero(np.isfinite(residual[t]))
        if not len(heard):
            continue
        spread = S[t][heard] * demand_sd[t]
        R = spread @ spread.T + sensor_sd**2 * np.eye(len(heard))
        factor, here = cho_factor(R), S[t][heard][:, nodes]
        weighed = cho_solve(factor, here)
        known += np.einsum("mn,mn->n", here, weighed)
        told += weighed.T @ residual[t, heard]
    flow = np.maximum(told / np.maximum(known, FLOOR), 0.0)  # nothing leaks in
    likelihood = flow * told - 0.5 * flow**2 * known
    weight = np.exp(likelihood - likelihood.max())
    order = np.argsort(-weight, kind="stable")
    return Suspects(nodes[order], (weight / weight.sum())[order], flow[order])
