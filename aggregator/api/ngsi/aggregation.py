"""Aggregated temporal representation (4.5.19): methods over periods of an Attribute's values."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aggregator.api.ngsi import times
from aggregator.api.ngsi.errors import BadRequest, InvalidRequest
from aggregator.api.ngsi.evolution import TemporalQuery
from aggregator.api.ngsi.times import Duration
from aggregator.api.ngsi.view import View, one_or_many
from aggregator.api.ngsi.words import NULL, VALUE, Json

Numbers = Sequence[float]
METHODS = ("avg", "distinctCount", "max", "min", "stddev", "sum", "sumsq", "totalCount")
ON_NUMBERS: Mapping[str, Callable[[Numbers], float]] = {
    "avg": statistics.fmean,
    "max": max,
    "min": min,
    "stddev": statistics.pstdev,
    "sum": sum,
    "sumsq": lambda some: sum(one * one for one in some),
}
BY_KIND: Mapping[str, Sequence[str]] = {  # tables 4.5.19.1-1 … -3; the two counts fit everything
    "number": tuple(ON_NUMBERS),
    "boolean": tuple(ON_NUMBERS),
    "array": ("avg", "max", "min", "sum"),
    "string": ("max", "min"),
    "DateTime": ("max", "min"),
    "Date": ("max", "min"),
    "Time": ("avg", "max", "min"),
    "other": (),
}
PERIODS_MAX = 100_000


def methods(text: Any) -> list[str]:
    """Raises BadRequest."""
    asked = [one.strip() for one in str(text or "").split(",") if one.strip()]
    if not asked or any(one not in METHODS for one in asked):
        raise BadRequest(f"aggrMethods: {text!r}: write some of {','.join(METHODS)}")
    return asked


def period(text: Any) -> Duration:
    """Raises BadRequest."""
    found = times.duration("PT0S" if text is None else text)
    if found is None:
        raise BadRequest(f"aggrPeriodDuration: {text!r}: write an ISO 8601 duration, as PT1H or P1D")
    return found


def aggregated(found: Json, view: View, asked: TemporalQuery, how: Sequence[str], span: Duration) -> Json:
    """An entity whose instances are those of the query. Raises InvalidRequest where no method fits an Attribute."""
    made: Json = {"id": found["id"], "type": one_or_many([view.context.compact(one) for one in found["type"]])}
    made = {key: value for key, value in made.items() if view.shows(key, key)}
    moments = [asked.time(one) for some in found["attrs"].values() for one in some]
    if not moments:
        return made
    begin = asked.at_ns if asked.relation in ("after", "between") else min(moments)
    end = max(max(moments) + 1, asked.at_ns if asked.relation == "before" else asked.end_ns)
    for uri, some in found["attrs"].items():
        name = view.context.compact(uri)
        live = [one for one in some if "null" not in one]
        if not live or not view.shows(name, uri):
            continue
        rows = {}
        for dataset in dict.fromkeys(one.get("datasetId") for one in live):
            of_it = [one for one in live if one.get("datasetId") == dataset]
            rows[dataset] = row(name, of_it, asked, how, buckets(of_it, asked, begin, end, span))
        made[name] = one_or_many([one | ({"datasetId": key} if key else {}) for key, one in rows.items()])
    return made


Bucket = tuple[int, int, list[Json]]


def buckets(some: Sequence[Json], asked: TemporalQuery, begin: int, end: int, span: Duration) -> list[Bucket]:
    """(from, to, instances) of the periods that hold any; a span of nothing is the whole range."""
    if span == Duration(0, 0):
        return [(begin, end, list(some))]
    made: list[Bucket] = []
    low, count = begin, 0
    for one in some:
        when = asked.time(one)
        if span.months == 0 and when >= low + span.ns:
            low += (when - low) // span.ns * span.ns
        while span.months and when >= times.later(low, span):
            low = times.later(low, span)
            count += 1
            if count > PERIODS_MAX:
                raise BadRequest(f"aggrPeriodDuration: more than {PERIODS_MAX} periods")
        if not made or made[-1][0] != low:
            made.append((low, times.later(low, span), []))
        made[-1][2].append(one)
    return made


def row(name: str, some: Sequence[Json], asked: TemporalQuery, how: Sequence[str], parts: Sequence[Bucket]) -> Json:
    kind = some[0]["type"]
    kinds = {kind_of(one) for one in some}
    fitting = [one for one in how if one.endswith("Count") or all(one in BY_KIND[each] for each in kinds)]
    if not fitting:
        raise InvalidRequest(f"{name}: none of {', '.join(how)} can be made of {', '.join(sorted(kinds))}")
    label = "Relationship" if kind in ("Relationship", "ListRelationship") else "Property"
    return {"type": label} | {
        method: [
            [of(method, [one[VALUE[kind]] for one in each if VALUE[kind] in one]), times.text(low), times.text(high)]
            for low, high, each in parts
        ]
        for method in fitting
    }


def kind_of(one: Json) -> str:
    value = one.get(VALUE[one["type"]])
    if one["type"] in ("Relationship", "ListRelationship", "GeoProperty"):
        return "other"
    if isinstance(value, dict):
        value = value.get("@value")
        if value is None:
            return "other"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, list):
        return "array"
    if isinstance(value, str) and value != NULL:
        reads = {"DateTime": times.instant, "Date": times.day, "Time": times.clock}
        return next((name for name, read in reads.items() if read(value) is not None), "string")
    return "other"


def of(method: str, some: Sequence[Any]) -> Any:
    plain = [one.get("@value", one) if isinstance(one, dict) else one for one in some]
    if method == "totalCount":
        return len(plain)
    if method == "distinctCount":
        return len({repr(one) for one in plain})
    if all(isinstance(one, str) for one in plain):
        if method == "avg":
            mean = round(statistics.fmean(times.clock(one) or 0 for one in plain)) // times.NS
            return f"{mean // 3600:02d}:{mean // 60 % 60:02d}:{mean % 60:02d}Z"
        return max(plain) if method == "max" else min(plain)
    return float(ON_NUMBERS[method]([float(len(one)) if isinstance(one, list) else float(one) for one in plain]))
