"""How far an observation may reach: distances along the graph, and a weight that falls to nothing.

A small ensemble sees correlations between places that have nothing to do with each other; the weight takes them away.
"""

from dataclasses import dataclass

import numpy as np

from aggregator.twin import BadModel, Floats, Ints
from aggregator.twin.model import Sparse

WEIGHT_MIN = 0.01  # a state that would take a hundredth of an update costs as much as one that takes all of it
CELLS = 1 << 22  # distances held while searching: 32 MiB


@dataclass(frozen=True, eq=False, slots=True)
class Near:
    """For each of C places the states within reach, as rows of a sparse matrix (C, n)."""

    start: Ints  # (C + 1,)
    state: Ints
    weight: Floats

    def repeated(self, times: int, n: int) -> "Near":
        """The same for a state stacked `times` times, as a smoother has it."""
        size = np.diff(self.start)
        place = np.repeat(np.arange(len(size)), size)
        order = np.argsort(np.tile(place, times), kind="stable")
        state = np.concatenate([self.state + n * layer for layer in range(times)])[order]
        return Near(self.start * times, state, np.tile(self.weight, times)[order])


def gaspari_cohn(z: Floats) -> Floats:
    """Weight at z = distance / half-width: 1 at 0, 0 from 2 on (Gaspari & Cohn 1999, eq. 4.10)."""
    z = np.abs(z)
    near = 1 - z**2 * (5 / 3 - z * (5 / 8 + z * (1 / 2 - z / 4)))
    with np.errstate(divide="ignore"):
        far = 4 - 5 * z + z**2 * (5 / 3 + z * (5 / 8 - z * (1 / 2 - z / 12))) - 2 / (3 * z)
    return np.where(z <= 1, near, np.where(z < 2, np.maximum(far, 0.0), 0.0))


def reach(graph: Sparse, places: Ints, radius: float) -> Near:
    """Who is near whom. `radius` is the distance along the graph at which the weight has fallen to 0.

    Raises BadModel for a radius that is not positive. np.inf switches localisation off.
    """
    if not radius > 0:
        raise BadModel(f"localisation radius {radius}: must be a positive distance, or inf for none")
    n = graph.shape[0]
    if np.isinf(radius):
        every = np.tile(np.arange(n), len(places))
        return Near(np.arange(len(places) + 1) * n, every, np.ones(len(every)))
    origins, back = np.unique(places, return_inverse=True)
    row, state, distance = within(graph, origins, radius)
    weight = gaspari_cohn(distance / (radius / 2))
    kept = weight >= WEIGHT_MIN
    row, state, weight = row[kept], state[kept], weight[kept]
    start = np.searchsorted(row, np.arange(len(origins) + 1))
    size = np.diff(start)[back]
    ends = np.cumsum(size)
    cells = np.arange(size.sum()) + np.repeat(start[back] - (ends - size), size)
    return Near(np.concatenate([[0], ends]), state[cells], weight[cells])


def within(graph: Sparse, origins: Ints, radius: float) -> tuple[Ints, Ints, Floats]:
    """(origin's place, state, distance) of all states nearer than `radius`, by origin, then state.

    Many origins at once: what was found nearer than before is relaxed along its edges until nothing gets nearer
    (Bellman & Ford). An edge of length 0 counts, unlike in scipy's csgraph: two states of one place are such.
    """
    n = graph.shape[0]
    at_once = max(1, CELLS // n)
    distance = np.full(at_once * n, np.inf)
    parts = []
    for first in range(0, len(origins), at_once):
        key = relax(graph, origins[first : first + at_once], radius, distance)
        parts.append((first + key // n, key % n, distance[key]))
        distance[key] = np.inf
    if not parts:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    row, state, found = (np.concatenate(column) for column in zip(*parts, strict=True))
    return row, state, found


def relax(graph: Sparse, origins: Ints, radius: float, distance: Floats) -> Ints:
    """Fills `distance` at keys origin's place · n + state, which it returns, ascending."""
    n = graph.shape[0]
    fresh = np.arange(len(origins)) * n + origins
    distance[fresh] = 0.0
    touched = [fresh]
    while len(fresh):
        state = fresh % n
        first = graph.indptr[state].astype(np.int64)
        degree = graph.indptr[state + 1] - first
        edge = np.arange(degree.sum()) + np.repeat(first - (np.cumsum(degree) - degree), degree)
        reached = np.repeat(fresh - state, degree) + graph.indices[edge]
        along = np.repeat(distance[fresh], degree) + graph.data[edge]
        nearer = (along < radius) & (along < distance[reached])
        reached = reached[nearer]
        np.minimum.at(distance, reached, along[nearer])
        fresh = np.unique(reached)
        touched.append(fresh)
    return np.unique(np.concatenate(touched))
