"""The city: its domains, its map, and every number of its twin, now or then, as known now or then."""

import math

import msgspec
import numpy as np
import numpy.typing as npt
from starlette.responses import Response

from aggregator.access.roles import VIEWERS
from aggregator.api.items import Time, utc
from aggregator.api.parts import time_of
from aggregator.api.problem import Unknown
from aggregator.api.route import Call, Route

GEOJSON = "application/geo+json"


class Calibration(msgspec.Struct, frozen=True):
    """How far the numbers can be trusted. `why`: why the domain may not decide by itself; empty: it may."""

    nis: float | None
    coverage_90: float | None
    crps: float | None
    trusted: bool
    why: str
    at: str


class DomainItem(msgspec.Struct, frozen=True):
    name: str
    step_s: float
    states: int
    sensors: int
    calibration: Calibration


class CityItem(msgspec.Struct, frozen=True):
    """`extent`: west, south, east, north."""

    name: str
    domains: list[DomainItem]
    extent: tuple[float, float, float, float]
    now: str


class Moment(msgspec.Struct, frozen=True):
    """Empty is now. `known`: only what was known by then."""

    domain: str = ""
    at: Time = ""
    known: Time = ""


class ColumnItem(msgspec.Struct, frozen=True):
    asset: str
    quantity: str
    unit: str


class State(msgspec.Struct, frozen=True):
    """The state of a domain at `at`, as known from `known` on; empty while nothing is known yet. The same places in all
    three lists."""

    domain: str
    at: str
    known: str
    columns: list[ColumnItem]
    mean: list[float | None]
    sd: list[float | None]


def city(call: Call) -> CityItem:
    parts, atlas = call.parts, call.parts.atlas
    with parts.city_store() as store:
        health = {name: store.shown(name, "health") for name in atlas.domains}
    found = []
    for name in atlas.domains:
        at_ns, told = health[name] or (0, {})
        why = told.get("automatic", "the server has not begun with it")
        calibration = Calibration(
            number(told.get("nis_per_reading")),
            number(told.get("coverage_90")),
            number(told.get("crps")),
            not why,
            why,
            utc(at_ns),
        )
        part, domain = atlas.city.parts[name], atlas.built[name]
        found.append(DomainItem(name, domain.dt_ns / 1e9, domain.n, len(part.sensors), calibration))
    return CityItem(atlas.city.name, found, atlas.extent, utc(parts.clock.wall_ns()))


def map_(call: Call) -> Response:
    atlas = call.parts.atlas
    headers = {"etag": atlas.etag, "cache-control": "private, no-cache"}
    if call.request.headers.get("if-none-match") == atlas.etag:
        return Response(status_code=304, headers=headers)
    return Response(atlas.map, headers=headers, media_type=GEOJSON)


def state(call: Call) -> State:
    """Raises Unknown for a domain that is not in the city, or a time of which nothing is kept."""
    atlas, asked = call.parts.atlas, call.query
    name = asked.domain or atlas.domains[0]
    if name not in atlas.columns:
        raise Unknown(f"{name}: no domain of this city; there are {', '.join(atlas.domains)}")
    at_ns, known_ns = time_of("at", asked.at), time_of("known", asked.known)
    columns = [ColumnItem(*one) for one in atlas.columns[name]]
    with call.parts.city_store() as store:
        if not store.begun(name):
            return State(name, "", "", columns, [None] * len(columns), [None] * len(columns))
        moment = store.moment(name, at_ns, known_ns)
    return State(name, utc(moment.t_ns), utc(moment.known_ns), columns, numbers(moment.x), numbers(moment.sd))


def number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def numbers(values: npt.ArrayLike) -> list[float | None]:
    """As JSON can say them: nothing for what is no number."""
    array = np.asarray(values, np.float64)
    rounded = np.where(np.isfinite(array), np.round(array, 9), np.nan)
    return [None if math.isnan(one) else one for one in rounded.tolist()]


ROUTES = (
    Route("GET", "/api/v1/city", city, VIEWERS, "Its domains, and how far they can be trusted", answer=CityItem),
    Route("GET", "/api/v1/city/map", map_, VIEWERS, "Every asset that has a place (GeoJSON)", media=GEOJSON),
    Route("GET", "/api/v1/city/state", state, VIEWERS, "Every number of a domain", query=Moment, answer=State),
)
