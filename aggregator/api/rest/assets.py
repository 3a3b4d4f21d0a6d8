"""One asset: what is believed of it, what its points read, its history, its forecast, its alarms."""

import math
from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec
import numpy as np

from aggregator.access.roles import VIEWERS
from aggregator.api.atlas import Atlas, Column
from aggregator.api.items import Time, utc
from aggregator.api.parts import Parts, time_of
from aggregator.api.problem import Fault, Invalid, Unknown
from aggregator.api.rest.alarms import AlarmItem, item_of
from aggregator.api.rest.city import number, numbers
from aggregator.api.route import Call, Route
from aggregator.stores.city import Moment
from aggregator.stores.history import PointName, Window
from aggregator.twin.part import Asset, Wire
from protos import quality

NS = 1_000_000_000
Z90 = 1.6448536269514722  # of the 90 % interval of a normal distribution
SPAN_NS = 3_600 * NS  # of a history where nothing is said
PICTURES_MAX = 2_000  # of one answer
PIXELS_MAX = 4_000


class Reading(msgspec.Struct, frozen=True):
    """The newest of a point. `raw` as it was read, `value` as the twin takes it: raw · scale + offset."""

    point: str
    quantity: str
    does: str
    sd: float
    raw: float | None
    value: float | None
    quality: str
    at: str


class Estimate(msgspec.Struct, frozen=True):
    quantity: str
    unit: str
    mean: float | None
    sd: float | None
    q05: float | None
    q95: float | None
    at: str


class AssetItem(msgspec.Struct, frozen=True):
    id: str
    name: str
    kind: str
    domain: str
    facts: dict[str, float | str]
    ends: list[str]
    quantities: list[Estimate]
    points: list[Reading]
    gateways: list[str]
    model: str
    alarms: list[AlarmItem]


class Span(msgspec.Struct, frozen=True):
    """`quantity` empty: the asset's first; `from` and `to` empty: the last hour."""

    quantity: str = ""
    first: Time = msgspec.field(default="", name="from")
    last: Time = msgspec.field(default="", name="to")
    max: Annotated[int, msgspec.Meta(ge=1, le=PIXELS_MAX)] = 600


class Raw(msgspec.Struct, frozen=True):
    """What a point read, in at most `max` stretches: their means, in the twin's quantity."""

    point: str
    t: list[float]
    mean: list[float | None]
    low: list[float | None]
    high: list[float | None]


class Past(msgspec.Struct, frozen=True):
    """`t` in seconds since 1970."""

    asset: str
    quantity: str
    unit: str
    t: list[float]
    mean: list[float | None]
    sd: list[float | None]
    raw: list[Raw]


class Asked(msgspec.Struct, frozen=True):
    quantity: str = ""
    known: Time = ""


class Future(msgspec.Struct, frozen=True):
    asset: str
    quantity: str
    unit: str
    made: str
    t: list[float]
    mean: list[float | None]
    sd: list[float | None]


def asset(call: Call) -> AssetItem:
    parts, atlas = call.parts, call.parts.atlas
    name, one = found(atlas, call.path["id"])
    with parts.city_store() as store:
        moment = store.moment(name) if store.begun(name) else None
        alarms = [item_of(row, atlas) for row in store.alarms() if row.asset == one.id and row.state != "normal"]
    columns = atlas.columns[name]
    wires = atlas.wires.get(one.id, [])
    return AssetItem(
        one.id,
        one.name or one.id,
        one.kind,
        name,
        {key: value for key, value in one.values.items() if not isinstance(value, float) or math.isfinite(value)},
        list(one.ends),
        [estimate(columns[place], moment, place) for place in atlas.places.get(one.id, {}).values()],
        list(readings(parts, wires)),
        sorted({wire.point.partition("/")[0] for wire in wires}),
        f"{name} v{getattr(atlas.built[name], 'version', 1)}",
        alarms,
    )


def estimate(column: Column, moment: Moment | None, place: int) -> Estimate:
    """Without numbers where nothing is known yet."""
    if moment is None:
        return Estimate(column.quantity, column.unit, None, None, None, None, "")
    mean, sd = float(moment.x[place]), float(moment.sd[place])
    low, high = mean - Z90 * sd, mean + Z90 * sd
    return Estimate(column.quantity, column.unit, number(mean), number(sd), number(low), number(high), utc(moment.t_ns))


def readings(parts: Parts, wires: Sequence[Wire]) -> Iterator[Reading]:
    """The newest of each point, as the server has it in memory."""
    newest = parts.newest([wire.point for wire in wires])
    for wire in wires:
        sample = newest.get(wire.point)
        raw = None if sample is None else number(sample.value)
        yield Reading(
            wire.point,
            wire.quantity,
            wire.does,
            wire.sd,
            raw,
            None if raw is None else raw * wire.scale + wire.offset,
            quality.text(sample.code) if sample else "",
            utc(sample.source_ns) if sample else "",
        )


async def history(call: Call) -> Past:
    parts, atlas, asked = call.parts, call.parts.atlas, call.query
    name, one = found(atlas, call.path["id"])
    quantity, place = column(atlas, one.id, asked.quantity)
    now = parts.clock.wall_ns()
    last = time_of("to", asked.last) or now
    first = time_of("from", asked.first) or last - SPAN_NS
    if first >= last:
        raise Invalid("from is not before to", [Fault("?from", "is not before `to`", asked.first)])
    with parts.city_store() as store:
        t_ns, mean, sd = store.course(name, place, first, last, min(asked.max, PICTURES_MAX))
    raw = []
    for wire in atlas.wires.get(one.id, []):
        if wire.quantity == quantity and wire.does == "measures":
            seen = await parts.downsampled(PointName(*wire.point.split("/")), Window(first, last), asked.max)
            scaled = (np.asarray(each) * wire.scale + wire.offset for each in (seen.mean, seen.low, seen.high))
            raw.append(Raw(wire.point, seconds(seen.begin_ns), *(numbers(each) for each in scaled)))
    unit = atlas.columns[name][place].unit
    return Past(one.id, quantity, unit, seconds(t_ns), numbers(mean), numbers(sd), raw)


def forecast(call: Call) -> Future:
    parts, atlas, asked = call.parts, call.parts.atlas, call.query
    name, one = found(atlas, call.path["id"])
    quantity, place = column(atlas, one.id, asked.quantity)
    with parts.city_store() as store:
        series = store.forecast(name, time_of("known", asked.known))
    steps = (series.k + 1 + np.arange(len(series.mean))) * series.dt_ns
    unit = atlas.columns[name][place].unit
    mean, sd = numbers(series.mean[:, place]), numbers(series.sd[:, place])
    return Future(one.id, quantity, unit, utc(series.made_ns), seconds(steps), mean, sd)


def found(atlas: Atlas, id_: str) -> tuple[str, Asset]:
    if id_ not in atlas.assets:
        raise Unknown(f"{id_}: no asset of this city")
    return atlas.assets[id_]


def column(atlas: Atlas, asset: str, quantity: str) -> tuple[str, int]:
    places = atlas.places.get(asset, {})
    if not places:
        raise Unknown(f"{asset}: the twin has no number of it")
    wanted = quantity or next(iter(places))
    if wanted not in places:
        raise Unknown(f"{asset}: no {wanted}; there are {', '.join(places)}")
    return wanted, places[wanted]


def seconds(times_ns: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]") -> list[float]:
    return [float(one) for one in np.asarray(times_ns) / NS]


ROUTES = (
    Route("GET", "/api/v1/assets/{id}", asset, VIEWERS, "One asset with all that is known of it", answer=AssetItem),
    Route("GET", "/api/v1/assets/{id}/history", history, VIEWERS, "Estimated beside raw", query=Span, answer=Past),
    Route("GET", "/api/v1/assets/{id}/forecast", forecast, VIEWERS, "What is expected", query=Asked, answer=Future),
)
