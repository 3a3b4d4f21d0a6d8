"""Rollouts in the catalogue's file: a change and what the audit says of it are one transaction.

A change counts only if nobody else changed the rollout since it was read, so a person's word and the server's never
overwrite each other, and a kill at any moment leaves the one state or the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import apsw

from aggregator.stores import StoreError, sqlite
from aggregator.stores.catalogue import Catalogue

BYTES_MAX = 8 << 20  # of one rollout: 20,000 gateways
SHOWN_MAX = 200


@dataclass(frozen=True, slots=True)
class RolloutRow:
    """`content` is the rollout itself (rollout/plan.py); `version` rises with every change."""

    id: str
    twin: str
    state: str
    over: bool
    version: int
    made_ns: int
    changed_ns: int
    content: str


class Entry(NamedTuple):
    """What the audit says of a change."""

    act: str
    subject: str
    detail: str


class Rollouts:
    """Shares the catalogue's connection. Raises StoreError."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._connection: apsw.Connection = catalogue.connection

    def put(self, row: RolloutRow, who: str, detail: str, superseded: Sequence[RolloutRow] = ()) -> None:
        """A new one, and in the same transaction those that it takes the place of."""
        with self.catalogue.act(row.made_ns, who, "rollout begin", row.id, detail):
            taken = self._connection.execute(
                "SELECT id FROM rollout WHERE twin = ? AND over = 0 AND state != 'done'", (row.twin,)
            ).fetchone()
            if taken:
                raise StoreError(f"{taken[0]} is under way for {row.twin}: wait for it, or abort it first")
            for one in superseded:
                self._replace(one)
            self._connection.execute(
                "INSERT INTO rollout VALUES (?, ?, ?, ?, 1, ?, ?, ?)",
                (row.id, row.twin, row.state, row.over, row.made_ns, row.changed_ns, row.content),
            )

    def change(self, row: RolloutRow, who: str, entries: Sequence[Entry] = ()) -> bool:
        """`row` as it is now, if its version is still the one that was read; else nothing is done, and False."""
        if len(row.content) > BYTES_MAX:
            raise StoreError(f"rollout {row.id}: {len(row.content) >> 20} MiB, at most {BYTES_MAX >> 20}")
        try:
            with sqlite.transaction(self._connection):
                self._replace(row)
                for one in entries:
                    self.catalogue.note_within(row.changed_ns, who, one.act, one.subject, one.detail)
        except Changed:
            return False
        return True

    def get(self, rollout: str) -> RolloutRow:
        """Raises StoreError."""
        found = self._rows("WHERE id = ?", (rollout,))
        if not found:
            raise StoreError(f"{rollout}: no such rollout; `aggregator rollouts` lists them")
        return found[0]

    def open(self) -> list[RolloutRow]:
        """Those that are not over, the oldest first; what is done is kept up for gateways that come later."""
        return self._rows("WHERE over = 0 ORDER BY made_ns, id", ())

    def newest(self, limit: int = SHOWN_MAX) -> list[RolloutRow]:
        return self._rows("ORDER BY made_ns DESC, id LIMIT ?", (limit,))

    def _replace(self, row: RolloutRow) -> None:
        self._connection.execute(
            "UPDATE rollout SET state = ?, over = ?, version = version + 1, changed_ns = ?, content = ?"
            " WHERE id = ? AND version = ?",
            (row.state, row.over, row.changed_ns, row.content, row.id, row.version),
        )
        if not self._connection.changes():
            raise Changed

    def _rows(self, rest: str, values: tuple[str | int, ...]) -> list[RolloutRow]:
        found: list[tuple[Any, ...]] = list(
            self._connection.execute(f"SELECT * FROM rollout {rest}", values)  # noqa: S608 (our own words)
        )
        return [replace(RolloutRow(*one), over=bool(one[3])) for one in found]


class Changed(StoreError):
    """Somebody was quicker."""
