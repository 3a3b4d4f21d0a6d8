"""Snapshots (5.16): copies of what queries give, kept for a time, to be asked and changed apart from what goes on.

The inside of a snapshot is a tenant of its own that only the header NGSILD-Snapshot leads to. What it gives is made in
the same transaction as the snapshot itself: one that can be read is complete.
"""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from aggregator.api.ngsi import histories, notices, q, subscription, times
from aggregator.api.ngsi.answer import NO_CONTENT, Answer, created, json_answer
from aggregator.api.ngsi.broker import Room
from aggregator.api.ngsi.errors import AlreadyExists, BadRequest, Problem, ResourceNotFound
from aggregator.api.ngsi.evolution import temporal_query, windowed
from aggregator.api.ngsi.geo import is_number
from aggregator.api.ngsi.matching import Query
from aggregator.api.ngsi.notices import SNAPSHOT
from aggregator.api.ngsi.question import of_query
from aggregator.api.ngsi.request import Call
from aggregator.api.ngsi.selection import selection
from aggregator.api.ngsi.words import NULL, Json, is_uri

KIND = "snapshot"
ROOT = "/ngsi-ld/v1/snapshots/"
LIFETIME = times.Duration(0, 86_400 * times.NS)
LIFETIME_MAX_NS = 30 * 86_400 * times.NS
SNAPSHOTS_MAX = 100  # of one tenant: each is a copy
PRIORITY = 5
SETTABLE = ("snapshotLifetime", "snapshotPriority", "endpoint", "receiverInfo")
WRITTEN = ("snapshotStatus", "snapshotQueriesDetails", "snapshotTemporalQueriesDetails")
STAMPS = ("createdAt", "modifiedAt", "expiresAt", "lastUsedAt")
QUERIES = ("snapshotQueries", "snapshotTemporalQueries")
MEMBERS = ("id", "type", *SETTABLE, *WRITTEN, *STAMPS, *QUERIES)


def inside(name: str, tenant: str) -> str:
    return f"{SNAPSHOT}{name}|{tenant}"


def checked(body: Any, *, queries: bool) -> Json:
    """Raises BadRequest."""
    if not isinstance(body, dict) or body.get("type", body.get("@type", "Snapshot")) != "Snapshot":
        raise BadRequest("type: write Snapshot")
    made = {key: one for key, one in body.items() if key in (*SETTABLE, "id", *QUERIES)}
    for key in body:
        if key not in (*MEMBERS, "@context", "@type"):
            raise BadRequest(f"{key}: a Snapshot has no such member")
    if "id" in made and (not is_uri(made["id"]) or made["id"] == NULL):
        raise BadRequest(f"id: {made['id']!r} is no URI")
    if "snapshotLifetime" in made and made["snapshotLifetime"] != NULL and not times.duration(made["snapshotLifetime"]):
        raise BadRequest(f"snapshotLifetime: {made['snapshotLifetime']!r}: write an ISO 8601 duration, as PT1H")
    priority = made.get("snapshotPriority", PRIORITY)
    if priority != NULL and not (is_number(priority) and priority in range(1, 11)):
        raise BadRequest(f"snapshotPriority: {priority!r}: write a whole number from 1 to 10")
    if made.get("endpoint", NULL) != NULL:
        faults = list(
            subscription.endpoint_faults({"uri": made["endpoint"], "receiverInfo": made.get("receiverInfo", [])})
        )
        if faults:
            raise BadRequest("; ".join(faults))
    given = [key for key in QUERIES if key in made]
    if queries and not any(isinstance(made[key], list) and made[key] for key in given):
        raise BadRequest(f"write some of {', '.join(QUERIES)}")
    if not queries and given:
        raise BadRequest(f"{given[0]}: is set when a snapshot is created")
    return made


def begun(room: Room, made: Json) -> Json:
    """A new snapshot's document. Raises AlreadyExists."""
    made = {"type": "Snapshot", "snapshotPriority": PRIORITY, **{k: v for k, v in made.items() if v != NULL}}
    made.setdefault("id", f"urn:ngsi-ld:Snapshot:{uuid4()}")
    sweep(room)
    if room.store.document(KIND, room.tenant, made["id"]) is not None:
        raise AlreadyExists(f"{made['id']} exists already")
    if len(room.store.documents(KIND, room.tenant)) >= SNAPSHOTS_MAX:
        raise BadRequest(f"{SNAPSHOTS_MAX} snapshots already; delete some")
    now = times.text(room.broker.now_ns)
    stamps = {"createdAt": now, "modifiedAt": now, "lastUsedAt": now, "expiresAt": expiry(room, made)}
    return made | stamps | {"snapshotStatus": "preparing"}


def expiry(room: Room, made: Json) -> str:
    now = room.broker.now_ns
    span = times.duration(made.get("snapshotLifetime")) or LIFETIME
    return times.text(min(times.later(now, span), now + LIFETIME_MAX_NS))


def create(call: Call) -> Answer:
    room = call.room()
    made = begun(room, checked(call.body, queries=True))
    within = Room(room.broker, inside(made["id"], room.tenant))
    with room.transaction():
        states = []
        for key, details, fill in (
            ("snapshotQueries", "snapshotQueriesDetails", fill_entities),
            ("snapshotTemporalQueries", "snapshotTemporalQueriesDetails", fill_evolutions),
        ):
            if key in made:
                made[details] = [attempted(call, room, within, one, fill) for one in made[key]]
                states += [one["resultStatus"] for one in made[details]]
        made["snapshotStatus"] = verdict(states)
        finish(room, made)
    return created(ROOT + made["id"])


def verdict(states: list[str]) -> str:
    """5.16.1.4."""
    if all(one == "success" for one in states):
        return "success"
    if "success" in states:
        return "partial"
    return "empty" if "empty" in states else "failure"


def attempted(call: Call, room: Room, within: Room, one: Any, fill: Any) -> Json:
    try:
        count = fill(call, room, within, one)
    except Problem as error:
        return {"resultStatus": "failure", "problemDetails": dict(error.body())}
    return {"resultStatus": "success" if count else "empty"}


def fill_entities(call: Call, room: Room, within: Room, given: Json) -> int:
    chosen = selection(asked_of(call, given, temporal=False), call.context, room.entity)
    found = room.find(chosen)
    for one in found:
        within.store.put_entity(within.tenant, one)
    return len(found)


def fill_evolutions(call: Call, room: Room, within: Room, given: Json) -> int:
    asked = asked_of(call, given, temporal=True)
    time, chosen = temporal_query(asked, required=True), selection(asked, call.context, room.entity)
    found = histories.matching(room, chosen, time, frozenset())
    for one in found:
        copy_evolution(within, windowed(one, time))
    return len(found)


def asked_of(call: Call, given: Any, *, temporal: bool) -> Mapping[str, Any]:
    """A Query of a snapshot by the names of parameters."""
    if not isinstance(given, dict) or ("temporalQ" in given) != temporal:
        raise BadRequest("a snapshot's queries have no temporalQ, its temporal queries have one")
    return of_query(
        Call(call.broker, "POST", (), call.url, call.base, call.headers, "", b"", body=given), temporal=temporal
    )


def copy_evolution(within: Room, one: Json) -> None:
    head = {key: value for key, value in one.items() if key != "attrs"}
    within.evolutions.drop(within.tenant, one["id"])
    number = within.evolutions.put_head(within.tenant, head)
    for name, some in one["attrs"].items():
        for each in some:
            within.evolutions.add(number, name, each, times.instant(each.get("observedAt")))


def finish(room: Room, made: Json) -> None:
    """Keep it, and tell its endpoint."""
    room.store.put_document(KIND, room.tenant, made["id"], made)
    if "endpoint" in made:
        now_ns = room.broker.now_ns
        letter = notices.snapshot_letter(made, room.tenant, times.text(now_ns))
        room.broker.outbox.put(room.tenant, KIND, made["id"], now_ns, letter)
        room.broker.wake()


def clone(call: Call) -> Answer:
    room = call.room()
    source = named(call, room)
    made = begun(room, checked(call.body, queries=False))
    made |= {key: source[key] for key in (*QUERIES, *WRITTEN[1:]) if key in source}
    old, new = (Room(room.broker, inside(one, room.tenant)) for one in (source["id"], made["id"]))
    with room.transaction():
        for one in old.store.entities(old.tenant):
            new.store.put_entity(new.tenant, one)
        for number, head in old.evolutions.heads(old.tenant):
            copy_evolution(new, head | {"attrs": old.evolutions.instances(number)})
        made["snapshotStatus"] = "success"
        finish(room, made)
    return created(ROOT + made["id"])


def sweep(room: Room) -> None:
    """Let go of what is over."""
    for _, one in room.store.documents(KIND, room.tenant):
        if (times.instant(one["expiresAt"]) or 0) <= room.broker.now_ns:
            drop(room, one["id"])


def drop(room: Room, name: str) -> None:
    with room.transaction():
        room.store.drop_document(KIND, room.tenant, name)
        room.store.drop_tenant(inside(name, room.tenant))


def named(call: Call, room: Room) -> Json:
    """Raises BadRequest, ResourceNotFound."""
    name = call.uri(0, "snapshot id")
    sweep(room)
    found = room.store.document(KIND, room.tenant, name)
    if found is None:
        raise ResourceNotFound(f"{name}: no such snapshot")
    return found


def retrieve(call: Call) -> Answer:
    return json_answer(named(call, call.room()))


def update(call: Call) -> Answer:
    room = call.room()
    found = named(call, room)
    part = checked(call.body, queries=False)
    if part.get("id", found["id"]) != found["id"]:
        raise BadRequest(f"id: {part['id']!r}: the id of a snapshot stays")
    made = {key: one for key, one in (found | part).items() if one != NULL}
    made.setdefault("snapshotPriority", PRIORITY)
    if "snapshotLifetime" in part:
        made["expiresAt"] = expiry(room, made)
    made["modifiedAt"] = times.text(room.broker.now_ns)
    with room.transaction():
        finish(room, made)
    return json_answer(made)


def delete(call: Call) -> Answer:
    room = call.room()
    drop(room, named(call, room)["id"])
    return NO_CONTENT


def purge(call: Call) -> Answer:
    room = call.room()
    if not call.params.get("q"):
        raise BadRequest("q is missing: it says which snapshots")
    node = q.parse(call.params["q"])
    context = room.broker.contexts.core
    for one in q.terms(node):
        if one.path.names[0] not in MEMBERS:
            raise BadRequest(f"q: {one.path.names[0]}: a Snapshot has no such member")
    asked = Query(node, context)
    for _, kept in room.store.documents(KIND, room.tenant):
        attrs = {context.expand(key): [{"type": "Property", "value": one}] for key, one in kept.items()}
        if asked.matches({"attrs": attrs}):
            drop(room, kept["id"])
    return NO_CONTENT


def used(room: Room, name: str) -> None:
    """That somebody asked inside it."""
    kept = room.store.document(KIND, room.tenant, name)
    if kept is not None:
        kept["lastUsedAt"] = times.text(room.broker.now_ns)
        room.store.put_document(KIND, room.tenant, name, kept)
