"""Models that were learned: one SQLite file beside the catalogue. Bundles and reports are files, named here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aggregator.stores import StoreError, sqlite

STATES = ("trained", "published", "superseded")
FIGURES = 10  # the column that is JSON
SCHEMA = (
    """
    CREATE TABLE model (id TEXT PRIMARY KEY, digest TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL,
        asset_class TEXT NOT NULL, made_ns INTEGER NOT NULL, first_ns INTEGER NOT NULL, until_ns INTEGER NOT NULL,
        gate TEXT NOT NULL, state TEXT NOT NULL, figures TEXT NOT NULL, folder TEXT NOT NULL) STRICT, WITHOUT ROWID
    """,
)


@dataclass(frozen=True, slots=True)
class ModelRow:
    """`gate` is what the gate said: "network", or "linear" where the network was refused; `folder` has model.ctb,
    report.md and pictures; trained on first ≤ t < until (UTC ns)."""

    id: str
    digest: str  # SHA-256 of the bundle, hex
    name: str
    version: str
    asset_class: str
    made_ns: int
    first_ns: int
    until_ns: int
    gate: str
    state: str
    figures: Mapping[str, float]
    folder: str

    @property
    def bundle(self) -> Path:
        return Path(self.folder) / "model.ctb"


class Models:
    """One connection; not for two threads at once. Raises StoreError."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        if read_only and not path.exists():
            raise StoreError(f"{path}: no models yet; `aggregator models train` makes them")
        self._connection = sqlite.connect(path, read_only=read_only)
        if not read_only:
            sqlite.migrate(self._connection, SCHEMA)

    def close(self) -> None:
        self._connection.close()

    def put(self, row: ModelRow) -> None:
        """The newest of its name; those before it that were never published are superseded."""
        with sqlite.transaction(self._connection):
            self._connection.execute(
                "UPDATE model SET state = 'superseded' WHERE name = ? AND state = 'trained'", (row.name,)
            )
            self._connection.execute(
                "INSERT INTO model VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(row.id, row.digest, row.name, row.version, row.asset_class, row.made_ns, row.first_ns),
                    *(row.until_ns, row.gate, row.state, json.dumps(dict(row.figures), sort_keys=True), row.folder),
                ),
            )

    def mark(self, model: str, state: str) -> None:
        """Raises StoreError for a state that there is not."""
        if state not in STATES:
            raise StoreError(f"{state}: no state of a model; there are {', '.join(STATES)}")
        with sqlite.transaction(self._connection):
            self._connection.execute("UPDATE model SET state = ? WHERE id = ?", (state, self.get(model).id))

    def get(self, model: str) -> ModelRow:
        """By id, or the newest of a name. Raises StoreError."""
        found = self._rows("WHERE id = ?1 OR name = ?1 ORDER BY id = ?1 DESC, made_ns DESC LIMIT 1", (model,))
        if not found:
            raise StoreError(f"{model}: no such model; `aggregator models list` lists them")
        return found[0]

    def newest(self, limit: int = 200) -> list[ModelRow]:
        return self._rows("ORDER BY made_ns DESC, id LIMIT ?", (limit,))

    def of(self, name: str) -> ModelRow | None:
        """The newest of this name; None when there is none."""
        found = self._rows("WHERE name = ? ORDER BY made_ns DESC LIMIT 1", (name,))
        return found[0] if found else None

    def _rows(self, rest: str, values: tuple[str | int, ...]) -> list[ModelRow]:
        rows = self._connection.execute(f"SELECT * FROM model {rest}", values)  # noqa: S608 (our own words)
        return [_row(row) for row in rows]


def _row(row: tuple[Any, ...]) -> ModelRow:
    return ModelRow(*(json.loads(one) if place == FIGURES else one for place, one in enumerate(row)))
