"""The serial square root filter: exact where it must be, the same with and without numba, lost without localisation."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from aggregator.twin import BadModel
from aggregator.twin.belief import Belief
from aggregator.twin.ensemble import Ensemble, drawn
from aggregator.twin.fuser import Fuser, Settings
from aggregator.twin.kernel import can_compile, compile_loops
from aggregator.twin.observation import Observation
from tests.aggregator.twin.domains import Diffusion, Lorenz96, calm, play, ring, streets

N = 30


def observation(model: Diffusion, seed: int = 4) -> Observation:
    m = len(model.observed)
    y = np.random.default_rng(seed).standard_normal(m)
    return Observation(0, np.arange(m), y, np.full(m, 0.25), model.H(np.zeros(model.n), np.arange(m), 0))


def belief(n: int, members: int) -> Belief:
    return Belief.of_members(0, np.random.default_rng(3).standard_normal((n, members)))


@pytest.mark.parametrize("linear", [True, False], ids=["H told", "beside the states"])
def test_is_the_kalman_analysis_of_its_own_covariance(linear: bool) -> None:
    model = Diffusion(N, np.arange(0, N, 3), graph=ring(N), linear=linear)
    before, seen = belief(N, 12), observation(model)
    after, innovation = Ensemble(np.inf, gate=np.inf).analyse(model, before, seen)
    H, P = model.selection.toarray(), before.covariance()
    S = H @ P @ H.T + np.diag(seen.R)
    d = seen.y - H @ before.x
    K = np.linalg.solve(S, H @ P).T
    assert np.allclose(after.x, before.x + K @ d, atol=1e-11)
    assert np.allclose(after.covariance(), P - K @ H @ P, atol=1e-11)
    assert innovation.nis == pytest.approx(float(d @ np.linalg.solve(S, d)))
    assert np.allclose(after.A.sum(axis=1), 0, atol=1e-12)


@pytest.mark.skipif(not can_compile(), reason="numba is not installed (the extra `fast`)")
@pytest.mark.parametrize("linear", [True, False])
def test_compiled_is_the_same_as_plain(linear: bool) -> None:
    model = Diffusion(400, np.arange(0, 400, 2), graph=streets(20), linear=linear)
    before, seen = belief(400, 50), observation(model)
    both = [Ensemble(6.0, compiled=one, inflation=1.05, relaxation=0.3) for one in (True, False)]
    (a, told_a), (b, told_b) = (scheme.analyse(model, before, seen) for scheme in both)
    assert np.allclose(a.x, b.x, rtol=1e-12, atol=1e-13)
    assert np.allclose(a.A, b.A, rtol=1e-12, atol=1e-13)
    assert told_a.nis == pytest.approx(told_b.nis, rel=1e-12)


def test_goes_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    """As installed without the extra `fast`: numpy does it, and nobody is told anything but that it is slower."""
    monkeypatch.setitem(sys.modules, "numba", None)
    compile_loops.cache_clear()
    can_compile.cache_clear()
    try:
        assert not can_compile()
        model = Diffusion(N, np.arange(0, N, 3), graph=ring(N))
        after, _ = Ensemble(5.0).analyse(model, belief(N, 12), observation(model))
        plain, _ = Ensemble(5.0, compiled=False).analyse(model, belief(N, 12), observation(model))
        assert after.digest() == plain.digest()
    finally:
        compile_loops.cache_clear()
        can_compile.cache_clear()


def test_a_reading_does_not_reach_beyond_the_radius() -> None:
    model = Diffusion(N, np.array([10]), graph=ring(N))
    before = belief(N, 12)
    after, _ = Ensemble(5.0).analyse(model, before, observation(model))
    assert np.flatnonzero(after.x != before.x).tolist() == [7, 8, 9, 10, 11, 12, 13]
    assert np.array_equal(after.A[20:], before.A[20:])


def test_the_same_again_from_the_same_seed() -> None:
    model = Diffusion(N, np.arange(0, N, 3), graph=ring(N))
    one, same, other = (Ensemble(5.0, seed=seed).begin(model.prior(0)) for seed in (1, 1, 2))
    assert np.array_equal(one.A, same.A)
    assert not np.array_equal(one.A, other.A)
    forecasts = [Ensemble(5.0, seed=1).forecast(model, one, 7, 1.0) for _ in range(2)]
    assert forecasts[0].digest() == forecasts[1].digest()


def test_noise_has_the_covariance_it_is_drawn_from() -> None:
    noise = np.random.default_rng(0)
    sd, B = np.array([1.0, 2.0, 0.0]), np.array([[0.0], [1.0], [3.0]])
    covariance = np.mean([A @ A.T for A in (drawn(noise, sd, B, 20) for _ in range(4000))], axis=0)
    assert np.allclose(covariance, np.diag(sd**2) + B @ B.T, atol=0.15)


def test_relaxation_gives_spread_back() -> None:
    model = Diffusion(N, np.arange(0, N, 3), graph=ring(N))
    before, seen = belief(N, 12), observation(model)
    none, half, whole = (Ensemble(5.0, relaxation=a).analyse(model, before, seen)[0].sd for a in (0.0, 0.5, 1.0))
    assert np.allclose(half, (none + before.sd) / 2)
    assert np.allclose(whole, before.sd)


def test_nonsense_is_refused() -> None:
    for wrong in ({"members": 2}, {"inflation": 0.9}, {"relaxation": 1.5}):
        with pytest.raises(BadModel, match="at least 3 members"):
            replace(Ensemble(5.0), **wrong)


def rmse(scheme: Ensemble, steps: int = 350, told: bool = True) -> tuple[float, float]:
    """Of the forecast and the analysis on Lorenz 96 (40 states, all observed, R = 1), after 100 steps."""
    model = Lorenz96(40, np.arange(40), told=told)
    truth = play(model, steps, seed=2, sd=1.0)
    fuser = Fuser(model, scheme, 0, Settings(lag=1, ahead=steps), calm())
    fuser.ingest(truth.meas)
    errors = []
    for k in range(1, steps + 1):
        fuser.advance(k)
        d = fuser.innovations(k - 1)[0]
        forecast = d.y - d.d - truth.x[k][d.channel]
        errors.append((np.sqrt(np.mean(forecast**2)), np.sqrt(np.mean((fuser.belief().x - truth.x[k]) ** 2))))
    mean = np.mean(errors[100:], axis=0)
    return float(mean[0]), float(mean[1])


def test_twin_experiment_lorenz_96() -> None:
    """The table of this scenario, 1,000 steps after 200, RMSE; DAPPER 1.7.1 beside it on one and the same truth.

        scheme                                       forecast  analysis   expected
        climatology                                             3.65      3.6
        persistence of the observation                          1.0       1
        7 members, inflation 1.04, radius 14.6        0.24      0.22      0.22   (DAPPER LETKF(N=7, loc_rad=4): 0.225)
        20 members, inflation 1.02, radius 12         0.22      0.20      0.20   (DAPPER EnKF Sqrt N=24 rot: 0.194)
        10 members, no localisation                             4.0       lost   (negative control)

    Here with fewer steps, so wider bounds. Radius 14.6 is where the weight ends that DAPPER calls loc_rad=4.
    """
    few = rmse(Ensemble(14.6, members=7, inflation=1.04, gate=np.inf))
    more = rmse(Ensemble(12.0, members=20, inflation=1.02, gate=np.inf))
    assert more[1] < few[1] < few[0] < 0.30
    assert 0.17 < more[1] < 0.23


def test_without_localisation_a_small_ensemble_is_lost() -> None:
    """Negative control."""
    assert rmse(Ensemble(np.inf, members=10, inflation=1.05, gate=np.inf), 200)[1] > 2.0


def test_where_memory_may_not_be_executed_it_does_not_compile_and_goes_on() -> None:
    """As in a service with MemoryDenyWriteExecute=yes: PR_SET_MDWE of Linux 6.3 does what systemd's filter does."""
    script = """
import ctypes, sys
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0):
    sys.exit(3)
from aggregator.twin.kernel import can_compile
sys.exit(can_compile())
"""
    code = subprocess.run([sys.executable, "-c", script], check=False).returncode
    if code == 3:
        pytest.skip("this kernel has no PR_SET_MDWE")
    assert code == 0
