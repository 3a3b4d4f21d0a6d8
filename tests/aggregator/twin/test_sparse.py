"""The mean alone against a dense solution, and what its variance is worth."""

import numpy as np
import pytest

from aggregator.twin import BadModel
from aggregator.twin.fuser import Fuser, Settings
from aggregator.twin.observation import Observation
from aggregator.twin.sparse import MeanOnly, markov_field
from tests.aggregator.twin.domains import Diffusion, calm, play, streets

SIDE = 12


def domain(linear: bool = True) -> Diffusion:
    return Diffusion(SIDE**2, np.arange(0, SIDE**2, 5), graph=streets(SIDE), linear=linear, c=0.2, q=0.3)


def test_is_the_dense_solution() -> None:
    model, scheme = domain(), MeanOnly(1.5, gate=np.inf)
    belief = scheme.begin(model.prior(0))
    m = len(model.observed)
    y = np.random.default_rng(0).standard_normal(m)
    seen = Observation(0, np.arange(m), y, np.full(m, 0.25), model.selection)
    after, innovation = scheme.analyse(model, belief, seen)
    H, P = model.selection.toarray(), np.linalg.inv(scheme.precision(model).toarray())
    S = H @ P @ H.T + 0.25 * np.eye(m)
    assert np.allclose(after.x, P @ H.T @ np.linalg.solve(S, y), atol=1e-5)
    assert innovation.nis == pytest.approx(float(y @ np.linalg.solve(S, y)), rel=1e-4)


def test_the_field_has_variance_one_and_falls_with_distance() -> None:
    graph = streets(SIDE)
    near, far = (np.linalg.inv(markov_field(graph, length, 0).toarray()) for length in (0.5, 3.0))
    assert np.diag(near).mean() == pytest.approx(1.0, abs=0.1)
    assert np.diag(far).mean() == pytest.approx(1.0, abs=0.3)
    assert (far[0] / far[0, 0] >= near[0] / near[0, 0] - 1e-9).all()


def test_twin_experiment_on_streets() -> None:
    """RMSE after 20 of 80 steps, a fifth of the crossings observed.

    Expected: nothing fused 0.58 (the spread of the model itself) > forecast > analysis; what is believed of the error
    is within a quarter of it.
    """
    model = domain()
    truth = play(model, 80, seed=3, sd=0.2)
    fuser = Fuser(model, MeanOnly(1.0), 0, Settings(lag=80, ahead=80), calm())
    fuser.ingest(truth.meas)
    fuser.advance(80)
    steps = fuser.window(20)
    error = np.sqrt(np.mean([(one.belief.x - truth.x[one.k]) ** 2 for one in steps]))
    ahead = [fuser.scheme.forecast(model, one.belief, one.k + 1, 1.0) for one in steps[:-1]]
    forecast = np.sqrt(np.mean([(one.x - truth.x[one.k]) ** 2 for one in ahead]))
    free = np.sqrt(np.mean(truth.x[20:] ** 2))
    assert error < forecast < free
    assert 0.8 < np.sqrt(np.mean([one.belief.variance for one in steps])) / error < 1.25


def test_needs_H() -> None:
    model = domain(linear=False)
    fuser = Fuser(model, MeanOnly(1.0), 0)
    fuser.ingest(play(model, 1, seed=3).meas)
    with pytest.raises(BadModel, match="MeanOnly needs H"):
        fuser.advance(1)
