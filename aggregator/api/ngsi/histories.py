"""Operations on the temporal evolution of entities (5.6.11 … 5.6.16, 5.7.3, 5.7.4)."""

from collections.abc import Mapping, Sequence
from typing import Any

from aggregator.api.ngsi import aggregation, attribute, evolution, times
from aggregator.api.ngsi.answer import NO_CONTENT, Answer, created, page, paging, shown
from aggregator.api.ngsi.attribute import Rules
from aggregator.api.ngsi.attributes import named
from aggregator.api.ngsi.broker import Room
from aggregator.api.ngsi.entity import entity, stamped
from aggregator.api.ngsi.errors import BadRequest, InvalidRequest, ResourceNotFound
from aggregator.api.ngsi.evolution import TemporalQuery, temporal_query
from aggregator.api.ngsi.question import of_query, viewed
from aggregator.api.ngsi.request import Call
from aggregator.api.ngsi.selection import Selection, selection
from aggregator.api.ngsi.view import View, depth_of
from aggregator.api.ngsi.words import NGSI, Json, is_uri

ROOT = "/ngsi-ld/v1/temporal/entities/"
FORMS = {"temporalValues": "temporalValues", "simplified": "temporalValues", "keyValues": "temporalValues"}


def upsert(call: Call) -> Answer:
    room = call.room(create=True)
    given = entity(call.body, Rules(call.context, nulls=True, temporal=True))
    known = room.evolutions.head(room.tenant, given["id"])
    with room.transaction():
        record(room, given, known)
    return created(ROOT + given["id"]) if known is None else NO_CONTENT


def record(room: Room, given: Json, known: tuple[int, Json] | None) -> None:
    """Instances added to an evolution, or a new one."""
    now = times.text(room.broker.now_ns)
    head = known[1] if known else {"id": given["id"], "type": [], "createdAt": now}
    head = head | {"type": list(dict.fromkeys([*head["type"], *given.get("type", [])])), "modifiedAt": now}
    if "scope" in given:
        one = {"type": "Property", "value": given["scope"], "createdAt": now, "modifiedAt": now}
        head["scope"] = [*head.get("scope", []), one]
    number = room.evolutions.put_head(room.tenant, head)
    for name, some in given["attrs"].items():
        for one in some:
            if "null" in one:
                room.end_instance(number, name, {"type": "Property"} | one, now)
            else:
                room.add_instance(number, name, stamped(one, now))


def known(call: Call, room: Room) -> tuple[int, Json]:
    """Raises BadRequest, ResourceNotFound."""
    name = call.uri(0, "entity id")
    found = room.evolutions.head(room.tenant, name)
    if found is None:
        raise ResourceNotFound(f"{name}: nothing is known of how it evolved")
    return found


def append(call: Call) -> Answer:
    room = call.room()
    found = known(call, room)
    part = entity(call.body, Rules(call.context, nulls=True, temporal=True), whole=False)
    with room.transaction():
        record(room, part | {"id": found[1]["id"]}, found)
    return NO_CONTENT


def delete(call: Call) -> Answer:
    room = call.room()
    known(call, room)
    room.evolutions.drop(room.tenant, call.path[0])
    return NO_CONTENT


def delete_attribute(call: Call) -> Answer:
    call.uri(0, "entity id")
    call.context = call.linked()
    room = call.room()
    name, dataset = named(call), call.params.get("datasetId", "")
    if dataset not in ("", "@none") and not is_uri(dataset):
        raise BadRequest(f"datasetId: {dataset!r} is no URI")
    number, head = known(call, room)
    if name == NGSI + "scope" and "scope" in head:
        room.evolutions.put_head(room.tenant, {key: one for key, one in head.items() if key != "scope"})
        return NO_CONTENT
    only = None if call.flag("deleteAll") else dataset.removeprefix("@none")
    if not room.evolutions.drop_instances(number, name, dataset=only):
        raise ResourceNotFound(f"{call.path[0]}: its evolution has no {name}")
    return NO_CONTENT


def instance_of(call: Call, room: Room) -> tuple[int, str, Json]:
    """Its evolution's number, the Attribute and the instance of the path. Raises BadRequest, ResourceNotFound."""
    name = named(call)
    wanted = call.uri(2, "instanceId")
    number, _ = known(call, room)
    some = room.evolutions.instances(number, [name]).get(name, [])
    found = next((one for one in some if one["instanceId"] == wanted), None)
    if found is None:
        raise ResourceNotFound(f"{call.path[0]}: {call.path[1]} has no instance {wanted}")
    return number, name, found


def modify_instance(call: Call) -> Answer:
    """The instance is replaced (5.6.14); when it was created, and its id, stay."""
    room = call.room()
    call.uri(0, "entity id")
    number, name, before = instance_of(call, room)
    body = call.body if isinstance(call.body, dict) else {}
    given: Any = {key: one for key, one in body.items() if key != "@context"}
    same = next((key for key in given if key not in ("type", "id") and call.context.expand(key, key) == name), None)
    if same is not None:
        given = given[same][0] if isinstance(given[same], list) and given[same] else given[same]
    made = attribute.instance(call.path[1], given, Rules(call.context, temporal=True))
    one = stamped(made, times.text(room.broker.now_ns), before) | {"instanceId": before["instanceId"]}
    room.evolutions.replace(number, name, one, times.instant(one.get("observedAt")))
    return NO_CONTENT


def delete_instance(call: Call) -> Answer:
    call.uri(0, "entity id")
    call.context = call.linked()
    room = call.room()
    number, name, one = instance_of(call, room)
    room.evolutions.drop_instances(number, name, instance=one["instanceId"])
    return NO_CONTENT


def form_of(call: Call, given: Mapping[str, Any]) -> str:
    """Raises InvalidRequest."""
    form = given.get("format")
    if form is None:
        named = [one for one in (*FORMS, "aggregatedValues") if one in call.options]
        form = named[0] if named else "normalized"
    if form not in (*FORMS, "aggregatedValues", "normalized", "concise"):
        raise InvalidRequest(f"format: {form!r}: write normalized, temporalValues or aggregatedValues")
    return FORMS.get(form, str(form))


def view_of(call: Call, given: Mapping[str, Any]) -> View:
    shows = viewed(call, {key: one for key, one in given.items() if key != "format"})
    if depth_of(shows.pick) or depth_of(shows.omit):
        raise BadRequest("pick, omit: there are no linked entities in a history")
    concise = given.get("format") == "concise" or "concise" in call.options
    return View(**(vars(shows) | {"form": "concise" if concise else "normalized"}))


def presented(
    call: Call, found: Sequence[Json], asked: TemporalQuery, given: Mapping[str, Any]
) -> tuple[list[Json], str]:
    """As it is to be shown, and the range of a Content-Range where it is not all."""
    shows, form = view_of(call, given), form_of(call, given)
    if form == "aggregatedValues":
        how, span = aggregation.methods(given.get("aggrMethods")), aggregation.period(given.get("aggrPeriodDuration"))
        return [aggregation.aggregated(one, shows, asked, how, span) for one in found], ""
    made = evolution.paged(found, asked, call.broker.settings.instances)
    return [evolution.shown(one, shows, asked, form) for one in made.found], made.range


def retrieve(call: Call) -> Answer:
    name = call.uri(0, "entity id")
    call.context = call.linked()
    room, asked = call.room(), temporal_query(call.params, required=False)
    shows = view_of(call, call.params)
    whole = evolved(room, name, asked)
    if whole is None:
        raise ResourceNotFound(f"{name}: nothing is known of how it evolved")
    if shows.attrs and not any(one in whole["attrs"] for one in shows.attrs):
        raise ResourceNotFound(f"{name} has none of {call.params['attrs']}")
    told, span = presented(call, [evolution.windowed(whole, asked, shows.attrs)], asked, call.params)
    return shown(call, told[0], 206 if span else 200, {"Content-Range": span} if span else {})


def evolved(room: Room, name: str, asked: TemporalQuery) -> Json | None:
    """Of an entity that clients wrote, or of the city's own."""
    if (head := room.evolutions.head(room.tenant, name)) is not None:
        return head[1] | {"attrs": room.evolutions.instances(head[0])}
    if room.tenant:
        return None
    end = {"before": asked.at_ns, "between": asked.end_ns}.get(asked.relation)
    return room.broker.city.evolution(name, asked.at_ns if asked.relation in ("after", "between") else None, end)


def query(call: Call) -> Answer:
    call.context = call.linked()
    return answered(call, call.params)


def query_by_post(call: Call) -> Answer:
    return answered(call, of_query(call, temporal=True))


def answered(call: Call, given: Mapping[str, Any]) -> Answer:
    asked, asked_page, room = temporal_query(given, required=True), paging(call), call.room()
    chosen = selection(given, call.context, room.entity)
    if not chosen.narrow and not call.flag("local"):
        raise BadRequest("too wide: ask for types, attributes, q or a place, or write local=true")
    if chosen.query and chosen.query.depth:
        raise BadRequest("q: there are no linked entities in a history")
    order = str(given.get("orderBy") or "")
    if order and order not in ("id", "id;asc", "id;desc"):
        raise BadRequest(f"orderBy: {order!r}: a history is ordered by id alone")
    shows = view_of(call, given)
    found = matching(room, chosen, asked, shows.attrs)
    if order:
        found.sort(key=lambda one: str(one["id"]), reverse=order.endswith("desc"))
    part, headers = page(call, found, asked_page)
    told, span = presented(call, part, asked, given)
    return shown(call, told, 206 if span else 200, headers | ({"Content-Range": span} if span else {}))


def matching(room: Room, chosen: Selection, asked: TemporalQuery, names: frozenset[str]) -> list[Json]:
    """5.7.4.4: what a query means is asked of the instances within its time alone."""
    found = []
    for whole in evolutions(room, chosen, asked):
        part = evolution.windowed(whole, asked, names)
        if not part["attrs"]:
            continue
        flat = part | {"scope": scopes_then(whole, asked)}
        if Selection((), frozenset(), chosen.query, chosen.geo, chosen.scope).matches(flat):
            found.append(part)
    return found


def evolutions(room: Room, chosen: Selection, asked: TemporalQuery) -> list[Json]:
    own = [
        head | {"attrs": room.evolutions.instances(number)}
        for number, head in room.evolutions.heads(room.tenant)
        if chosen.selects(head["id"], head["type"])
    ]
    if room.tenant:
        return own
    names = [one["id"] for one in room.broker.city.entities().values() if chosen.selects(one["id"], one["type"])]
    return own + [one for name in names if (one := evolved(room, name, asked)) is not None]


def scopes_then(whole: Json, asked: TemporalQuery) -> list[str]:
    """Every scope that held at some moment of the query's time (4.18)."""
    held: list[str] = []
    before: list[str] = []
    for one in whole.get("scope", []):
        when = times.instant(one.get("modifiedAt") or one.get("deletedAt")) or 0
        if asked.relation in ("after", "between") and when < asked.at_ns:
            before = one["value"]
        elif evolution.scope_matches(one, asked):
            held += one["value"]
    return [*before, *held]
