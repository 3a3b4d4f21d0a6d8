"""The city's own entities: its assets with what the twin believes of them, its alarms, its orders. Read only.

Looked at anew at most once a second; a domain's entities are made again when its picture is another one. `follow` tells
subscriptions what has changed. Histories are the twin's pictures: as long as they are kept, and no more of them than
`NUMBERS_MAX` numbers, the newest. One that says no beginning begins an hour before its end.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from aggregator.api.atlas import Atlas
from aggregator.api.ngsi import entity, merging, models, times
from aggregator.api.ngsi.attribute import Rules
from aggregator.api.ngsi.broker import CITY, Broker
from aggregator.api.ngsi.context import Context
from aggregator.api.ngsi.contexts import SHIPPED, Contexts, read
from aggregator.api.ngsi.times import NS
from aggregator.api.ngsi.words import DEFAULT_TENANT, Json
from aggregator.stores import StoreError
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.city import AlarmRow, CityStore, Moment
from aggregator.stores.orders import OrderRow, Orders
from aggregator.twin.part import Asset
from protos.clock import Clock

LOOK_NS = NS  # how old what is told may be
HOUR_NS = 3_600 * NS
NUMBERS_MAX = 20_000_000  # of pictures in memory, for one history


class CitySource:
    """Implements `broker.Source`. Used by one thread at a time."""

    def __init__(self, atlas: Atlas, twin: Path, catalogue: Path, contexts: Contexts, clock: Clock) -> None:
        self._atlas, self._twin, self._catalogue, self._clock = atlas, twin, catalogue, clock
        self._context: Context = contexts.of(read(SHIPPED / f"{CITY}.json")["@context"])
        self._rules = Rules(self._context)
        self._began = times.text(clock.wall_ns())
        self._still = self._standing()
        self._of: dict[str, tuple[Any, dict[str, Json]]] = {}  # by domain, "alarms", "orders": of what, and them
        self._all: dict[str, Json] = {}
        self._looked_ns = -LOOK_NS
        self._pictures: tuple[Any, list[Moment]] = (None, [])

    def entities(self) -> Mapping[str, Json]:
        now = self._clock.monotonic_ns()
        if now - self._looked_ns >= LOOK_NS:
            self._looked_ns = now
            if self._look():
                self._all = self._still | {name: one for _, found in self._of.values() for name, one in found.items()}
        return self._all or self._still

    def _look(self) -> bool:
        """Whether there is anything new."""
        seen: dict[str, Any] = {}
        try:
            with closing(CityStore(self._twin, read_only=True)) as store:
                for domain in self._atlas.domains:
                    if (moment := moment_of(store, domain)) is not None:
                        seen[domain] = ((moment.k, moment.known_ns), self._observed(domain, moment))
                alarms = store.alarms()
                seen["alarms"] = (alarms, (self._alert(one) for one in alarms if one.state != "normal"))
            with closing(Catalogue(self._catalogue, read_only=True)) as catalogue:
                orders = Orders(catalogue).newest()
                seen["orders"] = (orders, (self._operation(one) for one in orders if not one.stops))
        except StoreError:
            pass  # it does not live yet, or is busy: what was seen before stands
        new = {name: one for name, one in seen.items() if name not in self._of or self._of[name][0] != one[0]}
        self._of |= {name: (key, {one["id"]: one for one in made}) for name, (key, made) in new.items()}
        return bool(new)

    def _made(self, document: Json, at: str) -> Json:
        found = entity.fresh(entity.entity(document, self._rules), at)
        return found | {"createdAt": min(self._began, at)}

    def _named(self, asset: Asset) -> str:
        return models.urn(models.model_of(asset).type, self._atlas.city.name, asset.id)

    def _about(self, domain: str, asset: Asset) -> Json:
        """What does not change with time."""
        found: Json = {"id": self._named(asset), "type": models.model_of(asset).type, "source": "citytwin"}
        found["name"] = asset.name or asset.id
        found["domain"] = domain
        if line := self._atlas.line(asset):
            found["location"] = models.geometry(line)
        if asset.kind == "link":
            found["refRoadSegment"] = {"type": "Relationship", "object": self._segment_id(asset)}
        return found

    def _segment_id(self, asset: Asset) -> str:
        return models.urn("RoadSegment", self._atlas.city.name, asset.id)

    def _standing(self) -> dict[str, Json]:
        """Assets as they are while nothing is known of them, and roads, which do not change."""
        found = [self._made(self._about(domain, one), self._began) for domain, one in self._atlas.assets.values()]
        for _, one in self._atlas.assets.values():
            if one.kind == "link":
                found.append(self._made(self._segment(one), self._began))
        return {one["id"]: one for one in found}

    def _segment(self, asset: Asset) -> Json:
        found: Json = {"id": self._segment_id(asset), "type": "RoadSegment", "name": asset.name or asset.id}
        if line := self._atlas.line(asset):
            found["location"] = models.geometry(line)
        for key, name, code in (
            ("length_m", "length", "MTR"),
            ("free_speed", "maximumAllowedSpeed", "KMH"),
            ("lanes", "totalLaneNumber", "C62"),
        ):
            if key in asset.values:
                found[name] = {"type": "Property", "value": asset.values[key], "unitCode": code}
        return found

    def _by_asset(self, domain: str) -> Iterator[tuple[Asset, Mapping[str, int]]]:
        for name, one in self._atlas.assets.values():
            if name == domain and one.id in self._atlas.places:
                yield one, self._atlas.places[one.id]

    def _made_by(self, domain: str) -> str:
        return f"estimated by the twin: {domain} v{getattr(self._atlas.built[domain], 'version', 1)}"

    def _observed(self, domain: str, moment: Moment) -> Iterator[Json]:
        at, made = times.text(moment.t_ns), self._made_by(domain)
        columns = self._atlas.columns[domain]
        for asset, places in self._by_asset(domain):
            found, model = self._about(domain, asset), models.model_of(asset)
            found["dateObserved"] = models.date_time(at)
            for quantity, place in places.items():
                found[models.attribute_name(model, quantity)] = models.estimate(
                    model, quantity, columns[place].unit, float(moment.x[place]), float(moment.sd[place]), at, made
                )
            yield self._made(found, at)

    def _alert(self, row: AlarmRow) -> Json:
        domain, asset = self._atlas.assets.get(row.asset, ("", None))
        at = times.text(row.since_ns)
        found: Json = {"id": models.urn("Alert", self._atlas.city.name, row.asset, row.condition), "type": "Alert"}
        found["category"] = models.CATEGORIES.get(domain, domain or "other")
        found["subCategory"] = row.condition
        found["severity"] = models.SEVERITIES.get(row.priority, "informational")
        found["dateIssued"] = models.date_time(at)
        found["status"] = row.state
        found["description"] = f"{row.why}; {row.action}" if row.action else row.why
        if asset is not None:
            found["alertSource"] = {"type": "Relationship", "object": self._named(asset)}
            if line := self._atlas.line(asset):
                found["location"] = models.geometry(line)
        if row.value is not None:
            found["measuredValue"] = {"type": "Property", "value": models.number(row.value), "observedAt": at}
        found["thresholdValue"] = models.number(row.limit)
        return self._made(found, at)

    def _operation(self, row: OrderRow) -> Json:
        issued = times.text(row.issued_ns)
        found: Json = {"id": models.urn("DeviceOperation", self._atlas.city.name, row.id), "type": "DeviceOperation"}
        found["device"] = f"{row.gateway}/{row.device}"
        found["operationType"] = "set"
        found["parameter"] = {"type": "Property", "value": {"point": row.point, "value": row.value}}
        found["operator"] = row.issuer
        found["description"] = row.why or "no reason was given"
        found["status"] = row.fate
        found["reportedAt"] = models.date_time(times.text(row.fate_ns or row.issued_ns))
        found["plannedStartAt"] = models.date_time(issued)
        found["plannedEndAt"] = models.date_time(times.text(row.not_after_ns))
        if row.decided is not None or row.reason:
            found["result"] = {"type": "Property", "value": {"set": row.decided, "reason": row.reason}}
        return self._made(found, issued)

    def evolution(self, name: str, begin_ns: int | None, end_ns: int | None) -> Json | None:
        one = self.entities().get(name)
        if one is None:
            return None
        for domain in self._atlas.domains:
            for asset, places in self._by_asset(domain):
                if self._named(asset) == name:
                    return self._past(one, domain, asset, places, begin_ns, end_ns)
        attrs = {uri: [dict(each) for each in some] for uri, some in one["attrs"].items()}
        return self._history(one, attrs)

    def _past(
        self, one: Json, domain: str, asset: Asset, places: Mapping[str, int], begin_ns: int | None, end_ns: int | None
    ) -> Json:
        end = self._clock.wall_ns() if end_ns is None else end_ns
        begin = end - HOUR_NS if begin_ns is None else begin_ns
        moments = self._series(domain, begin, end)
        columns, model, made = self._atlas.columns[domain], models.model_of(asset), self._made_by(domain)
        attrs: dict[str, list[Json]] = {}
        for quantity, place in places.items():
            title = models.attribute_name(model, quantity)
            uri = self._context.expand(title)
            for moment in moments:
                at = times.text(moment.t_ns)
                given = models.estimate(
                    model, quantity, columns[place].unit, float(moment.x[place]), float(moment.sd[place]), at, made
                )
                read = entity.entity({title: given}, self._rules, whole=False)["attrs"][uri]
                attrs.setdefault(uri, []).extend(entity.stamped(each, at) for each in read)
        return self._history(one, attrs)

    def _history(self, one: Json, attrs: dict[str, list[Json]]) -> Json:
        for uri, some in attrs.items():
            for number, each in enumerate(some):
                each["instanceId"] = f"urn:ngsi-ld:Instance:{one['id']}:{uri.rpartition('/')[2]}:{number}"
        head = {key: value for key, value in one.items() if key not in ("attrs", "scope")}
        return head | {"attrs": attrs}

    def _series(self, domain: str, begin: int, end: int) -> Sequence[Moment]:
        """Kept for the next entity of the same query."""
        if self._pictures[0] != (domain, begin, end):
            try:
                with closing(CityStore(self._twin, read_only=True)) as store:
                    newest = store.moment(domain)
                    most = max(1, NUMBERS_MAX // (2 * max(1, len(newest.x))))
                    end_held = min(end, newest.t_ns)
                    first = max(begin, end_held - most * newest.dt_ns)
                    self._pictures = ((domain, begin, end), store.series(domain, first, end_held))
            except StoreError:
                return []
        return self._pictures[1]


def moment_of(store: CityStore, domain: str) -> Moment | None:
    try:
        return store.moment(domain)
    except StoreError:
        return None


async def follow(broker: Broker) -> None:
    """Tell subscriptions what has become of the city, until cancelled."""
    told: Mapping[str, Json] | None = None
    while True:
        told = await broker.work(tell_changes, broker, told)
        await broker.clock.sleep_until(broker.clock.monotonic_ns() + LOOK_NS)


def tell_changes(broker: Broker, before: Mapping[str, Json] | None) -> Mapping[str, Json]:
    """What is new since `before`; nothing is told of what was there when the broker began."""
    now = dict(broker.city.entities())
    if before is None or not broker.watches(DEFAULT_TENANT):
        return now
    room = broker.room(DEFAULT_TENANT)
    with room.transaction():
        for name in {**before, **now}:
            old, new = before.get(name), now.get(name)
            if old is not new and (found := merging.changes(old, new)):
                room.tell(old, new, found)
    return now
