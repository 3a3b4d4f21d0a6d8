"""Which keys of one gateway are on file: ranges, so that remembering them for ever costs almost nothing. No IO."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from protos.span import Span


class Received:
    """Disjoint ranges of sequences per epoch, never two that touch. Gathers what changed, for the one who saves it."""

    def __init__(self, stretches: Iterable[Span] = ()) -> None:
        self._first: dict[int, list[int]] = {}
        self._last: dict[int, list[int]] = {}
        self._changes: dict[tuple[int, int], int | None] = {}
        self.ranges = 0
        for one in sorted(stretches):
            self._first.setdefault(one.epoch, []).append(one.first)
            self._last.setdefault(one.epoch, []).append(one.last)
            self.ranges += 1

    def __iter__(self) -> Iterator[Span]:
        for epoch in sorted(self._first):
            for first, last in zip(self._first[epoch], self._last[epoch], strict=True):
                yield Span(epoch, first, last)

    def has(self, epoch: int, sequence: int) -> bool:
        at = bisect_right(self._first.get(epoch, ()), sequence) - 1
        return at >= 0 and sequence <= self._last[epoch][at]

    def add(self, epoch: int, sequence: int) -> bool:
        """Take the key in; False when it was there."""
        firsts, lasts = self._first.setdefault(epoch, []), self._last.setdefault(epoch, [])
        at = bisect_right(firsts, sequence) - 1
        if at >= 0 and sequence <= lasts[at]:
            return False
        joins_before = at >= 0 and lasts[at] == sequence - 1
        joins_after = at + 1 < len(firsts) and firsts[at + 1] == sequence + 1
        if joins_before and joins_after:
            self._changes[epoch, firsts.pop(at + 1)] = None
            lasts.pop(at)
            self.ranges -= 1
        elif joins_before:
            lasts[at] = sequence
        elif joins_after:
            self._changes[epoch, firsts[at + 1]] = None
            at += 1
            firsts[at] = sequence
        else:
            at += 1
            firsts.insert(at, sequence)
            lasts.insert(at, sequence)
            self.ranges += 1
        self._changes[epoch, firsts[at]] = lasts[at]
        return True

    def take_changes(self) -> dict[tuple[int, int], int | None]:
        """(epoch, first) → last, or None for a range that is gone; since the last call."""
        changes, self._changes = self._changes, {}
        return changes


def missing(stretches: Iterable[Span], epoch: int, before: int) -> list[Span]:
    """The gaps of `epoch` below sequence `before`, counted from 1, the first sequence of every epoch."""
    gaps, want = [], 1
    for one in sorted(one for one in stretches if one.epoch == epoch):
        if one.first > want:
            gaps.append(Span(epoch, want, min(one.first, before) - 1))
        want = max(want, one.last + 1)
        if want >= before:
            break
    if want < before:
        gaps.append(Span(epoch, want, before - 1))
    return [gap for gap in gaps if gap.first <= gap.last]


def without(stretches: Iterable[Span], holes: Iterable[Span]) -> list[Span]:
    """`stretches` less `holes`; both disjoint in themselves."""
    taken = sorted(holes)
    rest = []
    for one in stretches:
        first = one.first
        for hole in taken:
            if hole.epoch != one.epoch or hole.last < first or hole.first > one.last:
                continue
            if hole.first > first:
                rest.append(Span(one.epoch, first, hole.first - 1))
            first = hole.last + 1
        if first <= one.last:
            rest.append(Span(one.epoch, first, one.last))
    return rest
