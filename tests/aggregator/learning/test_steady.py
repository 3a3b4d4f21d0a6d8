"""The gain at steady state against plain iteration of the filter and against scipy's Riccati solver."""

import numpy as np
import pytest
from scipy.linalg import solve_discrete_are

from aggregator.learning.steady import NoSteadyState, steady


@pytest.mark.parametrize("seed", range(8))
def test_against_iteration_and_scipy(seed: int) -> None:
    random = np.random.default_rng(seed)
    n, p = int(random.integers(1, 9)), int(random.integers(1, 4))
    A = random.normal(0, 1, (n, n))
    A *= random.uniform(0.5, 1.1) / np.abs(np.linalg.eigvals(A)).max()  # some grow by themselves
    H, noise = random.normal(0, 1, (p, n)), random.normal(0, 1, (n, n))
    Q, R = noise @ noise.T, np.diag(random.uniform(0.1, 1, p))
    found = steady(A, H, Q, R)
    P = np.eye(n)
    for _ in range(3000):
        prior = A @ P @ A.T + Q
        K = np.linalg.solve(H @ prior @ H.T + R, H @ prior).T
        P = (np.eye(n) - K @ H) @ prior
    np.testing.assert_allclose(found.K, K, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.P, P, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(prior, solve_discrete_are(A.T, H.T, Q, R), rtol=1e-6, atol=1e-9)


def test_a_random_walk_that_is_measured_has_one() -> None:
    """By hand: P⁻ = (q + √(q² + 4 q r)) / 2."""
    q, r = 0.01, 1.0
    prior = (q + (q * q + 4 * q * r) ** 0.5) / 2
    found = steady(np.eye(1), np.eye(1), np.array([[q]]), np.array([[r]]))
    assert found.K[0, 0] == pytest.approx(prior / (prior + r))


def test_what_is_not_seen_and_does_not_decay_has_none() -> None:
    for growth in (1.0, 1.02):
        with pytest.raises(NoSteadyState, match="measure it or drop it"):
            steady(np.diag([growth, 0.5]), np.array([[0.0, 1.0]]), np.eye(2), np.eye(1))
