"""The buffer as the rest of the agent sees it: an asyncio front, and the one thread that touches the disk.

Nothing here blocks the event loop: every call becomes a piece of work for the thread, done in the order of arrival.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from edge_agent.buffer.account import Account
from edge_agent.buffer.cabinet import Cabinet
from edge_agent.buffer.faults import Closed
from edge_agent.buffer.recovery import Place
from edge_agent.buffer.retention import Limits
from edge_agent.buffer.stored import Backlog, Refused, Stored, key_of, number_of
from edge_agent.image import Frame
from protos.batch import Priority
from protos.clock import Anchor, Clock
from protos.span import Span

T = TypeVar("T")
FLUSH_S = 60.0  # marks that no append carried are written after this long
READ_BATCHES, READ_BYTES = 64, 4 << 20  # of one `read`; the rest of a span is for the next
Work = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class Buffer:
    """Readings on this gateway's disk until the aggregator's history has them, and for some days more.

    `epoch` and `newest` are the key of the newest committed batch; `arrival` is notified after each append.
    Raises Closed after `close`; a full disk or damage raises nothing, see `gauges`.
    """

    def __init__(self, cabinet: Cabinet) -> None:
        """Use `open`."""
        self._cabinet = cabinet
        self._loop = asyncio.get_running_loop()
        self._work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._closed = False
        self.arrival = asyncio.Condition()
        self._thread = threading.Thread(target=self._run, name="buffer", daemon=True)
        self._thread.start()

    @classmethod
    async def open(
        cls, directory: Path, gateway: str, clock: Clock, limits: Limits, *, vfs: str | None = None
    ) -> "Buffer":
        """Open or make the buffer in `directory`. Raises Locked, Unsafe, BufferFault."""
        place = Place(directory, gateway, vfs)
        return cls(await asyncio.to_thread(Cabinet, place, clock, limits))

    # ---- the thread

    def _run(self) -> None:
        busy = False  # with work that can wait for a pause
        while True:
            try:
                item = self._work.get(timeout=0 if busy else FLUSH_S)
            except queue.Empty:
                if not busy:
                    self._cabinet.flush()
                busy = self._cabinet.rest()
                continue
            if item is None:
                return
            work, future = item
            self._answer(future, work)
            busy = self._cabinet.rest()

    def _answer(self, future: "asyncio.Future[Any]", work: Callable[[], Any]) -> None:
        try:
            result = work()
        except BaseException as error:  # it belongs to who asked; the thread itself goes on
            self._tell(future, None, error)
            if not isinstance(error, Exception):
                raise
        else:
            self._tell(future, result, None)

    def _tell(self, future: "asyncio.Future[Any]", result: object, error: BaseException | None) -> None:
        def settle() -> None:
            if future.done():  # who asked was cancelled
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(settle)

    async def _do(self, work: Callable[[], T]) -> T:
        if self._closed:
            raise Closed("the buffer was closed; nothing more can be stored or read")
        future: asyncio.Future[T] = self._loop.create_future()
        self._work.put((work, future))
        return await future

    # ---- what arrives

    async def append(self, frames: Sequence[Frame], priority: Priority, anchor: Anchor) -> int:
        """Commit `frames` (one batch; several when they are very many); returns the newest sequence once durable.

        0 says that the disk had no room for any of them and that they are counted as dropped.
        """
        if not frames:
            return self.newest
        sequence = await self._do(lambda: self._cabinet.append(frames, priority, anchor))
        if sequence:
            async with self.arrival:
                self.arrival.notify_all()
        return sequence

    # ---- what is asked for

    async def newer(self, epoch: int, sequence: int, max_batches: int, max_bytes: int) -> list[Stored]:
        """Unacked batches after that key, ascending; at least one if there is any, whatever its size."""
        first = number_of(epoch, sequence) + 1
        return await self._do(lambda: self._cabinet.waiting(first, None, max_batches, max_bytes))

    async def oldest(self, max_batches: int, max_bytes: int, before: tuple[int, int]) -> list[Stored]:
        """The oldest unacked batches below the key `before`, ascending."""
        last = number_of(*before) - 1
        return await self._do(lambda: self._cabinet.waiting(0, last, max_batches, max_bytes))

    async def between(
        self, after: tuple[int, int], before: tuple[int, int], max_batches: int, max_bytes: int
    ) -> list[Stored]:
        """Unacked batches strictly between two keys, ascending: one step of a walk through the backlog."""
        first, last = number_of(*after) + 1, number_of(*before) - 1
        return await self._do(lambda: self._cabinet.waiting(first, last, max_batches, max_bytes))

    async def read(self, span: Span, max_batches: int = READ_BATCHES, max_bytes: int = READ_BYTES) -> list[Stored]:
        """Batches of `span` that are still kept, acked or not, ascending; the first ones when they are too many."""
        return await self._do(lambda: self._cabinet.kept(span, max_batches, max_bytes))

    def backlog(self) -> Backlog:
        """What waits for the aggregator's log; counted, never searched."""
        return self._account.backlog

    # ---- what the aggregator says

    async def mark(
        self, stored: Sequence[Span] = (), settled: Sequence[Span] = (), refused: Iterable[Refused] = ()
    ) -> None:
        """Remember what its log has, what its history has, and what it keeps aside with a reason."""
        refusals = list(refused)
        await self._do(lambda: self._cabinet.mark(stored, settled, refusals))

    async def raise_epoch(self, floor: int) -> int:
        """Go on in an epoch above `floor`; returns it. Raises ValueError for an impossible one."""
        return await self._do(lambda: self._cabinet.epochs.raise_above(floor))

    # ---- how it is

    @property
    def _account(self) -> Account:
        return self._cabinet.store.account

    @property
    def epoch(self) -> int:
        """The epoch that new batches carry."""
        return self._cabinet.epochs.current.number

    @property
    def newest(self) -> int:
        """The newest sequence of this epoch; 0 before its first batch."""
        epoch, sequence = key_of(self._account.newest)
        return sequence if epoch == self.epoch else 0

    def gauges(self) -> dict[str, float]:
        """Counters of readings since ever, and what is on the disk now."""
        return self._cabinet.gauges()

    async def salvaged(self) -> int:
        """Wait until all that can be read in a damaged database is home; returns the batches salvaged ever since."""
        return await self._do(self._cabinet.salvage_all)

    async def close(self) -> None:
        """Finish what was asked for, make it durable, give the directory back. May be called again."""
        if self._closed:
            return
        self._closed = True
        closing: asyncio.Future[None] = self._loop.create_future()
        self._work.put((self._cabinet.close, closing))
        self._work.put(None)
        await closing
        await asyncio.to_thread(self._thread.join)
