"""Asking one day of history: from any process, beside the one that writes. Damaged blobs are left out and listed.

Every question is answered from one read transaction, together with the cursor up to which the day has everything.
"""

import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw
import numpy as np
import numpy.typing as npt

from aggregator.stores import sqlite
from aggregator.stores.history import (
    Codes,
    Damage,
    DamagedPart,
    Floats,
    HistoryError,
    Ints,
    Layout,
    Origin,
    PointName,
    Slot,
    Window,
    Words,
)
from aggregator.stores.history.day import (
    Place,
    axis_identity,
    genuine,
    layout_ids,
    marks,
    members,
    part_identity,
    segment_identity,
)
from aggregator.stores.history.segment import Axis, Press, check, decode_axis, decode_part, decode_segment, roll_up

SEGMENTS = """
    SELECT layout, hour, number, axis.rows, axis.first_ns, axis.last_ns, axis.first_arrival_ns, axis.last_arrival_ns,
           usable, low, high, mean, last, segment.last_ns, segment.blob, axis.blob
    FROM segment JOIN axis USING (layout, hour, number)
    WHERE point = ? AND hour BETWEEN ? AND ? AND axis.last_ns >= ? AND axis.first_ns < ? AND axis.first_arrival_ns <= ?
    ORDER BY hour, layout, number"""
PARTS = """
    SELECT layout, hour, number, rows, first_ns, last_ns, first_arrival_ns, last_arrival_ns, place, crc, blob
    FROM member JOIN part USING (layout)
    WHERE point = ? AND hour BETWEEN ? AND ? AND last_ns >= ? AND first_ns < ? AND first_arrival_ns <= ?
    ORDER BY hour, layout, number"""
AXES = """
    SELECT layout, hour, number, rows, first_ns, last_ns, first_arrival_ns, last_arrival_ns, blob FROM axis
    WHERE layout = ? AND hour BETWEEN ? AND ? AND last_ns >= ? AND first_ns < ? AND first_arrival_ns <= ?
    ORDER BY hour, number"""
PARTS_OF_LAYOUT = AXES.replace("axis", "part")
SHEET = """
    SELECT point, rows, usable, low, high, mean, last, last_ns, blob FROM segment
    WHERE hour = ? AND layout = ? AND number = ?"""
TALLIES = """
    SELECT layout, hour, number, rows, usable, low, high, mean, last, last_ns, blob FROM segment
    WHERE point = ? AND hour BETWEEN ? AND ?"""
POINT = "SELECT id, crc FROM point WHERE gateway = ? AND device = ? AND name = ?"
EVER = np.iinfo(np.int64).max
HOUR = 3_600_000_000_000

# A flipped bit in a row's head makes an integer a float, a blob or nothing: it shows when the row is taken apart.
MANGLED = (DamagedPart, struct.error, TypeError, ValueError, OverflowError)

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Table:
    """T rows of some of a layout's points, as they came, of R batches. `values`, `codes` (P, T)."""

    gateway: str
    device: str
    points: tuple[str, ...]
    source_ns: Ints
    receive_ns: Ints
    batches: Ints  # (R,) log positions; empty when nobody asked for keys
    counts: Ints  # (R,) rows of each
    values: Floats
    codes: Codes

    @property
    def positions(self) -> Ints:
        """(T,)"""
        return np.repeat(self.batches, self.counts)


@dataclass(frozen=True, slots=True)
class Tally:
    """What one set of readings of an hour comes to: a row of the rollup before rows of the same hour are joined."""

    hour: int
    readings: int
    usable: int
    low: float
    high: float
    mean: float
    last: float
    last_ns: int


class DayReader:
    """Read-only. For one thread at a time."""

    def __init__(self, path: Path, press: Press, vfs: str | None = None) -> None:
        self.path = path
        self.name = path.stem
        self.connection = sqlite.connect(path, read_only=True, vfs=vfs)
        self.press = press
        self.damage: list[Damage] = []

    @contextmanager
    def snapshot(self) -> Iterator[dict[str, int]]:
        """One read transaction, with the day's marks. Raises HistoryError for a file that is damaged."""
        try:
            self.connection.execute("BEGIN")
            try:
                yield marks(self.connection, self.path)
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
        except (apsw.Error, UnicodeDecodeError) as error:
            raise HistoryError(f"{self.path}: cannot be read: {error}; `aggregator replay` rebuilds the day") from error

    def tables(self, point: PointName, window: Window) -> Iterator[Table]:
        """What there is of one point: segments, then parts; not yet cut to the window's ends."""
        number = self._number(point)
        if number is None:
            return
        bounds = (window.first_ns, window.until_ns, EVER if window.as_of_ns is None else window.as_of_ns)
        hours = self._hours(window)
        batches = window.keys or window.as_of_ns is not None
        for *row, data, blob in self.connection.execute(SEGMENTS, (number, *hours, *bounds)):
            place: Place = tuple(row[:8])
            with self._guard(f"point {number} hour {place[1]} set {place[2]} of layout {place[0]}"):
                identity = segment_identity(number, *place[:4], row[8], row[9:13], row[13])
                axis = decode_axis(self.press, axis_identity(place), blob, batches=batches)
                values, codes = decode_segment(self.press, identity, data)
                if len(values) != len(axis.source_ns):
                    raise DamagedPart("segment: other rows than its axis")
                yield table(point.gateway, point.device, (point.name,), axis, values[None], codes[None])
        for *row, column, crc, blob in self.connection.execute(PARTS, (number, *hours, *bounds)):
            place = tuple(row)
            with self._guard(f"part {place[2]} of layout {place[0]} hour {place[1]}"):
                genuine(crc, "member", number, place[0], column)
                axis, values, codes = decode_part(self.press, part_identity(place), blob)
                one = slice(column, column + 1)
                yield table(point.gateway, point.device, (point.name,), axis, values[one], codes[one])

    def sheets(self, window: Window, wanted: Mapping[Layout, tuple[int, ...]] | None) -> Iterator[Table]:
        """Layouts, one after the other, hour by hour: what export and a district's view read.

        `wanted`: the columns of each layout; None for all of all.
        """
        bounds = (window.first_ns, window.until_ns, EVER if window.as_of_ns is None else window.as_of_ns)
        hours = self._hours(window)
        for layout, number in self.layouts().items():
            columns = tuple(range(len(layout.points))) if wanted is None else wanted.get(layout, ())
            if not columns:
                continue
            for *row, blob in self.connection.execute(AXES, (number, *hours, *bounds)):
                yield from self._sheet(layout, tuple(row), blob, columns)
            names, chosen = tuple(layout.points[column] for column in columns), list(columns)
            for *row, blob in self.connection.execute(PARTS_OF_LAYOUT, (number, *hours, *bounds)):
                place: Place = tuple(row)
                with self._guard(f"part {place[2]} of layout {number} hour {place[1]}"):
                    axis, values, codes = decode_part(self.press, part_identity(place), blob)
                    yield table(layout.gateway, layout.device, names, axis, values[chosen], codes[chosen])

    def _sheet(self, layout: Layout, place: Place, blob: bytes, columns: tuple[int, ...]) -> Iterator[Table]:
        where = f"set {place[2]} of layout {place[0]} hour {place[1]}"
        with self._guard(where):
            axis = decode_axis(self.press, axis_identity(place), blob)
            names, values, codes = [], [], []
            at = {point: column for column, point in enumerate(members(self.connection, place[0]))}
            key = (place[1], place[0], place[2])
            for point, rows, usable, *numbers, last_ns, data in self.connection.execute(SHEET, key):
                if at.get(point) not in columns:
                    continue
                with self._guard(f"point {point} of {where}"):
                    identity = segment_identity(point, *place[:3], rows, usable, numbers, last_ns)
                    one, code = decode_segment(self.press, identity, data)
                    if len(one) != len(axis.source_ns):
                        raise DamagedPart("segment: other rows than its axis")
                    names.append(layout.points[at[point]])
                    values.append(one)
                    codes.append(code)
            if names:
                yield table(layout.gateway, layout.device, tuple(names), axis, np.stack(values), np.stack(codes))

    def tallies(self, point: PointName, window: Window) -> Iterator[Tally]:
        """Of the hours that lie wholly in the window; `as_of_ns` is not regarded."""
        number = self._number(point)
        if number is None:
            return
        hours = (-(-window.first_ns // HOUR), window.until_ns // HOUR - 1)
        for layout, hour, which, rows, usable, *numbers, last_ns, blob in self.connection.execute(
            TALLIES, (number, *hours)
        ):
            with self._guard(f"point {number} hour {hour} set {which} of layout {layout}"):
                identity = segment_identity(number, layout, hour, which, rows, usable, numbers, last_ns)
                check("segment", identity, blob)
                low, high, mean, last = (np.nan if one is None else one for one in numbers)
                yield Tally(hour, rows, usable, low, high, mean, last, last_ns)
        for *row, column, crc, blob in self.connection.execute(PARTS, (number, *hours, -EVER, EVER, EVER)):
            place: Place = tuple(row)
            with self._guard(f"part {place[2]} of layout {place[0]} hour {place[1]}"):
                genuine(crc, "member", number, place[0], column)
                axis, values, codes = decode_part(self.press, part_identity(place), blob)
                yield tally(place[1], axis.source_ns, values[column], codes[column])

    def words(self, point: PointName | None, window: Window) -> Iterator[Words]:
        """Strings of one point, or of all, by point and time."""
        query = (
            "SELECT gateway, device, name, point.crc, point, source_ns, receive_ns, position, code, value, words.crc"
            " FROM words JOIN point ON point.id = point WHERE source_ns >= ? AND source_ns < ?"
        )
        values: tuple[object, ...] = (window.first_ns, window.until_ns)
        if point is not None:
            query += " AND gateway = ? AND device = ? AND name = ?"
            values += tuple(point)
        for gateway, device, name, point_crc, *row, crc in self.connection.execute(
            query + " ORDER BY point, source_ns, position",
            values,
        ):
            number, source, receive, position, code, value = row
            with self._guard(f"string of point {number} at {source}"):
                genuine(point_crc, "point", number, gateway, device, name)
                genuine(crc, *row)
                slot = Slot(self.name, source // HOUR)
                yield Words(slot, PointName(gateway, device, name), position, source, receive, code, value)

    def origins(self, first: int, last: int) -> dict[int, Origin]:
        """The batches of this day with log positions from `first` to `last`."""
        found = {}
        for *row, crc in self.connection.execute(
            "SELECT position, gateway, epoch, sequence, arrived_ns, crc FROM batch WHERE position BETWEEN ? AND ?",
            (first, last),
        ):
            with self._guard(f"batch {row[0]}"):
                genuine(crc, *row)
                found[row[0]] = Origin(*row)
        return found

    def layouts(self) -> dict[Layout, int]:
        """The layouts of the day; none when any of them is damaged."""
        with self._guard("layouts"):
            return layout_ids(self.connection)
        return {}

    def close(self) -> None:
        self.connection.close()

    def _number(self, point: PointName) -> int | None:
        """The number of a point in this day, None when the day has nothing of it."""
        found = self.connection.execute(POINT, point).fetchone()
        with self._guard(f"point {point}"):
            if found is not None:
                genuine(found[1], "point", found[0], *point)
                return int(found[0])
        return None

    def _hours(self, window: Window) -> tuple[int, int]:
        """Hours are of arrival in a file of impossible times: there the rows' own times decide alone."""
        if "." in self.name:
            return -EVER, EVER
        return window.first_ns // HOUR, window.until_ns // HOUR

    @contextmanager
    def _guard(self, place: str) -> Iterator[None]:
        try:
            yield
        except MANGLED as error:
            self.damage.append(Damage(str(self.path), place, str(error)))


def table(gateway: str, device: str, points: tuple[str, ...], axis: Axis, values: Floats, codes: Codes) -> Table:
    return Table(gateway, device, points, axis.source_ns, axis.receive_ns, axis.positions, axis.counts, values, codes)


def tally(hour: int, source_ns: Ints, values: Floats, codes: Codes) -> Tally:
    """Of one column, (T,)."""
    one = roll_up(source_ns, values[None], codes[None])
    low, high, mean, last = (float(each[0]) for each in (one.low, one.high, one.mean, one.last))
    return Tally(hour, len(values), int(one.usable[0]), low, high, mean, last, int(one.last_ns[0]))
