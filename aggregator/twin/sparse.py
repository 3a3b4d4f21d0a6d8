"""The mean alone, for a million states: the analysis as a sparse linear system, no ensemble and no factor.

The forecast's precision is Λ = D^-½ (I + ℓ² L) D^-½ · c, L the Laplacian of the domain's graph: a Gaussian Markov
random field, correlated over about ℓ (Lindgren, Rue & Lindström 2011). Then (Λ + Hᵀ R⁻¹ H) δ = Hᵀ R⁻¹ d, by conjugate
gradients. The variance is a rough one, of each state alone: what neighbours tell is left out, which makes it too large,
and so are the correlations that an averaging f leaves behind, which makes it too small. Calibration says by how much.
"""

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, cg

from aggregator.twin import BadModel, Floats
from aggregator.twin.belief import Belief
from aggregator.twin.gaussian import GATE
from aggregator.twin.model import Model, Sparse
from aggregator.twin.observation import Innovation, Observation, predict, soften

TOLERANCE = 1e-6  # of the residual, relative: far below any R
ROUNDS_MAX = 500  # a field correlated over ℓ edges takes about 3 ℓ
PROBES = 16


@dataclass(frozen=True, slots=True)
class MeanOnly:
    """A scheme (fuser.py). `length` is ℓ in the units of the domain's graph."""

    length: float
    gate: float = GATE
    seed: int = 0
    _field: dict[int, tuple[Model, Sparse]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def begin(self, prior: Belief) -> Belief:
        return Belief(prior.k, prior.x, prior.variance, np.zeros((prior.n, 0)))

    def forecast(self, model: Model, belief: Belief, k: int, q_scale: float) -> Belief:
        """The variance moves as f moves ±1 standard deviations of all states at random: diag(F D Fᵀ), by one probe."""
        signs = np.random.Generator(np.random.Philox(key=[self.seed, k])).integers(0, 2, belief.n)
        away = belief.sd * (2.0 * signs - 1.0)
        X = np.column_stack([belief.x, belief.x + away, belief.x - away])
        X = model.f(X, model.exogenous(k), k)
        diag, B = model.Q(belief.x, k)
        spread = ((X[:, 1] - X[:, 2]) / 2) ** 2 + q_scale * (diag + np.einsum("ij,ij->i", B, B))
        return Belief(k, X[:, 0], spread, belief.A)

    def analyse(self, model: Model, belief: Belief, seen_now: Observation) -> tuple[Belief, Innovation]:
        H = seen_now.H
        if H is None:
            raise BadModel(f"domain {model.name}: MeanOnly needs H; give H or use Ensemble")
        mean, spread = predict(model, belief, seen_now.channel)
        d, S = seen_now.y - mean, spread + seen_now.R
        R, softened = soften(d, S, seen_now.R, self.gate)
        weighed = H.T @ sp.diags_array(1 / R)
        scale = sp.diags_array(1 / belief.sd)
        told = (weighed @ H).tocsr()
        precision = (scale @ self.precision(model) @ scale + told).tocsr()
        step = solve(precision, weighed @ d)
        x = belief.x + step
        left = seen_now.y - model.h(x[:, None], seen_now.channel, belief.k)[:, 0]
        after = Belief(belief.k, x, 1 / (1 / belief.diag + told.diagonal()), belief.A)
        # Without S the joint NIS is found from the optimum: dᵀ S⁻¹ d = dᵀ R⁻¹ (d - H δ).
        nis = float(d @ ((d - H @ step) / R))
        return after, Innovation(belief.k, seen_now.channel, seen_now.y, d, S, left, seen_now.R, nis, softened)

    def precision(self, model: Model) -> Sparse:
        """Of the field with variance about 1 everywhere; found once per model."""
        if id(model) not in self._field:
            self._field[id(model)] = model, markov_field(model.graph, self.length, self.seed)
        return self._field[id(model)][1]


def markov_field(graph: Sparse, length: float, seed: int) -> Sparse:
    """(I + ℓ² L) c, edges weighted 1 / length²; c such that the mean variance is 1 (probed, Bekas et al. 2007)."""
    edge = graph.tocoo()
    apart = (edge.row != edge.col) & (edge.data > 0)
    weight = sp.csr_array((1 / edge.data[apart] ** 2, (edge.row[apart], edge.col[apart])), shape=graph.shape)
    degree: Floats = np.asarray(weight.sum(axis=1), np.float64).ravel()
    Λ: Sparse = (sp.diags_array(1 + length**2 * degree) - weight * length**2).tocsr()
    probe = np.random.Generator(np.random.Philox(key=[seed, 0])).integers(0, 2, (graph.shape[0], PROBES)) * 2.0 - 1.0
    variance = np.mean([np.mean(one * solve(Λ, one)) for one in probe.T])
    return Λ * float(variance)


def solve(Λ: Sparse, b: Floats) -> Floats:
    """Λ⁻¹ b for a symmetric positive definite Λ, preconditioned with its diagonal. Raises BadModel where it fails."""
    inverse = 1 / Λ.diagonal()
    jacobi = LinearOperator(Λ.shape, matvec=lambda v: inverse * np.ravel(v), dtype=np.float64)
    found, left = cg(Λ, b, rtol=TOLERANCE, maxiter=ROUNDS_MAX, M=jacobi)
    if left:
        raise BadModel(f"{ROUNDS_MAX} rounds do not solve the analysis: a shorter length, or variances nearer together")
    return np.asarray(found)
