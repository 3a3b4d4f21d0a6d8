"""The temporal evolution of entities: temporal queries (4.11), its representations (4.5.6 … 4.5.9), its pages (6.3.10).

Inside: {"id", "type", "createdAt", "modifiedAt", "deletedAt", "scope": [instances], "attrs": {URI: [instances]}}, each
instance with an instanceId, in the order of time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from aggregator.api.ngsi import times
from aggregator.api.ngsi.errors import BadRequest
from aggregator.api.ngsi.view import View, in_language, one_or_many
from aggregator.api.ngsi.words import NULL, PLURAL, SYSTEM, VALUE, Json

RELATIONS = ("before", "after", "between")
PROPERTIES = ("observedAt", "createdAt", "modifiedAt", "deletedAt")
LAST_MAX = 100_000


@dataclass(frozen=True, slots=True)
class TemporalQuery:
    """`prop` empty: observedAt, and where nothing is asked of the time, instances without it too."""

    relation: str = ""
    at_ns: int = 0
    end_ns: int = 0
    prop: str = ""
    last: int = 0

    @property
    def property(self) -> str:
        return self.prop or "observedAt"

    def matches(self, one: Json) -> bool:
        """`before` without its bound, `after` with it, `between` with the lower alone."""
        if not self.relation and not self.prop:
            return True
        when = times.instant(one.get(self.property))
        if when is None or not self.relation:
            return when is not None
        if self.relation == "before":
            return when < self.at_ns
        return when >= self.at_ns and (self.relation == "after" or when < self.end_ns)

    def time(self, one: Json) -> int:
        """What an instance is sorted by."""
        return times.instant(one.get(self.property)) or times.instant(one.get("modifiedAt")) or 0


def temporal_query(given: Mapping[str, Any], *, required: bool) -> TemporalQuery:
    """Raises BadRequest."""
    relation, prop = given.get("timerel", ""), given.get("timeproperty", "")
    if prop and prop not in PROPERTIES:
        raise BadRequest(f"timeproperty: {prop!r}: write one of {', '.join(PROPERTIES)}")
    last = whole(given.get("lastN"), "lastN", 1, LAST_MAX)
    if not relation:
        if required or given.get("timeAt") or given.get("endTimeAt"):
            raise BadRequest("timerel: write before, after or between, and timeAt with it")
        return TemporalQuery(prop=prop, last=last)
    if relation not in RELATIONS:
        raise BadRequest(f"timerel: {relation!r}: write one of {', '.join(RELATIONS)}")
    at, end = times.instant(given.get("timeAt")), times.instant(given.get("endTimeAt"))
    if at is None:
        raise BadRequest(f"timeAt: {given.get('timeAt')!r}: write a DateTime, as 2026-11-23T08:15:00Z")
    if relation == "between" and end is None:
        raise BadRequest(f"endTimeAt: {given.get('endTimeAt')!r}: between needs a DateTime where it ends")
    return TemporalQuery(relation, at, end or 0, prop, last)


def whole(given: Any, what: str, low: int, high: int) -> int:
    """A whole number; 0 where there is none. Raises BadRequest."""
    if given is None or given == "":
        return 0
    text = str(given)
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise BadRequest(f"{what}: {text!r}: write a whole number from {low} to {high}")
    return int(text)


class Page(NamedTuple):
    """`range`: of a Content-Range header, where not all could be told at once."""

    found: list[Json]
    range: str


def windowed(found: Json, asked: TemporalQuery, names: frozenset[str] = frozenset()) -> Json:
    """Only the instances that a temporal query means, of some Attributes or all."""
    attrs = {}
    for name, some in found["attrs"].items():
        if names and name not in names:
            continue
        kept = sorted((one for one in some if asked.matches(one)), key=asked.time)
        if asked.last:
            kept = last_of(kept, asked.last)
        if kept:
            attrs[name] = kept
    made = found | {"attrs": attrs}
    if "scope" in found:
        made["scope"] = [one for one in found["scope"] if scope_matches(one, asked)]
    return {key: value for key, value in made.items() if key != "scope" or value}


def scope_matches(one: Json, asked: TemporalQuery) -> bool:
    """A scope is not observed: of a query about observedAt it counts by when it was set (4.18)."""
    if asked.property != "observedAt":
        return asked.matches(one)
    moment = {"observedAt": one.get("modifiedAt") or one.get("createdAt") or one.get("deletedAt")}
    return not asked.relation or asked.matches(moment)


def last_of(some: list[Json], count: int) -> list[Json]:
    """The newest of each dataset, in the order of time."""
    left: dict[Any, int] = {}
    kept = []
    for one in reversed(some):
        dataset = one.get("datasetId")
        left[dataset] = left.get(dataset, 0) + 1
        if left[dataset] <= count:
            kept.append(one)
    return kept[::-1]


def paged(found: Sequence[Json], asked: TemporalQuery, limit: int) -> Page:
    """No more than `limit` instances of an Attribute; an entity's Attributes end at the same time (6.3.10)."""
    made, cut = [], False
    for one in found:
        over = {name: some for name, some in one["attrs"].items() if len(some) > limit}
        if not over:
            made.append(one)
            continue
        cut = True
        keep: Callable[[int], bool]
        if asked.last:
            low = max(asked.time(some[-limit]) for some in over.values())
            keep = low.__le__
        else:
            high = min(asked.time(some[limit - 1]) for some in over.values())
            keep = high.__ge__
        attrs = {name: [each for each in some if keep(asked.time(each))] for name, some in one["attrs"].items()}
        made.append(one | {"attrs": {name: some for name, some in attrs.items() if some}})
    moments = [asked.time(each) for one in made for some in one["attrs"].values() for each in some]
    if not cut or not moments:
        return Page(made, "")
    begin, end = edges(asked, min(moments), max(moments))
    return Page(made, f"date-time {times.text(begin)}-{times.text(end)}/{asked.last or '*'}")


def edges(asked: TemporalQuery, low: int, high: int) -> tuple[int, int]:
    """Where a page begins and ends, backwards for lastN."""
    if asked.last:
        begin = {"before": asked.at_ns, "between": asked.end_ns}.get(asked.relation, high)
        return begin, low
    return (asked.at_ns if asked.relation in ("after", "between") else low), high


def shown(found: Json, view: View, asked: TemporalQuery, form: str = "normalized") -> Json:
    """Normalized, or `temporalValues` (4.5.9)."""
    made: Json = {"id": found["id"], "type": one_or_many([view.context.compact(one) for one in found["type"]])}
    made = {key: value for key, value in made.items() if view.shows(key, key)}
    if view.system:
        made |= {key: found[key] for key in SYSTEM if key in found}
    if "scope" in found and view.shows("scope", "scope"):
        made["scope"] = scope_shown(found["scope"], view, asked, form)
    for uri, some in found["attrs"].items():
        name = view.context.compact(uri)
        kept = [one for one in some if not view.datasets or one.get("datasetId", "@none") in view.datasets]
        if kept and view.shows(name, uri):
            made[name] = values(kept, view, asked) if form == "temporalValues" else [told(one, view) for one in kept]
    return made


def told(one: Json, view: View) -> Any:
    if "null" not in one:
        return view.instance(one)
    head: Json = {"type": one["type"], VALUE[one["type"]]: null_of(one["type"])}
    rest = {key: value for key, value in one.items() if key in ("instanceId", "datasetId", "deletedAt")}
    return head | rest


def null_of(kind: str) -> Any:
    """How a deleted Attribute of a kind is told (4.5.0)."""
    if kind == "LanguageProperty":
        return {"@none": NULL}
    return [NULL] if kind in ("ListProperty", "ListRelationship") else NULL


def scope_shown(some: Sequence[Json], view: View, asked: TemporalQuery, form: str) -> Any:
    if form == "temporalValues":
        return {
            "type": "Property",
            "values": [[one_or_many(one["value"]) if one["value"] else [], stamp(one, asked)] for one in some],
        }
    hidden = () if view.system else ("createdAt", "modifiedAt")
    plain = [{key: value for key, value in one.items() if key not in hidden} for one in some]
    return [one | {"value": one_or_many(one["value"]) if one["value"] else []} for one in plain]


def stamp(one: Json, asked: TemporalQuery) -> Any:
    return one.get(asked.property) or one.get("observedAt") or one.get("deletedAt") or one.get("modifiedAt")


def values(some: Sequence[Json], view: View, asked: TemporalQuery) -> Any:
    """[[value, time] …] of each dataset."""
    rows: dict[Any, Json] = {}
    for one in some:
        if view.lang and "languageMap" in one:
            one = in_language(one, view.lang)
        kind = one["type"]
        row = rows.setdefault(one.get("datasetId"), {"type": kind, PLURAL[VALUE[kind]]: []})
        plain = {"type": kind, VALUE[kind]: null_of(kind)} if "null" in one else one
        row.setdefault(PLURAL[VALUE[kind]], []).append([view.simplified(plain), stamp(one, asked)])
    return one_or_many([row | ({"datasetId": dataset} if dataset else {}) for dataset, row in rows.items()])
