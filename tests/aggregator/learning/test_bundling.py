"""From matrices and networks to bundles: golden pairs are the runtime's own, wrong numbers are refused."""

from dataclasses import replace

import numpy as np
import pytest

from aggregator.learning.bundling import BadTwin, make, numbers_of, questions, run
from aggregator.learning.steady import NoSteadyState
from protos.bundle import Bundle
from tests.simulators.bundles import CARD, signing_key, tank_linear, tank_manifest, tank_residual

KEY = signing_key()


def test_golden_pairs_are_the_runtimes_own() -> None:
    bundle = Bundle.open(
        make(tank_manifest(), tank_linear(), tank_residual(), card=CARD, keys=[KEY]), [KEY.public_key()]
    )
    assert bundle.network is not None
    np.testing.assert_array_equal(bundle.golden.z, questions(3, len(bundle.golden.z)))
    np.testing.assert_array_equal(bundle.golden.r, run(bundle.network, bundle.golden.z))
    assert len(np.unique(bundle.golden.r)) > 20, "they say something about the network"
    one, g = bundle.numbers, bundle.golden
    np.testing.assert_allclose(g.linear, one.f0 + (g.x - one.x0) @ one.A.T + (g.u - one.u0) @ one.B.T)


def test_the_same_model_is_the_same_file() -> None:
    made = [make(tank_manifest(), tank_linear(), tank_residual(), card=CARD, keys=[KEY]) for _ in range(2)]
    assert made[0] == made[1]


def test_a_model_has_a_steady_state_with_and_without_its_network() -> None:
    linear = tank_linear()
    residual = replace(tank_residual(), Q=linear.Q / 4)
    numbers = numbers_of(linear, residual)
    assert (np.diag(numbers.P_net) < np.diag(numbers.P)).all(), "what misses less is surer"
    assert not numbers_of(linear).P_net.any()


def test_what_makes_no_twin() -> None:
    linear = tank_linear()
    with pytest.raises(NoSteadyState):
        numbers_of(replace(linear, H=np.array([[0.0, 0.0]])))
    with pytest.raises(BadTwin, match="x_low is not below x_high"):
        numbers_of(replace(linear, x_low=linear.x_high))
    with pytest.raises(BadTwin, match="standard deviation"):
        numbers_of(linear, replace(tank_residual(), z_sd=np.zeros(3)))
    bad = replace(tank_residual(), features=("level", "inflow", "cheese"))
    with pytest.raises(ValueError, match="feature 'cheese'"):
        make(tank_manifest(), linear, bad, card=CARD, keys=[KEY])
    with pytest.raises(ValueError, match="0 keys"):
        make(tank_manifest(), linear, card=CARD, keys=[])
