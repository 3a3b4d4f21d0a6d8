"""Batches of entities: create, upsert, update, merge, delete (5.6.7 … 5.6.10, 5.6.20). One transaction each.

An item that fails does not touch the others; the answer tells of each.
"""

from collections.abc import Callable
from typing import Any

from aggregator.api.ngsi import entities, merging, times
from aggregator.api.ngsi.answer import NO_CONTENT, Answer, Batch, json_answer
from aggregator.api.ngsi.attribute import Rules
from aggregator.api.ngsi.broker import Room
from aggregator.api.ngsi.context import Context
from aggregator.api.ngsi.entity import entity, fresh
from aggregator.api.ngsi.errors import BadRequest, Problem, ResourceNotFound, TooManyResults
from aggregator.api.ngsi.request import Call
from aggregator.api.ngsi.words import Json, is_uri

ITEMS_MAX = 10_000
Act = Callable[[Room, Json, Context], None]


def items(call: Call) -> list[Any]:
    """Raises BadRequest, TooManyResults."""
    given = call.body
    if not isinstance(given, list) or not given or any(one is None for one in given):
        raise BadRequest("a batch is an array, not empty and without null")
    if len(given) > ITEMS_MAX:
        raise TooManyResults(f"{len(given)} items, at most {ITEMS_MAX} at once")
    return given


def each(call: Call, room: Room, done: Batch, act: Act) -> None:
    with room.transaction():
        for given in items(call):
            name = given.get("id", given.get("@id")) if isinstance(given, dict) else None
            try:
                if not isinstance(given, dict):
                    raise BadRequest("an entity is a JSON object")
                act(room, given, call.context_of(given))
            except Problem as error:
                done.failed(name, error)
            else:
                done.success.append(str(name))


def create(call: Call) -> Answer:
    done = Batch()

    def act(room: Room, given: Json, context: Context) -> None:
        entities.make(room, given, Rules(context))

    each(call, call.room(create=True), done, act)
    return done.answer(json_answer(done.success, 201))


def upsert(call: Call) -> Answer:
    done, new = Batch(), []

    def act(room: Room, given: Json, context: Context) -> None:
        now = room.broker.now_ns
        made = entity(given, Rules(context), now=now)
        before = room.own(made["id"])
        if before is None:
            new.append(made["id"])
            room.save(None, fresh(made, times.text(now)))
        elif "update" in call.options:
            room.save(before, merging.update(before, made, times.text(now)))
        else:
            room.save(before, merging.replace(before, made, times.text(now)))

    each(call, call.room(create=True), done, act)
    return done.answer(json_answer(new, 201) if new else NO_CONTENT)


def known(room: Room, given: Json) -> Json:
    """The entity that an item means. Raises BadRequest, ResourceNotFound."""
    name = given.get("id", given.get("@id"))
    if not is_uri(name):
        raise BadRequest(f"id: {name!r} is no URI")
    found = room.own(str(name))
    if found is None:
        raise ResourceNotFound(f"{name}: no such entity")
    return found


def update(call: Call) -> Answer:
    done = Batch()

    def act(room: Room, given: Json, context: Context) -> None:
        found, now = known(room, given), room.broker.now_ns
        text = times.text(now)
        if "noOverwrite" in call.options:
            part = entities.checked(given, Rules(context), found["id"], now)
            room.save(found, merging.append(found, part, text, overwrite=False).entity)
        else:
            part = entities.checked(given, Rules(context, nulls=True), found["id"], now)
            room.save(found, merging.update(found, part, text))

    each(call, call.room(), done, act)
    return done.answer(NO_CONTENT)


def merge(call: Call) -> Answer:
    done = Batch()
    simple = entities.simplified(call)

    def act(room: Room, given: Json, context: Context) -> None:
        rules = Rules(context, nulls=True, merge=True, simplified=simple)
        lang, observed = call.params.get("lang", ""), entities.observed(call)
        entities.merged(room, known(room, given), given, rules, lang, observed)

    each(call, call.room(), done, act)
    return done.answer(NO_CONTENT)


def delete(call: Call) -> Answer:
    done, room = Batch(), call.room()
    with room.transaction():
        for name in items(call):
            try:
                room.save(known(room, {"id": name}), None)
            except Problem as error:
                done.failed(name, error)
            else:
                done.success.append(name)
    return done.answer(NO_CONTENT)
