"""The evolutions of entities in the broker's store: a head for each, and every instance of its Attributes."""

from collections.abc import Iterable
from typing import Any

import msgspec

from aggregator.stores.ngsi import Json, NgsiStore, decoded


class Evolutions:
    """Shares the store's connection."""

    def __init__(self, store: NgsiStore) -> None:
        self._store, self._connection = store, store.connection

    def head(self, tenant: str, name: str) -> tuple[int, Json] | None:
        """Its number and what is known of the entity itself."""
        row = self._connection.execute(
            "SELECT number, content FROM evolution WHERE tenant = ? AND id = ?", (tenant, name)
        ).fetchone()
        return (int(row[0]), decoded(row[1])) if row else None

    def heads(self, tenant: str) -> list[tuple[int, Json]]:
        rows = self._connection.execute(
            "SELECT number, content FROM evolution WHERE tenant = ? ORDER BY number", (tenant,)
        )
        return [(int(row[0]), decoded(row[1])) for row in rows]

    def put_head(self, tenant: str, head: Json) -> int:
        row = self._connection.execute(
            "INSERT INTO evolution (tenant, id, content) VALUES (?, ?, ?) ON CONFLICT (tenant, id)"
            " DO UPDATE SET content = excluded.content RETURNING number",
            (tenant, head["id"], msgspec.json.encode(head)),
        ).fetchone()
        return int(row[0]) if row else 0

    def drop(self, tenant: str, name: str) -> bool:
        self._connection.execute("DELETE FROM evolution WHERE tenant = ? AND id = ?", (tenant, name))
        return bool(self._connection.changes())

    def instances(self, number: int, names: Iterable[str] | None = None) -> dict[str, list[Json]]:
        """Of each Attribute (URI), in the order in which they came."""
        wanted = list(names) if names is not None else None
        marks = ",".join("?" * len(wanted)) if wanted else ""
        rows = self._connection.execute(
            "SELECT name, content FROM instance WHERE evolution = ?"  # noqa: S608
            + (f" AND name IN ({marks})" if wanted else "")
            + " ORDER BY number",
            (number, *(wanted or ())),
        )
        found: dict[str, list[Json]] = {}
        for name, content in rows:
            found.setdefault(str(name), []).append(decoded(content))
        return found

    def add(self, number: int, name: str, one: Json, observed_ns: int | None) -> None:
        self._connection.execute(
            "INSERT INTO instance (evolution, name, dataset, observed_ns, id, content) VALUES (?, ?, ?, ?, ?, ?)",
            (number, name, one.get("datasetId", ""), observed_ns, one["instanceId"], msgspec.json.encode(one)),
        )

    def at(self, number: int, name: str, dataset: str, observed_ns: int) -> Json | None:
        """The instance of one moment."""
        row = self._connection.execute(
            "SELECT content FROM instance WHERE evolution = ? AND name = ? AND dataset = ? AND observed_ns = ?",
            (number, name, dataset, observed_ns),
        ).fetchone()
        return decoded(row[0]) if row else None

    def replace(self, number: int, name: str, one: Json, observed_ns: int | None) -> bool:
        """In the place of the instance with its instanceId; whether there is one."""
        self._connection.execute(
            "UPDATE instance SET dataset = ?, observed_ns = ?, content = ? WHERE evolution = ? AND name = ? AND id = ?",
            (one.get("datasetId", ""), observed_ns, msgspec.json.encode(one), number, name, one["instanceId"]),
        )
        return bool(self._connection.changes())

    def drop_instances(self, number: int, name: str, instance: str | None = None, dataset: str | None = None) -> int:
        """One instance, those of a dataset ("" is the default one), or all; how many there were."""
        where, more = "", tuple[Any, ...]()
        if instance is not None:
            where, more = " AND id = ?", (instance,)
        elif dataset is not None:
            where, more = " AND dataset = ?", (dataset,)
        self._connection.execute(
            f"DELETE FROM instance WHERE evolution = ? AND name = ?{where}",  # noqa: S608
            (number, name, *more),
        )
        return self._connection.changes()
