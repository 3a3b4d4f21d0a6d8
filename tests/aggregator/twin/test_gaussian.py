"""The Gaussian scheme against a Kalman filter of other hands, and its low-rank form against its exact one."""

import numpy as np
import pytest
from filterpy.kalman import KalmanFilter

from aggregator.twin import BadModel, Floats
from aggregator.twin.belief import Belief
from aggregator.twin.fuser import Fuser, Settings
from aggregator.twin.gaussian import Gaussian, reduced, square
from aggregator.twin.observation import Observation, observe, predict
from tests.aggregator.twin.domains import Diffusion, calm, play, ring, streets

N = 30
EXACT = Gaussian(gate=np.inf)


def domain(linear: bool = True) -> Diffusion:
    return Diffusion(N, np.arange(0, N, 3), graph=ring(N), linear=linear)


def other(model: Diffusion) -> KalmanFilter:
    found = KalmanFilter(dim_x=model.n, dim_z=len(model.observed))
    found.F, found.H = model.F.toarray(), model.selection.toarray()
    found.x, found.P = np.zeros(model.n), np.eye(model.n)
    found.Q, found.R = model.q**2 * np.eye(model.n), 0.25 * np.eye(len(model.observed))
    return found


@pytest.mark.parametrize("linear", [True, False], ids=["H told", "H found by differences"])
def test_is_the_kalman_filter(linear: bool) -> None:
    model = domain(linear)
    truth = play(model, 40, seed=1)
    fuser = Fuser(model, EXACT, 0, Settings(ahead=40), calm())
    fuser.ingest(truth.meas)
    oracle = other(model)
    for k in range(1, 41):
        fuser.advance(k)
        oracle.predict()
        seen = fuser.readings(k)
        oracle.update(seen.y[np.argsort(seen.channel)])
        assert np.allclose(fuser.belief().x, oracle.x, atol=1e-10, rtol=0)
        assert np.allclose(fuser.belief().covariance(), oracle.P, atol=1e-10, rtol=0)
        nis = fuser.innovations(k - 1)[0].nis
        assert nis == pytest.approx(float(oracle.y @ np.linalg.solve(oracle.S, oracle.y)), rel=1e-9)


def random_belief(rank: int, diagonal: float) -> Belief:
    noise = np.random.default_rng(3)
    return Belief(0, noise.standard_normal(N), np.full(N, diagonal), noise.standard_normal((N, rank)))


def observation(model: Diffusion) -> Observation:
    noise = np.random.default_rng(4)
    m = len(model.observed)
    H = model.selection
    return Observation(0, np.arange(m), noise.standard_normal(m), np.full(m, 0.25), H)


def textbook(belief: Belief, seen: Observation) -> tuple[Floats, Floats]:
    assert seen.H is not None
    H, P = seen.H.toarray(), belief.covariance()
    S = H @ P @ H.T + np.diag(seen.R)
    K = np.linalg.solve(S, H @ P).T
    return belief.x + K @ (seen.y - H @ belief.x), P - K @ S @ K.T


def test_low_rank_is_exact_without_a_diagonal() -> None:
    model, belief = domain(), random_belief(5, 0.0)
    after, _ = Gaussian(rank=5, gate=np.inf).analyse(model, belief, observation(model))
    x, P = textbook(belief, observation(model))
    assert np.allclose(after.x, x, atol=1e-11)
    assert np.allclose(after.covariance(), P, atol=1e-11)


def test_low_rank_keeps_mean_and_variances_with_a_diagonal() -> None:
    model, belief = domain(), random_belief(5, 0.7)
    after, _ = Gaussian(rank=5, gate=np.inf).analyse(model, belief, observation(model))
    x, P = textbook(belief, observation(model))
    assert np.allclose(after.x, x, atol=1e-11)
    assert np.allclose(after.variance, np.diag(P), atol=1e-11)


def test_low_rank_needs_H() -> None:
    model = domain(linear=False)
    seen = observe(model, np.zeros(N), play(model, 1, seed=1).meas, 1, np.ones(len(model.observed)))
    with pytest.raises(BadModel, match="needs H"):
        Gaussian(rank=5).analyse(model, random_belief(5, 0.7), seen)


def test_low_rank_error_grows_with_what_is_left_out() -> None:
    """Twin experiment on streets: RMSE of the analysis by rank. Expected: 0.195 exact, and worse the lower the rank."""
    model = Diffusion(100, np.arange(0, 100, 4), graph=streets(10), q=0.15)
    truth = play(model, 80, seed=5)
    errors = []
    for scheme in (EXACT, Gaussian(rank=50, gate=np.inf), Gaussian(rank=5, gate=np.inf)):
        fuser = Fuser(model, scheme, 0, Settings(lag=80, ahead=80), calm())
        fuser.ingest(truth.meas)
        fuser.advance(80)
        beliefs = [one.belief for one in fuser.window(20)]
        errors.append(float(np.sqrt(np.mean([(one.x - truth.x[one.k]) ** 2 for one in beliefs]))))
    assert errors == sorted(errors)
    assert errors[2] < 1.2 * errors[0]


def test_a_gate_softens_what_is_far_off() -> None:
    """A reading 100 standard deviations off moves the state less than one 6 off, and is counted."""
    model, belief = domain(), random_belief(5, 0.7)
    scheme = Gaussian()
    moves = []
    for off in (6.0, 100.0):
        seen = observation(model)
        mean, variance = predict(model, belief, seen.channel)
        y = mean.copy()
        y[0] += off * np.sqrt(variance[0] + seen.R[0])
        after, innovation = scheme.analyse(model, belief, Observation(0, seen.channel, y, seen.R, seen.H))
        moves.append(float(np.abs(after.x - belief.x).max()))
        assert innovation.softened == int(off > 6.0)
    assert moves[1] < 0.1 * moves[0]


def test_square_and_reduced_keep_the_covariance() -> None:
    C = np.random.default_rng(0).standard_normal((6, 15))
    assert np.allclose(square(C) @ square(C).T, C @ C.T)
    A, lost = reduced(C, 4)
    assert np.allclose(np.einsum("ij,ij->i", A, A) + lost, np.einsum("ij,ij->i", C, C))
