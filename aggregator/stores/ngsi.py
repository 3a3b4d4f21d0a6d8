"""What the NGSI-LD broker keeps: entities, subscriptions and the like, hosted contexts; one SQLite file.

Evolutions (ngsi_evolution.py) and the outbox (ngsi_outbox.py) are in the same file, so that a change, its history and
the notifications that it makes are one transaction: whatever is killed, none of the three is there without the others.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from aggregator.stores import sqlite

Json = dict[str, Any]
PIECE = 400  # ids in one statement: SQLite takes 32,766, and this is as fast

SCHEMA = (
    """
    CREATE TABLE tenant (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
    CREATE TABLE entity (number INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, id TEXT NOT NULL,
        content BLOB NOT NULL, UNIQUE (tenant, id)) STRICT;
    CREATE TABLE entity_type (tenant TEXT NOT NULL, type TEXT NOT NULL, entity INTEGER NOT NULL REFERENCES entity
        ON DELETE CASCADE, PRIMARY KEY (tenant, type, entity)) STRICT, WITHOUT ROWID;
    CREATE INDEX type_of_entity ON entity_type (entity);
    CREATE TABLE document (number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, tenant TEXT NOT NULL,
        id TEXT NOT NULL, content BLOB NOT NULL, UNIQUE (kind, tenant, id)) STRICT;
    CREATE TABLE evolution (number INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, id TEXT NOT NULL,
        content BLOB NOT NULL, UNIQUE (tenant, id)) STRICT;
    CREATE TABLE instance (number INTEGER PRIMARY KEY AUTOINCREMENT, evolution INTEGER NOT NULL REFERENCES evolution
        ON DELETE CASCADE, name TEXT NOT NULL, dataset TEXT NOT NULL, observed_ns INTEGER, id TEXT NOT NULL,
        content BLOB NOT NULL) STRICT;
    CREATE INDEX instance_at ON instance (evolution, name, dataset, observed_ns);
    CREATE TABLE outbox (number INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, kind TEXT NOT NULL,
        subscription TEXT NOT NULL, due_ns INTEGER NOT NULL, attempts INTEGER NOT NULL, content BLOB NOT NULL) STRICT;
    CREATE INDEX outbox_of ON outbox (tenant, kind, subscription, number);
    """,
)


class NgsiStore:
    """Not for threads at the same time. One writer, the broker. Raises StoreError."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite.connect(path)
        sqlite.migrate(self.connection, SCHEMA)
        self._tenants = {str(row[0]) for row in self.connection.execute("SELECT name FROM tenant")}

    def close(self) -> None:
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; one inside another is part of it."""
        if self.connection.in_transaction:
            yield
        else:
            with sqlite.transaction(self.connection):
                yield

    def has_tenant(self, name: str) -> bool:
        return not name or name in self._tenants

    def make_tenant(self, name: str) -> None:
        if not self.has_tenant(name):
            self.connection.execute("INSERT OR IGNORE INTO tenant VALUES (?)", (name,))
            self._tenants.add(name)

    def drop_tenant(self, name: str) -> None:
        """And everything of it."""
        with self.transaction():
            for table in ("entity", "document", "evolution", "outbox"):
                self.connection.execute(f"DELETE FROM {table} WHERE tenant = ?", (name,))  # noqa: S608
            self.connection.execute("DELETE FROM tenant WHERE name = ?", (name,))
        self._tenants.discard(name)

    def entity(self, tenant: str, name: str) -> Json | None:
        row = self.connection.execute(
            "SELECT content FROM entity WHERE tenant = ? AND id = ?", (tenant, name)
        ).fetchone()
        return decoded(row[0]) if row else None

    def entities(self, tenant: str, types: Iterable[str] | None = None, ids: Iterable[str] | None = None) -> list[Json]:
        """In the order in which they were created; of some types, or some ids."""
        if ids is not None:
            return self._of(tenant, "id", list(ids))
        if types is not None:
            wanted = list(types)
            marks = ",".join("?" * len(wanted))
            rows = self.connection.execute(
                "SELECT content FROM entity WHERE number IN (SELECT entity FROM entity_type WHERE tenant = ?"  # noqa: S608
                f" AND type IN ({marks})) ORDER BY number",
                (tenant, *wanted),
            )
        else:
            rows = self.connection.execute("SELECT content FROM entity WHERE tenant = ? ORDER BY number", (tenant,))
        return [decoded(row[0]) for row in rows]

    def put_entity(self, tenant: str, entity: Json) -> None:
        """New, or in the place of the one with its id."""
        content = msgspec.json.encode(entity)
        with self.transaction():
            row = self.connection.execute(
                "INSERT INTO entity (tenant, id, content) VALUES (?, ?, ?) ON CONFLICT (tenant, id)"
                " DO UPDATE SET content = excluded.content RETURNING number",
                (tenant, entity["id"], content),
            ).fetchone()
            number = row[0] if row else 0
            self.connection.executemany(
                "INSERT OR IGNORE INTO entity_type VALUES (?, ?, ?)", [(tenant, one, number) for one in entity["type"]]
            )
            marks = ",".join("?" * len(entity["type"]))
            self.connection.execute(
                f"DELETE FROM entity_type WHERE entity = ? AND type NOT IN ({marks})",  # noqa: S608
                (number, *entity["type"]),
            )

    def drop_entity(self, tenant: str, name: str) -> None:
        self.connection.execute("DELETE FROM entity WHERE tenant = ? AND id = ?", (tenant, name))

    def document(self, kind: str, tenant: str, name: str) -> Json | None:
        row = self.connection.execute(
            "SELECT content FROM document WHERE kind = ? AND tenant = ? AND id = ?", (kind, tenant, name)
        ).fetchone()
        return decoded(row[0]) if row else None

    def documents(self, kind: str, tenant: str | None = None) -> list[tuple[str, Json]]:
        """(tenant, document), the oldest first; of all tenants where none is named."""
        rows = self.connection.execute(
            "SELECT tenant, content FROM document WHERE kind = ? AND (? IS NULL OR tenant = ?) ORDER BY number",
            (kind, tenant, tenant),
        )
        return [(str(row[0]), decoded(row[1])) for row in rows]

    def put_document(self, kind: str, tenant: str, name: str, content: Json) -> None:
        self.connection.execute(
            "INSERT INTO document (kind, tenant, id, content) VALUES (?, ?, ?, ?) ON CONFLICT (kind, tenant, id)"
            " DO UPDATE SET content = excluded.content",
            (kind, tenant, name, msgspec.json.encode(content)),
        )

    def drop_document(self, kind: str, tenant: str, name: str) -> bool:
        """Whether there was one."""
        self.connection.execute("DELETE FROM document WHERE kind = ? AND tenant = ? AND id = ?", (kind, tenant, name))
        return bool(self.connection.changes())

    def _of(self, tenant: str, column: str, wanted: list[str]) -> list[Json]:
        found: list[tuple[int, Json]] = []
        for begin in range(0, len(wanted), PIECE):
            piece = wanted[begin : begin + PIECE]
            marks = ",".join("?" * len(piece))
            rows = self.connection.execute(
                f"SELECT number, content FROM entity WHERE tenant = ? AND {column} IN ({marks})",  # noqa: S608
                (tenant, *piece),
            )
            found += [(int(row[0]), decoded(row[1])) for row in rows]
        return [one for _, one in sorted(found, key=lambda pair: pair[0])]


def decoded(content: Any) -> Json:
    found: Json = msgspec.json.decode(content)
    return found
