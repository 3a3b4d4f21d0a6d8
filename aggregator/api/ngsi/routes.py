"""Every resource and method of the API (6.2), in one table: what it does, what it may be asked, who may.

A path is a tuple of words and of "*" for what names a thing. `write`: it changes something.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aggregator.api.ngsi import (
    attributes,
    batch,
    discovery,
    entities,
    entity_maps,
    histories,
    hosting,
    identity,
    registering,
    snapshots,
    subscriptions,
)
from aggregator.api.ngsi.answer import Answer
from aggregator.api.ngsi.question import FORMS, MORE, PAGES, SHOW, WHICH
from aggregator.api.ngsi.request import Call

Handler = Callable[[Call], Answer]
LOCAL = ("local",)
ONE = (*SHOW, "type", "options", "local", "entityMap", "entityMapLifetime", "splitEntities")
MANY = (*SHOW, *WHICH, *MORE, *PAGES)
SHOWN = (*FORMS, "sysAttrs")
TIME = ("timerel", "timeAt", "endTimeAt", "timeproperty", "lastN", "aggrMethods", "aggrPeriodDuration")
TIMED = ("temporalValues", "aggregatedValues", "sysAttrs", *FORMS)
TIMED_ONE = (*TIME, "attrs", "pick", "omit", "format", "lang", "datasetId", "options", "local")
TIMED_MANY = (*TIMED_ONE, *WHICH, *MORE, *PAGES[:3], *PAGES[5:])
PAGED = ("limit", "offset", "count", "options")
MERGING = ("format", "options", "lang", "observedAt", "type", "local")


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    path: tuple[str, ...]
    handler: Handler
    params: Sequence[str] = ()
    options: Sequence[str] = ()
    body: bool = False
    geo: bool = False  # whether it can answer with GeoJSON
    write: bool = True
    free: bool = False  # whether a tenant need not be there yet, or does not matter
    reads: bool = True  # whether an Accept header matters


Names = Sequence[str]


def get(
    path: str, handler: Handler, params: Names = (), options: Names = (), *, geo: bool = False, free: bool = False
) -> Route:
    return Route("GET", tuple(path.split("/")), handler, params, options, geo=geo, write=False, free=free)


def ask(path: str, handler: Handler, params: Names = (), options: Names = (), *, geo: bool = False) -> Route:
    """A POST that only asks."""
    return Route("POST", tuple(path.split("/")), handler, params, options, body=True, geo=geo, write=False)


def put(
    method: str, path: str, handler: Handler, params: Names = LOCAL, options: Names = (), *, free: bool = False
) -> Route:
    """Something with a body that changes things."""
    return Route(method, tuple(path.split("/")), handler, params, options, body=True, free=free, reads=False)


def delete(path: str, handler: Handler, params: Names = LOCAL, *, free: bool = False) -> Route:
    return Route("DELETE", tuple(path.split("/")), handler, params, free=free, reads=False)


ROUTES: tuple[Route, ...] = (
    put("POST", "entities", entities.create, free=True),
    get("entities", entities.query, MANY, SHOWN, geo=True),
    delete("entities", entities.purge, (*WHICH, "keep", "drop", "local", "geometryProperty", "attrs")),
    get("entities/*", entities.retrieve, ONE, SHOWN, geo=True),
    delete("entities/*", entities.delete, ("type", "local")),
    put("PATCH", "entities/*", entities.merge, MERGING, FORMS),
    put("PUT", "entities/*", entities.replace, ("type", "local")),
    put("POST", "entities/*/attrs", attributes.append, ("options", "type", "local"), ("noOverwrite",)),
    put("PATCH", "entities/*/attrs", attributes.update, ("type", "local")),
    put("PATCH", "entities/*/attrs/*", attributes.partial, ("type", "local")),
    put("PUT", "entities/*/attrs/*", attributes.replace, ("type", "local")),
    delete("entities/*/attrs/*", attributes.delete, ("datasetId", "deleteAll", "type", "local")),
    put("POST", "entityOperations/create", batch.create, free=True),
    put("POST", "entityOperations/upsert", batch.upsert, ("options", "local"), ("replace", "update"), free=True),
    put("POST", "entityOperations/update", batch.update, ("options", "local"), ("noOverwrite", "replace", "update")),
    put("POST", "entityOperations/merge", batch.merge, MERGING, FORMS),
    put("POST", "entityOperations/delete", batch.delete),
    ask("entityOperations/query", entities.query_by_post, (*PAGES, "format"), SHOWN, geo=True),
    get("types", discovery.types, ("details", "local")),
    get("types/*", discovery.one_type, LOCAL),
    get("attributes", discovery.attributes, ("details", "local")),
    get("attributes/*", discovery.one_attribute, LOCAL),
    put("POST", "subscriptions", subscriptions.create, free=True),
    get("subscriptions", subscriptions.query, PAGED, ("sysAttrs",)),
    get("subscriptions/*", subscriptions.retrieve, ("options",), ("sysAttrs",)),
    put("PATCH", "subscriptions/*", subscriptions.update),
    delete("subscriptions/*", subscriptions.delete),
    put("POST", "csourceRegistrations", registering.create, free=True),
    get("csourceRegistrations", registering.query, (*WHICH, *TIME[:4], "attrs", *PAGED), ("sysAttrs",)),
    get("csourceRegistrations/*", registering.retrieve, ("options",), ("sysAttrs",)),
    put("PATCH", "csourceRegistrations/*", registering.update),
    delete("csourceRegistrations/*", registering.delete),
    put("POST", "csourceSubscriptions", subscriptions.create, free=True),
    get("csourceSubscriptions", subscriptions.query, PAGED, ("sysAttrs",)),
    get("csourceSubscriptions/*", subscriptions.retrieve, ("options",), ("sysAttrs",)),
    put("PATCH", "csourceSubscriptions/*", subscriptions.update),
    delete("csourceSubscriptions/*", subscriptions.delete),
    put("POST", "temporal/entities", histories.upsert, free=True),
    get("temporal/entities", histories.query, TIMED_MANY, TIMED),
    ask("temporal/entityOperations/query", histories.query_by_post, (*PAGES, "format", *TIME[4:]), TIMED),
    get("temporal/entities/*", histories.retrieve, TIMED_ONE, TIMED),
    delete("temporal/entities/*", histories.delete),
    put("POST", "temporal/entities/*/attrs", histories.append),
    delete("temporal/entities/*/attrs/*", histories.delete_attribute, ("datasetId", "deleteAll", "local")),
    put("PATCH", "temporal/entities/*/attrs/*/*", histories.modify_instance),
    delete("temporal/entities/*/attrs/*/*", histories.delete_instance),
    put("POST", "jsonldContexts", hosting.add, (), free=True),
    get("jsonldContexts", hosting.listed, ("details", "kind"), free=True),
    get("jsonldContexts/*", hosting.serve, ("details",), free=True),
    delete("jsonldContexts/*", hosting.delete, ("reload",), free=True),
    get("entityMaps", entity_maps.create, MANY, SHOWN),
    ask("entityMaps", entity_maps.create_by_post, PAGES),
    get("entityMaps/*", entity_maps.retrieve),
    put("PATCH", "entityMaps/*", entity_maps.update, ()),
    delete("entityMaps/*", entity_maps.delete, ()),
    put("POST", "snapshots", snapshots.create, ()),
    delete("snapshots", snapshots.purge, ("q",)),
    get("snapshots/*", snapshots.retrieve),
    put("PATCH", "snapshots/*", snapshots.update, ()),
    delete("snapshots/*", snapshots.delete, ()),
    put("POST", "snapshots/*/clone", snapshots.clone, ()),
    get("info/sourceIdentity", identity.source, LOCAL, free=True),
)


def matching(parts: Sequence[str]) -> dict[str, tuple[Route, tuple[str, ...]]]:
    """Method → what answers a path, with the parts of it that name things."""
    found: dict[str, tuple[Route, tuple[str, ...]]] = {}
    for one in ROUTES:
        if len(one.path) == len(parts) and all(a in ("*", b) for a, b in zip(one.path, parts, strict=True)):
            named = tuple(b for a, b in zip(one.path, parts, strict=True) if a == "*")
            found.setdefault(one.method, (one, named))
    return found
