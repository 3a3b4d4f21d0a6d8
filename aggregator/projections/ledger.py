"""From the audit and the log to the ledger: what was done, and one digest of each batch. Nobody waits for it.

It reads behind everybody else, from files that are durable already, and signs what it has every now and then.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from aggregator.ledger.book import Book
from aggregator.projections.history import unbroken
from aggregator.stores import Log
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.ledger import Signed
from protos.clock import NS, Clock

T = TypeVar("T")
LOG = logging.getLogger(__name__)

LOOK_NS = NS  # how often it looks for news: entries of a second share one commit
AUDIT_ROWS = 1_000
READ_ROWS, READ_BYTES = 1_024, 8 << 20  # of the log at a time


class LedgerProjection:
    """Implements `aggregator.stores.Projection`. `table` is a connection of its own."""

    name = "ledger"
    version = 1

    def __init__(self, log: Log, table: Catalogue, book: Book, clock: Clock, checkpoint_ns: int) -> None:
        self._log, self._table, self._book, self._clock = log, table, book, clock
        self._checkpoint_ns = checkpoint_ns
        self._alone = asyncio.Lock()  # of the book, which one thread may use at a time
        self._sign_ns = 0
        self.newest: Signed | None = book.newest()
        self.witnesses = {one.name: one for one in book.store.witnesses()}

    @property
    def checkpoint(self) -> int:
        return self._book.position

    @property
    def size(self) -> int:
        return self._book.size

    @property
    def origin(self) -> str:
        return self._book.origin

    @property
    def vkey(self) -> str:
        """The log's key, for who checks it."""
        return self._book.verifier.vkey

    async def run(self) -> None:
        """Follow the log and the audit until cancelled."""
        while True:
            grown = await self.take()
            if self._clock.monotonic_ns() >= self._sign_ns:
                await self.sign()
            if not grown:
                await self._clock.sleep_until(self._clock.monotonic_ns() + LOOK_NS)

    async def take(self) -> bool:
        """One helping of each; False when there was nothing."""
        rows = []
        if self._log.newest > self._book.position:
            rows = await self._log.read(self._book.position, READ_ROWS, READ_BYTES)

        def append() -> bool:
            audits = self._table.audit(self._book.audit, AUDIT_ROWS)
            self._book.append(audits, rows)
            return bool(audits or rows)

        return await self._alone_do(append)

    async def sign(self) -> None:
        """A checkpoint, where anything is new."""
        signed = await self._alone_do(lambda: self._book.sign(self._clock.wall_ns()) if self._book.size else None)
        if signed is not None:
            self.newest = signed
            self._sign_ns = self._clock.monotonic_ns() + self._checkpoint_ns

    async def proof(self, old: int, size: int) -> list[bytes]:
        """Raises ProofError."""
        return await self._alone_do(lambda: self._book.consistency(old, size))

    async def cosign(self, signed: Signed, given: Sequence[tuple[str, str, bytes]]) -> list[str]:
        """(name, vkey, cosignature); returns what is wrong with those that are not good."""
        wrong = await self._alone_do(lambda: self._book.cosign(signed, given, self._clock.wall_ns()))
        self.witnesses = {one.name: one for one in await self._alone_do(self._book.store.witnesses)}
        return wrong

    async def accuse(self, who: str, why: str, note: bytes) -> bool:
        """Keep what contradicts us; False when it is known already."""
        return await self._alone_do(lambda: self._book.store.put_evidence(self._clock.wall_ns(), who, why, note))

    def close(self) -> None:
        self._book.close()
        self._table.close()

    async def _alone_do(self, work: Callable[[], T]) -> T:
        async with self._alone:
            return await unbroken(asyncio.to_thread(work))
