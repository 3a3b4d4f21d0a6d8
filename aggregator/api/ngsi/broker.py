"""The broker without HTTP: what every operation reads and writes through, one tenant at a time.

Broker   stores, contexts, clock, what subscriptions watch, the city's own entities
Room     one tenant: entities to read; `save` writes a change, its history and its notifications in one transaction
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import anyio

from aggregator.api.ngsi import notices, times
from aggregator.api.ngsi.contexts import SHIPPED, Contexts, read
from aggregator.api.ngsi.entity import without_expired
from aggregator.api.ngsi.errors import NonexistentTenant, OperationNotSupported, Problem
from aggregator.api.ngsi.merging import Change, changes
from aggregator.api.ngsi.selection import Selection
from aggregator.api.ngsi.watching import Watch
from aggregator.api.ngsi.words import DEFAULT_TENANT, Json
from aggregator.stores.ngsi import NgsiStore
from aggregator.stores.ngsi_evolution import Evolutions
from aggregator.stores.ngsi_outbox import Outbox
from protos.clock import Clock, SystemClock

T = TypeVar("T")
HOSTED = "/ngsi-ld/v1/jsonldContexts/"
CITY = "citytwin"  # the context of the city's own entities, hosted here under this name


class Source(Protocol):
    """Entities that somebody else keeps, and clients may only read: the city's own."""

    def entities(self) -> Mapping[str, Json]:
        """By id, as they are now."""
        ...

    def evolution(self, name: str, begin_ns: int | None, end_ns: int | None) -> Json | None:
        """Between two moments; nothing for an id that is not one of these."""
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """Of one broker."""

    page: int = 20  # entities, where no limit is asked for
    page_max: int = 1_000
    instances: int = 1_000  # of one Attribute in one answer about its history
    contexts: Path | None = None
    name: str = "citytwin"


class Nowhere:
    """No city."""

    def entities(self) -> Mapping[str, Json]:
        return {}

    def evolution(self, name: str, begin_ns: int | None, end_ns: int | None) -> Json | None:
        return None


class Broker:
    """Used by one thread at a time. Raises StoreError."""

    def __init__(
        self, store: NgsiStore, settings: Settings | None = None, clock: Clock | None = None, city: Source | None = None
    ) -> None:
        self.store, self.settings = store, settings or Settings()
        self.clock: Clock = clock or SystemClock()
        self.city: Source = city or Nowhere()
        self.evolutions, self.outbox = Evolutions(store), Outbox(store)
        self.contexts = Contexts(self.settings.contexts, self._hosted, self._named)
        self.wake: Callable[[], None] = lambda: None  # told when a letter waits
        self._turn = anyio.CapacityLimiter(1)  # who works with the stores: one at a time
        self._busy = threading.Lock()  # a thread goes on while who waits for it is cancelled
        self.began_ns = self.clock.wall_ns()
        self._watches: dict[str, list[Watch]] = {}
        self._named_urls: dict[str, int] = {}

    async def work(self, what: Callable[..., T], *args: Any) -> T:
        """In a thread, while nobody else works with the stores."""

        def locked() -> T:
            with self._busy:
                return what(*args)

        return await anyio.to_thread.run_sync(locked, limiter=self._turn)

    def close(self) -> None:
        """The store as well, once nobody works with it any more."""
        with self._busy:
            self.store.close()

    def room(self, tenant: str, *, create: bool = False) -> "Room":
        """Raises NonexistentTenant."""
        if not self.store.has_tenant(tenant):
            if not create:
                raise NonexistentTenant(f"{tenant}: no such tenant; the first entity or subscription makes it")
            self.store.make_tenant(tenant)
        return Room(self, tenant)

    @property
    def now_ns(self) -> int:
        return self.clock.wall_ns()

    def watches(self, tenant: str) -> list[Watch]:
        """Every subscription of a tenant that can be read."""
        if tenant not in self._watches:
            self._watches[tenant] = [
                one for _, kept in self.store.documents("subscription", tenant) for one in self._read(kept, tenant)
            ]
        return self._watches[tenant]

    def watches_changed(self, tenant: str) -> None:
        self._watches.pop(tenant, None)

    def _read(self, kept: Json, tenant: str) -> Iterator[Watch]:
        try:
            yield Watch.of(kept, self.contexts, Room(self, tenant).entity)
        except Problem:
            return  # its context is gone: it stays, and tells nothing until the context is back

    def book(self, kind: str, tenant: str, name: str, **books: Any) -> None:
        """What became of a notification, in the subscription's own document."""
        kept = self.store.document(kind, tenant, name)
        if kept is None:
            return
        old = kept.setdefault("books", {})
        for key, value in books.items():
            old[key] = old.get(key, 0) + value if key.startswith("times") else value
        self.store.put_document(kind, tenant, name, kept)
        for one in self._watches.get(tenant, ()):
            if one.kept["id"] == name and kind == "subscription":
                one.kept["books"] = dict(old)

    def _hosted(self, url: str) -> Any:
        """A @context that clients put here, by its URL or its local id."""
        name = url.rpartition(HOSTED)[2] if HOSTED in url else ""
        if name == CITY:
            return read(SHIPPED / f"{CITY}.json")
        kept = self.store.document("context", DEFAULT_TENANT, name) if name else None
        return kept["body"] if kept and kept["kind"] != "Cached" else None

    def _named(self, url: str) -> None:
        self._named_urls[url] = self._named_urls.get(url, 0) + 1

    def named(self) -> dict[str, int]:
        """How often each @context was named since the last look."""
        found, self._named_urls = self._named_urls, {}
        return found


class Room:
    """One tenant."""

    def __init__(self, broker: Broker, tenant: str) -> None:
        self.broker, self.tenant = broker, tenant
        self.store, self.evolutions = broker.store, broker.evolutions

    @property
    def _city(self) -> Mapping[str, Json]:
        return self.broker.city.entities() if self.tenant == DEFAULT_TENANT else {}

    def entity(self, name: str) -> Json | None:
        found = self.store.entity(self.tenant, name) or self._city.get(name)
        return without_expired(found, self.broker.now_ns) if found else None

    def own(self, name: str) -> Json | None:
        """One that may be changed. Raises OperationNotSupported for the city's own."""
        found = self.store.entity(self.tenant, name)
        if found is None and name in self._city:
            raise OperationNotSupported(f"{name}: the city's own entity; it follows the twin and is read only")
        return without_expired(found, self.broker.now_ns) if found else None

    def find(self, wanted: Selection) -> list[Json]:
        """The city's own behind those that clients made."""
        now = self.broker.now_ns
        kept = self.store.entities(self.tenant, None if wanted.ids is not None else wanted.types, wanted.ids)
        found = [one for each in kept if (one := without_expired(each, now)) is not None and wanted.matches(one)]
        return found + [one for one in self._city.values() if wanted.matches(one)]

    def all(self) -> list[Json]:
        return self.find(Selection())

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self.store.transaction():
            yield

    def save(self, before: Json | None, after: Json | None) -> list[Change]:
        """Write an entity as it has become, or its end, with its history and the letters that tell of it."""
        found = changes(before, after)
        now = times.text(self.broker.now_ns)
        with self.store.transaction():
            if after is not None:
                self.store.put_entity(self.tenant, after)
            elif before is not None:
                self.store.drop_entity(self.tenant, before["id"])
            self._record(before, after, found, now)
            self.tell(before, after, found)
        return found

    def _record(self, before: Json | None, after: Json | None, found: Sequence[Change], now: str) -> None:
        """The evolution of what clients write through the entity operations (4.3.3)."""
        one = after or before or {}
        number, head = self.evolutions.head(self.tenant, one["id"]) or (0, {"id": one["id"], "createdAt": now})
        head = head | {"type": one["type"], "modifiedAt": now}
        head.pop("deletedAt", None)
        if after is None:
            head["deletedAt"] = now
        head["scope"] = scope_history(head.get("scope", []), before, after, now)
        if not head["scope"]:
            del head["scope"]
        number = self.evolutions.put_head(self.tenant, head)
        for change in found:
            if change.after is not None:
                self.add_instance(number, change.name, change.after)
            elif change.before is not None:
                self.end_instance(number, change.name, change.before, now)

    def add_instance(self, number: int, name: str, one: Json) -> None:
        """A further instance; one of the same dataset and moment is corrected, and keeps its instanceId."""
        observed = times.instant(one.get("observedAt"))
        old = None
        if observed is not None:
            old = self.evolutions.at(number, name, one.get("datasetId", ""), observed)
        if old is not None:
            made = one | {"instanceId": old["instanceId"], "createdAt": old["createdAt"]}
            self.evolutions.replace(number, name, made, observed)
        else:
            self.evolutions.add(number, name, one | {"instanceId": instance_id()}, observed)

    def end_instance(self, number: int, name: str, before: Json, now: str) -> None:
        """That an instance was deleted is itself a part of its history (4.8)."""
        gone = {"type": before["type"], "null": True, "instanceId": instance_id(), "createdAt": now, "modifiedAt": now}
        dataset = {"datasetId": before["datasetId"]} if "datasetId" in before else {}
        self.evolutions.add(number, name, gone | dataset | {"deletedAt": now}, None)

    def tell(self, before: Json | None, after: Json | None, found: Sequence[Change]) -> None:
        """Put letters for every subscription that is concerned into the outbox."""
        now_ns = self.broker.now_ns
        now = times.text(now_ns)
        for watch in self.broker.watches(self.tenant):
            concerned = watch.concerned(before, after, found, now_ns)
            if not concerned or watch.throttled(now_ns):
                continue
            kept = after or before or {}
            data = watch.data(before, after, concerned, now)
            self.post(watch, notices.entity_letter(watch, self.tenant, [kept], data, now))

    def post(self, watch: Watch, letter: Json) -> None:
        now_ns = self.broker.now_ns
        self.broker.book(
            "subscription", self.tenant, watch.kept["id"], timesSent=1, lastNotification=times.text(now_ns)
        )
        self.broker.outbox.put(self.tenant, "subscription", watch.kept["id"], now_ns, letter)
        self.broker.wake()


def instance_id() -> str:
    return f"urn:ngsi-ld:Instance:{uuid4()}"


def scope_history(past: Sequence[Json], before: Json | None, after: Json | None, now: str) -> list[Json]:
    """A scope counts from when it was set until it is taken away (4.18)."""
    old, new = (before or {}).get("scope"), (after or {}).get("scope")
    if old == new:
        return list(past)
    if new:
        return [*past, {"type": "Property", "value": new, "createdAt": now, "modifiedAt": now}]
    return [*past, {"type": "Property", "value": [], "deletedAt": now}]
