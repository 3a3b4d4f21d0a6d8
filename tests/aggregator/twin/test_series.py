"""Forecast series against the closed form."""

import numpy as np
import pytest
from scipy.stats import norm

from aggregator.twin import BadModel
from aggregator.twin.belief import Belief
from aggregator.twin.gaussian import Gaussian
from aggregator.twin.series import Series, forecast
from tests.aggregator.twin.domains import NS, Diffusion, ring

MODEL = Diffusion(6, np.arange(6), graph=ring(6), a=0.9, c=0.0, q=0.5)
SERIES = forecast(MODEL, Gaussian(), Belief(10, np.full(6, 4.0), np.ones(6), np.zeros((6, 0))), 20)


def test_is_the_closed_form() -> None:
    """x = a^h x0, variance = a^2h + q² (1 - a^2h) / (1 - a²)."""
    h = np.arange(1, 21)
    assert np.allclose(SERIES.mean[:, 0], 4.0 * 0.9**h)
    assert np.allclose(SERIES.variance[:, 0], 0.81**h + 0.25 * (1 - 0.81**h) / (1 - 0.81))
    assert SERIES.horizon == 20
    assert SERIES.t_ns[0] == 11 * 60 * NS


def test_exceedance() -> None:
    expected = norm.sf(3.0, SERIES.mean, SERIES.sd)
    assert np.allclose(SERIES.exceedance(3.0), expected)
    sure = Series(0, NS, np.array([[1.0, 3.0]]), np.zeros((1, 2)))
    assert sure.exceedance(np.array([2.0, 2.0])).tolist() == [[0.0, 1.0]]


def test_at_a_step() -> None:
    mean, variance = SERIES.at(11)
    assert np.array_equal(mean, SERIES.mean[0])
    assert np.array_equal(variance, SERIES.variance[0])
    for k in (10, 31):
        with pytest.raises(BadModel, match="11 … 30"):
            SERIES.at(k)
    with pytest.raises(BadModel, match="at least 1"):
        forecast(MODEL, Gaussian(), MODEL.prior(0), 0)
