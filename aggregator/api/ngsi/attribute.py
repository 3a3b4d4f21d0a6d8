"""Attributes as clients write them (normalized, concise, simplified: 4.5.2 … 4.5.24) made into one form, and checked.

One instance inside: {"type", its value's member, "unitCode", "observedAt", "datasetId" …, "attrs": {URI: [instances]}}.
One that says to delete (NGSI-LD Null, 4.5.0) is {"null": True, "datasetId" …}.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aggregator.api.ngsi import geo, times
from aggregator.api.ngsi.context import Context
from aggregator.api.ngsi.errors import BadRequest
from aggregator.api.ngsi.words import NGSI, NULL, OUTPUT_ONLY, PLAIN, VALUE, Json, is_geometry, is_uri

OWNERS = {"value": "Property", **{VALUE[kind]: kind for kind in VALUE if VALUE[kind] != "value"}}
DEEP_MAX = 16  # attributes of attributes
INSTANCES_MAX = 10_000  # of one attribute in one request


@dataclass(frozen=True, slots=True)
class Rules:
    """How a document is to be read."""

    context: Context
    nulls: bool = False  # whether NGSI-LD Null may delete (5.5.8, 5.5.12)
    merge: bool = False  # … and inside values (5.5.12)
    simplified: bool = False  # the document is in simplified representation
    temporal: bool = False  # several instances of one datasetId are a history


def instances(name: str, given: Any, rules: Rules, depth: int = 0) -> list[Json]:
    """All instances that a member stands for. Raises BadRequest."""
    if depth > DEEP_MAX:
        raise BadRequest(f"{name}: attributes of attributes deeper than {DEEP_MAX}")
    if rules.simplified:
        return list(from_simplified(name, given, rules))
    if not isinstance(given, list) or not (given and all(looks_like_instance(one) for one in given)):
        if rules.temporal and given == []:
            return []
        return [instance(name, given, rules, depth)]
    if len(given) > INSTANCES_MAX:
        raise BadRequest(f"{name}: {len(given)} instances, at most {INSTANCES_MAX} a request")
    made = [instance(name, one, rules, depth) for one in given]
    datasets = [one.get("datasetId") for one in made]
    if not rules.temporal and len(set(datasets)) < len(datasets):
        raise BadRequest(f"{name}: two instances with the same datasetId, or without one; each needs its own")
    return made


def looks_like_instance(given: Any) -> bool:
    return isinstance(given, dict) and (
        kind_named(given.get("type")) is not None or any(member in given for member in OWNERS)
    )


def instance(name: str, given: Any, rules: Rules, depth: int = 0) -> Json:
    """One instance, normalized or concise. Raises BadRequest."""
    if given is None:
        raise BadRequest(f"{name}: null is no value; {NULL!r} deletes, where that is possible")
    if given == NULL:
        if not rules.nulls:
            raise BadRequest(f"{name}: {NULL!r} is for updates and merges")
        return {"null": True}
    if not isinstance(given, dict) or (is_geometry(given) and "value" not in given):
        given = {"value": given}
    kind = kind_of(name, given)
    found = {"type": kind, **members(name, given, rules)}
    member = VALUE[kind]
    if member not in given:
        raise BadRequest(f"{name}: a {kind} has a member {member!r}")
    for other in OWNERS:
        if other != member and other in given:
            raise BadRequest(f"{name}: a {kind} has {member!r} and no {other!r}")
    value = given[member]
    if is_null(member, value):
        if not rules.nulls:
            raise BadRequest(f"{name}: {NULL!r} is for updates and merges")
        return {"null": True, **({"datasetId": found["datasetId"]} if "datasetId" in found else {}), "type": kind}
    found[member] = checked(name, kind, value, rules)
    if kind != "Property" and "unitCode" in found and kind != "ListProperty":
        raise BadRequest(f"{name}: a {kind} has no unitCode")
    if attrs := subs(name, given, rules, depth):
        found["attrs"] = attrs
    return found


def fragment(name: str, given: Any, rules: Rules) -> Json:
    """A part of an instance (5.6.4): any members, also without a value. Raises BadRequest."""
    if not isinstance(given, dict) or is_geometry(given):
        return instance(name, given, rules)
    given = {key: value for key, value in given.items() if key != "@context"}
    kind = kind_named(given.get("type"))
    if "type" in given and kind is None:
        raise BadRequest(f"{name}.type: {given['type']!r}: write one of {', '.join(VALUE)}")
    found: Json = {"type": kind} if kind else {}
    found |= members(name, given, rules)
    for member in OWNERS:
        if member not in given:
            continue
        if kind and VALUE[kind] != member:
            raise BadRequest(f"{name}: a {kind} has {VALUE[kind]!r} and no {member!r}")
        if is_null(member, given[member]):
            return {**found, "null": True}
        meant = kind or ("GeoProperty" if is_geometry(given[member]) else OWNERS[member])
        found[member] = checked(name, meant, given[member], rules)
    if attrs := subs(name, given, rules, 0):
        found["attrs"] = attrs
    return found


def kind_named(given: object) -> str | None:
    """The type of an Attribute by its name, or by its URI."""
    if not isinstance(given, str):
        return None
    short = given.removeprefix(NGSI).removeprefix("ngsi-ld:")
    return short if short in VALUE else None


def kind_of(name: str, given: Json) -> str:
    if "type" in given:
        kind = kind_named(given["type"])
        if kind is None:
            raise BadRequest(f"{name}.type: {given['type']!r}: write one of {', '.join(VALUE)}")
        return kind
    if is_geometry(given.get("value")):
        return "GeoProperty"
    kind = next((kind for member, kind in OWNERS.items() if member in given), None)
    if kind is None:
        raise BadRequest(f"{name}: no type and no value: write a value, or an object with one")
    return kind


def members(name: str, given: Json, rules: Rules) -> Json:
    """Its members that are no values and no Attributes; those that only the broker writes are passed over."""
    found: Json = {}
    for key in PLAIN & given.keys():
        value = given[key]
        if value == NULL and rules.nulls and key not in ("datasetId", "type"):
            found[key] = NULL
        elif key in ("observedAt", "expiresAt"):
            if times.instant(value) is None:
                raise BadRequest(f"{name}.{key}: {value!r}: write a DateTime, as 2026-11-23T08:15:00Z")
            found[key] = value
        elif key == "datasetId":
            if value == "@none":
                continue
            if not is_uri(value) or value == NULL:
                raise BadRequest(f"{name}.datasetId: {value!r} is no URI")
            found[key] = value
        elif key == "objectType":
            kinds = value if isinstance(value, list) else [value]
            found[key] = [rules.context.expand(one, f"{name}.objectType") for one in kinds]
        elif not isinstance(value, str) or not value:
            raise BadRequest(f"{name}.{key}: {value!r}: write a text")
        else:
            found[key] = value
    return found


def subs(name: str, given: Json, rules: Rules, depth: int) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for key, value in given.items():
        if key in OWNERS or key in PLAIN or key in OUTPUT_ONLY or key in ("type", "@type"):
            continue
        if key == "@context":
            raise BadRequest(f"{name}: an Attribute has no @context of its own")
        if key.startswith("@"):
            raise BadRequest(f"{name}.{key}: a JSON-LD keyword is no name of an Attribute")
        found[rules.context.expand(key, f"{name}.{key}")] = instances(f"{name}.{key}", value, rules, depth + 1)
    return found


def is_null(member: str, value: Any) -> bool:
    if member == "languageMap":
        return value in (NULL, {"@none": NULL})
    return value == NULL or (member in ("valueList", "objectList") and bool(value == [NULL]))


def checked(name: str, kind: str, value: Any, rules: Rules) -> Any:
    """A value as its type wants it. Raises BadRequest."""
    if kind == "JsonProperty":
        return value
    if value is None:
        raise BadRequest(f"{name}: null is no value")
    if not rules.merge and holds_null(value):
        raise BadRequest(f"{name}: {NULL!r} inside a value is for merges")
    if kind == "GeoProperty":
        geo.geometry(value, name)
    elif kind in ("Relationship", "ListRelationship"):
        return objects(name, kind, value)
    elif kind == "LanguageProperty":
        language_map(name, value)
    elif kind == "VocabProperty":
        words = value if isinstance(value, list) else [value]
        if not words or not all(isinstance(one, str) and one for one in words):
            raise BadRequest(f"{name}.vocab: write a word or an array of words")
        made = [rules.context.expand(one, f"{name}.vocab") for one in words]
        return made if isinstance(value, list) else made[0]
    elif kind == "ListProperty" and not isinstance(value, list):
        raise BadRequest(f"{name}.valueList: write an array")
    elif kind == "Property" and isinstance(value, list) and any(one is None for one in value):
        raise BadRequest(f"{name}.value: null is no value")
    return value


def objects(name: str, kind: str, value: Any) -> Any:
    """The URIs that a relationship points at; those of a list may come as {"object": URI}."""
    listed = value if isinstance(value, list) else [value]
    if kind == "ListRelationship":
        if not isinstance(value, list):
            raise BadRequest(f"{name}.objectList: write an array")
        listed = [one.get("object") if isinstance(one, dict) else one for one in listed]
    if (not listed and kind == "Relationship") or not all(is_uri(one) and one != NULL for one in listed):
        raise BadRequest(f"{name}: {value!r}: the object of a relationship is a URI, or an array of URIs")
    return listed if isinstance(value, list) else listed[0]


def language_map(name: str, value: Any) -> None:
    if not isinstance(value, dict) or not all(
        tag and (isinstance(one, str) or (isinstance(one, list) and all(isinstance(each, str) for each in one)))
        for tag, one in value.items()
    ):
        raise BadRequest(f"{name}.languageMap: write language tags, each with a text or an array of texts")


def holds_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(one == NULL or holds_null(one) for one in value.values())
    return isinstance(value, list) and any(one == NULL or holds_null(one) for one in value)


def from_simplified(name: str, given: Any, rules: Rules) -> Iterator[Json]:
    """4.5.4: bare values; a single member tells languageMap, vocab, json and dataset."""
    if isinstance(given, dict) and set(given) == {"dataset"} and isinstance(given["dataset"], dict):
        for dataset, one in given["dataset"].items():
            for made in from_simplified(name, one, rules):
                yield made if dataset == "@none" else made | {"datasetId": dataset}
        return
    plain = Rules(rules.context, rules.nulls, rules.merge)
    told = isinstance(given, dict) and len(given) == 1 and next(iter(given)) in ("languageMap", "vocab", "json")
    if told or given == NULL:
        yield instance(name, given, plain)
    else:
        kind = "GeoProperty" if is_geometry(given) else "Property"
        yield {**instance(name, {"type": kind, "value": given}, plain), "simplified": True}
