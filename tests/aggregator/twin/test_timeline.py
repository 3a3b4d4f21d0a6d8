"""Two times for every number."""

import numpy as np
import pytest

from aggregator.twin import BadModel, BeyondLag
from aggregator.twin.belief import Belief
from aggregator.twin.timeline import Extent, Timeline


def belief(k: int, x: float) -> Belief:
    return Belief(k, np.full(3, x), np.ones(3), np.zeros((3, 0)))


def test_as_known_then_and_now() -> None:
    line = Timeline()
    line.record([belief(5, 1.0)], known_ns=50)
    line.record([belief(5, 2.0), belief(6, 3.0)], known_ns=60)
    assert line.at(5).x[0] == 2.0
    assert line.at(5, 55).x[0] == 1.0
    assert line.at(5, 60).x[0] == 2.0
    for k, known in ((5, 49), (7, None)):
        with pytest.raises(BeyondLag, match="steps 5 … 6"):
            line.at(k, known)
    with pytest.raises(BeyondLag, match="nothing is kept"):
        Timeline().at(1)


def test_what_did_not_change_is_no_revision() -> None:
    line = Timeline()
    for known in (50, 60, 70):
        line.record([belief(5, 1.0)], known)
    assert [one.known_ns for one in line.revisions(5)] == [50]


def test_bounded_keeps_the_first_and_the_newest() -> None:
    line = Timeline(Extent(steps=2, revisions=3))
    for known in range(10):
        line.record([belief(5, float(known))], known)
    assert [one.known_ns for one in line.revisions(5)] == [0, 8, 9]
    line.record([belief(6, 0.0), belief(7, 0.0)], 20)
    assert line.revisions(5) == []
    with pytest.raises(BadModel, match="2 revisions"):
        Timeline(Extent(steps=0))
