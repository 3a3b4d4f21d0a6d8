"""Notifications that wait to be sent. A row is there from the change that made it until it was taken, or given up."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from aggregator.stores.ngsi import Json, NgsiStore, decoded

WAITING_MAX = 10_000  # of one subscription: behind an endpoint that is gone the oldest go first


@dataclass(frozen=True, slots=True)
class Letter:
    """One notification. `content`: {"uri", "headers", "body", …}, as the sender wants it."""

    number: int
    tenant: str
    kind: str
    subscription: str
    due_ns: int
    attempts: int
    content: Json


class Outbox:
    """Shares the store's connection."""

    def __init__(self, store: NgsiStore) -> None:
        self._connection = store.connection

    def put(self, tenant: str, kind: str, subscription: str, due_ns: int, content: Json) -> None:
        self._connection.execute(
            "INSERT INTO outbox (tenant, kind, subscription, due_ns, attempts, content) VALUES (?, ?, ?, ?, 0, ?)",
            (tenant, kind, subscription, due_ns, msgspec.json.encode(content)),
        )
        self._connection.execute(
            "DELETE FROM outbox WHERE number IN (SELECT number FROM outbox WHERE tenant = ? AND kind = ?"
            " AND subscription = ? ORDER BY number DESC LIMIT -1 OFFSET ?)",
            (tenant, kind, subscription, WAITING_MAX),
        )

    def due(self, now_ns: int, limit: int) -> list[Letter]:
        """The oldest of each subscription, where its time has come: those behind it wait for it."""
        rows = self._connection.execute(
            "SELECT number, tenant, kind, subscription, due_ns, attempts, content FROM outbox WHERE number IN"
            " (SELECT min(number) FROM outbox GROUP BY tenant, kind, subscription) AND due_ns <= ?"
            " ORDER BY due_ns, number LIMIT ?",
            (now_ns, limit),
        )
        return [
            Letter(int(row[0]), str(row[1]), str(row[2]), str(row[3]), int(row[4]), int(row[5]), decoded(row[6]))
            for row in rows
        ]

    def next_ns(self) -> int | None:
        """When the next one is due."""
        row = self._connection.execute(
            "SELECT min(due_ns) FROM outbox WHERE number IN"
            " (SELECT min(number) FROM outbox GROUP BY tenant, kind, subscription)"
        ).fetchone()
        return None if row is None or row[0] is None else int(row[0])

    def drop(self, numbers: Sequence[int]) -> None:
        self._connection.executemany("DELETE FROM outbox WHERE number = ?", [(one,) for one in numbers])

    def later(self, number: int, due_ns: int, attempts: int) -> None:
        self._connection.execute(
            "UPDATE outbox SET due_ns = ?, attempts = ? WHERE number = ?", (due_ns, attempts, number)
        )

    def drop_of(self, tenant: str, kind: str, subscription: str) -> None:
        self._connection.execute(
            "DELETE FROM outbox WHERE tenant = ? AND kind = ? AND subscription = ?", (tenant, kind, subscription)
        )

    def waiting(self) -> int:
        row = self._connection.execute("SELECT count(*) FROM outbox").fetchone()
        return int(row[0]) if row else 0
