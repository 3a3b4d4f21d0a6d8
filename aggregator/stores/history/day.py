"""One day of history, as a SQLite file: its tables, what each row's checksum covers, and the writing of parts.

The file carries its own cursor, the log position it has everything up to, in the same transaction as what it brings.
"""

import json
import struct
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import apsw
import numpy as np

from aggregator.stores import sqlite
from aggregator.stores.history import DamagedPart, HistoryError, Intake, Layout, Origin, Piece, PointName, Words
from aggregator.stores.history.segment import Axis, Press, encode_part

SUFFIX = ".sqlite"
SCHEMA = (
    """
    CREATE TABLE mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL, crc INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE point (
        id INTEGER PRIMARY KEY, gateway TEXT NOT NULL, device TEXT NOT NULL, name TEXT NOT NULL,
        crc INTEGER NOT NULL, UNIQUE (gateway, device, name)) STRICT;
    CREATE TABLE layout (
        id INTEGER PRIMARY KEY, gateway TEXT NOT NULL, device TEXT NOT NULL, points TEXT NOT NULL,
        crc INTEGER NOT NULL, UNIQUE (gateway, device, points)) STRICT;
    CREATE TABLE member (
        point INTEGER NOT NULL, layout INTEGER NOT NULL, place INTEGER NOT NULL, crc INTEGER NOT NULL,
        PRIMARY KEY (point, layout)) STRICT, WITHOUT ROWID;
    CREATE TABLE batch (
        position INTEGER PRIMARY KEY, gateway TEXT NOT NULL, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL,
        arrived_ns INTEGER NOT NULL, crc INTEGER NOT NULL) STRICT;
    CREATE TABLE part (
        layout INTEGER NOT NULL, hour INTEGER NOT NULL, number INTEGER NOT NULL, rows INTEGER NOT NULL,
        first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL, first_arrival_ns INTEGER NOT NULL,
        last_arrival_ns INTEGER NOT NULL, blob BLOB NOT NULL) STRICT;
    CREATE UNIQUE INDEX part_place ON part (layout, hour, number);
    CREATE INDEX part_hour ON part (hour);
    CREATE TABLE axis (
        layout INTEGER NOT NULL, hour INTEGER NOT NULL, number INTEGER NOT NULL, rows INTEGER NOT NULL,
        first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL, first_arrival_ns INTEGER NOT NULL,
        last_arrival_ns INTEGER NOT NULL, blob BLOB NOT NULL) STRICT;
    CREATE UNIQUE INDEX axis_place ON axis (layout, hour, number);
    CREATE TABLE segment (
        point INTEGER NOT NULL, layout INTEGER NOT NULL, hour INTEGER NOT NULL, number INTEGER NOT NULL,
        rows INTEGER NOT NULL, usable INTEGER NOT NULL, low REAL, high REAL, mean REAL, last REAL,
        last_ns INTEGER NOT NULL, blob BLOB NOT NULL) STRICT;
    CREATE UNIQUE INDEX segment_place ON segment (point, hour, layout, number);
    CREATE INDEX segment_hour ON segment (hour, layout);
    CREATE TABLE words (
        point INTEGER NOT NULL, source_ns INTEGER NOT NULL, receive_ns INTEGER NOT NULL, position INTEGER NOT NULL,
        code INTEGER NOT NULL, value TEXT NOT NULL, crc INTEGER NOT NULL) STRICT;
    CREATE INDEX words_place ON words (point, source_ns);
    """,
)
PLACE = struct.Struct("<8q")  # layout, hour, number, rows, first, last, first arrival, last arrival
ROLLUP = struct.Struct("<6q4dq")  # point, layout, hour, number, rows, usable, low, high, mean, last, last_ns
MARKS = ("cursor", "readings", "last_arrival_ns", "first_position")

Place = tuple[int, int, int, int, int, int, int, int]


def part_identity(place: Place) -> bytes:
    return b"part" + PLACE.pack(*place)


def axis_identity(place: Place) -> bytes:
    return b"axis" + PLACE.pack(*place)


def segment_identity(
    point: int, layout: int, hour: int, number: int, rows: int, usable: int, numbers: Sequence[float | None], last: int
) -> bytes:
    """`numbers` low, high, mean, last; None where SQLite gives it for NaN."""
    floats = [np.nan if one is None or one != one else one for one in numbers]  # one NaN, whatever its sign
    return b"segment" + ROLLUP.pack(point, layout, hour, number, rows, usable, *floats, last)


def crc_of(*values: object) -> int:
    return zlib.crc32(repr(values).encode())


def point_ids(connection: apsw.Connection) -> dict[PointName, int]:
    """Raises DamagedPart."""
    found = {}
    for number, gateway, device, name, crc in connection.execute("SELECT id, gateway, device, name, crc FROM point"):
        genuine(crc, "point", number, gateway, device, name)
        found[PointName(gateway, device, name)] = number
    return found


def layout_ids(connection: apsw.Connection) -> dict[Layout, int]:
    """Raises DamagedPart."""
    found = {}
    for number, gateway, device, points, crc in connection.execute(
        "SELECT id, gateway, device, points, crc FROM layout"
    ):
        genuine(crc, "layout", number, gateway, device, points)
        found[Layout(gateway, device, tuple(json.loads(points)))] = number
    return found


def members(connection: apsw.Connection, layout: int) -> list[int]:
    """The points of a layout, by column. Raises DamagedPart."""
    found = {}
    for *row, crc in connection.execute("SELECT point, layout, place, crc FROM member WHERE layout = ?", (layout,)):
        genuine(crc, "member", *row)
        found[row[2]] = row[0]
    if sorted(found) != list(range(len(found))):
        raise DamagedPart(f"layout {layout}: columns {sorted(found)}")
    return [found[place] for place in range(len(found))]


def genuine(crc: int, *values: object) -> None:
    """Raises DamagedPart when the values are not those that `crc` was made of."""
    if crc != crc_of(*values):
        raise DamagedPart(f"{values}: checksum does not match")


def marks(connection: apsw.Connection, path: Path | str) -> dict[str, int]:
    """The day's numbers about itself. Raises HistoryError when one is not what was written."""
    found = dict.fromkeys(MARKS, 0)
    for name, value, crc in connection.execute("SELECT name, value, crc FROM mark"):
        if crc != crc_of(name, value) or name not in found:
            raise HistoryError(f"{path}: mark {name}={value} is damaged; `aggregator replay` rebuilds the day")
        found[name] = value
    return found


class Day:
    """The writer's side of one file. Every method that changes it runs inside `sqlite.transaction`."""

    def __init__(self, path: Path, press: Press, vfs: str | None = None) -> None:
        self.path = path
        self.press = press
        self.connection = sqlite.connect(path, vfs=vfs)
        sqlite.migrate(self.connection, SCHEMA)
        self.marks = marks(self.connection, path)
        self._points = point_ids(self.connection)
        self._layouts = layout_ids(self.connection)
        for number in self._layouts.values():
            members(self.connection, number)  # a damaged one shows here, not when it misplaces a value
        self.touched: set[tuple[str, int, int]] = set()  # (day, layout, hour) that the last `put` wrote parts of

    @property
    def cursor(self) -> int:
        return self.marks["cursor"]

    def put(self, intake: Intake, upto: int) -> int:
        """Write parts, strings, batches and the cursor in one transaction; returns the readings written."""
        before = dict(self.marks)
        self.touched = set()
        try:
            with sqlite.transaction(self.connection):
                return self.write(intake, upto)
        except BaseException:
            self.marks = before
            self._points = point_ids(self.connection)
            self._layouts = layout_ids(self.connection)
            raise

    def write(self, intake: Intake, upto: int) -> int:
        arrived = {one.position: one.arrived_ns for one in intake.origins}
        groups: dict[tuple[Layout, int], list[Piece]] = {}
        for piece in intake.pieces:
            groups.setdefault((piece.layout, piece.slot.hour), []).append(piece)
        readings = len(intake.words)
        for (layout, hour), pieces in groups.items():
            readings += self._write_part(layout, hour, pieces, arrived)
        self._write_words(intake.words)
        self._write_batches(intake.origins)
        first = self.marks["first_position"] or min(arrived, default=0)
        self.mark(
            cursor=upto,
            readings=self.marks["readings"] + readings,
            last_arrival_ns=max(self.marks["last_arrival_ns"], *arrived.values(), 0),
            first_position=first,
        )
        return readings

    def mark(self, **values: int) -> None:
        for name, value in values.items():
            self.connection.execute("INSERT OR REPLACE INTO mark VALUES (?, ?, ?)", (name, value, crc_of(name, value)))
            self.marks[name] = value

    def close(self) -> None:
        self.connection.close()

    def _write_part(self, layout: Layout, hour: int, pieces: list[Piece], arrived: dict[int, int]) -> int:
        """All of one layout and hour as one part; returns its readings."""
        axis = Axis(
            np.concatenate([piece.source_ns for piece in pieces]),
            np.concatenate([piece.receive_ns for piece in pieces]),
            np.array([piece.position for piece in pieces], np.int64),
            np.array([len(piece.source_ns) for piece in pieces], np.int64),
        )
        values = np.ascontiguousarray(np.concatenate([piece.values for piece in pieces]).T)
        codes = np.ascontiguousarray(np.concatenate([piece.codes for piece in pieces]).T)
        number = self._layout(layout)
        latest = self.connection.execute(
            "SELECT coalesce(max(number), 0) FROM part WHERE layout = ? AND hour = ?", (number, hour)
        ).get
        arrivals = [arrived[piece.position] for piece in pieces]
        place: Place = (
            number,
            hour,
            int(latest) + 1,
            len(axis.source_ns),
            int(axis.source_ns.min()),
            int(axis.source_ns.max()),
            min(arrivals),
            max(arrivals),
        )
        blob = encode_part(self.press, part_identity(place), axis, values, codes)
        self.connection.execute("INSERT INTO part VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*place, blob))
        self.touched.add((self.path.stem, number, hour))
        return values.size

    def _write_words(self, words: Iterable[Words]) -> None:
        for one in words:
            row = (self._point(one.point), one.source_ns, one.receive_ns, one.position, one.code, one.value)
            self.connection.execute("INSERT INTO words VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, crc_of(*row)))

    def _write_batches(self, origins: Iterable[Origin]) -> None:
        self.connection.executemany(
            "INSERT OR REPLACE INTO batch VALUES (?, ?, ?, ?, ?, ?)", ((*one, crc_of(*one)) for one in origins)
        )

    def _point(self, point: PointName) -> int:
        if point not in self._points:
            number = self._points[point] = 1 + max(self._points.values(), default=0)
            crc = crc_of("point", number, *point)
            self.connection.execute("INSERT INTO point VALUES (?, ?, ?, ?, ?)", (number, *point, crc))
        return self._points[point]

    def _layout(self, layout: Layout) -> int:
        if layout not in self._layouts:
            number = self._layouts[layout] = 1 + max(self._layouts.values(), default=0)
            row = (number, layout.gateway, layout.device, json.dumps(layout.points))
            self.connection.execute("INSERT INTO layout VALUES (?, ?, ?, ?, ?)", (*row, crc_of("layout", *row)))
            for place, name in enumerate(layout.points):
                member = (self._point(PointName(layout.gateway, layout.device, name)), number, place)
                self.connection.execute("INSERT INTO member VALUES (?, ?, ?, ?)", (*member, crc_of("member", *member)))
        return self._layouts[layout]
