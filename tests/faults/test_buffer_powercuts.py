"""A power cut at any moment loses nothing that `append` had returned for; `make bench ONLY=powercuts` tries more."""

import pytest

from tests.faults.powercuts import explore


def test_nothing_acknowledged_is_lost() -> None:
    verdict = explore(60, 80, seed=7)
    assert verdict.states >= 55
    assert verdict.good(), verdict


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_without_syncs_something_is_lost() -> None:
    """Negative control: the exploration does find what a disk forgets."""
    assert explore(30, 80, synchronous="OFF", seed=7).lost > 0
