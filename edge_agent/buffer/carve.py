"""Rows out of a damaged SQLite file, page by page, without asking its trees.

After the file format (sqlite.org/fileformat2.html): a table leaf begins with 13, its cells hold a length, a row
number, and a record whose last column is our blob, continued on a chain of overflow pages. Every batch proves
itself by its own checksums, so what is found is either exactly what was written or left out.
"""

import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edge_agent.buffer.stored import Row

HEAD = 32  # of the write-ahead log
FRAME_HEAD = struct.Struct(">IIIIII")  # page, commit, two salts, two checksums
LEAF = 13
COLUMNS = 6  # of table batch: number (NULL, it is the key), priority, readings, utc_ns, checked, blob
FIRST = 64  # pages: the account's tree is made with the file and stays in front
ACCOUNT = b'{"received":'
BLOB_MAX = 64 << 20
WIDTHS = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}  # serial type → bytes
Found = tuple[Row, int, bytes]  # what the row says, its own CRC as found, its blob


class Torn(Exception):
    """These bytes are no row of ours."""


def varint(data: bytes, at: int) -> tuple[int, int]:
    """SQLite's big-endian varint: the value and where the next one begins."""
    value = 0
    for step in range(9):
        byte = data[at + step]
        if step == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + step + 1
    raise Torn


def log_pages(log: bytes, page: int) -> dict[int, bytes]:
    """Newest version of each page in a write-ahead log; frames after a damaged one are good, too."""
    frame = FRAME_HEAD.size + page
    heads = [FRAME_HEAD.unpack_from(log, at) for at in range(HEAD, len(log) - frame + 1, frame)]
    said = struct.unpack_from(">II", log, 16) if len(log) >= HEAD else (0, 0)
    salts = {head[2:4] for head in heads}
    current = said if said in salts else (heads[0][2:4] if heads else said)
    pages: dict[int, bytes] = {}
    for at, head in enumerate(heads):
        if head[2:4] == current and head[0]:
            begin = HEAD + at * frame + FRAME_HEAD.size
            pages[head[0]] = log[begin : begin + page]
    return pages


class Carver:
    """Pages of one database file with its log on top."""

    def __init__(self, file: int, log: Mapping[int, bytes], page: int) -> None:
        """`file`: descriptor of the database."""
        self._file = file
        self._log = log
        self._size = page
        self.pages = max(os.fstat(file).st_size // page, max(log, default=0))

    def page(self, number: int) -> bytes:
        """Page `number`, from 1; empty where there is none, or the disk cannot read it."""
        if (newer := self._log.get(number)) is not None:
            return newer
        try:
            return os.pread(self._file, self._size, (number - 1) * self._size)
        except OSError:
            return b""

    def free(self) -> set[int]:
        """Pages that are not in use, as far as the list of them is whole: what was deleted stays deleted."""
        free: set[int] = set()
        trunk = int.from_bytes(self.page(1)[32:36], "big")
        while 0 < trunk <= self.pages and trunk not in free:
            data = self.page(trunk)
            count = min(int.from_bytes(data[4:8], "big"), self._size // 4 - 2)
            free.add(trunk)
            free.update(int.from_bytes(data[8 + 4 * i : 12 + 4 * i], "big") for i in range(count))
            trunk = int.from_bytes(data[:4], "big")
        return free

    def rows(self, numbers: Iterator[int]) -> Iterator[Found]:
        """Every row that can be read on these pages."""
        for number in numbers:
            page = self.page(number)
            if len(page) == self._size and page[0] == LEAF:
                yield from self._cells(page)

    def accounts(self) -> Iterator[bytes]:
        """What looks like a packed account (account.py), cut at every possible end; its CRC tells which is one."""
        for number in {*range(1, min(self.pages, FIRST) + 1), *self._log}:
            page = self.page(number)
            at = page.find(ACCOUNT)
            while page[:1] == bytes((LEAF,)) and at >= 4:
                end = page.find(b"]}", at)
                while end > 0:
                    yield page[at - 4 : end + 2]
                    end = page.find(b"]}", end + 1)
                at = page.find(ACCOUNT, at + 1)

    def _cells(self, page: bytes) -> Iterator[Found]:
        count = min(int.from_bytes(page[3:5], "big"), (self._size - 8) // 2)
        for cell in range(count):
            at = int.from_bytes(page[8 + 2 * cell : 10 + 2 * cell], "big")
            try:
                yield self._row(page, at)
            except (Torn, IndexError, struct.error):
                continue

    def _row(self, page: bytes, at: int) -> Found:
        length, at = varint(page, at)
        number, at = varint(page, at)
        if not 0 < length < BLOB_MAX:
            raise Torn
        record = self._payload(page, at, length)
        head, place = varint(record, 0)
        types: list[int] = []
        while place < head:
            kind, place = varint(record, place)
            types.append(kind)
        if len(types) != COLUMNS or types[0] != 0 or types[-1] < 12 or types[-1] % 2:
            raise Torn
        values: list[int] = []
        for kind in types[1:-1]:
            if kind not in WIDTHS:
                raise Torn
            values.append(int(kind == 9) or int.from_bytes(record[place : place + WIDTHS[kind]], "big", signed=True))
            place += WIDTHS[kind]
        blob = record[place : place + (types[-1] - 12) // 2]
        priority, readings, utc_ns, checked = values
        return Row(number, priority, readings, utc_ns, len(blob)), checked, blob

    def _payload(self, page: bytes, at: int, length: int) -> bytes:
        """A cell's payload with its overflow pages."""
        usable = self._size
        most, least = usable - 35, (usable - 12) * 32 // 255 - 23
        if length <= most:
            return page[at : at + length]
        fitting = least + (length - least) % (usable - 4)
        local = fitting if fitting <= most else least
        parts, left = [page[at : at + local]], length - local
        follow = int.from_bytes(page[at + local : at + local + 4], "big")
        while left > 0:
            more = self.page(follow) if 0 < follow <= self.pages else b""
            if len(more) != usable:
                raise Torn
            parts.append(more[4 : 4 + min(left, usable - 4)])
            left -= usable - 4
            follow = int.from_bytes(more[:4], "big")
        return b"".join(parts)


@contextmanager
def carver(database: Path, page: int) -> Iterator[tuple[Carver, Carver]]:
    """Carvers over a file with its log, which may be missing or of any length, and over the file alone."""
    log = Path(f"{database}-wal")
    pages = log_pages(log.read_bytes(), page) if log.exists() else {}
    with database.open("rb") as file:
        yield Carver(file.fileno(), pages, page), Carver(file.fileno(), {}, page)
