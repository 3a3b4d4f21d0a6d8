"""Everything that the buffer has on disk, kept alive: lock, epoch file, ballast, and the store between them.

A full disk costs the oldest readings of the lowest class, damage costs what is damaged, and neither ever stops the
gateway: `append` always returns. Synchronous and for one thread; `writer.py` gives it one.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import apsw

from edge_agent.buffer import epoch as epochs
from edge_agent.buffer import logcheck
from edge_agent.buffer.ballast import Ballast
from edge_agent.buffer.database import PAGE, WAL_PAGES, Damaged, judged
from edge_agent.buffer.epoch import Epoch
from edge_agent.buffer.faults import BufferFault
from edge_agent.buffer.gather import readings_in
from edge_agent.buffer.lock import Lock
from edge_agent.buffer.press import Press
from edge_agent.buffer.retention import MB, Limits, Retention
from edge_agent.buffer.salvage import Salvage, set_aside
from edge_agent.buffer.store import Fresh, Store
from edge_agent.buffer.stored import EPOCH_MAX, NUMBER_MAX, Refused, Stored, key_of
from edge_agent.image import Frame
from protos.batch import Priority
from protos.clock import Anchor, Clock
from protos.span import Span

log = logging.getLogger(__name__)
T = TypeVar("T")

DATABASE, EPOCH, BALLAST, LOCK = "buffer.sqlite", "buffer.epoch", "buffer.ballast", "buffer.lock"
ATTEMPTS = 4  # of one append on a full disk, each making more room
MARGIN = 64 << 10  # of the file's own size that stays free on a full disk: pages that a tree may need beside the rows
STEP = 256 << 10  # more to free at each further attempt on a full disk
FAULTS_MAX = 3  # times that one operation may find damage before it is given up
DISK_FULL, DISK_ERROR, NO_ROOM, UNFIT = "disk_full", "disk_error", "buffer_full", "unfit"
DROPPED = (DISK_FULL, DISK_ERROR, NO_ROOM, UNFIT)  # why readings are


@dataclass(frozen=True, slots=True)
class Place:
    """Where a buffer lives and how its files are opened; the last two are for tests of power cuts."""

    directory: Path
    gateway: str
    vfs: str | None = None
    synchronous: str = "FULL"

    @property
    def database(self) -> Path:
        return self.directory / DATABASE


class Cabinet:
    """Raises Locked, Unsafe or BufferFault when it cannot be opened at all."""

    def __init__(self, place: Place, clock: Clock, limits: Limits) -> None:
        self._place = place
        self._clock = clock
        self._retention = Retention.of(limits)
        self._press = Press(place.gateway)
        self._salvage: Salvage | None = None
        self._ceiling: int | None = None
        self.full_events = 0
        self.salvaged = 0
        self.torn = 0  # incomplete commits found at start: 0 or 1
        place.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = Lock(place.directory / LOCK)
        try:
            self.ballast = Ballast(place.directory / BALLAST, limits.ballast_mb * MB)
            self._said = epochs.read(place.directory / EPOCH)
            self._inspect_log()
            self.store = self._open()
            self.epoch = self._begin_epoch()
        except BaseException:
            self._lock.release()
            raise

    # ---- opening, damage

    def _inspect_log(self) -> None:
        """Look at what a crash left of the log: SQLite itself would begin at its sound part and not say a word."""
        path, said = self._place.database, self._said
        if (said is not None and said.closed_at >= 0) or not path.exists():
            return
        state = logcheck.inspect(path, PAGE)
        log_file = Path(f"{path}-wal")
        size = log_file.stat().st_size if log_file.exists() else 0
        if state.torn:
            self.torn += 1
            log.warning("buffer: the last commit before the crash is incomplete; it was not yet confirmed to anybody")
        if state.damaged or (said is not None and size < said.log_bytes):
            self._retire(Damaged(f"{log_file}: {state.commits_beyond} commits cannot be reached, {size} bytes left"))

    def _open(self) -> Store:
        """The store, a new one where the old one is damaged."""
        for _ in range(FAULTS_MAX):
            try:
                with judged(self._place.database):
                    return self._opened()
            except Damaged as error:
                self._retire(error)
            except apsw.FullError:
                self.ballast.release()
            except apsw.Error as error:
                raise BufferFault(f"{self._place.database}: {error}; check the disk and its rights") from error
        raise BufferFault(f"{self._place.database}: cannot be opened; check the disk, or move the file away")

    def _opened(self) -> Store:
        options = {"synchronous": self._place.synchronous} | ({"vfs": self._place.vfs} if self._place.vfs else {})
        store = Store(self._place.database, self._place.gateway, self._retention, **options)
        if self._salvage is not None and not store.account.received:
            self._adopt(store, self._salvage)
        elif store.lost_account or store.missing:
            store.account.damaged += 1
            store.changed = True
            log.error(
                "buffer: damage found: %d waiting readings missing, account %s",
                store.missing,
                "made up from the rows" if store.lost_account else "corrected",
            )
        return store

    def _adopt(self, store: Store, salvage: Salvage) -> None:
        """Go on with the counters and acks of the damaged database, as far as they can be read."""
        store.account = salvage.account() or store.account
        store.account.recount(())
        store.account.damaged += 1
        store.changed = True

    def _retire(self, error: Exception) -> None:
        """Put the damaged database out of the way; what is readable in it comes back step by step."""
        aside = set_aside(self._place.database)
        log.error("buffer: damaged (%s); set aside as %s, a new one is begun", error, aside.name)
        self._salvage = Salvage(aside, self._place.gateway)

    def _start_over(self, error: Exception) -> None:
        try:
            self.store.database.close()
        except apsw.Error as trouble:
            log.warning("buffer: the damaged file does not close: %s", trouble)
        self._retire(error)
        self._resume()

    def _resume(self) -> None:
        """Go on with a database of its own, the old account and a new epoch. Raises BufferFault."""
        old = self.store.account
        self.store = self._open()
        self.store.account = old
        old.damaged += 1
        old.recount(())
        self.store.changed = True
        number = max(self.epoch.number, key_of(old.newest)[0]) + 1
        self.epoch = Epoch(number, log_bytes=0 if self._place.vfs else self.store.database.reserve())
        self._write_epoch(self.epoch)

    def _guarded(self, work: Callable[[], T]) -> T:
        """Do `work`, beginning a new database when this one turns out to be damaged."""
        for _ in range(FAULTS_MAX):
            try:
                with judged(self._place.database):
                    return work()
            except Damaged as error:
                self._start_over(error)
        raise BufferFault(f"{self._place.database}: damaged {FAULTS_MAX} times in a row; check the disk")

    # ---- epochs

    def _begin_epoch(self) -> Epoch:
        path = self._place.directory / EPOCH
        said = self._said
        account = self.store.account
        there, newest = key_of(account.newest)
        first = said is None and not there and self._salvage is None and not path.exists()
        begun = epochs.begin(said, there, newest, first=first)
        if self._salvage is not None:
            begun = Epoch(max(begun.number, (said.number if said else epochs.LEAP) + 1))
        if said is None and not first:
            account.damaged += 1
            log.error("buffer: %s is damaged; a new epoch, %d, is begun", path, begun.number)
        if self._place.vfs is None:
            begun = replace(begun, log_bytes=self.store.database.reserve())
        self._write_epoch(begun)
        return begun

    def _write_epoch(self, epoch: Epoch) -> None:
        try:
            epochs.write(self._place.directory / EPOCH, epoch)
        except OSError as error:  # rows of this epoch in the database say the same at the next start
            log.error("buffer: the epoch file cannot be written: %s", error)

    def raise_epoch(self, floor: int) -> int:
        """Go on in an epoch above `floor`. Raises ValueError for one that no gateway can have used."""
        if not 0 <= floor < EPOCH_MAX:
            raise ValueError(f"epoch {floor}: not between 0 and {EPOCH_MAX - 1}; the aggregator must be wrong")
        if self.epoch.number <= floor:
            self.epoch = replace(self.epoch, number=floor + 1)
            self._write_epoch(self.epoch)
        return self.epoch.number

    # ---- appending

    def append(self, frames: Sequence[Frame], priority: Priority, anchor: Anchor) -> int:
        """Commit `frames`; returns the newest sequence once it is durable, 0 when all had to be dropped."""
        try:
            if self.store.database.closed:  # what came instead of a damaged one could not be opened then
                self._resume()
            return self._guarded(lambda: self._append(frames, priority, anchor))
        except (apsw.Error, Damaged, BufferFault) as error:
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
        sequence = newest if there == self.epoch.number else 0
        press = self._press
        fresh = press.encode(frames, (self.epoch.number, sequence), priority, anchor, self._clock.monotonic_ns())
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
        except apsw.Error as error:
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
        except (apsw.Error, Damaged) as error:
            log.warning("buffer: checkpoint put off: %s", error)
        if self._salvage is not None and not self._guarded(self._salvage_step):
            self._salvage = None
        return self._salvage is not None

    def _salvage_step(self) -> bool:
        """Take the next rows home; False when there are no more."""
        assert self._salvage is not None
        found = self._salvage.step()
        try:
            home = self.store.restore(found)
        except apsw.Error as error:
            log.error("buffer: salvage of %s ended: %s", self._salvage.aside.name, error)
            return False
        if not found:
            log.warning("buffer: %d batches salvaged from %s", self.salvaged, self._salvage.aside.name)
        self.salvaged += home
        return bool(found)

    def salvage_all(self) -> int:
        while self._salvage is not None:
            self.rest()
        return self.salvaged

    def flush(self) -> None:
        """Write marks that no append has carried; failing is no loss."""
        try:
            if self.store.changed:
                self._guarded(lambda: self.store.flush())
        except apsw.Error as error:
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
        except (apsw.Error, Damaged) as error:
            log.error("buffer: cannot be read now: %s", error)
            return None

    def mark(self, stored: Sequence[Span], settled: Sequence[Span], refused: Sequence[Refused]) -> None:
        for span, reason in refused:
            log.error("buffer: refused by the aggregator: batches %s: %s", span, reason)
        self._read(lambda: self.store.mark(stored, settled, refused))

    def gauges(self) -> dict[str, float]:
        return self.store.account.gauges(DROPPED) | {
            "salvaged_batches_total": self.salvaged,
            "disk_full_total": self.full_events,
            "torn_commits": self.torn,
            "ballast_held": int(self.ballast.held),
        }

    def close(self) -> None:
        """Make everything durable and remember that this was a clean end."""
        try:
            self.store.close()
            there, newest = key_of(self.store.account.newest)
            clean = self._salvage is None
            if clean:
                self._write_epoch(Epoch(self.epoch.number, newest if there == self.epoch.number else 0))
        except (apsw.Error, Damaged) as error:
            log.error("buffer: not closed cleanly: %s", error)
        finally:
            self._lock.release()
