"""Operations on subscriptions to entities (5.8) and to context source registrations (5.11)."""

from typing import Any
from uuid import uuid4

from aggregator.api.ngsi import hosting, registering, subscription, times
from aggregator.api.ngsi.answer import NO_CONTENT, Answer, created, page, paging, shown
from aggregator.api.ngsi.broker import Room
from aggregator.api.ngsi.errors import AlreadyExists, BadRequest, ResourceNotFound
from aggregator.api.ngsi.request import Call
from aggregator.api.ngsi.times import NS
from aggregator.api.ngsi.watching import Watch
from aggregator.api.ngsi.words import Json

KINDS = {"subscriptions": "subscription", "csourceSubscriptions": "csubscription"}
SUBSCRIPTIONS_MAX = 10_000  # of one tenant: each is asked at every change


def kind_of(call: Call) -> str:
    return KINDS[call.url.removeprefix("/ngsi-ld/v1/").partition("/")[0]]


def create(call: Call) -> Answer:
    room, kind = call.room(create=True), kind_of(call)
    now_ns = room.broker.now_ns
    kept = subscription.whole(subscription.fragment(call.body, call.context, now_ns))
    kept = {key: one for key, one in kept.items() if one is not None}
    kept.setdefault("id", f"urn:ngsi-ld:Subscription:{uuid4()}")
    if room.store.document(kind, room.tenant, kept["id"]) is not None:
        raise AlreadyExists(f"{kept['id']} exists already; PATCH changes it")
    if len(room.store.documents(kind, room.tenant)) >= SUBSCRIPTIONS_MAX:
        raise BadRequest(f"{SUBSCRIPTIONS_MAX} subscriptions already; delete some")
    now = times.text(now_ns)
    kept |= {"context": call.context.told(), "createdAt": now, "modifiedAt": now}
    with room.transaction():
        contextual(call, kept)
        save(room, kind, kept)
        if kind == "csubscription":
            registering.announce_first(room, kept)
    return created(f"{call.url.rstrip('/')}/{kept['id']}")


def contextual(call: Call, kept: Json) -> None:
    """jsonldContext must be there; an array needs a URL of its own to be told in a Link header (5.13.1)."""
    if kept.get("jsonldContext"):
        call.broker.contexts.of(kept["jsonldContext"])
    elif len(call.context.source) > 1 or any(not isinstance(one, str) for one in call.context.source):
        kept["jsonldContext"] = hosting.implicit(call, call.context.told())


def save(room: Room, kind: str, kept: Json) -> None:
    if "timeInterval" in kept:
        kept["due_ns"] = room.broker.now_ns + int(kept["timeInterval"] * NS)
    else:
        kept.pop("due_ns", None)
    if kind == "subscription":
        Watch.of(kept, room.broker.contexts, room.entity)  # what cannot be read is told now, not at a change
    room.store.put_document(kind, room.tenant, kept["id"], kept)
    room.broker.watches_changed(room.tenant)
    room.broker.wake()


def found(call: Call, room: Room, kind: str) -> Json:
    """Raises BadRequest, ResourceNotFound."""
    name = call.uri(0, "subscription id")
    kept = room.store.document(kind, room.tenant, name)
    if kept is None:
        raise ResourceNotFound(f"{name}: no such subscription")
    return kept


def retrieve(call: Call) -> Answer:
    call.uri(0, "subscription id")
    call.context = call.linked()
    room = call.room()
    kept = found(call, room, kind_of(call))
    return shown(call, subscription.shown(kept, call.context, room.broker.now_ns, system="sysAttrs" in call.options))


def query(call: Call) -> Answer:
    call.context = call.linked()
    asked, room = paging(call), call.room()
    every = [kept for _, kept in room.store.documents(kind_of(call), room.tenant)]
    part, headers = page(call, every, asked)
    now, system = room.broker.now_ns, "sysAttrs" in call.options
    return shown(call, [subscription.shown(one, call.context, now, system=system) for one in part], 200, headers)


def update(call: Call) -> Answer:
    room, kind = call.room(), kind_of(call)
    kept = found(call, room, kind)
    now_ns = room.broker.now_ns
    part = subscription.fragment(call.body, call.context, now_ns)
    if part.get("id", kept["id"]) != kept["id"]:
        raise BadRequest(f"id: {part['id']!r}: the id of a subscription stays")
    made = revived({key: one for key, one in (kept | part).items() if one is not None}, kept, part, now_ns)
    subscription.whole(made)
    made["modifiedAt"] = times.text(now_ns)
    if {"q", "geoQ", "entities", "watchedAttributes"} & part.keys():
        made["context"] = call.context.told()
        if "q" in kept and "q" not in part and made["context"] != kept["context"]:
            made["context"] = kept["context"]  # whose words the q that stays is written in
    with room.transaction():
        if part.get("jsonldContext"):
            room.broker.contexts.of(part["jsonldContext"])
        save(room, kind, made)
    return NO_CONTENT


def revived(made: Json, kept: Json, part: Json, now_ns: int) -> Json:
    """5.8.2.4: what is over stays over unless a new expiresAt is given; one alone makes it active."""
    if "expiresAt" in part and "isActive" not in part and subscription.status(kept, now_ns) == "expired":
        made.pop("isActive", None)
    return made


def delete(call: Call) -> Answer:
    room, kind = call.room(), kind_of(call)
    name: Any = found(call, room, kind)["id"]
    with room.transaction():
        room.store.drop_document(kind, room.tenant, name)
        room.broker.outbox.drop_of(room.tenant, kind, name)
    room.broker.watches_changed(room.tenant)
    return NO_CONTENT
