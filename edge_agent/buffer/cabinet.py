"""Everything that the buffer has on disk, kept alive: lock, epoch file, ballast, and the store between them.

A full disk costs the oldest readings of the lowest class, damage costs what is damaged, and neither ever stops the
gateway: `append` always returns. Synchronous and for one thread; `writer.py` gives it one.
"""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import apsw

from edge_agent.buffer.ballast import Ballast
from edge_agent.buffer.database import WAL_PAGES, Damaged, judged
from edge_agent.buffer.epoch import Epochs
from edge_agent.buffer.faults import BufferFault
from edge_agent.buffer.gather import readings_in
from edge_agent.buffer.lock import Lock
from edge_agent.buffer.press import Press
from edge_agent.buffer.recovery import BALLAST, EPOCH, FAULTS_MAX, LOCK, Place, Recovery
from edge_agent.buffer.retention import MB, Limits, Retention
from edge_agent.buffer.store import Fresh
from edge_agent.buffer.stored import NUMBER_MAX, Refused, Stored, key_of
from edge_agent.image import Frame
from protos.batch import Priority
from protos.clock import Anchor, Clock
from protos.span import Span

log = logging.getLogger(__name__)
T = TypeVar("T")

ATTEMPTS = 4  # of one append on a full disk, each making more room
MARGIN = 64 << 10  # of the file's own size that stays free on a full disk: pages that a tree may need beside the rows
STEP = 256 << 10  # more to free at each further attempt on a full disk
DISK_FULL, DISK_ERROR, NO_ROOM, UNFIT = "disk_full", "disk_error", "buffer_full", "unfit"
TROUBLE = (apsw.Error, Damaged, BufferFault)  # of the disk: counted and told, never fatal
DROPPED = (DISK_FULL, DISK_ERROR, NO_ROOM, UNFIT)  # why readings are


class Cabinet:
    """Raises Locked, Unsafe or BufferFault when it cannot be opened at all."""

    def __init__(self, place: Place, clock: Clock, limits: Limits) -> None:
        self._place = place
        self._clock = clock
        self._retention = Retention.of(limits)
        self._press = Press(place.gateway)
        self._ceiling: int | None = None
        self.full_events = 0
        place.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = Lock(place.directory / LOCK)
        try:
            self._open(limits)
        except BaseException:
            self._lock.release()
            raise

    # ---- opening, damage

    def _open(self, limits: Limits) -> None:
        place = self._place
        self.ballast = Ballast(place.directory / BALLAST, limits.ballast_mb * MB)
        self.recovery = Recovery(place, self._retention)
        self.epochs = Epochs(place.directory / EPOCH, self.ballast.release)
        self.recovery.inspect_log(self.epochs.said)
        self.store = self.recovery.open(self.ballast.release)
        account, salvaging = self.store.account, self.recovery.pending
        if not self.epochs.begin(account.newest, self._reserve(), salvaging=salvaging):
            account.damaged += 1
            log.error("buffer: the epoch file is damaged; epoch %d is begun", self.epochs.current.number)

    def _reserve(self) -> int:
        """Begin the log anew; returns the bytes kept for it. On the disk of a test there is nothing to keep."""
        self.store.database.restart_log()
        return self.store.database.reserve() if self._place.vfs is None else 0

    def _start_over(self, error: Exception) -> None:
        try:
            self.store.database.close()
        except apsw.Error as trouble:
            log.warning("buffer: the damaged file does not close: %s", trouble)
        self.recovery.retire(error)
        self._resume()

    def _resume(self) -> None:
        """Go on with a database of its own, the old account and a new epoch. Raises BufferFault."""
        old = self.store.account
        self.store = self.recovery.open(self.ballast.release)
        self.store.adopt(old)
        self.epochs.leave(old.newest, self._reserve())

    def _guarded(self, work: Callable[[], T]) -> T:
        """Do `work`, beginning a new database when this one turns out to be damaged."""
        for _ in range(FAULTS_MAX):
            try:
                with judged(self._place.database):
                    return work()
            except Damaged as error:
                self._start_over(error)
        raise BufferFault(f"{self._place.database}: damaged {FAULTS_MAX} times in a row; check the disk")

    # ---- appending

    def append(self, frames: Sequence[Frame], priority: Priority, anchor: Anchor) -> int:
        """Commit `frames`; returns the newest sequence once it is durable, 0 when all had to be dropped."""
        try:
            if self.store.database.closed:  # what came instead of a damaged one could not be opened then
                self._resume()
            return self._guarded(lambda: self._append(frames, priority, anchor))
        except TROUBLE as error:
            log.error("buffer: cannot store: %s", error)
            return self._lose(sum(map(readings_in, frames)), DISK_ERROR)

    def _append(self, frames: Sequence[Frame], priority: Priority, anchor: Anchor) -> int:
        fresh = self._encoded(frames, priority, anchor)
        now = anchor.utc_ns(self._clock.monotonic_ns())
        self._regrow()
        extra, why = 0, NO_ROOM if self._ceiling is None else DISK_FULL
        for attempt in range(ATTEMPTS):
            try:
                number, dropped = self.store.append(fresh, now, self._ceiling, why, extra)
            except apsw.FullError:
                self._disk_full()
                extra, why = STEP * attempt, DISK_FULL  # first the room inside the file, then more and more
            else:
                if dropped:
                    log.warning("buffer: %d readings dropped: %s", dropped, why)
                return key_of(number)[1]
        return self._lose(sum(one.row.readings for one in fresh), DISK_FULL)

    def _encoded(self, frames: Sequence[Frame], priority: Priority, anchor: Anchor) -> list[Fresh]:
        there, newest = key_of(self.store.account.newest)
        sequence = newest if there == self.epochs.current.number else 0
        press = self._press
        fresh = press.encode(
            frames, (self.epochs.current.number, sequence), priority, anchor, self._clock.monotonic_ns()
        )
        if press.unfit:
            self._lose(press.unfit, UNFIT)
        return fresh

    def _lose(self, count: int, why: str) -> int:
        log.error("buffer: %d new readings dropped: %s", count, why)
        self.store.lose(count, why)
        return 0

    def _disk_full(self) -> None:
        """Give up the ballast and let the database grow no further."""
        self.full_events += 1
        if self.ballast.release():
            log.error("buffer: the disk is full; ballast given up, the oldest readings go first")
        try:
            self.store.database.checkpoint(least_pages=1)
        except TROUBLE as error:
            log.warning("buffer: no checkpoint on the full disk: %s", error)
        self._ceiling = max(0, self.store.database.size() - MARGIN)

    def _regrow(self) -> None:
        if (self._ceiling is not None or not self.ballast.held) and self.ballast.grow():
            if self._ceiling is not None:
                log.warning("buffer: the disk has room again; ballast taken again")
            self._ceiling = None

    def rest(self) -> bool:
        """What can wait until an append has been answered: a checkpoint, a step of salvage; True: more to do."""
        try:
            self.store.database.checkpoint(least_pages=1 if self._ceiling is not None else WAL_PAGES)
            if self.recovery.pending:
                self._guarded(lambda: self.recovery.step(self.store))
        except TROUBLE as error:
            log.warning("buffer: put off: %s", error)
            return False
        return self.recovery.pending

    def salvage_all(self) -> int:
        """Bring everything home now; returns how many batches came since the start."""
        while self.rest():
            continue
        return self.recovery.salvaged

    def flush(self) -> None:
        """Write marks that no append has carried; failing is no loss."""
        try:
            if self.store.changed:
                self._guarded(lambda: self.store.flush())
        except TROUBLE as error:
            log.warning("buffer: marks not written: %s", error)

    # ---- what is asked for

    def waiting(self, first: int, last: int | None, max_batches: int, max_bytes: int) -> list[Stored]:
        """Unacked batches with first <= number <= last, ascending."""
        end = NUMBER_MAX if last is None else last
        now = self._clock.wall_ns()
        return self._read(lambda: self.store.waiting(first, end, max_batches, max_bytes, now)) or []

    def kept(self, span: Span, max_batches: int, max_bytes: int) -> list[Stored]:
        now = self._clock.wall_ns()
        return self._read(lambda: self.store.kept(span, max_batches, max_bytes, now)) or []

    def _read(self, work: Callable[[], T]) -> T | None:
        try:
            return self._guarded(work)
        except TROUBLE as error:
            log.error("buffer: cannot be read now: %s", error)
            return None

    def mark(self, stored: Sequence[Span], settled: Sequence[Span], refused: Sequence[Refused]) -> None:
        for span, reason in refused:
            log.error("buffer: refused by the aggregator: batches %s: %s", span, reason)
        self._read(lambda: self.store.mark(stored, settled, refused))

    def gauges(self) -> dict[str, float]:
        return self.store.account.gauges(DROPPED) | {
            "salvaged_batches": self.recovery.salvaged,
            "disk_full_events": self.full_events,
            "torn_commits": self.recovery.torn,
            "ballast_held": int(self.ballast.held),
        }

    def close(self) -> None:
        """Make everything durable and remember that this was a clean end."""
        try:
            self.store.close()
            self.epochs.end(self.store.account.newest)
        except TROUBLE as error:
            log.error("buffer: not closed cleanly: %s", error)
        finally:
            self._lock.release()
