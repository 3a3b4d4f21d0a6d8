"""Which batches are acknowledged: ascending, disjoint ranges of row numbers. In practice one or two."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class Ranges:
    """A set of integers kept as closed ranges; `add` is O(log n) beside what it swallows."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._firsts, self._lasts, strict=True))

    def __len__(self) -> int:
        return len(self._firsts)

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._firsts, number) - 1
        return at >= 0 and number <= self._lasts[at]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and list(self) == list(other)

    def copy(self) -> "Ranges":
        new = Ranges()
        new._firsts, new._lasts = self._firsts.copy(), self._lasts.copy()
        return new

    def add(self, first: int, last: int) -> None:
        """Add first..last, both included; touching ranges become one. An empty range adds nothing."""
        if first > last:
            return
        begin = bisect_left(self._lasts, first - 1)
        end = bisect_right(self._firsts, last + 1)
        if begin < end:
            first, last = min(first, self._firsts[begin]), max(last, self._lasts[end - 1])
        self._firsts[begin:end] = [first]
        self._lasts[begin:end] = [last]

    def holes(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The parts of first..last that are not in the set, ascending."""
        at = bisect_left(self._lasts, first)
        for begin, end in zip(self._firsts[at:], self._lasts[at:], strict=True):
            if begin > last:
                break
            if first < begin:
                yield first, begin - 1
            first = end + 1
        if first <= last:
            yield first, last

    def within(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The parts of first..last that are in the set, ascending."""
        at = bisect_left(self._lasts, first)
        for begin, end in zip(self._firsts[at:], self._lasts[at:], strict=True):
            if begin > last:
                return
            yield max(first, begin), min(last, end)

    def forget_below(self, number: int) -> None:
        """Leave out whole ranges below `number`: nothing there is kept any more."""
        end = bisect_left(self._lasts, number)
        del self._firsts[:end], self._lasts[:end]

    def gaps(self) -> list[tuple[int, int]]:
        """What lies between neighbouring ranges."""
        return [(last + 1, first - 1) for last, first in zip(self._lasts, self._firsts[1:], strict=False)]
