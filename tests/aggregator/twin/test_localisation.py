"""Distances against scipy's Dijkstra, weights against the values of the paper."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.csgraph import dijkstra

from aggregator.twin import BadModel
from aggregator.twin.localisation import WEIGHT_MIN, gaspari_cohn, reach, within
from tests.aggregator.twin.domains import ring, streets


def test_weights_of_gaspari_and_cohn() -> None:
    """By hand: at 1 both branches of eq. 4.10 give 5/24; at 2 nothing is left."""
    assert gaspari_cohn(np.array([0.0, 1.0, 1.0000001, 2.0, 7.0])) == pytest.approx([1, 5 / 24, 5 / 24, 0, 0], abs=1e-6)
    falling = gaspari_cohn(np.linspace(0, 2, 200))
    assert (np.diff(falling) <= 0).all()


@pytest.mark.parametrize("radius", [0.1, 2.5, 6.0])
def test_distances_along_streets(radius: float) -> None:
    graph = streets(20)
    origins = np.arange(0, 400, 7)
    row, state, distance = within(graph, origins, radius)
    expected = dijkstra(graph, indices=origins, limit=radius)
    found = np.full(expected.shape, np.inf)
    found[row, state] = distance
    expected[expected >= radius] = np.inf
    assert np.allclose(found, expected)


def test_two_states_of_one_place_are_at_no_distance() -> None:
    graph = sp.csr_array((np.array([0.0, 0.0]), (np.array([0, 1]), np.array([1, 0]))), shape=(3, 3))
    near = reach(graph, np.array([0]), 1.0)
    assert near.state.tolist() == [0, 1]
    assert near.weight.tolist() == [1.0, 1.0]


def test_reach_of_places_that_repeat() -> None:
    near = reach(ring(20), np.array([5, 3, 5]), 4.0)
    rows = [near.state[near.start[i] : near.start[i + 1]].tolist() for i in range(3)]
    assert rows[0] == rows[2] == [2, 3, 4, 5, 6, 7, 8]
    assert rows[1] == [0, 1, 2, 3, 4, 5, 6]
    assert near.weight.min() >= WEIGHT_MIN


def test_repeated_for_a_stack_of_states() -> None:
    near = reach(ring(20), np.array([5, 3]), 2.0).repeated(3, 20)
    first = near.state[near.start[0] : near.start[1]]
    assert sorted(first.tolist()) == sorted(s + 20 * layer for layer in range(3) for s in (4, 5, 6))


def test_no_localisation_and_nonsense() -> None:
    assert reach(ring(4), np.array([0, 2]), np.inf).weight.tolist() == [1.0] * 8
    with pytest.raises(BadModel, match="must be a positive distance"):
        reach(ring(4), np.array([0]), 0.0)
