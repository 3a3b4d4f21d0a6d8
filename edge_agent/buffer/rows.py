"""The rows of kept batches: written once, read with two checks, deleted.

A row is served only when its own CRC, the blob's CRC and the key inside the blob agree with where it was found.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from edge_agent.buffer.database import Database
from edge_agent.buffer.ranges import Ranges
from edge_agent.buffer.stored import Row, Stored, key_of
from protos.batch import BatchError, Priority, peek

COLUMNS = "number, priority, readings, utc_ns, checked, length(blob)"  # length() reads no blob
PAGE_ROWS = 256  # rows of one look: no cursor stays open while rows are deleted
QUARANTINE_BYTES = 4_000_000  # enough to look into a fault; beyond it only the reason is kept
CHECK = struct.Struct("<qqqqq")


@dataclass(frozen=True, slots=True)
class Bad:
    """A row that must not be served. `known`: its own CRC is right, so what it says of itself can be counted."""

    row: Row
    reason: str
    known: bool


@dataclass(slots=True)
class Catch:
    """What one read found: batches to serve, rows to quarantine."""

    stored: list[Stored] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)
    bytes: int = 0


WRONG_ROW = "the row's own checksum is wrong"


def row_of(found: tuple[Any, ...]) -> tuple[Row, int]:
    """A row and its own CRC as found; -1, which no CRC is, where a damaged page gave something else than numbers."""
    number, priority, readings, utc_ns, checked, size = found
    if not all(isinstance(one, int) and abs(one) < 1 << 63 for one in found):
        return Row(number, 0, 0, 0, 0), -1
    return Row(number, priority, readings, utc_ns, size), checked


def check_of(row: Row) -> int:
    return zlib.crc32(CHECK.pack(row.number, row.priority, row.readings, row.utc_ns, row.size))


def fault(gateway: str, row: Row, blob: bytes) -> str:
    """Why this blob is not the one that was written as `row`; "" when it is."""
    try:
        header = peek(blob)
    except BatchError as error:
        return str(error)
    said = (header.key.gateway, header.key.epoch, header.key.sequence, int(header.priority), header.readings)
    want = (gateway, *key_of(row.number), row.priority, row.readings)
    return "" if said == want else f"the blob says {said}, the row {want}"


class Rows:
    """The table of batches of one gateway in one database."""

    def __init__(self, database: Database, gateway: str) -> None:
        self._gateway = gateway
        self._do = database.connection.execute
        self.bad: list[Bad] = []  # found while looking; the store quarantines them

    def insert(self, row: Row, blob: bytes) -> None:
        values = (row.number, row.priority, row.readings, row.utc_ns, check_of(row), blob)
        self._do("INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?)", values)

    def delete(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._do("DELETE FROM batch WHERE number = ?", (number,))

    def quarantine(self, bad: Bad, noticed_ns: int) -> None:
        """Move the row out of the way, its bytes too while there is room for them."""
        held = self._do("SELECT coalesce(sum(length(blob)), 0) FROM quarantine").get
        kept = "blob" if int(str(held)) + bad.row.size <= QUARANTINE_BYTES else "x''"
        self._do(
            f"INSERT INTO quarantine SELECT number, ?, ?, {kept} FROM batch WHERE number = ?",  # noqa: S608
            (noticed_ns, bad.reason, bad.row.number),
        )
        self.delete((bad.row.number,))

    def between(self, first: int, last: int) -> Iterator[Row]:
        """What is known of the rows first..last, ascending. Those whose own CRC is wrong are put into `bad`."""
        yield from self._good(self._look(first, last, PAGE_ROWS))

    def urgent(self, priority: int) -> Iterator[Row]:
        """The oldest rows of one class above telemetry, by their own small index."""
        query = f"SELECT {COLUMNS} FROM batch WHERE priority = ? AND priority > 0 ORDER BY number LIMIT ?"  # noqa: S608
        found = self._do(query, (priority, PAGE_ROWS)).fetchall()
        yield from self._good(map(row_of, found))

    def _good(self, looked: Iterable[tuple[Row, int]]) -> Iterator[Row]:
        for row, checked in looked:
            if checked == check_of(row):
                yield row
            else:
                self.bad.append(Bad(row, WRONG_ROW, known=False))

    def _look(self, first: int, last: int, size: int) -> Iterator[tuple[Row, int]]:
        while first <= last:
            query = f"SELECT {COLUMNS} FROM batch WHERE number BETWEEN ? AND ? ORDER BY number LIMIT ?"  # noqa: S608
            found: list[tuple[Any, ...]] = self._do(query, (first, last, size)).fetchall()
            yield from map(row_of, found)
            if len(found) < size:
                return
            first = int(found[-1][0]) + 1

    def read(self, holes: Iterable[tuple[int, int]], max_batches: int, max_bytes: int) -> Catch:
        """The batches in `holes`, ascending, at most so many and so large, but at least one if there is any."""
        caught = Catch()
        for first, last in holes:
            for row, checked in self._look(first, last, min(PAGE_ROWS, max_batches)):
                if len(caught.stored) >= max_batches or (caught.stored and caught.bytes + row.size > max_bytes):
                    return caught
                self._read_one(row, checked, caught)
        return caught

    def _read_one(self, row: Row, checked: int, caught: Catch) -> None:
        if checked != check_of(row):
            caught.bad.append(Bad(row, WRONG_ROW, known=False))
            return
        blob = self._do("SELECT blob FROM batch WHERE number = ?", (row.number,)).get
        why = fault(self._gateway, row, blob) if isinstance(blob, bytes) else "no blob"
        if why or not isinstance(blob, bytes):
            caught.bad.append(Bad(row, why, known=True))
            return
        caught.stored.append(Stored(*key_of(row.number), Priority(row.priority), blob))
        caught.bytes += row.size

    def oldest(self) -> int | None:
        found = self._do("SELECT min(number) FROM batch").get
        return found if isinstance(found, int) else None

    def newest(self) -> int:
        """The highest number of a row; 0 where there is none."""
        found = self._do("SELECT max(number) FROM batch").get
        return found if isinstance(found, int) else 0

    def empty(self, first: int, last: int) -> bool:
        """Whether no row lies in first..last."""
        return next(self._look(first, last, 1), None) is None


class Shelf:
    """The rows by what may become of them, for the rules of retention."""

    def __init__(self, rows: Rows, acked: Ranges, settled: Ranges, telemetry_from: int, newest: int) -> None:
        self._rows = rows
        self._acked = acked
        self._settled = settled
        self._from = telemetry_from
        self._newest = newest

    def settled(self) -> Iterator[Row]:
        for first, last in self._settled:
            yield from self._rows.between(first, last)

    def acked(self) -> Iterator[Row]:
        for first, last in self._acked:
            for begin, end in self._settled.holes(first, last):
                yield from self._rows.between(begin, end)

    def waiting(self, priority: Priority) -> Iterator[Row]:
        if priority != Priority.TELEMETRY:
            yield from (row for row in self._rows.urgent(priority) if row.number not in self._acked)
            return
        for first, last in self._acked.holes(self._from, self._newest):
            yield from (row for row in self._rows.between(first, last) if row.priority == Priority.TELEMETRY)
