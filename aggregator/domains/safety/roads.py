"""Roads with live travel times: who is where how fast, and on which way.

Times change all the time, so nothing is prepared that rests on them: every question is a Dijkstra (1959) over arrays of
which only the times are new (scipy.sparse.csgraph). One search answers for all units at once, against the direction of
the roads.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import dijkstra

from aggregator.twin import BadModel, Floats, Ints

MOMENT_S = 1e-9


@dataclass(frozen=True, slots=True)
class Route:
    """Crossings in the order of driving, and when each is reached (s); empty where no way leads."""

    crossings: Ints
    at_s: Floats

    @property
    def seconds(self) -> float:
        return float(self.at_s[-1]) if len(self.at_s) else float("inf")


@dataclass(frozen=True, eq=False, slots=True)
class Shape:
    """What of a graph stays when times change: roads in the order of a sparse matrix, parallel ones together."""

    n: int
    order: Ints  # (m,)
    first: Ints  # (e,) place in `order` of the first road of each pair of crossings
    columns: Ints  # (e,)
    starts: Ints  # (n + 1,)

    @classmethod
    def of(cls, n: int, a: Ints, b: Ints) -> "Shape":
        order = np.lexsort((b, a))
        pairs = np.column_stack([a, b])[order]
        new = np.ones(len(pairs), np.bool_)
        new[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
        rows = np.bincount(pairs[new, 0], minlength=n)
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(rows, dtype=np.int64)])
        return cls(n, order, np.flatnonzero(new), pairs[new, 1], starts)

    def filled(self, seconds: Floats) -> sp.csr_array:
        """Times of 0 are a moment: in a sparse matrix 0 would be no road at all."""
        time = np.maximum(seconds[self.order], MOMENT_S)
        least = np.minimum.reduceat(time, self.first) if len(self.first) else time
        return sp.csr_array((least, self.columns, self.starts), shape=(self.n, self.n))


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

    @cached_property
    def along(self) -> Shape:
        return Shape.of(self.n, self.start, self.end)

    @cached_property
    def against(self) -> Shape:
        return Shape.of(self.n, self.end, self.start)

    def graph(self, seconds: Floats, reverse: bool = False) -> sp.csr_array:
        """(n, n) of live times (m,); inf is closed. Raises BadModel for times below 0 or that are none."""
        if seconds.shape != self.start.shape or not (seconds >= 0).all():
            raise BadModel(f"travel times {seconds.shape}: one for each of {len(self.start)} roads, 0 or more, or inf")
        return (self.against if reverse else self.along).filled(seconds)

    def route(self, seconds: Floats, origin: int, target: int) -> Route:
        """The fastest way at the times (m,) of now."""
        reached, before = (one[0] for one in dijkstra(self.graph(seconds), True, [origin], True))
        if not np.isfinite(reached[target]):
            return Route(np.zeros(0, np.int64), np.zeros(0))
        way = [target]
        while way[-1] != origin:
            way.append(int(before[way[-1]]))
        crossings = np.array(way[::-1], np.int64)
        return Route(crossings, reached[crossings])

    def until(self, seconds: Floats, targets: Ints) -> Floats:
        """(targets, n) s from every crossing to each target."""
        found: Floats = dijkstra(self.graph(seconds, reverse=True), True, targets).reshape(len(targets), self.n)
        return found
