"""The Kalman filter at steady state: the gain and the covariance that a gateway begins with.

NoSteadyState       the model forgets nothing that it cannot see: no gain makes its estimate settle
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DOUBLINGS_MAX = 60  # each doubles the number of filter steps: 2**60 of them have settled or never will
SETTLED = 1e-12  # relative change that ends it
RESIDUAL_MAX = 1e-6  # of the Riccati equation, relative


class NoSteadyState(ValueError):
    """A state that grows or stays by itself and shows in no channel; the message says what to do."""


class Steady(NamedTuple):
    K: Floats  # gain (n, p)
    P: Floats  # covariance after the analysis (n, n)


def steady(A: Floats, H: Floats, Q: Floats, R: Floats) -> Steady:
    """The stationary filter of x⁺ = A x + w, y = H x + v with w ~ N(0, Q), v ~ N(0, R). Raises NoSteadyState.

    The Riccati equation P⁻ = A P⁻ Aᵀ − A P⁻ Hᵀ (H P⁻ Hᵀ + R)⁻¹ H P⁻ Aᵀ + Q by structure-preserving doubling: Chu, Fan,
    Lin and Wang, "Structure-preserving algorithms for periodic discrete-time algebraic Riccati equations", Int. J.
    Control 77 (2004) 767–788.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # of what grows for ever: it is found not to be finite
        prior = _doubled(A, H, Q, R)
    if prior is None:
        raise NoSteadyState("no steady state: a state that does not decay shows in no channel; measure it or drop it")
    return _checked(A, H, Q, R, prior)


def _doubled(A: Floats, H: Floats, Q: Floats, R: Floats) -> Floats | None:
    eye = np.eye(len(A))
    F, G, X = A.T, H.T @ np.linalg.solve(R, H), Q
    for _ in range(DOUBLINGS_MAX):
        try:
            W = np.linalg.inv(eye + G @ X)
        except np.linalg.LinAlgError:
            return None
        grown = X + F.T @ X @ W @ F
        F, G, X, before = F @ W @ F, G + F @ W @ G @ F.T, (grown + grown.T) / 2, X
        if not np.isfinite(X).all():
            return None
        if np.abs(X - before).max() <= SETTLED * np.abs(X).max():
            return X
    return None


def _checked(A: Floats, H: Floats, Q: Floats, R: Floats, prior: Floats) -> Steady:
    """Gain and analysis covariance (Joseph form) of the forecast covariance `prior`, which must solve the equation."""
    K = np.linalg.solve(H @ prior @ H.T + R, H @ prior).T
    L = np.eye(len(A)) - K @ H
    P = L @ prior @ L.T + K @ R @ K.T
    if np.abs(A @ P @ A.T + Q - prior).max() > RESIDUAL_MAX * np.abs(prior).max():
        raise NoSteadyState("the steady state cannot be computed: scale the states alike, or give Q and R more floor")
    return Steady(K.astype(np.float64), 0.5 * (P + P.T))
