"""Attributes of an entity: append, update, partial update, replace, delete (5.6.2 … 5.6.5, 5.6.19)."""

from collections.abc import Sequence

from aggregator.api.ngsi import attribute, merging, times
from aggregator.api.ngsi.answer import NO_CONTENT, Answer, json_answer
from aggregator.api.ngsi.attribute import Rules
from aggregator.api.ngsi.broker import Room
from aggregator.api.ngsi.entities import checked, target
from aggregator.api.ngsi.errors import BadRequest, ResourceNotFound
from aggregator.api.ngsi.request import Call
from aggregator.api.ngsi.words import NGSI, Json, is_uri


def append(call: Call) -> Answer:
    room = call.room()
    found = target(call, room)
    now = room.broker.now_ns
    part = checked(call.body, Rules(call.context), found["id"], now)
    made = merging.append(found, part, times.text(now), overwrite="noOverwrite" not in call.options)
    room.save(found, made.entity)
    return updated(part, made.left)


def updated(part: Json, left: Sequence[str]) -> Answer:
    """204, or what was left as it was (5.2.18)."""
    if not left:
        return NO_CONTENT
    done = [name for name in part["attrs"] if name not in left]
    why = "it is there already, and options=noOverwrite leaves it"
    return json_answer({"updated": done, "notUpdated": [{"attributeName": one, "reason": why} for one in left]}, 207)


def update(call: Call) -> Answer:
    room = call.room()
    found = target(call, room)
    now = room.broker.now_ns
    part = checked(call.body, Rules(call.context, nulls=True), found["id"], now)
    room.save(found, merging.update(found, part, times.text(now)))
    return NO_CONTENT


def named(call: Call) -> str:
    """The Attribute of the path, as a URI. Raises BadRequest."""
    name = call.context.expand(call.path[1], "attribute name")
    if call.path[1] in ("id", "type", "@context", "@id", "@type"):
        raise BadRequest(f"{call.path[1]} is no Attribute")
    return name


def no_scope(name: str) -> str:
    if name == NGSI + "scope":
        raise BadRequest("scope: change it with the entity: PATCH /entities/{id}/attrs")
    return name


def partial(call: Call) -> Answer:
    room = call.room()
    call.uri(0, "entity id")
    name = no_scope(named(call))
    found = target(call, room)
    given = attribute.fragment(call.path[1], one_of(call), Rules(call.context, nulls=True))
    room.save(found, merging.partial(found, name, given, times.text(room.broker.now_ns)))
    return NO_CONTENT


def replace(call: Call) -> Answer:
    room = call.room()
    call.uri(0, "entity id")
    name = no_scope(named(call))
    found = target(call, room)
    given = attribute.instance(call.path[1], one_of(call), Rules(call.context))
    room.save(found, merging.replace_attr(found, name, given, times.text(room.broker.now_ns)))
    return NO_CONTENT


def one_of(call: Call) -> Json:
    """The body without its @context. Raises BadRequest."""
    if not isinstance(call.body, dict):
        raise BadRequest("an Attribute is a JSON object")
    return {key: value for key, value in call.body.items() if key != "@context"}


def delete(call: Call) -> Answer:
    call.uri(0, "entity id")
    call.context = call.linked()
    room, name, dataset = call.room(), named(call), call.params.get("datasetId")
    if dataset == "@none":
        dataset = None
    if dataset is not None and not is_uri(dataset):
        raise BadRequest(f"datasetId: {dataset!r} is no URI")
    now, every = times.text(room.broker.now_ns), call.flag("deleteAll")
    if room.own(call.path[0]) is None and room.evolutions.head(room.tenant, call.path[0]):
        return end_history(room, call.path[0], name, dataset, now, every=every)
    found = target(call, room)
    if name == NGSI + "scope":
        if "scope" not in found:
            raise ResourceNotFound(f"{found['id']} has no scope")
        made = {key: value for key, value in found.items() if key != "scope"} | {"modifiedAt": now}
    else:
        made = merging.without(found, name, dataset, now, every=every)
    room.save(found, made)
    return NO_CONTENT


def end_history(room: Room, entity: str, name: str, dataset: str | None, now: str, *, every: bool) -> Answer:
    """Of an entity that is known by its evolution alone: the deletion becomes a part of that."""
    number, head = room.evolutions.head(room.tenant, entity) or (0, {})
    if name == NGSI + "scope" and head.get("scope"):
        head["scope"] = [*head["scope"], {"type": "Property", "value": [], "deletedAt": now}]
        room.evolutions.put_head(room.tenant, head)
        return NO_CONTENT
    some = room.evolutions.instances(number, [name]).get(name, [])
    last = {one.get("datasetId"): one for one in some if every or one.get("datasetId") == dataset}
    if not last:
        raise ResourceNotFound(f"{entity} has no {name}")
    with room.transaction():
        for one in last.values():
            room.end_instance(number, name, one, now)
    return NO_CONTENT
