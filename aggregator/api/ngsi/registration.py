"""Context source registrations (5.2.9 … 5.2.11): checked, kept with names as URIs, matched (5.12), shown."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aggregator.api.ngsi import geo, q, selection, subscription, times, view
from aggregator.api.ngsi.context import Context
from aggregator.api.ngsi.errors import BadRequest
from aggregator.api.ngsi.evolution import TemporalQuery
from aggregator.api.ngsi.geo import GeoQuery
from aggregator.api.ngsi.selection import Selection, Selector
from aggregator.api.ngsi.words import NULL, SCOPE, Json, is_uri

GROUPS = ("federationOps", "associationOps", "redirectionOps", "retrieveOps", "updateOps")  # 4.20
NAMES = """
    createEntity updateEntity appendAttrs updateAttrs deleteAttrs deleteEntity createBatch upsertBatch updateBatch
    deleteBatch upsertTemporal appendAttrsTemporal deleteAttrsTemporal updateAttrInstanceTemporal
    deleteAttrInstanceTemporal deleteTemporal mergeEntity replaceEntity replaceAttrs mergeBatch purgeEntity
    retrieveEntity queryEntity queryBatch retrieveTemporal queryTemporal retrieveEntityTypes retrieveEntityTypeDetails
    retrieveEntityTypeInfo retrieveAttrTypes retrieveAttrTypeDetails retrieveAttrTypeInfo createSubscription
    updateSubscription retrieveSubscription querySubscription deleteSubscription retrieveEntityMap updateEntityMap
    deleteEntityMap createEntityMapQueryEntity createEntityMapQueryTemporal retrieveContextSourceIdentity
"""
OPERATIONS = frozenset(NAMES.split())
MODES = ("inclusive", "exclusive", "redirect", "auxiliary")
AUXILIARY = {"retrieveOps", "retrieveEntity", "queryEntity"}
INTERVALS = ("observationInterval", "managementInterval")
PLACES = ("location", "observationSpace", "operationSpace")
READ_ONLY = ("status", "timesSent", "timesFailed", "lastSuccess", "lastFailure", "createdAt", "modifiedAt")
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
Check = Callable[[Any, Context, str], Any]


def fragment(given: Any, context: Context, now: int) -> Json:
    """What a client gave, checked; None for members that an NGSI-LD Null deletes. Raises BadRequest."""
    if not isinstance(given, dict):
        raise BadRequest("a registration is a JSON object")
    made: Json = {}
    for key, value in given.items():
        if key == "@context" or key in READ_ONLY:
            continue
        if value == NULL and key not in ("id", "type", "endpoint", "information"):
            made[key] = None
        elif value is None:
            raise BadRequest(f"{key}: null is no value")
        elif key in CHECKS:
            made[key] = CHECKS[key](value, context, key)
        else:  # a property of the source itself, which csf may ask for
            made[context.expand(key, key)] = value
    if made.get("expiresAt") and (times.instant(made["expiresAt"]) or 0) <= now:
        raise BadRequest(f"expiresAt: {made['expiresAt']} is in the past")
    return made


def whole(found: Json) -> Json:
    """What must be true of a whole registration. Raises BadRequest."""
    for key in ("type", "information", "endpoint"):
        if key not in found:
            raise BadRequest(f"{key} is missing")
    infos = found["information"]
    operations = set(found.get("operations", ()))
    if found.get("mode") == "auxiliary" and operations - AUXILIARY:
        raise BadRequest(f"operations: of an auxiliary source some of {', '.join(sorted(AUXILIARY))}")
    if found.get("mode") == "exclusive" and not all(
        (one.get("propertyNames") or one.get("relationshipNames"))
        and one.get("entities")
        and all("id" in each for each in one["entities"])
        for one in infos
    ):
        raise BadRequest("mode: an exclusive source names the ids of entities, and Attributes")
    return found


def identifier(value: Any, _: Context, key: str) -> str:
    if not is_uri(value) or value == NULL:
        raise BadRequest(f"{key}: {value!r} is no URI")
    return str(value)


def kind(value: Any, _: Context, key: str) -> str:
    if value != "ContextSourceRegistration":
        raise BadRequest(f"{key}: {value!r}: write ContextSourceRegistration")
    return str(value)


def information(value: Any, context: Context, key: str) -> list[Json]:
    if not isinstance(value, list) or not value:
        raise BadRequest(f"{key}: write an array of objects, one at least")
    made = []
    for place, one in enumerate(value):
        where = f"{key}[{place}]"
        known = ("entities", "propertyNames", "relationshipNames")
        if not isinstance(one, dict) or not any(name in one for name in known):
            raise BadRequest(f"{where}: write an object with some of {', '.join(known)}")
        row: Json = {}
        if "entities" in one:
            if not isinstance(one["entities"], list) or not one["entities"]:
                raise BadRequest(f"{where}.entities: write an array, one at least")
            row["entities"] = [info(each, context, f"{where}.entities") for each in one["entities"]]
        for name in known[1:]:
            if name in one:
                if not isinstance(one[name], list) or not one[name]:
                    raise BadRequest(f"{where}.{name}: write an array of names, one at least")
                row[name] = [context.expand(each, f"{where}.{name}") for each in one[name]]
        made.append(row)
    return made


def info(given: Any, context: Context, where: str) -> Json:
    """An EntityInfo (5.2.8)."""
    if not isinstance(given, dict) or not (given.get("type") or given.get("id")):
        raise BadRequest(f"{where}: write an object with a type")
    kinds = given.get("type", [])
    listed = kinds if isinstance(kinds, list) else [kinds]
    made: Json = {"type": [context.expand(one, f"{where}.type") for one in listed]}
    if "id" in given:
        made["id"] = identifier(given["id"], context, f"{where}.id")
    if "idPattern" in given:
        q.pattern(str(given["idPattern"]), f"{where}.idPattern")
        made["idPattern"] = str(given["idPattern"])
    return made


def interval(value: Any, _: Context, key: str) -> Json:
    if not isinstance(value, dict) or times.instant(value.get("startAt")) is None:
        raise BadRequest(f"{key}: write startAt, and endAt where it ends, as DateTimes")
    if "endAt" in value and times.instant(value["endAt"]) is None:
        raise BadRequest(f"{key}.endAt: {value['endAt']!r}: write a DateTime")
    return value


def place(value: Any, _: Context, key: str) -> Any:
    geo.geometry(value.get("value", value) if isinstance(value, dict) else value, key)
    return value


def operations(value: Any, _: Context, key: str) -> list[str]:
    if not isinstance(value, list) or any(one not in OPERATIONS and one not in GROUPS for one in value):
        raise BadRequest(f"{key}: {value!r}: write names of operations, or of their groups: {', '.join(GROUPS)}")
    return value


def word(value: Any, _: Context, key: str) -> str:
    if not isinstance(value, str) or not value or (key == "contextSourceAlias" and not TOKEN.match(value)):
        raise BadRequest(f"{key}: {value!r}: write a text, not empty")
    return value


def mode(value: Any, _: Context, key: str) -> str:
    if value not in MODES:
        raise BadRequest(f"{key}: {value!r}: write one of {', '.join(MODES)}")
    return str(value)


def moment(value: Any, _: Context, key: str) -> str:
    if times.instant(value) is None:
        raise BadRequest(f"{key}: {value!r}: write a DateTime, as 2026-11-23T08:15:00Z")
    return str(value)


def span(value: Any, _: Context, key: str) -> str:
    if times.duration(value) is None:
        raise BadRequest(f"{key}: {value!r}: write an ISO 8601 duration, as PT5M")
    return str(value)


def scope(value: Any, _: Context, key: str) -> Any:
    if not all(isinstance(one, str) and SCOPE.match(one) for one in (value if isinstance(value, list) else [value])):
        raise BadRequest(f"{key}: {value!r}: write scopes as /Madrid/Gardens")
    return value


def pairs(value: Any, _: Context, key: str) -> Any:
    if not isinstance(value, list) or not all(
        isinstance(one, dict) and "key" in one and "value" in one for one in value
    ):
        raise BadRequest(f'{key}: write an array of {{"key": …, "value": …}}')
    return value


def datasets(value: Any, context: Context, _: str) -> list[str]:
    return subscription.datasets(value, context)


def management(value: Any, _: Context, key: str) -> Any:
    if not isinstance(value, dict):
        raise BadRequest(f"{key}: write an object")
    return value


CHECKS: Mapping[str, Check] = {
    "id": identifier,
    "type": kind,
    "endpoint": identifier,
    "information": information,
    "expiresAt": moment,
    "mode": mode,
    "operations": operations,
    "refreshRate": span,
    "scope": scope,
    "datasetId": datasets,
    "contextSourceInfo": pairs,
    "management": management,
    **dict.fromkeys(INTERVALS, interval),
    **dict.fromkeys(PLACES, place),
    **dict.fromkeys(("registrationName", "description", "contextSourceAlias", "tenant"), word),
}


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is looked for: entities, names of Attributes, a place, a time, properties of the source."""

    selectors: Sequence[Selector] = ()
    names: frozenset[str] = frozenset()
    geo: GeoQuery | None = None
    time: TemporalQuery | None = None
    csf: Selection | None = None
    scope: selection.Scopes | None = None

    def part(self, kept: Json) -> Json | None:
        """The registration with the matching parts of its information alone; nothing where it does not match."""
        infos = [one for one in kept["information"] if self._entities(one) and self._names(one)]
        if not infos or not self._time(kept) or not self._place(kept):
            return None
        if self.csf is not None and not self.csf.matches(as_entity(kept)):
            return None
        scopes = kept.get("scope", [])
        if self.scope is not None and not self.scope.matches(scopes if isinstance(scopes, list) else [scopes]):
            return None
        return kept | {"information": infos}

    def _entities(self, one: Json) -> bool:
        known = one.get("entities")
        return not known or not self.selectors or any(fits(each, wanted) for each in known for wanted in self.selectors)

    def _names(self, one: Json) -> bool:
        known = {*one.get("propertyNames", ()), *one.get("relationshipNames", ())}
        return not known or not self.names or bool(known & self.names)

    def _place(self, kept: Json) -> bool:
        if self.geo is None:
            return True
        key = next((one for one in PLACES if self.geo.prop.endswith("/" + one)), None)
        found = geo.shape_of(kept[key].get("value", kept[key])) if key and key in kept else None
        return found is not None and self.geo.holds(found)

    def _time(self, kept: Json) -> bool:
        """Sources of the latest alone where no time is asked; else those whose interval has it (5.10.2.4)."""
        if self.time is None:
            return not any(one in kept for one in INTERVALS)
        known = kept.get(INTERVALS[0] if self.time.property == "observedAt" else INTERVALS[1])
        if known is None:
            return False
        begin, end = times.instant(known["startAt"]) or 0, times.instant(known.get("endAt")) or 1 << 62
        if self.time.relation == "between":
            return self.time.at_ns <= end and begin <= self.time.end_ns
        return begin <= self.time.at_ns <= end


def fits(one: Json, wanted: Selector) -> bool:
    """5.12: types, and ids or patterns."""
    if wanted.types and one["type"] and not any(all(each in one["type"] for each in group) for group in wanted.types):
        return False
    if "id" not in one and "idPattern" not in one:
        return True
    if wanted.ids:
        if "id" in one:
            return one["id"] in wanted.ids
        return any(re.search(one["idPattern"], name) for name in wanted.ids)
    if wanted.pattern is not None:
        return "id" not in one or bool(wanted.pattern.search(one["id"]))
    return True


def as_entity(kept: Json) -> Json:
    """So that csf can be asked of it: its members are properties."""
    plain = {key: value for key, value in kept.items() if key not in ("information", "context")}
    names = {key if is_uri(key) else f"https://uri.etsi.org/ngsi-ld/{key}": value for key, value in plain.items()}
    defaults = {f"https://uri.etsi.org/ngsi-ld/default-context/{key}": value for key, value in plain.items()}
    attrs = {name: [{"type": "Property", "value": value}] for name, value in (defaults | names).items()}
    return {"id": kept["id"], "type": [kept["type"]], "attrs": attrs}


def shown(kept: Json, context: Context, *, system: bool = False) -> Json:
    hidden = ("context", "createdAt", "modifiedAt", "information")
    made = {context.compact(key) if is_uri(key) else key: one for key, one in kept.items() if key not in hidden}
    made["information"] = [info_shown(one, context) for one in kept["information"]]
    return made | ({key: kept[key] for key in ("createdAt", "modifiedAt")} if system else {})


def info_shown(one: Json, context: Context) -> Json:
    made: Json = {}
    if "entities" in one:
        made["entities"] = [
            {key: value for key, value in each.items() if key != "type"}
            | ({"type": view.one_or_many([context.compact(name) for name in each["type"]])} if each["type"] else {})
            for each in one["entities"]
        ]
    for key in ("propertyNames", "relationshipNames"):
        if key in one:
            made[key] = [context.compact(name) for name in one[key]]
    return made


def over(kept: Json, now: int) -> bool:
    return "expiresAt" in kept and (times.instant(kept["expiresAt"]) or 0) <= now


def names_of(some: Iterable[str], context: Context) -> frozenset[str]:
    return frozenset(context.expand(one) for one in some)
