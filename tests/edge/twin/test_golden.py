"""Golden pairs: one bit of difference anywhere and the model does not run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_agent.twin import golden
from edge_agent.twin.faults import GoldenMismatch, ModelRefused
from protos.bundle import Bundle
from tests.edge.twin.setting import tank
from tests.simulators.bundles import signing_key
from tests.simulators.dense import dense_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tank(tmp_path_factory.mktemp("bundle"), network=True)


def test_the_pairs_come_out(bundle: Bundle, tmp_path: Path) -> None:
    golden.check(bundle)
    golden.check(tank(tmp_path))
    golden.check(Bundle.open(dense_bundle((48, 64, 64, 16)), [signing_key().public_key()]))


@pytest.mark.parametrize("row", [0, 17, 63])
def test_one_bit_of_one_answer(bundle: Bundle, row: int) -> None:
    wrong = bundle.golden.r.copy()
    wrong[row, 0] ^= 1
    with pytest.raises(GoldenMismatch, match=f"1 of 1 golden pairs from {row} on"):
        golden.check(replace(bundle, golden=replace(bundle.golden, r=wrong)))


def test_a_linear_step_that_differs(bundle: Bundle) -> None:
    wrong = bundle.golden.linear.copy()
    wrong[5, 0] += 1e-3
    with pytest.raises(GoldenMismatch, match="a linear step of level"):
        golden.check(replace(bundle, golden=replace(bundle.golden, linear=wrong)))


def test_other_matrices_under_the_same_pairs(bundle: Bundle) -> None:
    other = replace(bundle.numbers, B=bundle.numbers.B * 1.01)
    with pytest.raises(GoldenMismatch):
        golden.check(replace(bundle, numbers=other))


def test_a_network_that_cannot_run(bundle: Bundle) -> None:
    with pytest.raises(ModelRefused):
        golden.check(replace(bundle, network=b"cheese"))


def test_golden_pairs_are_numbers_of_this_machine(bundle: Bundle) -> None:
    assert len(np.unique(bundle.golden.r)) > 20
