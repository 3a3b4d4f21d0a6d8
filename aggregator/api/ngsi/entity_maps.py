"""Entity maps (5.14): which entities a query meant, kept so that its pages stay of the same set.

All entities are held here, so each stands under "@none"; there are no linked maps.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from aggregator.api.ngsi import times
from aggregator.api.ngsi.answer import NO_CONTENT, Answer, json_answer
from aggregator.api.ngsi.broker import Room
from aggregator.api.ngsi.errors import BadRequest, ResourceNotFound
from aggregator.api.ngsi.question import of_query
from aggregator.api.ngsi.request import Call
from aggregator.api.ngsi.selection import Selection, selection
from aggregator.api.ngsi.words import Json

ROOT = "/ngsi-ld/v1/entityMaps/"
KIND = "entitymap"
LIFETIME = times.Duration(0, 600 * times.NS)
LIFETIME_MAX_NS = 86_400 * times.NS


@dataclass(frozen=True)
class Told:
    """What an answer says of the map that was used."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def kept_or_found(call: Call, room: Room, chosen: Selection) -> tuple[list[Json], Told]:
    """The entities of the map that the client names, while it lives; else those that are chosen, with a new map."""
    named = call.headers.get("ngsild-entitymap", "").rpartition("/")[2]
    kept = alive(room, named) if named else None
    if kept is not None:
        found = [one for name in kept["entityMap"] if (one := room.entity(name)) is not None]
        return found, Told(200, {"NGSILD-EntityMap": ROOT + named})
    found = room.find(chosen)
    wanted = call.params.get("entityMap")
    if wanted not in (None, "true", "false"):
        raise BadRequest(f"entityMap: {wanted!r}: write true or false")
    if not named and wanted != "true":
        return found, Told()
    made = make(room, [one["id"] for one in found], call.params.get("entityMapLifetime"))
    return found, Told(201, {"NGSILD-EntityMap": ROOT + made["id"]})


def make(room: Room, names: list[str], lifetime: Any) -> Json:
    span = LIFETIME if lifetime is None else times.duration(lifetime)
    if span is None:
        raise BadRequest(f"entityMapLifetime: {lifetime!r}: write an ISO 8601 duration, as PT10M")
    now = room.broker.now_ns
    end = min(times.later(now, span), now + LIFETIME_MAX_NS)
    made: Json = {
        "id": f"urn:ngsi-ld:EntityMap:{uuid4()}",
        "type": "EntityMap",
        "expiresAt": times.text(end),
        "entityMap": {name: ["@none"] for name in names},
        "linkedMaps": {},
    }
    room.store.put_document(KIND, room.tenant, made["id"], made)
    return made


def alive(room: Room, name: str) -> Json | None:
    found = room.store.document(KIND, room.tenant, name)
    if found and (times.instant(found["expiresAt"]) or 0) <= room.broker.now_ns:
        room.store.drop_document(KIND, room.tenant, name)
        return None
    return found


def create(call: Call) -> Answer:
    call.context = call.linked()
    return created(call, call.params)


def create_by_post(call: Call) -> Answer:
    return created(call, of_query(call))


def created(call: Call, given: Mapping[str, Any]) -> Answer:
    room = call.room()
    chosen = selection(given, call.context, room.entity)
    if not chosen.narrow and not call.flag("local"):
        raise BadRequest("too wide: ask for types, attributes, q or a place, or write local=true")
    made = make(room, [one["id"] for one in room.find(chosen)], given.get("entityMapLifetime"))
    return json_answer(made, 201, {"NGSILD-EntityMap": ROOT + made["id"], "Location": ROOT + made["id"]})


def named(call: Call, room: Room) -> Json:
    name = call.uri(0, "entity map id")
    found = alive(room, name)
    if found is None:
        raise ResourceNotFound(f"{name}: no such entity map")
    return found


def retrieve(call: Call) -> Answer:
    return json_answer(named(call, call.room()))


def update(call: Call) -> Answer:
    room = call.room()
    found = named(call, room)
    at = call.body.get("expiresAt") if isinstance(call.body, dict) else None
    if times.instant(at) is None:
        raise BadRequest(f"expiresAt: {at!r}: write a DateTime; nothing else of an entity map can be changed")
    room.store.put_document(KIND, room.tenant, found["id"], found | {"expiresAt": at})
    return NO_CONTENT


def delete(call: Call) -> Answer:
    room = call.room()
    room.store.drop_document(KIND, room.tenant, named(call, room)["id"])
    return NO_CONTENT
