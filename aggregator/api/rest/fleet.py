"""The fleet: every gateway as it is, and what is measured by which point."""

import msgspec

from aggregator.access.roles import VIEWERS
from aggregator.api.items import Items, Named, utc
from aggregator.api.rest.city import number
from aggregator.api.route import Call, Route
from aggregator.projections.fleet import Presence
from protos import quality


class GatewayItem(msgspec.Struct, frozen=True):
    """`clock_error_s` bounds its UTC; `gauges` and `facts` are its own words."""

    gateway: str
    state: str
    district: str
    online: bool
    since: str
    why: str
    software: str
    last_batch: str
    backlog_batches: int
    backlog_bytes: int
    clock_error_s: float | None
    clock_source: str
    certificate_until: str
    gauges: dict[str, float]
    facts: dict[str, str]


class PointItem(msgspec.Struct, frozen=True):
    point: str
    domain: str
    quantity: str
    unit: str
    asset: str
    writable: bool
    value: float | None
    quality: str
    at: str


def fleet(call: Call) -> Items[GatewayItem]:
    with call.parts.catalogue() as catalogue:
        known = catalogue.gateways()
    found = []
    for one in known:
        live = call.parts.fleet.seen(one.id) or Presence()
        found.append(
            GatewayItem(
                one.id,
                one.state,
                one.district,
                live.connected,
                utc(live.since_ns),
                live.why,
                live.software or one.software,
                utc(live.batch_ns),
                live.backlog_batches,
                live.backlog_bytes,
                None if live.clock_error_ns < 0 else live.clock_error_ns / 1e9,
                live.clock_source,
                utc(live.certificate_ns),
                {name: value for name, value in live.gauges.items() if number(value) is not None},
                dict(live.facts),
            )
        )
    return Items(found)


def points(call: Call) -> Items[PointItem]:
    asked = call.query
    with call.parts.catalogue() as catalogue:
        every = {f"{one.gateway}/{one.device}/{one.name}": one for one in catalogue.points() if one.current}
    names = sorted(name for name in every if name > asked.after)[: asked.limit]
    newest = call.parts.newest(names)
    found = []
    for name in names:
        one, sample = every[name], newest.get(name)
        found.append(
            PointItem(
                name,
                one.domain,
                one.quantity,
                one.unit,
                one.asset,
                one.writable,
                number(sample.value) if sample else None,
                quality.text(sample.code) if sample else "",
                utc(sample.source_ns) if sample else "",
            )
        )
    return Items(found, names[-1] if len(names) == asked.limit else None)


ROUTES = (
    Route("GET", "/api/v1/fleet", fleet, VIEWERS, "Every gateway as it is", answer=Items[GatewayItem]),
    Route("GET", "/api/v1/points", points, VIEWERS, "Every point, its newest", query=Named, answer=Items[PointItem]),
)
