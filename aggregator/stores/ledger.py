"""The ledger's file: entries, the tiles of their tree, checkpoints, who cosigned them, and what contradicts us.

Entries, tiles and the two cursors move in one transaction, so a kill at any moment leaves a tree that is whole. What
must be the same for everybody (checkpoints) is written before anybody is shown it.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from aggregator.stores import StoreError, sqlite

CHECKPOINTS_KEPT = 1_000  # the newest; old ones prove nothing that the newest does not
EVIDENCE_KEPT = 1_000  # a gateway that contradicts for ever must not fill the disk
BATCH = "batch"
UNREADABLE = apsw.Error  # what a damaged file raises when it is read

SCHEMA = (
    """
    CREATE TABLE entry (
        number INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, content BLOB NOT NULL) STRICT;
    CREATE INDEX entry_kind ON entry (kind, number) WHERE kind != 'batch';
    CREATE INDEX entry_subject ON entry (subject, number) WHERE kind != 'batch';
    CREATE TABLE tile (
        level INTEGER NOT NULL, number INTEGER NOT NULL, hashes BLOB NOT NULL, PRIMARY KEY (level, number)) STRICT;
    CREATE TABLE checkpoint (
        size INTEGER PRIMARY KEY, text TEXT NOT NULL, signature TEXT NOT NULL, at_ns INTEGER NOT NULL) STRICT;
    CREATE TABLE witness (
        name TEXT PRIMARY KEY, vkey TEXT NOT NULL, size INTEGER NOT NULL, at_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE cosignature (
        size INTEGER NOT NULL REFERENCES checkpoint ON DELETE CASCADE, vkey TEXT NOT NULL, line TEXT NOT NULL,
        PRIMARY KEY (size, vkey)) STRICT, WITHOUT ROWID;
    CREATE TABLE evidence (
        number INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL,
        note BLOB NOT NULL, UNIQUE (who, note)) STRICT;
    CREATE TABLE mark (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO mark VALUES ('size', 0), ('audit', 0), ('position', 0), ('minimum', 0), ('origin', '');
    """,
)


class Marks(NamedTuple):
    """How many entries; up to which audit row and log position; from which entry on they are kept; whose ledger."""

    size: int
    audit: int
    position: int
    minimum: int
    origin: str


class Kept(NamedTuple):
    """An entry as it lies in the file."""

    number: int
    kind: str
    subject: str
    content: bytes


class Signed(NamedTuple):
    """A checkpoint: its text, and the lines of the log's signature and of those who cosigned."""

    size: int
    text: str
    lines: tuple[str, ...]
    at_ns: int

    @property
    def note(self) -> bytes:
        return (self.text + "\n" + "".join(self.lines)).encode()


class Witness(NamedTuple):
    """`size`: of the newest checkpoint that it cosigned, at `at_ns`."""

    name: str
    vkey: str
    size: int
    at_ns: int


class Evidence(NamedTuple):
    number: int
    at_ns: int
    who: str
    why: str
    note: bytes


class LedgerStore:
    """One connection; not for two threads at once. Raises StoreError."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        if read_only and not path.exists():
            raise StoreError(f"{path}: no ledger; the server makes it when it runs")
        self.path = path
        self.connection: apsw.Connection = sqlite.connect(path, read_only=read_only)
        if not read_only:
            sqlite.migrate(self.connection, SCHEMA)

    def close(self) -> None:
        self.connection.close()

    # ---- what grows

    def marks(self) -> Marks:
        found = dict(self.connection.execute("SELECT name, value FROM mark"))
        return Marks(found["size"], found["audit"], found["position"], found["minimum"], found["origin"])

    def begin(self, origin: str) -> None:
        """Say whose ledger it is, once."""
        self._mark({"origin": origin})

    def append(
        self,
        first: int,
        entries: Sequence[tuple[str, str, bytes]],
        tiles: Iterable[tuple[int, int, bytes]],
        audit: int,
        position: int,
    ) -> None:
        """(kind, subject, content) from entry `first` on, with the tiles that they change, and how far we have read."""
        with sqlite.transaction(self.connection):
            self.connection.executemany(
                "INSERT INTO entry VALUES (?, ?, ?, ?)", [(first + i, *one) for i, one in enumerate(entries)]
            )
            self.connection.executemany("INSERT OR REPLACE INTO tile VALUES (?, ?, ?)", tiles)
            self._mark({"size": first + len(entries), "audit": audit, "position": position})

    def tile(self, level: int, index: int) -> bytes:
        """What there is of a tile; empty for none."""
        query = "SELECT hashes FROM tile WHERE level = ? AND number = ?"
        found = self.connection.execute(query, (level, index)).fetchone()
        return found[0] if found else b""

    def tiles(self) -> Iterator[tuple[int, int, bytes]]:
        yield from self.connection.execute("SELECT level, number, hashes FROM tile ORDER BY level, number")

    # ---- what is read

    def entries(self, first: int, count: int) -> list[Kept]:
        """As many as there are."""
        query = "SELECT * FROM entry WHERE number >= ? AND number < ? ORDER BY number"
        return [Kept(*one) for one in self.connection.execute(query, (first, first + count))]

    def find(self, after: int, limit: int, kind: str = "", subject: str = "") -> list[Kept]:
        """Entries behind `after` (−1: from the first) of this kind and subject, in their order."""
        query = "SELECT * FROM entry WHERE number > ?"
        values: list[int | str] = [after]
        for name, wanted in (("kind", kind), ("subject", subject)):
            if wanted:
                query += f" AND {name} = ?"
                values.append(wanted)
        if kind != BATCH and (kind or subject):
            query += " AND kind != 'batch'"
        rows = self.connection.execute(query + " ORDER BY number LIMIT ?", (*values, limit))
        return [Kept(*one) for one in rows]

    def newest(self, limit: int, kind: str = "", subject: str = "") -> list[Kept]:
        """The newest of this kind and subject, in their order."""
        query = "SELECT * FROM entry WHERE ? IN ('', kind) AND ? IN ('', subject) ORDER BY number DESC LIMIT ?"
        rows = self.connection.execute(query, (kind, subject, limit)).fetchall()
        return [Kept(*one) for one in reversed(rows)]

    # ---- checkpoints

    def put_checkpoint(self, size: int, text: str, signature: str, at_ns: int) -> None:
        with sqlite.transaction(self.connection):
            self.connection.execute("INSERT INTO checkpoint VALUES (?, ?, ?, ?)", (size, text, signature, at_ns))
            self.connection.execute(
                "DELETE FROM checkpoint WHERE size NOT IN (SELECT size FROM checkpoint ORDER BY size DESC LIMIT ?)",
                (CHECKPOINTS_KEPT,),
            )

    def checkpoints(self, limit: int = CHECKPOINTS_KEPT) -> list[Signed]:
        """The newest first, each with its cosignatures."""
        return self._signed("ORDER BY size DESC LIMIT ?", limit)

    def checkpoint(self, size: int) -> Signed | None:
        return next(iter(self._signed("WHERE size = ?", size)), None)

    def put_cosignatures(self, size: int, rows: Sequence[tuple[str, str, str]], at_ns: int) -> None:
        """(name, vkey, line) of good cosignatures of the checkpoint of this size, all in one transaction."""
        with sqlite.transaction(self.connection):
            for name, vkey, line in rows:
                self.connection.execute("INSERT OR REPLACE INTO cosignature VALUES (?, ?, ?)", (size, vkey, line))
                self.connection.execute(
                    "INSERT INTO witness VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
                    " SET vkey = excluded.vkey, size = excluded.size, at_ns = excluded.at_ns",
                    (name, vkey, size, at_ns),
                )

    def witnesses(self) -> list[Witness]:
        return [Witness(*one) for one in self.connection.execute("SELECT * FROM witness ORDER BY name")]

    def put_evidence(self, at_ns: int, who: str, why: str, note: bytes) -> bool:
        """False for what is known already, or when there is no more room."""
        (count,) = self.connection.execute("SELECT count(*) FROM evidence").fetchone() or (0,)
        if int(count) >= EVIDENCE_KEPT:
            return False
        query = "INSERT OR IGNORE INTO evidence (at_ns, who, why, note) VALUES (?, ?, ?, ?)"
        self.connection.execute(query, (at_ns, who, why, note))
        return bool(self.connection.changes())

    def evidence(self) -> list[Evidence]:
        return [Evidence(*one) for one in self.connection.execute("SELECT * FROM evidence ORDER BY number")]

    # ---- what is forgotten

    def prune(self, minimum: int) -> int:
        """Forget the entries of full bundles that end at or before `minimum`; returns how many. Their hashes stay: so
        any proof can still be made, and a witness that was away long is still led on."""
        before = minimum - minimum % 256
        with sqlite.transaction(self.connection):
            self.connection.execute("DELETE FROM entry WHERE number < ?", (before,))
            gone = self.connection.changes()
            self._mark({"minimum": minimum})
        return gone

    def _signed(self, rest: str, value: int) -> list[Signed]:
        rows: list[tuple[Any, ...]] = self.connection.execute(
            f"SELECT size, text, signature, at_ns FROM checkpoint {rest}",  # noqa: S608 (our own words)
            (value,),
        ).fetchall()
        return [Signed(size, text, (line, *self._lines(size)), at_ns) for size, text, line, at_ns in rows]

    def _lines(self, size: int) -> list[str]:
        query = "SELECT line FROM cosignature WHERE size = ? ORDER BY vkey"
        return [str(one[0]) for one in self.connection.execute(query, (size,))]

    def _mark(self, values: dict[str, int | str]) -> None:
        self.connection.executemany(
            "UPDATE mark SET value = ? WHERE name = ?", [(value, name) for name, value in values.items()]
        )
