"""What a consumer asks of entities (5.7.1, 5.7.2, 5.2.23): which, in what form, linked how, in what order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aggregator.api.ngsi import ordering, subscription
from aggregator.api.ngsi.broker import Room
from aggregator.api.ngsi.errors import BadRequest, InvalidRequest
from aggregator.api.ngsi.evolution import whole
from aggregator.api.ngsi.linked import Linking
from aggregator.api.ngsi.request import GEO, Call
from aggregator.api.ngsi.selection import Selection, names, selection, words
from aggregator.api.ngsi.view import FORMATS, View, depth_of, projection
from aggregator.api.ngsi.words import Json, is_uri

FORMS = ("normalized", "concise", "simplified", "keyValues")
SHOW = ("attrs", "pick", "omit", "format", "lang", "datasetId", "geometryProperty", "join", "joinLevel", "containedBy")
WHICH = ("id", "type", "idPattern", "q", "csf", "scopeQ", "georel", "geometry", "coordinates", "geoproperty")
MORE = ("expandValues", "jsonKeys", "orderBy", "orderFrom", "orderGeometry", "collation")
PAGES = ("limit", "offset", "count", "options", "local", "splitEntities", "entityMap", "entityMapLifetime")
LEVELS_MAX = 10


@dataclass(frozen=True, eq=False)
class Question:
    chosen: Selection
    view: View
    linking: Linking
    arrange: Callable[[list[Json]], list[Json]] | None
    geometry: str  # URI of the property that a Feature's geometry is of

    def chosen_of(self, room: Room) -> list[Json]:
        return room.find(self.chosen)


def question(call: Call, room: Room, given: Mapping[str, Any]) -> Question:
    """`given`: the parameters, or a Query body by their names. Raises BadRequest, TooComplexQuery."""
    chosen = selection(given, call.context, room.entity)
    shows, linking = viewed(call, given), linked(room, given)
    arrange = ordering.sorted_by(given, call.context)
    depth = max(depth_of(shows.pick), depth_of(shows.omit), chosen.query.depth if chosen.query else 0)
    if depth and linking.how == "@none":
        raise BadRequest("braces ask for linked entities: write join=inline or join=flat as well")
    if depth > linking.level:
        raise BadRequest(f"braces {depth} deep, and joinLevel is {linking.level}")
    if given.get("geometryProperty") and call.accept != GEO:
        raise BadRequest("geometryProperty: is for Accept: application/geo+json")
    geometry = call.context.expand(given.get("geometryProperty") or "location", "geometryProperty")
    return Question(chosen, shows, linking, arrange, geometry)


def viewed(call: Call, given: Mapping[str, Any]) -> View:
    """Raises BadRequest, InvalidRequest."""
    form = given.get("format") or next((one for one in FORMS if one in call.options), "normalized")
    if form not in FORMATS:
        raise InvalidRequest(f"format: {form!r}: write one of {', '.join(FORMS)}")
    attrs, pick, omit = given.get("attrs"), given.get("pick"), given.get("omit")
    if attrs and (pick is not None or omit is not None):
        raise BadRequest("attrs goes with neither pick nor omit")
    datasets = words(given.get("datasetId"))
    if not all(one == "@none" or is_uri(one) for one in datasets):
        raise BadRequest(f"datasetId: {datasets}: write URIs, or @none")
    return View(
        call.context,
        FORMATS[form],
        "sysAttrs" in call.options,
        str(given.get("lang") or ""),
        frozenset(call.context.expand(one, "attrs") for one in words(attrs)),
        projection(pick, "pick"),
        projection(omit, "omit"),
        frozenset(datasets),
    )


def linked(room: Room, given: Mapping[str, Any]) -> Linking:
    how = given.get("join") or "@none"
    if how not in ("flat", "inline", "@none"):
        raise BadRequest(f"join: {how!r}: write flat, inline or @none")
    level = whole(given.get("joinLevel"), "joinLevel", 1, LEVELS_MAX) or 1
    return Linking(room.entity, how, level, frozenset(names(given.get("containedBy"), "containedBy")))


def of_query(call: Call, *, temporal: bool = False) -> dict[str, Any]:
    """A Query body (5.2.23) by the names of the parameters that say the same. Raises BadRequest."""
    body = call.body
    if not isinstance(body, dict) or body.get("type", body.get("@type")) != "Query":
        raise BadRequest("type: write Query")
    known = (*SHOW, *MORE[:2], "q", "csf", "scopeQ", "splitEntities", "entityMap", "entityMapLifetime")
    made = {key: value for key, value in body.items() if key in known}
    for key in body:
        if key not in (*known, "type", "@type", "@context", "entities", "geoQ", "temporalQ", "aggrParams", "ordering"):
            raise BadRequest(f"{key}: a Query has no such member")
    for key in ("attrs", "pick", "omit"):
        if key in made and (not isinstance(made[key], list) or not made[key]):
            raise BadRequest(f"{key}: write an array of names, one at least")
    for key in ("q", "csf", "scopeQ", "lang", "join", "expandValues"):
        if key in made and not isinstance(made[key], str):
            raise BadRequest(f"{key}: {made[key]!r}: write a text")
    if "entities" in body:
        selectors = subscription.entities(body["entities"], call.context)
        made["selectors"] = [subscription.selector_of(one) for one in selectors]
    for key in ("geoQ", *(("temporalQ", "aggrParams") if temporal else ()), "ordering"):
        if key not in body:
            continue
        if not isinstance(body[key], dict):
            raise BadRequest(f"{key}: write an object")
        made |= body[key] if key != "ordering" else in_order(body[key])
    if not temporal and ("temporalQ" in body or "aggrParams" in body):
        raise BadRequest("temporalQ and aggrParams are for queries of the temporal evolution")
    return made


def in_order(given: Mapping[str, Any]) -> dict[str, Any]:
    """OrderingParams (5.2.43)."""
    made = {key: given[key] for key in ("orderBy", "collation") if key in given}
    if isinstance(made.get("orderBy"), list):
        made["orderBy"] = ",".join(str(one) for one in made["orderBy"])
    if "coordinates" in given:
        made["orderFrom"] = given["coordinates"]
    if "geometry" in given:
        made["orderGeometry"] = given["geometry"]
    return made
