"""Operations on context source registrations (5.9, 5.10), and who is told of their changes (5.11.7).

Registrations are kept, found and told of. Requests are not sent on to the sources: this broker answers from what it
holds itself.
"""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from aggregator.api.ngsi import notices, registration, selection, subscription, times
from aggregator.api.ngsi.answer import NO_CONTENT, Answer, created, page, paging, shown
from aggregator.api.ngsi.broker import Room
from aggregator.api.ngsi.errors import AlreadyExists, BadRequest, Conflict, ResourceNotFound
from aggregator.api.ngsi.evolution import temporal_query
from aggregator.api.ngsi.registration import Wanted
from aggregator.api.ngsi.request import Call
from aggregator.api.ngsi.selection import Selection, Selector
from aggregator.api.ngsi.words import Json

KIND = "csource"
ROOT = "/ngsi-ld/v1/csourceRegistrations/"
NEW, UPDATED, GONE = "newlyMatching", "updated", "noLongerMatching"
SOURCES_MAX = 10_000


def create(call: Call) -> Answer:
    room = call.room(create=True)
    now_ns = room.broker.now_ns
    kept = registration.whole({k: v for k, v in registration.fragment(call.body, call.context, now_ns).items() if v})
    kept.setdefault("id", f"urn:ngsi-ld:ContextSourceRegistration:{uuid4()}")
    if alive(room, kept["id"]) is not None:
        raise AlreadyExists(f"{kept['id']} exists already; PATCH changes it")
    if len(room.store.documents(KIND, room.tenant)) >= SOURCES_MAX:
        raise BadRequest(f"{SOURCES_MAX} registrations already; delete some")
    now = times.text(now_ns)
    kept |= {"context": call.context.told(), "createdAt": now, "modifiedAt": now}
    no_conflict(room, kept)
    with room.transaction():
        room.store.put_document(KIND, room.tenant, kept["id"], kept)
        announce(room, None, kept)
    return created(ROOT + kept["id"])


def no_conflict(room: Room, kept: Json) -> None:
    """5.9.2.4: what an exclusive or redirecting source holds is not held here, nor by another. Raises Conflict."""
    mode = kept.get("mode", "inclusive")
    if mode not in ("exclusive", "redirect"):
        return
    for one in kept["information"]:
        selectors = [selector(each) for each in one.get("entities", ())]
        names = frozenset((*one.get("propertyNames", ()), *one.get("relationshipNames", ())))
        held = room.find(Selection(tuple(selectors), names))
        if selectors and held:
            raise Conflict(f"{held[0]['id']}: is held here; a source of mode {mode} cannot have it")
        if mode == "exclusive":
            for _, other in room.store.documents(KIND, room.tenant):
                if (
                    other["id"] != kept["id"]
                    and other.get("mode") in ("exclusive", "redirect")
                    and Wanted(selectors, names).part(without_intervals(other))
                ):
                    raise Conflict(f"{other['id']}: has the same Attributes of the same entity already")


def without_intervals(kept: Json) -> Json:
    return {key: value for key, value in kept.items() if key not in registration.INTERVALS}


def selector(one: Json) -> Selector:
    kept = {"types": [one["type"]] if one["type"] else [], "id": [one["id"]] if "id" in one else []}
    return subscription.selector_of(kept | ({"idPattern": one["idPattern"]} if "idPattern" in one else {}))


def alive(room: Room, name: str) -> Json | None:
    found = room.store.document(KIND, room.tenant, name)
    if found and registration.over(found, room.broker.now_ns):
        room.store.drop_document(KIND, room.tenant, name)
        return None
    return found


def named(call: Call, room: Room) -> Json:
    """Raises BadRequest, ResourceNotFound."""
    name = call.uri(0, "registration id")
    found = alive(room, name)
    if found is None:
        raise ResourceNotFound(f"{name}: no such registration")
    return found


def retrieve(call: Call) -> Answer:
    call.uri(0, "registration id")
    call.context = call.linked()
    found = named(call, call.room())
    return shown(call, registration.shown(found, call.context, system="sysAttrs" in call.options))


def update(call: Call) -> Answer:
    room = call.room()
    kept = named(call, room)
    now_ns = room.broker.now_ns
    part = registration.fragment(call.body, call.context, now_ns)
    if part.get("id", kept["id"]) != kept["id"]:
        raise BadRequest(f"id: {part['id']!r}: the id of a registration stays")
    made = registration.whole({key: one for key, one in (kept | part).items() if one is not None})
    made["modifiedAt"] = times.text(now_ns)
    no_conflict(room, made)
    with room.transaction():
        room.store.put_document(KIND, room.tenant, kept["id"], made)
        announce(room, kept, made)
    return NO_CONTENT


def delete(call: Call) -> Answer:
    room = call.room()
    kept = named(call, room)
    with room.transaction():
        room.store.drop_document(KIND, room.tenant, kept["id"])
        announce(room, kept, None)
    return NO_CONTENT


def query(call: Call) -> Answer:
    call.context = call.linked()
    asked, room = paging(call), call.room()
    wanted = wanted_of(call, room, call.params)
    found = [one for kept in all_alive(room) if (one := wanted.part(kept)) is not None]
    part, headers = page(call, found, asked)
    system = "sysAttrs" in call.options
    return shown(call, [registration.shown(one, call.context, system=system) for one in part], 200, headers)


def all_alive(room: Room) -> list[Json]:
    now = room.broker.now_ns
    return [one for _, one in room.store.documents(KIND, room.tenant) if not registration.over(one, now)]


def wanted_of(call: Call, room: Room, given: Mapping[str, Any]) -> Wanted:
    """Raises BadRequest."""
    chosen = selection.selection(given, call.context, room.entity)
    if not chosen.selectors and not chosen.every and not chosen.attrs and not chosen.query and not chosen.geo:
        raise BadRequest("too wide: ask for types, attributes, q or a place")
    names = chosen.attrs | (chosen.query.names if chosen.query else set())
    if chosen.geo is not None and given.get("geoproperty"):
        names = names | ({chosen.geo.prop} if chosen.geo.prop.rpartition("/")[2] not in registration.PLACES else set())
    timed = any(given.get(key) for key in ("timerel", "timeAt", "endTimeAt", "timeproperty"))
    csf = Selection((), frozenset(), chosen.csf) if chosen.csf else None
    time = temporal_query(given, required=True) if timed else None
    return Wanted(chosen.selectors, frozenset(names), chosen.geo, time, csf, chosen.scope)


def wanted_by(room: Room, kept: Json) -> Wanted:
    """What a subscription to registrations looks for (5.11.2.4)."""
    context = room.broker.contexts.of(kept.get("context") or [])
    given = {key: kept[key] for key in ("csf", "scopeQ") if key in kept} | kept.get("geoQ", {})
    chosen = selection.selection(given, context, room.entity)
    told = kept["notification"].get("attributes", [])
    names = (
        frozenset((*kept.get("watchedAttributes", ()), *told))
        if told and kept.get("watchedAttributes")
        else frozenset()
    )
    csf = Selection((), frozenset(), chosen.csf) if chosen.csf else None
    time = temporal_query(kept["temporalQ"], required=True) if "temporalQ" in kept else None
    selectors = [subscription.selector_of(one) for one in kept.get("entities", ())]
    return Wanted(selectors, names or frozenset(kept.get("watchedAttributes", ())), chosen.geo, time, csf, chosen.scope)


def announce(room: Room, before: Json | None, after: Json | None) -> None:
    """Tell who watches registrations what has become of one."""
    for _, kept in room.store.documents("csubscription", room.tenant):
        if "timeInterval" in kept or subscription.status(kept, room.broker.now_ns) != "active":
            continue
        wanted = wanted_by(room, kept)
        old, new = (wanted.part(one) if one is not None else None for one in (before, after))
        if new is not None:
            post(room, kept, [new], UPDATED if old is not None else NEW)
        elif old is not None:
            post(room, kept, [old], GONE)


def announce_first(room: Room, kept: Json) -> None:
    """What matches already when somebody begins to watch; the same again at every interval."""
    wanted = wanted_by(room, kept)
    found = [part for one in all_alive(room) if (part := wanted.part(one)) is not None]
    if found and subscription.status(kept, room.broker.now_ns) == "active":
        post(room, kept, found, NEW)


def post(room: Room, kept: Json, found: list[Json], reason: str) -> None:
    context = room.broker.contexts.of(kept.get("jsonldContext") or kept.get("context") or [])
    now_ns = room.broker.now_ns
    data = [registration.shown(one, context) for one in found]
    letter = notices.source_letter(kept, room.tenant, context, data, reason, times.text(now_ns))
    room.broker.book("csubscription", room.tenant, kept["id"], timesSent=1, lastNotification=times.text(now_ns))
    room.broker.outbox.put(room.tenant, "csubscription", kept["id"], now_ns, letter)
    room.broker.wake()
