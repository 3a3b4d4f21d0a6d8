"""What history knows beside its days: the checkpoint, each day's first batch, and the newest row of every layout.

All of it can be made again from the days and the log; each row carries a checksum, and a damaged file is set aside.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import apsw
import numpy as np

from aggregator.stores import sqlite
from aggregator.stores.history import Floats, HistoryError, Layout, Newest, Piece, Words
from aggregator.stores.history.day import crc_of

NAME = "state.sqlite"
SCHEMA = (
    """
    CREATE TABLE mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL, crc INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE day (
        name TEXT PRIMARY KEY, first_position INTEGER NOT NULL, crc INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE newest (
        gateway TEXT NOT NULL, device TEXT NOT NULL, points TEXT NOT NULL, epoch INTEGER NOT NULL,
        sequence INTEGER NOT NULL, source_ns INTEGER NOT NULL, receive_ns INTEGER NOT NULL, numbers BLOB NOT NULL,
        codes BLOB NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (gateway, device, points)) STRICT;
    CREATE TABLE newest_words (
        gateway TEXT NOT NULL, device TEXT NOT NULL, name TEXT NOT NULL, epoch INTEGER NOT NULL,
        sequence INTEGER NOT NULL, source_ns INTEGER NOT NULL, receive_ns INTEGER NOT NULL, code INTEGER NOT NULL,
        value TEXT NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (gateway, device, name)) STRICT;
    """,
)
Keys = dict[int, tuple[int, int]]  # log position → epoch, sequence


class State:
    """The writer's side."""

    def __init__(self, directory: Path, vfs: str | None = None) -> None:
        self.path = directory / NAME
        self.connection = sqlite.connect(self.path, vfs=vfs)
        sqlite.migrate(self.connection, SCHEMA)
        self.checkpoint = checkpoint(self.connection)
        self._known: dict[Layout, tuple[int, int]] = {
            one.layout: (one.epoch, one.sequence) for one in rows(self.connection)
        }
        self._days = {name for (name,) in self.connection.execute("SELECT name FROM day")}

    def announce(self, days: dict[str, int]) -> None:
        """Note the first log position of days that are new, before they have anything of it."""
        fresh = {name: first for name, first in days.items() if name not in self._days}
        if fresh:
            with sqlite.transaction(self.connection):
                for row in fresh.items():
                    self.connection.execute("INSERT INTO day VALUES (?, ?, ?)", (*row, crc_of(*row)))
            self._days |= fresh.keys()

    def forget(self, day: str) -> None:
        with sqlite.transaction(self.connection):
            self.connection.execute("DELETE FROM day WHERE name = ?", (day,))
        self._days.discard(day)

    def first_position(self, day: str) -> int:
        """0 when it is not known."""
        row = self.connection.execute("SELECT name, first_position, crc FROM day WHERE name = ?", (day,)).fetchone()
        return int(row[1]) if row is not None and row[2] == crc_of(*row[:2]) else 0

    def advance(self, upto: int, pieces: Iterable[Piece], words: Iterable[Words], keys: Keys) -> None:
        """The checkpoint and the newest rows, after the days have what came before."""
        newest: dict[Layout, Piece] = {}
        for piece in pieces:
            if keys[piece.position] >= self._key_of(piece.layout, newest, keys):
                newest[piece.layout] = piece
        with sqlite.transaction(self.connection):
            for piece in newest.values():
                self._save(piece, *keys[piece.position])
            for one in words:
                self._save_words(one, *keys[one.position])
            row = ("checkpoint", upto)
            self.connection.execute("INSERT OR REPLACE INTO mark VALUES (?, ?, ?)", (*row, crc_of(*row)))
        self._known.update((layout, keys[piece.position]) for layout, piece in newest.items())
        self.checkpoint = upto

    def close(self) -> None:
        self.connection.close()

    def _key_of(self, layout: Layout, newest: dict[Layout, Piece], keys: Keys) -> tuple[int, int]:
        if layout in newest:
            return keys[newest[layout].position]
        return self._known.get(layout, (-1, -1))

    def _save(self, piece: Piece, epoch: int, sequence: int) -> None:
        layout = piece.layout
        row = (
            layout.gateway,
            layout.device,
            json.dumps(layout.points),
            epoch,
            sequence,
            int(piece.source_ns[-1]),
            int(piece.receive_ns[-1]),
            piece.values[-1].astype("<f8").tobytes(),
            piece.codes[-1].tobytes(),
        )
        self.connection.execute(
            "INSERT OR REPLACE INTO newest VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, crc_of(*row))
        )

    def _save_words(self, one: Words, epoch: int, sequence: int) -> None:
        row = (*one.point, epoch, sequence, one.source_ns, one.receive_ns, one.code, one.value)
        self.connection.execute(
            "INSERT INTO newest_words VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " epoch = excluded.epoch, sequence = excluded.sequence, source_ns = excluded.source_ns,"
            " receive_ns = excluded.receive_ns, code = excluded.code, value = excluded.value, crc = excluded.crc"
            " WHERE (excluded.epoch, excluded.sequence) >= (epoch, sequence)",
            (*row, crc_of(*row)),
        )


def checkpoint(connection: apsw.Connection) -> int:
    """Raises HistoryError when it is not what was written."""
    row = connection.execute("SELECT name, value, crc FROM mark WHERE name = 'checkpoint'").fetchone()
    if row is None:
        return 0
    if row[2] != crc_of(*row[:2]):
        raise HistoryError(f"{connection.filename}: the checkpoint is damaged; it is found again from the days")
    return int(row[1])


def rows(connection: apsw.Connection) -> Iterable[Newest]:
    """The newest row of each layout; damaged ones are left out, the next reading replaces them."""
    for *row, crc in connection.execute("SELECT * FROM newest"):
        if crc != crc_of(*row):
            continue
        gateway, device, points, epoch, sequence, source, receive, numbers, codes = row
        values: Floats = np.frombuffer(numbers, "<f8").astype(np.float64)
        layout = Layout(gateway, device, tuple(json.loads(points)))
        yield Newest(layout, epoch, sequence, source, receive, values, np.frombuffer(codes, np.uint8).copy())


def words(connection: apsw.Connection) -> Iterable[tuple[str, str, str, int, int, int, int, int, str]]:
    """(gateway, device, name, epoch, sequence, source, receive, code, value) of each string point."""
    for *row, crc in connection.execute("SELECT * FROM newest_words"):
        if crc == crc_of(*row):
            yield tuple(row)
