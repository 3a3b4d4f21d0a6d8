"""From the log to history: batches are decoded, gathered for a while, and put away together.

What is gathered is bounded by age, bytes and pieces; after each `put` the checkpoint has moved, and `settled` is told,
so that gateways learn what they may forget. A batch that cannot be decoded is kept in the log's quarantine.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aggregator.projections.latest import Latest
from aggregator.stores import Log, Reject, Row
from aggregator.stores.history import NS, History, Intake, Origin, Piece, Words
from aggregator.stores.history import pieces as cutting
from protos.batch import BatchError, decode
from protos.clock import Clock, SystemClock

T = TypeVar("T")
LOG = logging.getLogger(__name__)

AGE_NS = 60 * NS  # how long a reading may wait for company: parts of a minute pack well, and settle soon
BYTES_MAX = 32 << 20  # decoded, about three million readings
PIECES_MAX = 100_000  # small ones: each costs more than its numbers
PIECE_BYTES = 1_000  # what the objects of one piece take beside its numbers
READ_ROWS, READ_BYTES = 512, 8 << 20  # of the log at a time
RETAIN_NS = 3600 * NS


@dataclass(slots=True)
class Gathering:
    """What was read from the log and is not yet in history."""

    upto: int
    origins: list[Origin] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    words: list[Words] = field(default_factory=list)
    bytes: int = 0
    arrived_ns: int = 0  # newest

    @property
    def full(self) -> bool:
        return self.bytes >= BYTES_MAX or len(self.pieces) >= PIECES_MAX

    def add(self, row: Row) -> list[Piece]:
        """Take in one row; returns its pieces. Raises BatchError for one that cannot be decoded: it is passed by."""
        self.upto = row.position
        self.arrived_ns = max(self.arrived_ns, row.received_ns)
        batch = decode(row.blob)
        pieces = list(cutting.cut(row, batch))
        words = list(cutting.words(row, batch))
        if pieces or words:
            self.origins.append(cutting.origin(row))
        self.pieces.extend(pieces)
        self.words.extend(words)
        self.bytes += sum(size(piece) for piece in pieces) + PIECE_BYTES * (1 + len(words))
        return pieces

    @property
    def intake(self) -> Intake:
        return Intake(self.origins, self.pieces, self.words)


class HistoryProjection:
    """Implements `aggregator.stores.Projection`; the only writer of its history while it runs."""

    name = "history"
    version = 1

    def __init__(
        self,
        log: Log,
        history: History,
        clock: Clock | None = None,
        latest: Latest | None = None,
        settled: Callable[[int], None] = lambda checkpoint: None,
        repair: Callable[[], Awaitable[object]] | None = None,
        age_ns: int = AGE_NS,
    ) -> None:
        """`settled(checkpoint)` is called on the event loop whenever more of the log is in history.

        `repair` is awaited when `run` begins and after each `put`: it brings back what turned out to be lost.
        """
        self.log, self.history = log, history
        self.latest = Latest() if latest is None else latest
        self.readings = 0  # put into history since the start
        self._clock = clock or SystemClock()
        self._settled = settled
        self._repair = repair
        self._age_ns = age_ns
        self._gathering = Gathering(history.checkpoint)
        self._due_ns = 0
        self._retained_ns = 0

    @property
    def checkpoint(self) -> int:
        return self.history.checkpoint

    async def run(self) -> None:
        """Follow the log until cancelled; then what was gathered is put away first."""
        await self._bring_back()
        self._gathering = Gathering(self.history.checkpoint)
        self.latest.load(await unbroken(asyncio.to_thread(lambda: list(self.history.latest()))))
        self._due_ns = self._clock.monotonic_ns() + self._age_ns
        try:
            while True:
                await self._step()
        finally:
            await unbroken(self._put_away())

    async def catch_up(self) -> None:
        """Put everything that is in the log now into history, and return."""
        newest = self.log.newest
        while self._gathering.upto < newest and await self._read():
            if self._gathering.full:
                await unbroken(self._put_away())
        await unbroken(self._put_away())

    async def _step(self) -> None:
        if self._gathering.full or self._clock.monotonic_ns() >= self._due_ns:
            await unbroken(self._put_away())
        if not await self._read():
            await self._news()

    async def _read(self) -> bool:
        rows = await self.log.read(self._gathering.upto, READ_ROWS, READ_BYTES)
        rejects = await unbroken(asyncio.to_thread(self._gather, rows))
        if rejects:
            await self.log.quarantine(rejects)
        return bool(rows)

    def _gather(self, rows: Sequence[Row]) -> list[Reject]:
        rejects = []
        for row in rows:
            try:
                pieces = self._gathering.add(row)
            except BatchError as error:
                LOG.error("log position %d of %s cannot be decoded: %s", row.position, row.gateway, error)
                reason = f"not for history: {error}"
                rejects.append(Reject(row.gateway, row.epoch, row.sequence, row.received_ns, reason, row.blob))
            else:
                self.latest.take(row, pieces)
        return rejects

    async def _news(self) -> None:
        """Until the log has more, or what is gathered is due."""
        waits = [
            asyncio.ensure_future(self.log.newer(self._gathering.upto)),
            asyncio.ensure_future(self._clock.sleep_until(self._due_ns)),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _put_away(self) -> None:
        before = self.history.checkpoint
        await asyncio.to_thread(self._write)
        self._due_ns = self._clock.monotonic_ns() + self._age_ns
        await self._bring_back()
        if self.history.checkpoint != before:
            self._settled(self.history.checkpoint)

    async def _bring_back(self) -> None:
        if self._repair is not None:
            await self._repair()

    def _write(self) -> None:
        gathered = self._gathering
        self.readings += self.history.put(gathered.intake, gathered.upto).readings
        self._gathering = Gathering(gathered.upto)
        now_ns = gathered.arrived_ns or self._clock.wall_ns()
        self.history.compact(now_ns)
        if now_ns - self._retained_ns > RETAIN_NS:
            self._retained_ns = now_ns
            for day in self.history.retain(now_ns):
                LOG.info("history of %s has been kept long enough and is gone", day)


def size(piece: Piece) -> int:
    return piece.values.nbytes + piece.codes.nbytes + 2 * piece.source_ns.nbytes + PIECE_BYTES


async def unbroken(work: Coroutine[Any, Any, T]) -> T:
    """Await `work` to its end even when cancelled meanwhile: a thread cannot be stopped half way through a file."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
