"""Geometries (4.7) and geoqueries (4.10): GEOS by `shapely` says within, contains, overlaps; distances are metres.

Distances follow the haversine formula between points; between other shapes the nearest places are found on a plane
laid at the reference's latitude, which is true to a metre over a city.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import shapely
from shapely.errors import ShapelyError
from shapely.geometry import Point, shape
from shapely.geometry.base import BaseGeometry

from aggregator.api.ngsi.errors import BadRequest
from aggregator.api.ngsi.words import GEOMETRIES, NGSI, Json

EARTH_M = 6_371_008.8  # mean radius (IUGG)
POINTS_MAX = 20_000  # of one geometry
LOCATION = NGSI + "location"
RELATIONS: Mapping[str, Callable[[BaseGeometry, BaseGeometry], Any]] = {  # (the entity's, the query's)
    "within": shapely.within,
    "contains": shapely.contains,
    "intersects": shapely.intersects,
    "equals": shapely.equals,
    "disjoint": shapely.disjoint,
    "overlaps": shapely.overlaps,
}


def geometry(value: object, where: str) -> BaseGeometry:
    """GeoJSON as a shape. Raises BadRequest."""
    if not isinstance(value, dict) or value.get("type") not in (*GEOMETRIES, "GeometryCollection"):
        raise BadRequest(f"{where}: no GeoJSON geometry: type one of {', '.join(GEOMETRIES)}, and coordinates")
    if value["type"] == "GeometryCollection":
        parts = value.get("geometries")
        if not isinstance(parts, list) or not parts:
            raise BadRequest(f"{where}: a GeometryCollection has geometries")
        return shapely.GeometryCollection([geometry(one, where) for one in parts])
    coordinates = value.get("coordinates")
    if fault := next(faults(value["type"], coordinates), ""):
        raise BadRequest(f"{where}: {value['type']}: {fault}")
    try:
        return shape({"type": value["type"], "coordinates": coordinates})
    except (ShapelyError, ValueError, TypeError) as error:
        raise BadRequest(f"{where}: {value['type']}: {error}") from error


def faults(kind: str, coordinates: Any) -> Iterator[str]:
    """What RFC 7946 (3.1) does not allow."""
    depth = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}[kind]
    layers: list[Any] = [coordinates]
    for level in range(depth):
        if any(not isinstance(one, list) or not one for one in layers):
            yield "coordinates: arrays of arrays of positions are missing"
            return
        last = level == depth - 1
        if last and "Line" in kind and any(len(one) < 2 for one in layers):
            yield "a line has two positions or more"
        if last and "Polygon" in kind and any(len(one) < 4 or one[0] != one[-1] for one in layers):
            yield "a ring has four positions or more, the last the same as the first"
        layers = [inner for one in layers for inner in one]
        if len(layers) > POINTS_MAX:
            yield f"more than {POINTS_MAX} positions"
            return
    for one in layers:
        if not isinstance(one, list) or len(one) < 2 or not all(is_number(number) for number in one):
            yield f"{one!r} is no position: write [longitude, latitude]"
            return
        if not (-180 <= one[0] <= 180 and -90 <= one[1] <= 90):
            yield f"{one!r}: longitude from -180 to 180, latitude from -90 to 90"
            return


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True, eq=False)
class GeoQuery:
    """`prop`: the URI of the GeoProperty."""

    relation: str
    reference: BaseGeometry
    prop: str = LOCATION
    least_m: float | None = None
    most_m: float | None = None

    def matches(self, entity: Json) -> bool:
        """Whether any instance of the property does."""
        return any(
            self.holds(found)
            for one in entity["attrs"].get(self.prop, ())
            if one.get("type") == "GeoProperty" and (found := shape_of(one.get("value"))) is not None
        )

    def holds(self, found: BaseGeometry) -> bool:
        if self.relation != "near":
            return bool(RELATIONS[self.relation](found, self.reference))
        metres = distance_m(found, self.reference)
        return (self.most_m is None or metres <= self.most_m) and (self.least_m is None or metres > self.least_m)


def query(georel: str, kind: object, coordinates: object, prop: str = LOCATION) -> GeoQuery:
    """Raises BadRequest."""
    relation, _, distance = georel.partition(";")
    if kind not in GEOMETRIES:
        raise BadRequest(f"geometry: {kind!r}: write one of {', '.join(GEOMETRIES)}")
    if isinstance(coordinates, str):
        try:
            coordinates = json.loads(coordinates)
        except ValueError as error:
            raise BadRequest(f"coordinates: no JSON: {error}") from error
    reference = geometry({"type": kind, "coordinates": coordinates}, "coordinates")
    shapely.prepare(reference)
    if relation == "near":
        name, equal, number = distance.partition("==")
        try:
            metres = float(number)
        except ValueError:
            metres = -1.0
        if name not in ("maxDistance", "minDistance") or not equal or not 0 < metres < math.inf:
            raise BadRequest(f"georel: {georel!r}: write near;maxDistance==2000 or near;minDistance==2000, metres")
        return GeoQuery("near", reference, prop, *((None, metres) if name == "maxDistance" else (metres, None)))
    if relation not in RELATIONS or distance:
        raise BadRequest(f"georel: {georel!r}: write near;maxDistance==…, {', '.join(RELATIONS)}")
    return GeoQuery(relation, reference, prop)


def shape_of(value: object) -> BaseGeometry | None:
    """Of what is stored, which was checked when it came."""
    try:
        return geometry(value, "")
    except BadRequest:
        return None


def distance_m(one: BaseGeometry, other: BaseGeometry) -> float:
    if isinstance(one, Point) and isinstance(other, Point):
        return haversine_m(one.x, one.y, other.x, other.y)
    at = math.cos(math.radians(other.centroid.y))
    first, second = shapely.shortest_line(stretched(one, at), stretched(other, at)).coords
    return haversine_m(first[0] / at, first[1], second[0] / at, second[1])


def stretched(one: BaseGeometry, by: float) -> BaseGeometry:
    return shapely.transform(one, lambda places: places * (by, 1.0))


def haversine_m(lon_a: float, lat_a: float, lon_b: float, lat_b: float) -> float:
    a, b, half = math.radians(lat_a), math.radians(lat_b), math.radians(lon_b - lon_a) / 2
    h = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(half) ** 2
    return 2 * EARTH_M * math.asin(min(1.0, math.sqrt(h)))
