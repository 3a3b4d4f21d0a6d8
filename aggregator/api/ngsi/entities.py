"""Entities: create, retrieve, query, merge, replace, delete, purge (5.6.1, .6, .17, .18, .21; 5.7.1, 5.7.2)."""

from collections.abc import Mapping, Sequence
from typing import Any

from aggregator.api.ngsi import entity_maps, geojson, merging, times
from aggregator.api.ngsi.answer import NO_CONTENT, Answer, created, page, paging, shown
from aggregator.api.ngsi.attribute import Rules
from aggregator.api.ngsi.broker import Room
from aggregator.api.ngsi.context import Context
from aggregator.api.ngsi.entity import entity, fresh
from aggregator.api.ngsi.errors import AlreadyExists, BadRequest, ResourceNotFound
from aggregator.api.ngsi.question import Question, of_query, question
from aggregator.api.ngsi.request import GEO, Call
from aggregator.api.ngsi.selection import Selector, types, words
from aggregator.api.ngsi.view import View
from aggregator.api.ngsi.words import Json

ROOT = "/ngsi-ld/v1/entities/"


def create(call: Call) -> Answer:
    room = call.room(create=True)
    return created(ROOT + make(room, call.body, Rules(call.context)))


def make(room: Room, given: Any, rules: Rules) -> str:
    """A new entity's id. Raises AlreadyExists, BadRequest."""
    now = room.broker.now_ns
    found = entity(given, rules, now=now)
    if room.own(found["id"]) is not None:
        raise AlreadyExists(f"{found['id']} exists already; PATCH or PUT changes it")
    room.save(None, fresh(found, times.text(now)))
    return str(found["id"])


def target(call: Call, room: Room, *, own: bool = True) -> Json:
    """The entity of the path, of the types that `type` asks for. Raises BadRequest, ResourceNotFound."""
    name = call.uri(0, "entity id")
    found = room.own(name) if own else room.entity(name)
    kinds = call.params.get("type")
    if found is None or (kinds and not Selector(types(kinds, call.context)).matches(name, found["type"])):
        raise ResourceNotFound(f"{name}: no such entity" + (f" of type {kinds}" if kinds else ""))
    return found


def retrieve(call: Call) -> Answer:
    name = call.uri(0, "entity id")
    call.context = call.linked()
    room = call.room()
    asked = question(call, room, {key: one for key, one in call.params.items() if key not in ("id", "type")})
    found = target(call, room, own=False)
    if asked.view.attrs and not any(name in found["attrs"] for name in asked.view.attrs):
        raise ResourceNotFound(f"{name} has none of {call.params['attrs']}")
    told = presented(call, asked, [found], room)
    if asked.linking.how == "flat":
        return shown(call, geojson.collection(told) if call.accept == GEO else told)
    return shown(call, told[0])


def presented(call: Call, asked: Question, found: Sequence[Json], room: Room) -> list[Json]:
    told = asked.linking.show(found, asked.view)
    if call.accept != GEO:
        return told
    kept = {one["id"]: one for one in found}
    whole = asked.linking.show(found, View(call.context))  # the same entities with their ids, whatever is picked
    return [
        geojson.feature(kept.get(full["id"]) or room.entity(full["id"]) or full, one, asked.geometry, asked.view)
        for one, full in zip(told, whole, strict=True)
    ]


def query(call: Call) -> Answer:
    call.context = call.linked()
    return answered(call, call.params)


def query_by_post(call: Call) -> Answer:
    return answered(call, of_query(call))


def answered(call: Call, given: Mapping[str, Any]) -> Answer:
    asked_page = paging(call)
    room = call.room()
    asked = question(call, room, given)
    if given.get("type") == "*" and call.params.get("local") == "false":
        raise BadRequest("type=* is of this broker's entities: local=false does not go with it")
    if not asked.chosen.narrow and not call.flag("local"):
        raise BadRequest("too wide: ask for types, attributes, q or a place, or write local=true")
    found, told = entity_maps.kept_or_found(call, room, asked.chosen)
    if asked.arrange:
        found = asked.arrange(found)
    part, headers = page(call, found, asked_page)
    content: Any = presented(call, asked, part, room)
    if call.accept == GEO:
        content = geojson.collection(content)
    return shown(call, content, told.status, headers | dict(told.headers))


def merge(call: Call) -> Answer:
    room = call.room()
    found = target(call, room)
    rules = Rules(call.context, nulls=True, merge=True, simplified=simplified(call))
    merged(room, found, call.body, rules, call.params.get("lang", ""), observed(call))
    return NO_CONTENT


def merged(room: Room, found: Json, given: Any, rules: Rules, lang: str = "", at: str = "") -> None:
    now = room.broker.now_ns
    part = checked(given, rules, found["id"], now)
    room.save(found, merging.merge(found, part, times.text(now), lang, at))


def checked(given: Any, rules: Rules, name: str, now: int) -> Json:
    """A fragment for an entity; its id, where it has one, must be that. Raises BadRequest."""
    part = entity(given, rules, whole=False, now=now)
    if part.get("id", name) != name:
        raise BadRequest(f"id: {part['id']!r} in the body, {name!r} in the path")
    return part


def simplified(call: Call) -> bool:
    form = call.params.get("format")
    if form not in (None, "simplified", "keyValues", "normalized", "concise"):
        raise BadRequest(f"format: {form!r}: write simplified")
    return form in ("simplified", "keyValues") if form else bool({"keyValues", "simplified"} & call.options)


def observed(call: Call) -> str:
    at = call.params.get("observedAt", "")
    if at and times.instant(at) is None:
        raise BadRequest(f"observedAt: {at!r}: write a DateTime")
    return at


def replace(call: Call) -> Answer:
    room = call.room()
    found = target(call, room)
    now = room.broker.now_ns
    given = call.body
    if isinstance(given, dict) and "id" not in given and "@id" not in given:
        given = given | {"id": found["id"]}
    part = checked(given, Rules(call.context), found["id"], now)
    room.save(found, merging.replace(found, part, times.text(now)))
    return NO_CONTENT


def delete(call: Call) -> Answer:
    call.uri(0, "entity id")
    call.context = call.linked()
    room = call.room()
    room.save(target(call, room), None)
    return NO_CONTENT


def purge(call: Call) -> Answer:
    """5.6.21: entities that a query means, or some of their Attributes."""
    call.context = call.linked()
    room = call.room()
    given = {key: value for key, value in call.params.items() if key not in ("keep", "drop")}
    asked = question(call, room, given)
    if not asked.chosen.narrow and not call.flag("local"):
        raise BadRequest("too wide: ask for types, attributes, q or a place, or write local=true")
    if "keep" in call.params and "drop" in call.params:
        raise BadRequest("keep and drop: write one of them")
    found = [one for one in asked.chosen_of(room) if room.store.entity(room.tenant, one["id"])]
    with room.transaction():
        for one in found:
            room.save(one, left(one, call.params, call.context, times.text(room.broker.now_ns)))
    return NO_CONTENT


def left(found: Json, params: Mapping[str, str], context: Context, now: str) -> Json | None:
    """What a purge leaves of an entity; nothing where it leaves nothing."""
    if "keep" not in params and "drop" not in params:
        return None
    named = {context.expand(one) for one in words(params.get("keep") or params.get("drop"))}
    kept = {name: some for name, some in found["attrs"].items() if (name in named) == ("keep" in params)}
    return found | {"attrs": kept, "modifiedAt": now}
