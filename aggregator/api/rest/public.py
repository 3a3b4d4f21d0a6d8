"""What residents may see: chosen numbers only, late, as means over squares of the map, rounded; no assets, no points.

A square shows the mean of the estimates in it and how sure it is, in three words. Nothing here tells of people, of
gateways or of what is switched; what is not named in `[web] public` is not there.
"""

import math
from fnmatch import fnmatchcase

import msgspec

from aggregator.access.roles import EVERYONE
from aggregator.api.atlas import Atlas
from aggregator.api.items import utc
from aggregator.api.parts import Parts
from aggregator.api.problem import Unknown
from aggregator.api.route import Call, Route
from aggregator.stores import StoreError

SIDE_DEG = 0.0025  # of a square, north and south: some 280 m
DIGITS = 2  # that count
SURE, LIKELY = 0.1, 0.35  # deviation over the range of the layer: below it is sure, likely, else unsure


class Square(msgspec.Struct, frozen=True):
    """`lon`, `lat` of its middle; `sure`: sure, likely, unsure."""

    lon: float
    lat: float
    value: float
    sure: str


class Layer(msgspec.Struct, frozen=True):
    domain: str
    quantity: str
    unit: str
    at: str
    squares: list[Square]


class PublicCity(msgspec.Struct, frozen=True):
    """`delay_s`: how old everything is at least."""

    name: str
    extent: tuple[float, float, float, float]
    side_deg: float
    delay_s: float
    layers: list[Layer]


def city(call: Call) -> PublicCity:
    parts = call.parts
    web = parts.config.web
    if not web.public or parts.city is None:
        raise Unknown("there is no public page here")
    atlas = parts.atlas
    layers = [
        layer
        for domain, columns in atlas.columns.items()
        for quantity in dict.fromkeys(one.quantity for one in columns)
        if any(fnmatchcase(f"{domain}/{quantity}", wanted) for wanted in web.public)
        if (layer := seen(parts, atlas, domain, quantity)) is not None
    ]
    middle = [rounded(one, SIDE_DEG) for one in atlas.extent]
    west, south, east, north = (one + way * SIDE_DEG for one, way in zip(middle, (-1, -1, 1, 1), strict=True))
    return PublicCity(atlas.city.name, (west, south, east, north), SIDE_DEG, web.public_delay_s, layers)


def seen(parts: Parts, atlas: Atlas, domain: str, quantity: str) -> Layer | None:
    """None where nothing is kept of so long ago."""
    then = parts.clock.wall_ns() - int(parts.config.web.public_delay_s * 1e9)
    try:
        with parts.city_store() as store:
            moment = store.moment(domain, then)
    except (StoreError, Unknown):
        return None
    found: dict[tuple[float, float], list[tuple[float, float]]] = {}
    unit = ""
    for place, column in enumerate(atlas.columns[domain]):
        line = atlas.line(atlas.assets[column.asset][1]) if column.quantity == quantity else []
        if line and math.isfinite(moment.x[place]):
            unit, (lon, lat) = column.unit, line[len(line) // 2]
            square = rounded(lon, SIDE_DEG), rounded(lat, SIDE_DEG)
            found.setdefault(square, []).append((float(moment.x[place]), float(moment.sd[place])))
    if not found:
        return None
    means = {square: sum(x for x, _ in some) / len(some) for square, some in found.items()}
    span = max(max(means.values()) - min(means.values()), max(map(abs, means.values())), 1e-9)
    squares = [
        Square(*square, significant(means[square]), word(max(sd for _, sd in some) / span))
        for square, some in sorted(found.items())
    ]
    return Layer(domain, quantity, unit, utc(moment.t_ns), squares)


def rounded(degrees: float, side: float) -> float:
    """The middle of the square that it lies in."""
    return round((math.floor(degrees / side) + 0.5) * side, 6)


def significant(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def word(share: float) -> str:
    return "sure" if share < SURE else "likely" if share < LIKELY else "unsure"


ROUTES = (Route("GET", "/api/v1/public/city", city, EVERYONE, "What residents may see", answer=PublicCity),)
