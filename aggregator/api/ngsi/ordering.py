"""The order of entities in an answer (4.23): by values, by distance; by a collation where one is named.

Texts are compared by their base letters first, then accents, then case, which is what the root collation does for the
scripts of a city's data. A collation with -ks-level1 or -ks-identic ignores case; another tag is checked and taken as
the root collation.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aggregator.api.ngsi import geo, q
from aggregator.api.ngsi.context import Context
from aggregator.api.ngsi.errors import BadRequest
from aggregator.api.ngsi.matching import Query
from aggregator.api.ngsi.words import Json

COLLATION = re.compile(r"[a-z]{2,8}(-[A-Za-z0-9]{2,8})*(-u(-[a-z0-9]{2,8})+)?\Z")
DIRECTIONS = ("asc", "desc", "dist-asc", "dist-desc")
KEYS_MAX = 10


@dataclass(frozen=True, slots=True)
class Order:
    path: q.Path
    direction: str


def sorted_by(given: Mapping[str, Any], context: Context) -> Callable[[list[Json]], list[Json]] | None:
    """What puts entities in the order that a request asks for; nothing where it asks for none. BadRequest."""
    collation = given.get("collation")
    if collation is not None and not COLLATION.match(str(collation)):
        raise BadRequest(f"collation: {collation!r}: write a tag as und, de or de-u-co-phonebk")
    if not given.get("orderBy"):
        return None
    orders = [order(part) for part in re.split(r",(?![^\[]*\])", str(given["orderBy"]))]
    if len(orders) > KEYS_MAX:
        raise BadRequest(f"orderBy: more than {KEYS_MAX} keys")
    origin = None
    if given.get("orderFrom"):
        try:
            places = json.loads(given["orderFrom"]) if isinstance(given["orderFrom"], str) else given["orderFrom"]
        except ValueError as error:
            raise BadRequest(f"orderFrom: no JSON: {error}") from error
        kind = given.get("orderGeometry") or "Point"
        origin = geo.geometry({"type": kind, "coordinates": places}, "orderFrom")
    if origin is None and any(one.direction.startswith("dist") for one in orders):
        raise BadRequest("orderFrom: write the coordinates that distances are measured from")
    folded = bool(collation and re.search(r"-ks-(level[12]|identic)", str(collation)))

    def arranged(found: list[Json]) -> list[Json]:
        for one in reversed(orders):
            down = one.direction.endswith("desc")
            found = sorted(found, key=lambda each: rank(each, one, context, origin, folded), reverse=down)
            if down:  # what is not there comes last either way
                found.sort(key=lambda each: rank(each, one, context, origin, folded)[0] >= MISSING)
        return found

    return arranged


def order(part: str) -> Order:
    name, _, direction = part.strip().partition(";")
    if direction not in ("", *DIRECTIONS):
        raise BadRequest(f"orderBy: {part!r}: write {', '.join(DIRECTIONS)} behind the name")
    node = q.parse(name, "orderBy")
    if not isinstance(node, q.Term) or node.operator or node.path.through:
        raise BadRequest(f"orderBy: {part!r}: write names of Attributes")
    return Order(node.path, direction or "asc")


MISSING = 9


def rank(one: Json, by: Order, context: Context, origin: Any, folded: bool) -> tuple[Any, ...]:
    """(datatype, value): 4.23.2."""
    if by.path.names == ("id",):
        return (1, collated(one["id"], folded))
    if by.path.names in (("type",), ("scope",)):
        return (1, collated(str(one.get(by.path.names[0])), folded))
    for _, value in Query(q.Term(by.path), context).targets(by.path, one):
        found = geo.shape_of(value) if by.direction.startswith("dist") else None
        if found is not None and origin is not None:
            return (-1, geo.distance_m(found, origin))
        return typed(value, folded)
    return (MISSING, 0)


def typed(value: Any, folded: bool) -> tuple[Any, ...]:
    if isinstance(value, bool):
        return (4, value)
    if isinstance(value, (int, float)):
        return (0, value)
    if isinstance(value, dict):
        return (2, json.dumps(value, sort_keys=True))
    if isinstance(value, list):
        return (3, json.dumps(value))
    if value is None:
        return (8, 0)
    if found := q.moment(value):
        return ({"Time": 5, "Date": 6, "DateTime": 7}[found.kind], found.ns)
    return (1, collated(str(value), folded))


def collated(text: str, folded: bool) -> tuple[str, ...]:
    apart = unicodedata.normalize("NFD", text)
    base = "".join(one for one in apart if not unicodedata.combining(one)).casefold()
    return (base,) if folded else (base, apart.casefold(), text.swapcase())
