"""The linear twin finds systems that are known, and says when there is too little to find them."""

import numpy as np
import pytest

from aggregator.learning.freerun import judged, persistence, run_free, runs_of
from aggregator.learning.identify import Scaling, TooLittle, calibrated, lagged, mean_nis, subspace
from aggregator.learning.stretch import Stretch, divide
from tests.aggregator.learning.plants import known_system


def test_subspace_finds_the_poles_of_a_known_system() -> None:
    A, one = known_system(2000)
    plant = subspace([one], 2, Scaling.of([one]))
    wanted, found = (np.sort_complex(np.linalg.eigvals(each)) for each in (A, plant.linear.A))
    np.testing.assert_allclose(found, wanted, atol=0.005)
    np.testing.assert_allclose(plant.linear.H, [[1.0, 0.0]], err_msg="the first states are the channels")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_free_runs_of_a_known_system_are_as_good_as_its_sensor(seed: int) -> None:
    _, one = known_system(2000, seed)
    plant = calibrated(subspace([one], 2, Scaling.of([one])), [one])
    runs = runs_of(plant.linear, [known_system(1000, seed + 10)[1]], 50, 20)
    assert judged(run_free(plant.linear, runs), runs).free[0] < 0.025
    assert persistence(runs).free[0] > 1.0


def test_two_lags_see_a_hidden_state_that_none_does_not() -> None:
    _, one = known_system(2000)
    errors = []
    for lags in (0, 1):
        plant = calibrated(lagged([one], lags, Scaling.of([one])), [one])
        runs = runs_of(plant.linear, [one], 50, 20)
        errors.append(judged(run_free(plant.linear, runs), runs).free[0])
    assert errors[1] < errors[0] / 5


def test_stretches_are_learned_together_and_not_across_their_gaps() -> None:
    A, one = known_system(2000)
    far = [one.cut(0, 700), Stretch("b", 10_000, one.y[700:], one.u[700:])]
    found = np.sort_complex(np.linalg.eigvals(subspace(far, 2, Scaling.of(far)).linear.A))
    np.testing.assert_allclose(found, np.sort_complex(np.linalg.eigvals(A)), atol=0.01)


def test_the_noise_is_scaled_until_innovations_are_as_large_as_expected() -> None:
    _, one = known_system(2000)
    for plant in (lagged([one], 1, Scaling.of([one])), subspace([one], 2, Scaling.of([one]))):
        assert mean_nis(calibrated(plant, [one]).linear, [one]) == pytest.approx(1.0, abs=0.1)


def test_too_little_is_refused() -> None:
    _, one = known_system(12)
    with pytest.raises(TooLittle, match="take a longer time"):
        lagged([one], 3, Scaling.of([one]))
    with pytest.raises(TooLittle, match="take a longer time"):
        subspace([one], 2, Scaling.of([one]))


def test_no_window_of_one_part_reaches_into_another() -> None:
    _, one = known_system(1000)
    parts = divide([one, Stretch("b", 0, one.y, one.u)], 50, 10)
    ends = [max(each.k0 + len(each) for each in part) for part in (parts.train, parts.validate)]
    begins = [min(each.k0 for each in part) for part in (parts.validate, parts.test)]
    assert all(begin - end >= 50 for end, begin in zip(ends, begins, strict=True))
