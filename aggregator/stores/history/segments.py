"""The history of one aggregator: days of segments in a folder. The writer's side; `archive.py` is the reader's.

Exactly once in effect: `put` writes each day's parts and its cursor in one transaction, then the checkpoint. After a
crash in between, the log is read again from the checkpoint, and each day skips what its own cursor says it has.
"""

import logging
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from aggregator.stores import StoreError
from aggregator.stores.history import (
    DAY_NS,
    HOUR_NS,
    NS,
    Account,
    Damage,
    HistoryError,
    Intake,
    Newest,
    PointName,
    Readings,
    Rollups,
    Window,
)
from aggregator.stores.history import state as states
from aggregator.stores.history.archive import Archive, day_names, day_of
from aggregator.stores.history.compaction import compact
from aggregator.stores.history.day import SUFFIX, Day
from aggregator.stores.history.segment import Press
from aggregator.stores.history.state import State

LOG = logging.getLogger(__name__)
OPEN_MAX = 16  # day files the writer keeps open: a backlog spreads over some days
GRACE_NS = 120 * NS  # after its end an hour still fills: batches are on their way
PARTS_MAX = 128  # of one layout and hour before they are compacted without waiting for its end
DISK = "check the disk's space and health"
UNREADABLE = (StoreError, apsw.Error, UnicodeDecodeError)
ASIDE = "damaged"  # folder for files that could not be read


class SegmentHistory:
    """Implements `aggregator.stores.history.History`. For one thread at a time; one process at a time writes."""

    def __init__(
        self, directory: Path, *, retention_days: int = 0, vfs: str | None = None, day: type[Day] = Day
    ) -> None:
        """Opens or makes the history in `directory`; `retention_days` 0 keeps all.

        Files that cannot be read are set aside, noted in `damage`, and their days in `lost`. Raises StoreError.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.retention_days = retention_days
        self.damage: list[Damage] = []
        self.lost: set[str] = set()  # days to be rebuilt from the log
        self._vfs = vfs
        self._kind = day
        self._press = Press()
        self._days: OrderedDict[str, Day] = OrderedDict()
        self._dirty: set[tuple[str, int, int]] = set()  # (day, layout, hour) with parts
        self._state = self._open_state()
        self._look_for_parts()
        self._archive: Archive | None = None

    @property
    def checkpoint(self) -> int:
        return self._state.checkpoint

    @property
    def archive(self) -> Archive:
        """Reads what is written here, for the same thread."""
        if self._archive is None:
            self._archive = Archive(self.directory, self._vfs)
        return self._archive

    def put(self, intake: Intake, upto: int) -> Account:
        account = Account()
        if upto <= self.checkpoint:
            account.skipped = len(intake.pieces)
            return account
        groups = by_day(intake)
        self._state.announce({name: min(one.position for one in part.origins) for name, part in groups.items()})
        for name, part in groups.items():
            day = self._day(name)
            fresh = newer(part, day.cursor)
            account.skipped += len(part.pieces) - len(fresh.pieces)
            if upto > day.cursor:
                with self._writing(name):
                    account.readings += day.put(fresh, upto)
                account.days.add(name)
                self._dirty.update(day.touched)
                account.parts += len(day.touched)
        keys = {one.position: (one.epoch, one.sequence) for one in intake.origins}
        try:
            self._state.advance(upto, intake.pieces, intake.words, keys)
        except apsw.Error as error:
            raise HistoryError(
                f"{self._state.path}: not written: {error}; check the disk's space and health"
            ) from error
        return account

    def compact(self, now_ns: int) -> int:
        """`now_ns`: UTC, as the log has it. An hour is over GRACE_NS after its end."""
        moved = 0
        over = (now_ns - GRACE_NS) // HOUR_NS
        for name, layout, hour in sorted(self._dirty):
            day = self._day(name)
            if hour < over or parts(day, layout, hour) > PARTS_MAX:
                with self._writing(name):
                    moved += compact(day, layout, hour)
                self._dirty.discard((name, layout, hour))
        return moved

    def retain(self, now_ns: int) -> list[str]:
        """A day is kept for `retention_days` after its last reading arrived, so late ones get their time too."""
        gone: list[str] = []
        if not self.retention_days:
            return gone
        horizon = now_ns - self.retention_days * DAY_NS
        for name in day_names(self.directory):
            if name[:10] > day_of(horizon):
                continue  # readings arrive after their day begins, so this one has younger ones
            if self._day(name).marks["last_arrival_ns"] < horizon:
                self.unlink(name)
                gone.append(name)
        return gone

    def unlink(self, name: str) -> None:
        """Forget a day."""
        if name in self._days:
            self._days.pop(name).close()
        remove(self.directory / (name + SUFFIX))
        self._state.forget(name)
        self._dirty = {one for one in self._dirty if one[0] != name}

    def adopt(self, staged: Path, name: str) -> None:
        """Put the closed day file at `staged` in the place of day `name`, in one rename."""
        if name in self._days:
            self._days.pop(name).close()
        target = self.directory / (name + SUFFIX)
        for rest in ("-wal", "-shm"):
            target.with_name(target.name + rest).unlink(missing_ok=True)
        staged.replace(target)
        self.lost.discard(name)
        self._dirty = {one for one in self._dirty if one[0] != name}
        self._note_parts(name)

    def first_position(self, name: str) -> int:
        """The log position of the first batch with readings of day `name`; 0 when it is not known."""
        return self._state.first_position(name)

    def days(self) -> list[str]:
        return day_names(self.directory)

    def scan(self, point: PointName, window: Window) -> Readings:
        return self.archive.scan(point, window)

    def rollups(self, point: PointName, window: Window) -> Rollups:
        return self.archive.rollups(point, window)

    def latest(self) -> Iterable[Newest]:
        return self.archive.latest()

    def points(self) -> list[PointName]:
        return self.archive.points()

    def close(self) -> None:
        if self._archive is not None:
            self._archive.close()
        for day in self._days.values():
            day.close()
        self._days.clear()
        self._state.close()

    def _open_state(self) -> State:
        """The state; when it is damaged it is set aside and its checkpoint found again from the days."""
        try:
            return State(self.directory, self._vfs)
        except UNREADABLE as error:
            self._set_aside(self.directory / states.NAME, error)
        state = State(self.directory, self._vfs)
        cursors = [self._day(name).cursor for name in day_names(self.directory)]
        if cursors:
            state.advance(min(cursors), (), (), {})
        return state

    def _look_for_parts(self) -> None:
        """In the days that were written last: an older one is looked at when something late comes for it."""
        written = {name: (self.directory / (name + SUFFIX)).stat().st_mtime_ns for name in day_names(self.directory)}
        for name in sorted(written, key=written.__getitem__)[-OPEN_MAX:]:
            self._note_parts(name)

    def _note_parts(self, name: str) -> None:
        found = self._day(name).connection.execute("SELECT DISTINCT layout, hour FROM part")
        self._dirty.update((name, layout, hour) for layout, hour in found)

    def _day(self, name: str) -> Day:
        if name not in self._days:
            while len(self._days) >= OPEN_MAX:
                self._days.popitem(last=False)[1].close()
            path = self.directory / (name + SUFFIX)
            try:
                self._days[name] = self._kind(path, self._press, self._vfs)
            except UNREADABLE as error:
                self._set_aside(path, error)
                self.lost.add(name)
                self._days[name] = self._kind(path, self._press, self._vfs)
        self._days.move_to_end(name)
        return self._days[name]

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        """Errors of SQLite as ours; a day whose file turns out to be damaged is set aside, to be made again."""
        path = self.directory / (name + SUFFIX)
        try:
            yield
        except (apsw.CorruptError, apsw.NotADBError) as error:
            self._days.pop(name).close()
            self._set_aside(path, error)
            self.lost.add(name)
            raise HistoryError(f"{path}: damaged: {error}; it is made again from the log") from error
        except apsw.Error as error:
            raise HistoryError(f"{path}: not written: {error}; {DISK}") from error

    def _set_aside(self, path: Path, error: Exception) -> None:
        """Keep a file that cannot be read, out of the way, for whoever wants to look into it."""
        aside = self.directory / ASIDE
        aside.mkdir(exist_ok=True)
        number = 1 + sum(1 for _ in aside.glob(path.name + ".*"))
        LOG.error("%s set aside as %s.%d: %s", path, aside / path.name, number, error)
        self.damage.append(Damage(str(path), "the whole file", f"{error}; set aside in {aside}"))
        path.replace(aside / f"{path.name}.{number}")
        remove(path)


def by_day(intake: Intake) -> dict[str, Intake]:
    """`intake` of each day, with only the batches that have something of it."""
    names = sorted({one.slot.day for one in intake.pieces} | {one.slot.day for one in intake.words})
    if len(names) == 1:
        return {names[0]: with_own_origins(intake)}
    return {
        name: with_own_origins(
            Intake(
                intake.origins,
                [one for one in intake.pieces if one.slot.day == name],
                [one for one in intake.words if one.slot.day == name],
            )
        )
        for name in names
    }


def with_own_origins(intake: Intake) -> Intake:
    positions = {one.position for one in intake.pieces} | {one.position for one in intake.words}
    return Intake([one for one in intake.origins if one.position in positions], intake.pieces, intake.words)


def newer(intake: Intake, cursor: int) -> Intake:
    """What comes from log positions after `cursor`."""
    if all(one.position > cursor for one in intake.origins):
        return intake
    return Intake(
        [one for one in intake.origins if one.position > cursor],
        [one for one in intake.pieces if one.position > cursor],
        [one for one in intake.words if one.position > cursor],
    )


def parts(day: Day, layout: int, hour: int) -> int:
    return int(day.connection.execute("SELECT count(*) FROM part WHERE layout = ? AND hour = ?", (layout, hour)).get)


def remove(path: Path) -> None:
    """A closed database with what SQLite keeps beside it; the log first, so that nothing is left to be replayed."""
    for rest in ("-wal", "-shm", ""):
        path.with_name(path.name + rest).unlink(missing_ok=True)
