"""The log on SQLite: a writer thread that commits together whatever came while it was busy (group commit)."""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import apsw

from aggregator.stores import Arrival, Counts, Outcome, Reject, Row, StoreError, logfile, sqlite
from aggregator.stores.logfile import LogFile
from protos.span import Span

T = TypeVar("T")
Answer = tuple[asyncio.Future[Any], Any, StoreError | None]

WORK_MAX = 512  # calls in one transaction: bounds how long the first of them waits


class SqliteLog:
    """Implements `aggregator.stores.Log`. `read_only` is for other processes (verbs): it reads, and never writes."""

    def __init__(self, path: Path, *, read_only: bool = False, vfs: str | None = None) -> None:
        """Opens, or makes, the file at `path`. Raises StoreError."""
        self.path = path
        self._file = None if read_only else LogFile(path, vfs)
        self._reader = sqlite.connect(path, read_only=True, vfs=vfs)
        self._reading = threading.Lock()  # a cancelled reader's thread may still be at work
        self._newest, self._trimmed = logfile.marks(self._reader)
        self._grown = asyncio.Event()
        self._work: queue.SimpleQueue[tuple[Callable[[LogFile], object], asyncio.Future[Any]] | None] = (
            queue.SimpleQueue()
        )
        self._thread = threading.Thread(target=self._write, name="log writer", daemon=True)
        self._closed = read_only
        if not read_only:
            self._thread.start()

    @property
    def newest(self) -> int:
        return self._marks()[0]

    @property
    def trimmed(self) -> int:
        return self._marks()[1]

    async def append(self, arrivals: Sequence[Arrival]) -> list[Outcome]:
        outcomes: list[Outcome] = await self._submit(lambda file: file.append(arrivals))
        return outcomes

    async def quarantine(self, rejects: Sequence[Reject]) -> None:
        await self._submit(lambda file: file.quarantine(rejects))

    async def read(self, after: int, max_rows: int, max_bytes: int = 64 << 20) -> list[Row]:
        return await self._read(lambda: list(logfile.rows(self._reader, after, max_rows, max_bytes)))

    async def newer(self, after: int) -> int:
        while self._newest <= after:
            await self._grown.wait()
        return self._newest

    async def stored(self, gateway: str) -> list[Span]:
        return await self._read(lambda: logfile.stored(self._reader, gateway))

    async def pending(self, gateway: str, checkpoint: int) -> list[Span]:
        return await self._read(lambda: logfile.pending(self._reader, gateway, checkpoint))

    async def counts(self) -> list[Counts]:
        return await self._read(lambda: logfile.counts(self._reader))

    async def first_since(self, received_ns: int, at_most: int) -> int:
        return await self._read(lambda: logfile.first_since(self._reader, received_ns, at_most))

    async def trim(self, before: int) -> int:
        total = 0
        while gone := await self._submit(lambda file: file.trim(before)):
            total += gone
        return total

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._work.put(None)
            await asyncio.to_thread(self._thread.join)
        await self._read(self._reader.close)

    async def _submit(self, work: Callable[[LogFile], object]) -> Any:
        if self._closed:
            raise StoreError(f"{self.path}: the log is closed, or open for reading only")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._work.put((work, future))
        return await future

    async def _read(self, query: Callable[[], T]) -> T:
        def alone() -> T:
            with self._reading:
                return query()

        try:
            return await asyncio.to_thread(alone)
        except apsw.Error as error:
            raise StoreError(f"{self.path}: cannot be read: {error}; see `aggregator verify-store`") from error

    def _marks(self) -> tuple[int, int]:
        return logfile.marks(self._reader) if self._file is None else (self._newest, self._trimmed)

    def _write(self) -> None:
        """The thread: wait for work, commit all that is there in one transaction, answer, again."""
        assert self._file is not None
        while True:
            batch = [self._work.get()]
            while batch[-1] is not None and len(batch) < WORK_MAX and not self._work.empty():
                batch.append(self._work.get())
            work = [one for one in batch if one is not None]
            if work:
                self._commit(self._file, work)
            if batch[-1] is None:
                self._file.close()
                return

    def _commit(self, file: LogFile, work: list[tuple[Callable[[LogFile], object], asyncio.Future[Any]]]) -> None:
        loop = work[0][1].get_loop()
        try:
            results = file.commit([one for one, _ in work])
        except (apsw.Error, ArithmeticError, TypeError, ValueError) as error:  # no row may stop the writer
            failure = StoreError(f"{self.path}: not written: {error}; check the disk's space and health")
            failure.__cause__ = error
            answers: list[Answer] = [(future, None, failure) for _, future in work]
        else:
            answers = [(future, result, None) for (_, future), result in zip(work, results, strict=True)]
        loop.call_soon_threadsafe(self._answer, answers, file.newest, file.trimmed)

    def _answer(self, answers: list[Answer], newest: int, trimmed: int) -> None:
        self._newest, self._trimmed = newest, trimmed
        for future, result, failure in answers:
            if future.done():  # its caller was cancelled; what it wanted stored is stored
                continue
            if failure is None:
                future.set_result(result)
            else:
                future.set_exception(failure)
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()
