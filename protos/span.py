"""Stretches of sequences: how both sides say which batches, shortly."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from protos import telemetry_pb2


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Consecutive sequences of one epoch, both ends included."""

    epoch: int
    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __contains__(self, key: tuple[int, int]) -> bool:
        return key[0] == self.epoch and self.first <= key[1] <= self.last


def join(keys: Iterable[tuple[int, int]]) -> list[Span]:
    """The shortest spans that hold exactly these (epoch, sequence) keys, ascending."""
    spans: list[Span] = []
    for epoch, sequence in sorted(set(keys)):
        if spans and spans[-1].epoch == epoch and spans[-1].last == sequence - 1:
            spans[-1] = Span(epoch, spans[-1].first, sequence)
        else:
            spans.append(Span(epoch, sequence, sequence))
    return spans


def merge(spans: Iterable[Span]) -> list[Span]:
    """The same keys in the fewest spans, ascending."""
    merged: list[Span] = []
    for one in sorted(spans):
        if merged and merged[-1].epoch == one.epoch and one.first <= merged[-1].last + 1:
            merged[-1] = Span(one.epoch, merged[-1].first, max(merged[-1].last, one.last))
        else:
            merged.append(one)
    return merged


def of(ranges: Iterable[telemetry_pb2.Range]) -> Iterator[Span]:
    """The spans of a message; one that ends before it begins holds nothing and is left out."""
    for one in ranges:
        if one.first <= one.last:
            yield Span(one.epoch, one.first, one.last)


def ranges(spans: Iterable[Span]) -> list[telemetry_pb2.Range]:
    return [telemetry_pb2.Range(epoch=one.epoch, first=one.first, last=one.last) for one in spans]
