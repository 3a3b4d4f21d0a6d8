"""Later readings, earlier steps: against a smoother of other hands, and as an experiment."""

import numpy as np
import pytest
from filterpy.kalman import KalmanFilter

from aggregator.twin import BadModel, Floats
from aggregator.twin.belief import Belief
from aggregator.twin.ensemble import Ensemble
from aggregator.twin.fuser import Fuser, Scheme, Settings
from aggregator.twin.gaussian import Gaussian
from aggregator.twin.smoother import smooth
from tests.aggregator.twin.domains import Diffusion, Truth, calm, play, ring

N, STEPS = 24, 30
MODEL = Diffusion(N, np.arange(0, N, 4), graph=ring(N), a=0.98, q=0.2, shift=1)


def fused(scheme: Scheme, truth: Truth) -> Fuser:
    fuser = Fuser(MODEL, scheme, 0, Settings(lag=STEPS, ahead=STEPS), calm())
    fuser.ingest(truth.meas)
    fuser.advance(STEPS)
    return fuser


def rmse(beliefs: list[Belief], truth: Floats) -> float:
    return float(np.sqrt(np.mean([(one.x - truth[one.k]) ** 2 for one in beliefs[5:-5]])))


def test_is_the_smoother_of_rauch_tung_and_striebel() -> None:
    fuser = fused(Gaussian(gate=np.inf), play(MODEL, STEPS, seed=1))
    oracle = KalmanFilter(dim_x=N, dim_z=len(MODEL.observed))
    oracle.F, oracle.Q = MODEL.F.toarray(), MODEL.q**2 * np.eye(N)
    filtered = [one.belief for one in fuser.window()]
    x, P, _, _ = oracle.rts_smoother(
        np.array([one.x for one in filtered]), np.array([one.covariance() for one in filtered])
    )
    for mine, mean, covariance in zip(smooth(fuser), x, P, strict=True):
        assert np.allclose(mine.x, mean, atol=1e-9)
        assert np.allclose(mine.covariance(), covariance, atol=1e-9)


@pytest.mark.parametrize(
    "scheme", [Gaussian(gate=np.inf), Ensemble(10.0, members=100, gate=np.inf)], ids=["rts", "enks"]
)
def test_twin_experiment(scheme: Scheme) -> None:
    """RMSE over the window, 24 states, 6 observed, flowing: filtered 0.22, smoothed 0.18 (RTS), 0.20 (members)."""
    truth = play(MODEL, STEPS, seed=1, sd=0.1)
    fuser = fused(scheme, truth)
    filtered, smoothed = [one.belief for one in fuser.window()], smooth(fuser)
    assert [one.k for one in smoothed] == list(range(STEPS + 1))
    assert rmse(smoothed, truth.x) < 0.93 * rmse(filtered, truth.x)
    assert np.mean([one.variance for one in smoothed]) < np.mean([one.variance for one in filtered])
    assert smoothed[-1].digest() == fuser.belief().digest()


def test_part_of_the_lag() -> None:
    fuser = fused(Gaussian(gate=np.inf), play(MODEL, STEPS, seed=1))
    part, whole = smooth(fuser, 20), smooth(fuser)
    assert [one.k for one in part] == list(range(20, STEPS + 1))
    assert np.allclose(part[0].x, whole[20].x)


def test_what_is_known_exactly_stays() -> None:
    """Without noise in some states the forecast's covariance is singular; these are not smoothed and nothing fails."""
    still = Diffusion(4, np.array([0]), graph=ring(4), q=0.0, prior_sd=0.0, c=0.0)
    fuser = Fuser(still, Gaussian(gate=np.inf), 0, Settings(ahead=5), calm())
    fuser.ingest(play(still, 5, seed=2).meas)
    fuser.advance(5)
    assert np.array_equal(smooth(fuser)[0].x, np.zeros(4))


def test_schemes_that_keep_too_little() -> None:
    fuser = fused(Gaussian(rank=3), play(MODEL, STEPS, seed=1))
    with pytest.raises(BadModel, match="full rank"):
        smooth(fuser)
