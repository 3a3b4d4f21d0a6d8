"""All days together, read-only: what a question about history is put to."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TypeVar

import apsw
import numpy as np
import numpy.typing as npt

from aggregator.stores import StoreError, sqlite
from aggregator.stores.history import (
    DAY_NS,
    Damage,
    HistoryError,
    Ints,
    Layout,
    Newest,
    Origin,
    PointName,
    Readings,
    Rollups,
    Window,
    Words,
    empty,
)
from aggregator.stores.history import state as states
from aggregator.stores.history.day import SUFFIX
from aggregator.stores.history.pieces import IMPOSSIBLE
from aggregator.stores.history.reading import DayReader, Table, Tally
from aggregator.stores.history.segment import Press

T = TypeVar("T")
EPOCH = date(1970, 1, 1)
OPEN_MAX = 40  # day files kept open: a month and some

Mask = npt.NDArray[np.bool_]
Cursors = dict[str, int]  # day → log position up to which it was seen


class Archive:
    """For one thread at a time, any number of them beside one writer. `damage` lists what was left out."""

    def __init__(self, directory: Path, vfs: str | None = None) -> None:
        """Raises HistoryError when there is no history in `directory`."""
        self.directory = directory
        self.damage: list[Damage] = []
        self._vfs = vfs
        self._press = Press()
        self._open: dict[str, tuple[int, DayReader]] = {}  # by name: inode, reader
        if not (directory / states.NAME).exists():
            raise HistoryError(f"{directory}: no history here; check the path, or start `aggregator serve` first")
        self._state = sqlite.connect(directory / states.NAME, read_only=True, vfs=vfs)

    @property
    def checkpoint(self) -> int:
        return self._of_state(states.checkpoint)

    def days(self) -> list[str]:
        """Names of the day files, ascending."""
        return day_names(self.directory)

    def days_in(self, window: Window) -> int:
        """How many day files a question about `window` looks at."""
        first, last = day_of(window.first_ns), day_of(window.until_ns - 1)
        return sum(first <= name[:10] <= last for name in self.days())

    def extent(self, window: Window) -> Window:
        """`window` cut to the days that there are, so that it can be divided; times that cannot be true are outside."""
        days = [name for name in self.days() if not name.endswith(IMPOSSIBLE)]
        if not days:
            return window
        begin = (date.fromisoformat(days[0]) - EPOCH).days * DAY_NS
        end = (date.fromisoformat(days[-1]) - EPOCH).days * DAY_NS + 2 * DAY_NS  # and what is not yet in a file
        first = max(begin, window.first_ns)
        return replace(window, first_ns=first, until_ns=max(first + 1, min(end, window.until_ns)))

    def latest(self) -> list[Newest]:
        return self._of_state(lambda state: list(states.rows(state)))

    def latest_words(self) -> list[tuple[str, str, str, int, int, int, int, int, str]]:
        return self._of_state(lambda state: list(states.words(state)))

    def points(self) -> list[PointName]:
        """Every point that ever had a reading, ascending."""
        numbers = (PointName(*one.layout[:2], name) for one in self.latest() for name in one.layout.points)
        return sorted({*numbers, *(PointName(*row[:3]) for row in self.latest_words())})

    def scan(self, point: PointName, window: Window, cursors: Cursors | None = None) -> Readings:
        """The readings of `point` in `window`. `cursors`, when given, is filled with what each day was asked at."""

        def ask(reader: DayReader) -> Iterator[Readings]:
            for table in reader.tables(point, window):
                rows = in_window(table, window)
                if len(rows):
                    yield self._readings(reader, table, rows, window)

        return joined(point, list(self._each(window, cursors, ask)), window)

    def words(
        self, point: PointName | None, window: Window, cursors: Cursors | None = None
    ) -> list[tuple[Words, Origin]]:
        """Strings, with the batch that brought each."""

        def ask(reader: DayReader) -> Iterator[tuple[Words, Origin]]:
            texts = list(reader.words(point, window))
            positions = [one.position for one in texts]
            origins = reader.origins(min(positions), max(positions)) if positions else {}
            for one in texts:
                origin = origins.get(one.position)
                if origin and (window.as_of_ns is None or origin.arrived_ns <= window.as_of_ns):
                    yield one, origin

        return list(self._each(window, cursors, ask))

    def rollups(self, point: PointName, window: Window, cursors: Cursors | None = None) -> Rollups:
        """Of the hours wholly inside the window. `as_of_ns` must be None: rollups know the present only."""
        if window.as_of_ns is not None:
            raise HistoryError("rollups are as known now; scan and reduce for an earlier view")
        return rolled(self.tallies(point, window, cursors))

    def tallies(self, point: PointName, window: Window, cursors: Cursors | None = None) -> list[Tally]:
        """What the rollups of `window` are made of."""

        def ask(reader: DayReader) -> Iterator[Tally]:
            return iter(()) if reader.name.endswith(IMPOSSIBLE) else reader.tallies(point, window)

        return list(self._each(window, cursors, ask))

    def sheets(
        self, window: Window, wanted: Callable[[PointName], bool] | None = None, cursors: Cursors | None = None
    ) -> Iterator[tuple[Table, dict[int, Origin]]]:
        """Everything in `window` of the points `wanted`, in tables of one layout and hour, with their batches."""

        def ask(reader: DayReader) -> Iterator[tuple[Table, dict[int, Origin]]]:
            columns = None
            if wanted is not None:
                columns = {layout: chosen(layout, wanted) for layout in reader.layouts()}
            for table in reader.sheets(window, columns):
                origins = reader.origins(int(table.batches.min()), int(table.batches.max()))
                known, _, _, arrived = key_columns(origins, table.positions)
                if window.as_of_ns is not None:
                    known = known & (arrived <= window.as_of_ns)
                rows = in_window(table, window)
                rows = rows[known[rows]]
                if len(rows):
                    yield cut(table, rows), origins

        yield from self._each(window, cursors, ask)

    def close(self) -> None:
        for _, reader in self._open.values():
            reader.close()
        self._open.clear()
        self._state.close()

    def origins(self, day: str, first: int, last: int) -> dict[int, Origin]:
        return self._reader(day).origins(first, last)

    def _of_state(self, ask: Callable[[apsw.Connection], T]) -> T:
        try:
            return ask(self._state)
        except (apsw.Error, UnicodeDecodeError) as error:
            path = self.directory / states.NAME
            raise HistoryError(f"{path}: cannot be read: {error}; it is found again when the server starts") from error

    def _readers(self, window: Window) -> Iterator[DayReader]:
        """Of the days that can have something in the window, ascending; a day that cannot be opened is damage."""
        first, last = day_of(window.first_ns), day_of(window.until_ns - 1)
        for name in self.days():
            if name.endswith(IMPOSSIBLE) or first <= name <= last:
                path = self.directory / (name + SUFFIX)
                try:
                    reader = self._reader(name)
                    if reader.connection.execute("SELECT count(*) FROM sqlite_schema").get:  # else just being made
                        yield reader
                except (StoreError, apsw.Error) as error:
                    if path.exists():  # else it has just been kept long enough
                        self.damage.append(Damage(str(path), "the whole file", str(error)))

    def _reader(self, name: str) -> DayReader:
        path = self.directory / (name + SUFFIX)
        inode = path.stat().st_ino if path.exists() else -1
        if name in self._open and self._open[name][0] != inode:  # replaced by a rebuild
            self._open.pop(name)[1].close()
        if name not in self._open:
            while len(self._open) >= OPEN_MAX:
                self._open.pop(next(iter(self._open)))[1].close()
            self._open[name] = (inode, DayReader(path, self._press, self._vfs))
        return self._open[name][1]

    def _each(self, window: Window, cursors: Cursors | None, ask: Callable[[DayReader], Iterator[T]]) -> Iterator[T]:
        """What `ask` finds in each day, from one snapshot of it; damage, up to a whole file, is listed, not raised."""
        for reader in self._readers(window):
            try:
                with reader.snapshot() as marks:
                    if cursors is not None:
                        cursors[reader.name] = marks["cursor"]
                    yield from ask(reader)
            except HistoryError as error:
                self.damage.append(Damage(str(reader.path), "the whole file", str(error)))
            finally:
                self.damage.extend(reader.damage)
                reader.damage.clear()

    def _readings(self, reader: DayReader, table: Table, rows: Ints, window: Window) -> Readings:
        """One table's rows as readings, less those that had not arrived by `as_of_ns`."""
        point = PointName(table.gateway, table.device, table.points[0])
        whole = len(rows) == len(table.source_ns)
        columns = [table.source_ns, table.receive_ns, table.values[0], table.codes[0]]
        if not whole:
            columns = [column[rows] for column in columns]
        if not window.keys and window.as_of_ns is None:
            return Readings(point, *columns)
        origins = reader.origins(int(table.batches.min()), int(table.batches.max()))
        positions = table.positions[rows]
        known, epoch, sequence, arrived = key_columns(origins, positions)
        if window.as_of_ns is not None:
            known &= arrived <= window.as_of_ns
        return Readings(point, *(column[known] for column in (*columns, positions, epoch, sequence, arrived)))


def key_columns(origins: dict[int, Origin], positions: Ints) -> tuple[Mask, Ints, Ints, Ints]:
    """Whether the batch of each position is known, its epoch, its sequence, its arrival."""
    known = np.array(sorted(origins), np.int64)
    if not len(known):
        none = np.zeros(len(positions), np.int64)
        return np.zeros(len(positions), bool), none, none, none
    fields = np.array([origins[p][2:] for p in known.tolist()], np.int64)
    at = np.minimum(np.searchsorted(known, positions), len(known) - 1)
    epoch, sequence, arrived = fields[at].T
    return known[at] == positions, epoch, sequence, arrived


def in_window(table: Table, window: Window) -> Ints:
    times = table.source_ns
    if window.first_ns <= times.min() and times.max() < window.until_ns:
        return np.arange(len(times))
    return np.flatnonzero((times >= window.first_ns) & (times < window.until_ns))


def joined(point: PointName, found: list[Readings], window: Window) -> Readings:
    """By source time; what has the same time stays as it was found, which is as it came."""
    if not found:
        return empty(point, window.keys)
    names = ["source_ns", "receive_ns", "values", "codes"]
    names += ["positions", "epochs", "sequences", "arrived_ns"] if window.keys else []
    columns = {name: np.concatenate([getattr(one, name) for one in found]) for name in names}
    times = columns["source_ns"]
    if (times[1:] < times[:-1]).any():
        order = np.argsort(times, kind="stable")
        columns = {name: column[order] for name, column in columns.items()}
    return Readings(point, **columns)


def rolled(tallies: list[Tally]) -> Rollups:
    """Tallies of the same hour become one."""
    hours: dict[int, Tally] = {}
    for one in sorted(tallies, key=lambda tally: (tally.hour, tally.last_ns)):
        hours[one.hour] = combined(hours[one.hour], one) if one.hour in hours else one
    rows = list(hours.values())
    low, high, mean, last = np.array([(one.low, one.high, one.mean, one.last) for one in rows]).reshape(-1, 4).T
    hour, readings, usable, last_ns = (
        np.array([(one.hour, one.readings, one.usable, one.last_ns) for one in rows], np.int64).reshape(-1, 4).T
    )
    return Rollups(hour, readings, usable, low, high, mean, last, last_ns)


def combined(a: Tally, b: Tally) -> Tally:
    """`b` ends later, or has nothing usable and `a` neither."""
    if not a.usable or not b.usable:
        some = b if b.usable else a
        return replace(some, readings=a.readings + b.readings)
    usable = a.usable + b.usable
    return Tally(
        a.hour,
        a.readings + b.readings,
        usable,
        min(a.low, b.low),
        max(a.high, b.high),
        a.mean + (b.mean - a.mean) * (b.usable / usable),
        b.last,
        b.last_ns,
    )


def chosen(layout: Layout, wanted: Callable[[PointName], bool]) -> tuple[int, ...]:
    return tuple(
        place for place, name in enumerate(layout.points) if wanted(PointName(layout.gateway, layout.device, name))
    )


def cut(table: Table, rows: Ints) -> Table:
    if len(rows) == len(table.source_ns):
        return table
    return replace(
        table,
        source_ns=table.source_ns[rows],
        receive_ns=table.receive_ns[rows],
        batches=table.positions[rows],
        counts=np.ones(len(rows), np.int64),
        values=table.values[:, rows],
        codes=table.codes[:, rows],
    )


def day_names(directory: Path) -> list[str]:
    return sorted(path.stem for path in directory.glob("[0-9]*" + SUFFIX))


def day_of(utc_ns: int) -> str:
    return (EPOCH + timedelta(days=utc_ns // DAY_NS)).isoformat()
