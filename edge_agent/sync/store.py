"""What the link needs of the buffer."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from protos.span import Span


class Stored(Protocol):
    """One batch as it is kept."""

    @property
    def epoch(self) -> int: ...
    @property
    def sequence(self) -> int: ...
    @property
    def priority(self) -> int: ...
    @property
    def blob(self) -> bytes: ...


class Backlog(Protocol):
    @property
    def batches(self) -> int: ...
    @property
    def bytes(self) -> int: ...


class Buffer(Protocol):
    """Batches that wait for the aggregator, and some that it has already."""

    @property
    def epoch(self) -> int: ...  # of the batches written now
    @property
    def newest(self) -> int: ...  # sequence of the newest durable batch of that epoch; 0 for none
    @property
    def arrival(self) -> asyncio.Condition: ...  # notified when a batch is durable

    async def newer(self, epoch: int, sequence: int, max_batches: int, max_bytes: int) -> Sequence[Stored]:
        """Batches not yet stored by the aggregator, after that key, ascending; at least one if there is one."""

    async def read(self, span: Span, max_batches: int, max_bytes: int) -> Sequence[Stored]:
        """Those of `span` that are still kept, ascending; the first ones, at least one, when they are too many."""

    async def mark(
        self, stored: Sequence[Span] = (), settled: Sequence[Span] = (), refused: Sequence[tuple[Span, str]] = ()
    ) -> None:
        """Remember what the aggregator said. Spans may name batches that are not here, or no longer."""

    def backlog(self) -> Backlog: ...

    async def raise_epoch(self, floor: int) -> int:
        """Batches written from now on carry an epoch above `floor`; returns it."""
