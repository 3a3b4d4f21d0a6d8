"""Scenarios by name, and what became of each run. One SQLite file beside the catalogue; verbs of many processes write.

A name keeps its newest text and its newest RESULTS_MAX results; a result says from which state and when.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aggregator.stores import StoreError, sqlite

RESULTS_MAX = 20  # of one name
BYTES_MAX = 256 << 20  # of one result
NAMES_MAX = 1_000
NAME_MAX = 100  # characters

SCHEMA = (
    """
    CREATE TABLE scenario (name TEXT PRIMARY KEY, text TEXT NOT NULL, put_ns INTEGER NOT NULL, by TEXT NOT NULL)
        STRICT, WITHOUT ROWID;
    CREATE TABLE result (
        number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL REFERENCES scenario, run_ns INTEGER NOT NULL,
        by TEXT NOT NULL, begun_ns INTEGER NOT NULL, digest TEXT NOT NULL, seed INTEGER NOT NULL,
        members INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
    CREATE INDEX result_name ON result (name, number);
    """,
)


@dataclass(frozen=True, slots=True)
class ScenarioRow:
    name: str
    text: str  # TOML
    put_ns: int
    by: str


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One run. `begun_ns` is the moment of the city that it began from, `digest` its state."""

    number: int
    name: str
    run_ns: int
    by: str
    begun_ns: int
    digest: str
    seed: int
    members: int
    bytes: int


class Scenarios:
    """Not for threads. Raises StoreError."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        if read_only and not path.exists():
            raise StoreError(f"{path}: no scenario was run yet; `aggregator whatif FILE` does")
        self._connection = sqlite.connect(path, read_only=read_only)
        if not read_only:
            sqlite.migrate(self._connection, SCHEMA)

    def close(self) -> None:
        self._connection.close()

    def keep(self, scenario: ScenarioRow, begun_ns: int, digest: str, seed: int, members: int, data: bytes) -> int:
        """A scenario and the result of running it, together; the result's number."""
        if not 0 < len(scenario.name) <= NAME_MAX:
            raise StoreError(f"a scenario's name has 1 to {NAME_MAX} characters, this one has {len(scenario.name)}")
        if len(data) > BYTES_MAX:
            raise StoreError(f"{scenario.name}: the result takes {len(data) >> 20} MiB, at most {BYTES_MAX >> 20}")
        row = (scenario.name, scenario.text, scenario.put_ns, scenario.by)
        with sqlite.transaction(self._connection):
            (names,) = self._connection.execute("SELECT count(*) FROM scenario").fetchone() or (0,)
            if int(names) >= NAMES_MAX and self.scenario(scenario.name) is None:
                raise StoreError(f"{names} scenarios are kept, at most {NAMES_MAX}: use a name that is there")
            self._connection.execute(
                "INSERT INTO scenario VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET text = excluded.text,"
                " put_ns = excluded.put_ns, by = excluded.by",
                row,
            )
            self._connection.execute(
                "INSERT INTO result (name, run_ns, by, begun_ns, digest, seed, members, data)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (scenario.name, scenario.put_ns, scenario.by, begun_ns, digest, seed, members, data),
            )
            number = self._connection.last_insert_rowid()
            self._connection.execute(
                "DELETE FROM result WHERE name = ?1 AND number NOT IN"
                " (SELECT number FROM result WHERE name = ?1 ORDER BY number DESC LIMIT ?2)",
                (scenario.name, RESULTS_MAX),
            )
        return number

    def scenario(self, name: str) -> ScenarioRow | None:
        found = self._connection.execute("SELECT * FROM scenario WHERE name = ?", (name,)).fetchone()
        return None if found is None else ScenarioRow(*found)

    def results(self, name: str = "") -> list[ResultRow]:
        """Of one name or of all, the newest first."""
        rows = self._connection.execute(
            "SELECT number, name, run_ns, by, begun_ns, digest, seed, members, length(data) FROM result"
            " WHERE ?1 IN ('', name) ORDER BY number DESC",
            (name,),
        )
        return [ResultRow(*row) for row in rows]

    def result(self, name: str, number: int = 0) -> bytes:
        """The newest of a name, or the one with this number."""
        row: tuple[Any, ...] | None = self._connection.execute(
            "SELECT data FROM result WHERE name = ?1 AND ?2 IN (0, number) ORDER BY number DESC LIMIT 1", (name, number)
        ).fetchone()
        if row is None:
            raise StoreError(f"{name}: no such result; `aggregator whatif --list` shows what is kept")
        return bytes(row[0])
