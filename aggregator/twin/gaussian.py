"""The Kalman filter in innovation form, exact or on a diagonal plus a low rank: every domain of moderate size.

Exact (rank None): the covariance is kept as a square root, analysis by the array algorithm (Kailath, Sayed & Hassibi,
Linear Estimation, 2000, §12); n up to about 1,500. For a linear model this is the Kalman filter.

Low rank: the covariance is diag + A Aᵀ with r columns (reduced-rank square root filter, Verlaan & Heemink 1997). Mean
and every state's own variance are as exact as the prior covariance; of the correlations those of the r largest
directions. One solve of m × m per step.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cholesky, eigh, qr, solve_triangular

from aggregator.twin import BadModel, Floats
from aggregator.twin.belief import Belief
from aggregator.twin.model import Model
from aggregator.twin.observation import Innovation, Observation, seen, soften

PROBES = 8  # of the diagonal of F D Fᵀ; one is exact where F is diagonal
GATE = 6.0  # standard deviations beyond which a reading counts less: once in 5·10⁸ when all is well


@dataclass(frozen=True, slots=True)
class Gaussian:
    """A scheme (fuser.py). `rank` None is exact; `gate` np.inf takes every reading as it is."""

    rank: int | None = None
    gate: float = GATE
    seed: int = 0

    def begin(self, prior: Belief) -> Belief:
        return prior

    def forecast(self, model: Model, belief: Belief, k: int, q_scale: float) -> Belief:
        """x = f(x, u), P = F P Fᵀ + Q."""
        u = model.exogenous(k)
        diag, B = model.Q(belief.x, k)
        if self.rank is None:
            x, FC = moved(model, belief, belief.factor(), u, k)
            return Belief(k, x, q_scale * diag, square(np.hstack([FC, np.sqrt(q_scale) * B])))
        x, FA = moved(model, belief, belief.A, u, k)
        A, lost = reduced(np.hstack([FA, np.sqrt(q_scale) * B]), self.rank)
        return Belief(k, x, q_scale * diag + lost + self._diagonal(model, belief, u, k), A)

    def analyse(self, model: Model, belief: Belief, seen_now: Observation) -> tuple[Belief, Innovation]:
        """x + K d, P - K S Kᵀ."""
        mean, Y = seen(model, belief, seen_now.channel, seen_now.H)
        d, S = seen_now.y - mean, np.einsum("ij,ij->i", Y, Y) + seen_now.R
        R, softened = soften(d, S, seen_now.R, self.gate)
        if self.rank is None:
            after, nis = exact(belief, Y, d, R)
        else:
            after, nis = low_rank(belief, seen_now, d, R)
        left = seen_now.y - model.h(after.x[:, None], seen_now.channel, belief.k)[:, 0]
        return after, Innovation(belief.k, seen_now.channel, seen_now.y, d, S, left, seen_now.R, nis, softened)

    def _diagonal(self, model: Model, belief: Belief, u: Floats, k: int) -> Floats:
        """diag(F D Fᵀ) from ±1 probes (Bekas, Kokiopoulou & Saad 2007)."""
        if not belief.diag.any():
            return np.zeros(belief.n)
        signs = np.random.Generator(np.random.Philox(key=[self.seed, k])).integers(0, 2, (belief.n, PROBES))
        _, FD = moved(model, belief, np.sqrt(belief.diag)[:, None] * (2.0 * signs - 1.0), u, k)
        spread: Floats = np.mean(FD * FD, axis=1)
        return spread


def moved(model: Model, belief: Belief, C: Floats, u: Floats, k: int) -> tuple[Floats, Floats]:
    """f(x) and F C, by central differences along each column (DD1): exact for a linear f."""
    n, c = C.shape
    X = np.empty((n, 2 * c + 1))
    X[:, 0], X[:, 1 : c + 1], X[:, c + 1 :] = belief.x, belief.x[:, None] + C, belief.x[:, None] - C
    X = model.f(X, u, k)
    return X[:, 0], (X[:, 1 : c + 1] - X[:, c + 1 :]) / 2


def square(C: Floats) -> Floats:
    """C with at most as many columns as rows, C Cᵀ unchanged."""
    if C.shape[1] <= C.shape[0]:
        return C
    (upper,) = qr(C.T, mode="r", check_finite=False)
    return np.ascontiguousarray(upper[: C.shape[0]].T)


def reduced(C: Floats, rank: int) -> tuple[Floats, Floats]:
    """The `rank` largest directions of C (n, c), and the variance (n,) that lies in the others."""
    if C.shape[1] <= rank:
        return C, np.zeros(C.shape[0])
    _, V = eigh(C.T @ C, check_finite=False)
    A, rest = C @ V[:, -rank:], C @ V[:, :-rank]
    return A, np.einsum("ij,ij->i", rest, rest)


def exact(belief: Belief, Y: Floats, d: Floats, R: Floats) -> tuple[Belief, float]:
    """[√R, Y; 0, C] Θ = [√S, 0; K √S, √P⁺] for any rotation Θ that makes it so."""
    C = belief.factor() if belief.diag.any() else belief.A
    m, (n, c) = len(d), C.shape
    array = np.zeros((m + c, m + n))
    array[np.arange(m), np.arange(m)] = np.sqrt(R)
    array[m:, :m], array[m:, m:] = Y.T, C.T
    (upper,) = qr(array, mode="r", check_finite=False, overwrite_a=True)
    z = solve_triangular(upper[:m, :m], d, trans="T", check_finite=False)
    A = np.ascontiguousarray(upper[m : m + n, m:].T, np.float64)
    return Belief(belief.k, belief.x + upper[:m, m:].T @ z, np.zeros(n), A), float(z @ z)


def low_rank(belief: Belief, seen_now: Observation, d: Floats, R: Floats) -> tuple[Belief, float]:
    """S = H D Hᵀ + Y Yᵀ + R; A⁺ = A √(I - Yᵀ S⁻¹ Y); the diagonal takes what every state's own variance lacks."""
    H, A = seen_now.H, belief.A
    if H is None:
        raise BadModel("a low-rank covariance with a diagonal needs H; give H, rank=None, or use Ensemble")
    Y = H @ A
    HD = H.multiply(belief.diag).tocsr()
    S = (HD @ H.T).toarray() + Y @ Y.T + np.diag(R)
    root = cholesky(S, lower=True, check_finite=False)
    z = solve_triangular(root, d, lower=True, check_finite=False)
    V = solve_triangular(root, HD.toarray() + Y @ A.T, lower=True, check_finite=False)  # √S Kᵀ
    G = solve_triangular(root, Y, lower=True, check_finite=False)
    weight, E = eigh(np.eye(belief.rank) - G.T @ G, check_finite=False)
    A = np.asarray(A @ (E * np.sqrt(np.maximum(weight, 0.0))) @ E.T, np.float64)
    variance = np.maximum(belief.variance - np.einsum("ij,ij->j", V, V), 0.0)
    explained = np.einsum("ij,ij->i", A, A)
    too_much = explained > variance
    A[too_much] *= np.sqrt(variance[too_much] / explained[too_much])[:, None]
    diag = np.where(too_much, 0.0, variance - explained)
    return replace(belief, x=belief.x + V.T @ z, diag=diag, A=A), float(z @ z)
