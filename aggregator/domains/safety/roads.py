"""Roads with live travel times: who is where how fast, and on which way.

Times change all the time, so nothing is prepared that rests on them: every question is a Dijkstra (1959) over arrays of
which only the times are new (scipy.sparse.csgraph). One search answers for all units at once, against the direction of
the roads.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import dijkstra

from aggregator.twin import BadModel, Floats, Ints

NOWHERE = -9999  # scipy's word for a node without a predecessor


@dataclass(frozen=True, slots=True)
class Route:
    """Crossings in the order of driving, and when each is reached (s); empty where no way leads."""

    crossings: Ints
    at_s: Floats

    @property
    def seconds(self) -> float:
        return float(self.at_s[-1]) if len(self.at_s) else float("inf")


@dataclass(frozen=True, eq=False)
class Roads:
    """m one-way roads between n crossings. Of several between the same two the fastest counts."""

    n: int
    start: Ints  # (m,)
    end: Ints  # (m,)

    def __post_init__(self) -> None:
        ends = np.concatenate([self.start, self.end])
        if len(ends) and not 0 <= ends.min() <= ends.max() < self.n:
            raise BadModel(f"roads join crossings {ends.min()} … {ends.max()}; there are 0 … {self.n - 1}")

    def graph(self, seconds: Floats, reverse: bool = False) -> sp.csr_array:
        """(n, n) of live times (m,); inf is closed. Raises BadModel for times below 0 or that are none."""
        if seconds.shape != self.start.shape or not (seconds >= 0).all():
            raise BadModel(f"travel times {seconds.shape}: one for each of {len(self.start)} roads, 0 or more, or inf")
        open_ = np.flatnonzero(np.isfinite(seconds))
        a, b = self.start[open_], self.end[open_]
        if reverse:
            a, b = b, a
        order = np.lexsort((seconds[open_], b, a))
        a, b, time = a[order], b[order], np.maximum(seconds[open_][order], 1e-9)
        first = np.ones(len(a), np.bool_)
        first[1:] = (a[1:] != a[:-1]) | (b[1:] != b[:-1])
        a, b, time = a[first], b[first], time[first]
        starts = np.concatenate([[0], np.cumsum(np.bincount(a, minlength=self.n))])
        return sp.csr_array((time, b, starts), shape=(self.n, self.n))

    def route(self, seconds: Floats, origin: int, target: int) -> Route:
        """The fastest way at the times (m,) of now."""
        reached, before = dijkstra(self.graph(seconds), indices=origin, return_predecessors=True)
        if not np.isfinite(reached[target]):
            return Route(np.zeros(0, np.int64), np.zeros(0))
        way = [target]
        while way[-1] != origin:
            way.append(int(before[way[-1]]))
        crossings = np.array(way[::-1], np.int64)
        return Route(crossings, reached[crossings])

    def until(self, seconds: Floats, targets: Ints) -> Floats:
        """(targets, n) s from every crossing to each target."""
        found: Floats = dijkstra(self.graph(seconds, reverse=True), indices=targets).reshape(len(targets), self.n)
        return found
