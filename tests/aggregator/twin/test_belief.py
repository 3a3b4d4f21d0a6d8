"""What a belief says of itself."""

import numpy as np
import pytest

from aggregator.twin.belief import Belief

NOISE = np.random.default_rng(0)
BELIEF = Belief(3, np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 4.0]), NOISE.standard_normal((3, 2)))


def test_factor_and_variance_are_those_of_the_covariance() -> None:
    C = BELIEF.factor()
    assert C.shape == (3, 4)  # two states with a variance of their own
    assert np.allclose(C @ C.T, BELIEF.covariance())
    assert np.allclose(BELIEF.variance, np.diag(BELIEF.covariance()))


def test_samples_have_its_moments_and_come_again() -> None:
    X = BELIEF.sample(100_000, seed=1)
    assert np.allclose(X.mean(axis=1), BELIEF.x, atol=0.05)
    assert np.allclose(np.cov(X), BELIEF.covariance(), atol=0.1)
    assert np.array_equal(X, BELIEF.sample(100_000, seed=1))


def test_members_and_back() -> None:
    X = NOISE.standard_normal((5, 7))
    belief = Belief.of_members(1, X)
    assert np.allclose(belief.members(), X)
    assert np.allclose(belief.covariance(), np.cov(X))


def test_quantiles() -> None:
    found = BELIEF.quantiles(np.array([0.05, 0.5, 0.95]))
    assert np.allclose(found[:, 1], BELIEF.x)
    assert np.allclose(found[:, 2] - BELIEF.x, 1.6448536 * BELIEF.sd)
    wider = BELIEF.quantiles(np.array([0.95]), widening=2.0)
    assert np.allclose(wider[:, 0] - BELIEF.x, 2 * 1.6448536 * BELIEF.sd)


def test_digest_names_the_numbers() -> None:
    same = Belief(3, BELIEF.x.copy(), BELIEF.diag.copy(), np.asfortranarray(BELIEF.A))
    assert same.digest() == BELIEF.digest()
    for other in (Belief(4, BELIEF.x, BELIEF.diag, BELIEF.A), Belief(3, BELIEF.x + 1e-15, BELIEF.diag, BELIEF.A)):
        assert other.digest() != BELIEF.digest()
    assert BELIEF.rows(np.array([2])).x == pytest.approx([3.0])
