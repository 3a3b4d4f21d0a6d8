"""Ways for help: the quickest on live times, which unit goes where, and what it would take without a road.

Dijkstra (1959) by scipy, on times of this moment; 20,000 nodes take some ms, so nothing is prepared that a closed road
would make wrong. Who goes where is an assignment (Kuhn 1955; Jonker & Volgenant 1987, by scipy).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linear_sum_assignment
from scipy.sparse.csgraph import dijkstra

from aggregator.twin import BadModel, Flags, Floats, Ints

CLOSED_S = 1e7  # a road that is closed: longer than any way round, so that a way is found where there is no other


@dataclass(frozen=True, slots=True)
class Way:
    """From a node to a node."""

    roads: tuple[int, ...]  # places in Roads, in the order in which they are driven
    time_s: float

    @property
    def open(self) -> bool:
        """False where it leads over a closed road, or nowhere."""
        return self.time_s < CLOSED_S


@dataclass(eq=False)
class Roads:
    """One-way roads between nodes, N nodes and R roads. Of several between the same nodes the quickest counts."""

    nodes: int
    start: Ints  # (R,)
    end: Ints  # (R,)
    _order: Ints = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.start) != len(self.end) or (len(self.start) and not self.start.min() >= 0):
            raise BadModel("roads need a start and an end each")
        self._order = np.lexsort((self.end, self.start))

    def graph(self, time_s: Floats, closed: Flags | None = None) -> sp.csr_array:
        """(N, N) times; of parallel roads the quickest."""
        times = np.maximum(time_s, 1e-3) if closed is None else np.where(closed, CLOSED_S, np.maximum(time_s, 1e-3))
        rows, columns, values = (one[self._order] for one in (self.start, self.end, times))
        first = np.ones(len(rows), np.bool_)
        first[1:] = (rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1])
        quickest = np.minimum.reduceat(values, np.flatnonzero(first)) if len(rows) else values
        pointers = np.searchsorted(rows[first], np.arange(self.nodes + 1))
        return sp.csr_array((quickest, columns[first], pointers), shape=(self.nodes, self.nodes))

    def way(self, time_s: Floats, source: int, target: int, closed: Flags | None = None) -> Way:
        """The quickest now; no roads and infinite where there is none."""
        return self.ways(time_s, [source], [target], closed)[0][0]

    def ways(
        self, time_s: Floats, sources: Sequence[int], targets: Sequence[int], closed: Flags | None = None
    ) -> list[list[Way]]:
        """From each of `sources` to each of `targets`."""
        graph = self.graph(time_s, closed)
        far, before = dijkstra(graph, indices=list(sources), return_predecessors=True)
        times = time_s if closed is None else np.where(closed, CLOSED_S, time_s)
        return [[self._traced(far[i], before[i], one, times) for one in targets] for i in range(len(sources))]

    def _traced(self, far: Floats, before: Ints, target: int, times: Floats) -> Way:
        if not np.isfinite(far[target]):
            return Way((), float("inf"))
        at, roads = target, []
        while before[at] >= 0:
            roads.append(self._road(int(before[at]), at, times))
            at = int(before[at])
        return Way(tuple(reversed(roads)), float(far[target]))

    def _road(self, start: int, end: int, times: Floats) -> int:
        order = self._order
        low = int(np.searchsorted(self.start[order], start))
        high = int(np.searchsorted(self.start[order], start, side="right"))
        here = order[low:high]
        here = here[self.end[here] == end]
        return int(here[np.argmin(times[here])])


def assigned(time_s: Floats) -> list[tuple[int, int]]:
    """(unit, incident) for times (U, I), the least in all; as many as there are of the fewer. Infinite ones never."""
    known = np.where(np.isfinite(time_s), time_s, 1e12)
    units, incidents = linear_sum_assignment(known)
    return [(int(unit), int(one)) for unit, one in zip(units, incidents, strict=True) if np.isfinite(time_s[unit, one])]
