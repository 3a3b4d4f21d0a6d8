"""The newest sample of every point, as arrays: newest by (epoch, sequence), whatever the clocks said."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from aggregator.stores import Row
from aggregator.stores.history import Codes, Floats, Ints, Layout, Newest, Piece, PointName

GROWTH = 1024  # points that arrays grow by at least


@dataclass(slots=True)
class Place:
    """Where a layout lies in the arrays, and the batch its samples are from."""

    span: slice
    key: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sample:
    point: PointName
    source_ns: int  # UTC
    receive_ns: int
    value: float
    code: int


class Latest:
    """`values`, `codes` and times (N,), indexed like `names`; a point of two layouts has two places."""

    def __init__(self) -> None:
        self.names: list[PointName] = []
        self.changes = 0  # rises with every sample row taken in: a reader sees whether there is news
        self._places: dict[Layout, Place] = {}
        self._values: Floats = np.empty(0)
        self._codes: Codes = np.empty(0, np.uint8)
        self._times: Ints = np.empty((2, 0), np.int64)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def values(self) -> Floats:
        return self._values[: len(self)]

    @property
    def codes(self) -> Codes:
        return self._codes[: len(self)]

    @property
    def source_ns(self) -> Ints:
        return self._times[0, : len(self)]

    @property
    def receive_ns(self) -> Ints:
        return self._times[1, : len(self)]

    def load(self, newest: Iterable[Newest]) -> None:
        """Begin with what history has."""
        for one in newest:
            place = self._place(one.layout)
            if (one.epoch, one.sequence) >= place.key:
                place.key = (one.epoch, one.sequence)
                self._set(place.span, one.source_ns, one.receive_ns, one.values, one.codes)

    def take(self, row: Row, pieces: Iterable[Piece]) -> None:
        """The batch of `row`, cut to `pieces`; one from the backlog changes nothing."""
        for piece in pieces:
            place = self._place(piece.layout)
            if (row.epoch, row.sequence) >= place.key:
                place.key = (row.epoch, row.sequence)
                source, receive = int(piece.source_ns[-1]), int(piece.receive_ns[-1])
                self._set(place.span, source, receive, piece.values[-1], piece.codes[-1])

    def samples(self, points: Sequence[PointName] | None = None) -> Iterator[Sample]:
        """The newest of each point, or of `points`."""
        wanted = None if points is None else set(points)
        at: dict[PointName, tuple[tuple[int, int], int]] = {}
        for place in self._places.values():
            for index in range(place.span.start, place.span.stop):
                name = self.names[index]
                if (wanted is None or name in wanted) and place.key >= at.get(name, ((-1, -1), 0))[0]:
                    at[name] = (place.key, index)
        for name, (_, i) in sorted(at.items()):
            times = self._times[:, i]
            yield Sample(name, int(times[0]), int(times[1]), float(self._values[i]), int(self._codes[i]))

    def freshest(self, count: int) -> list[Sample]:
        """The `count` samples that were received last, newest first: for a live view."""
        order = np.argsort(-self.receive_ns, kind="stable")[:count]
        return [
            Sample(
                self.names[i],
                int(self.source_ns[i]),
                int(self.receive_ns[i]),
                float(self.values[i]),
                int(self.codes[i]),
            )
            for i in order.tolist()
        ]

    def _place(self, layout: Layout) -> Place:
        if layout not in self._places:
            start, stop = len(self.names), len(self.names) + len(layout.points)
            self.names.extend(PointName(layout.gateway, layout.device, name) for name in layout.points)
            if stop > len(self._values):
                grown = max(stop, 2 * len(self._values), GROWTH)
                more = grown - len(self._values)
                self._values = np.concatenate([self._values, np.full(more, np.nan)])
                self._codes = np.concatenate([self._codes, np.zeros(more, np.uint8)])
                self._times = np.concatenate([self._times, np.zeros((2, more), np.int64)], axis=1)
            self._places[layout] = Place(slice(start, stop), (-1, -1))
        return self._places[layout]

    def _set(self, span: slice, source_ns: int, receive_ns: int, values: Floats, codes: Codes) -> None:
        self._values[span], self._codes[span] = values, codes
        self._times[0, span], self._times[1, span] = source_ns, receive_ns
        self.changes += 1
