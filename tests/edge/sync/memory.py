"""A buffer in memory, for tests of the link alone: the same promises, no disk."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from edge_agent.sync.store import Buffer
from protos.span import Span


@dataclass(frozen=True, slots=True)
class Kept:
    epoch: int
    sequence: int
    blob: bytes
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    batches: int
    bytes: int


class MemoryBuffer:
    """Batches by key; `stored`, `settled`, `refused` are what the link reported."""

    def __init__(self, epoch: int = 1) -> None:
        self.epoch, self.newest = epoch, 0
        self.arrival = asyncio.Condition()
        self.kept: dict[tuple[int, int], Kept] = {}
        self.stored: set[tuple[int, int]] = set()
        self.settled: set[tuple[int, int]] = set()
        self.refused: dict[tuple[int, int], str] = {}
        self.largest_read = 0

    async def put(self, blob: bytes, priority: int = 0) -> tuple[int, int]:
        self.newest += 1
        key = (self.epoch, self.newest)
        self.kept[key] = Kept(*key, blob, priority)
        async with self.arrival:
            self.arrival.notify_all()
        return key

    def waiting(self) -> list[tuple[int, int]]:
        return [key for key in sorted(self.kept) if key not in self.stored and key not in self.refused]

    async def newer(self, epoch: int, sequence: int, max_batches: int, max_bytes: int) -> Sequence[Kept]:
        found: list[Kept] = []
        for key in self.waiting():
            if key > (epoch, sequence) and len(found) < max_batches:
                if found and sum(len(one.blob) for one in found) + len(self.kept[key].blob) > max_bytes:
                    break
                found.append(self.kept[key])
        self.largest_read = max(self.largest_read, sum(len(one.blob) for one in found))
        return found

    async def read(self, span: Span, max_batches: int, max_bytes: int) -> Sequence[Kept]:
        found: list[Kept] = []
        for key in sorted(self.kept):
            if key in span and key not in self.refused and len(found) < max_batches:
                if found and sum(len(one.blob) for one in found) + len(self.kept[key].blob) > max_bytes:
                    break
                found.append(self.kept[key])
        return found

    async def mark(
        self, stored: Sequence[Span] = (), settled: Sequence[Span] = (), refused: Sequence[tuple[Span, str]] = ()
    ) -> None:
        self.stored |= {key for key in self.kept if any(key in span for span in stored)}
        self.settled |= {key for key in self.kept if any(key in span for span in settled)}
        self.refused |= {key: why for key in self.kept for span, why in refused if key in span}
        async with self.arrival:
            self.arrival.notify_all()

    def backlog(self) -> Waiting:
        waiting = self.waiting()
        return Waiting(len(waiting), sum(len(self.kept[key].blob) for key in waiting))

    async def raise_epoch(self, floor: int) -> int:
        if floor >= self.epoch:
            self.epoch, self.newest = floor + 1, 0
        return self.epoch


def is_a_buffer(buffer: MemoryBuffer) -> Buffer:
    return buffer
