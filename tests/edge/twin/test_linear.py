"""The filter of many twins against a textbook filter of one; what coasting does to variances."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from filterpy.kalman import KalmanFilter
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.learning.bundling import Linear, numbers_of
from edge_agent.twin.linear import Filter
from protos.model import Numbers
from tests.edge.twin.setting import tank

Floats = npt.NDArray[np.float64]


def plant(seed: int = 3, n: int = 4, m: int = 2, p: int = 2) -> Numbers:
    """Random, stable, observable, about an operating point, with noise that is correlated."""
    random = np.random.default_rng(seed)
    dynamics = random.normal(0, 1, (n, n))
    dynamics *= 0.97 / np.abs(np.linalg.eigvals(dynamics)).max()
    spread = random.normal(0, 0.1, (n, n))
    noise = random.normal(0, 0.2, (p, p))
    return numbers_of(
        Linear(
            A=dynamics,
            B=random.normal(0, 1, (n, m)),
            H=random.normal(0, 1, (p, n)),
            Q=spread @ spread.T + 1e-4 * np.eye(n),
            R=noise @ noise.T + 1e-2 * np.eye(p),
            x0=random.normal(0, 1, n),
            u0=random.normal(0, 1, m),
            f0=random.normal(0, 1, n),
            y0=random.normal(0, 1, p),
            x_low=np.full(n, -1e3),
            x_high=np.full(n, 1e3),
            u_sd=np.ones(m),
        )
    )


class Truth:
    """A plant that moves as the numbers say."""

    def __init__(self, numbers: Numbers, seed: int) -> None:
        self.numbers, self.random, self.x = numbers, np.random.default_rng(seed), numbers.x0.copy()
        self._w, self._v = np.linalg.cholesky(numbers.Q), np.linalg.cholesky(numbers.R)

    def step(self, u: Floats) -> Floats:
        one = self.numbers
        self.x = ahead(one, self.x, u) + self._w @ self.random.standard_normal(len(self.x))
        return one.y0 + one.H @ (self.x - one.x0) + self._v @ self.random.standard_normal(len(one.y0))


def ahead(numbers: Numbers, x: Floats, u: Floats) -> Floats:
    return numbers.f0 + (x - numbers.x0) @ numbers.A.T + (u - numbers.u0) @ numbers.B.T


def textbook(numbers: Numbers, start: Filter) -> KalmanFilter:
    """In deviations of the operating point; f0 − x0 goes in with the inputs."""
    kf = KalmanFilter(dim_x=len(numbers.x0), dim_z=len(numbers.y0), dim_u=len(numbers.u0))
    kf.x, kf.P = (start.x[0] - numbers.x0)[:, None], start.P[0].copy()
    kf.F, kf.B, kf.H, kf.Q, kf.R = numbers.A, numbers.B, numbers.H, numbers.Q, numbers.R
    return kf


def test_equals_a_textbook_filter_whatever_is_missing() -> None:
    numbers = plant()
    own = Filter(numbers, 1)
    own.P[:] = np.eye(4)  # far from where variances are limited
    kf, truth, random = textbook(numbers, own), Truth(numbers, 1), np.random.default_rng(2)
    close = True  # until the bundle's gain came in for the first time, which is within a thousandth
    for k in range(400):
        u = random.normal(0, 1, 2)
        y = truth.step(u)
        measured = random.random(2) < (0.6 if k < 200 else 1.0)
        own.forecast(ahead(numbers, own.x, u[None]), np.zeros((1, 2), bool))
        found = own.analyse(y[None], measured[None])
        close &= not own.settled[0]
        kf.predict(u=(u - numbers.u0)[:, None])
        kf.x += (numbers.f0 - numbers.x0)[:, None]
        if measured.any():
            kf.update((y - numbers.y0)[measured, None], numbers.R[np.ix_(measured, measured)], numbers.H[measured])
            expected_nis = (kf.y.T @ np.linalg.inv(kf.S) @ kf.y).item() / measured.sum()
            assert found.nis[0] == pytest.approx(expected_nis, rel=1e-6 if close else 0.02, abs=1e-9)
        else:
            assert np.isnan(found.nis[0])
        loose = 1e-8 if close else 1e-2
        np.testing.assert_allclose(own.x[0] - numbers.x0, kf.x[:, 0], atol=loose)
        np.testing.assert_allclose(own.P[0], kf.P, rtol=10 * loose, atol=loose)
    assert own.settled[0], "with every channel there, the gain became the bundle's"


def test_its_variance_is_the_error_it_makes() -> None:
    """Normalised estimation error squared over many runs: n on average, in steps with and without measurements."""
    numbers, runs = plant(), 200
    own = Filter(numbers, runs)
    own.P[:] = np.eye(4)
    truths = [Truth(numbers, seed) for seed in range(runs)]
    errors = []
    for k in range(60):
        u = np.random.default_rng(k).normal(0, 1, 2)
        y = np.array([truth.step(u) for truth in truths])
        own.forecast(ahead(numbers, own.x, np.tile(u, (runs, 1))), np.zeros((runs, 2), bool))
        own.analyse(y, np.tile([k % 3 != 0, k % 4 != 0], (runs, 1)))
        e = own.x - np.array([truth.x for truth in truths])
        errors.append(np.einsum("bn,bnm,bm->b", e, np.linalg.inv(own.P), e).mean() / len(numbers.x0))
    assert 0.9 < np.mean(errors[20:]) < 1.1


def test_coasting_grows_and_measuring_shrinks() -> None:
    numbers = plant()
    own = Filter(numbers, 1)
    known, nothing, all_channels = np.zeros((1, 2), bool), np.zeros((1, 2), bool), np.ones((1, 2), bool)
    for _ in range(100):
        own.forecast(own.x, known)
        own.analyse(own.expected(), all_channels)
    assert own.settled[0]
    before = own.variance()[0]
    for _ in range(50):
        own.forecast(own.x, known)
        own.analyse(np.zeros((1, 2)), nothing)
        assert (own.variance()[0] > before * (1 - 1e-9)).all()
        before = own.variance()[0]
    assert (before > 1.05 * np.diag(numbers.P)).all()
    for _ in range(100):
        own.forecast(own.x, known)
        own.analyse(own.expected(), all_channels)
    np.testing.assert_allclose(own.P[0], numbers.P, rtol=1e-2)


def test_a_held_input_is_an_error_that_stays(tmp_path: Path) -> None:
    """The pump's speed is unknown: the level's deviation grows in proportion to the time, as the true error does."""
    numbers = tank(tmp_path).numbers
    own = Filter(numbers, 1)
    own.P[:], own.settled[:] = numbers.P, True
    began = float(own.variance()[0, 0])
    for _ in range(600):
        own.forecast(own.x, np.array([[True]]))
        own.analyse(np.zeros((1, 1)), np.array([[False]]))
    drift = 600 * abs(numbers.B[0, 0]) * numbers.u_sd[0]
    without = 600 * numbers.Q[0, 0] + began
    assert own.variance()[0, 0] == pytest.approx(drift**2 + without, rel=0.1)
    own.forecast(own.x, np.array([[False]]))
    assert not own.G.any(), "known again: what its error did is in P"
    assert own.variance()[0, 0] == pytest.approx(drift**2 + without, rel=0.1)


def test_no_variance_beyond_the_physical_range(tmp_path: Path) -> None:
    numbers = tank(tmp_path).numbers
    own = Filter(numbers, 1)
    for _ in range(300):
        own.forecast(own.x + 10.0, np.array([[True]]))
        own.analyse(np.zeros((1, 1)), np.array([[False]]))
    assert (own.variance()[0] <= own.largest * (1 + 1e-9)).all()
    assert np.linalg.eigvalsh(own.P[0]).min() >= -1e-12
    assert (own.x[0] <= numbers.x_high).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-1e15, 1e15), st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_nothing_a_sensor_says_breaks_it(said: list[tuple[float, bool, bool]]) -> None:
    numbers = plant(5, n=3, m=1, p=1)
    own = Filter(numbers, 1)
    for value, measured, held in said:
        own.forecast(ahead(numbers, own.x, np.array([[value]])), np.array([[held]]))
        own.analyse(np.array([[value]]), np.array([[measured]]))
        assert np.isfinite(own.x).all()
        assert np.isfinite(own.P).all()
        assert (own.variance() >= 0).all()
        assert np.linalg.eigvalsh(own.P[0]).min() >= -1e-6 * own.largest.max()
