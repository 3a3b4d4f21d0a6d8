"""Entities as clients write them made into one form, and checked (4.5.1, 5.2.4, 5.5.4).

Inside: {"id", "type": [URIs], "scope": [texts], "expiresAt", "createdAt", "modifiedAt", "attrs": {URI: [instances]}}.
"""

from collections.abc import Mapping
from typing import Any

from aggregator.api.ngsi import attribute, times
from aggregator.api.ngsi.attribute import Rules
from aggregator.api.ngsi.context import Context
from aggregator.api.ngsi.errors import BadRequest
from aggregator.api.ngsi.words import NULL, SCOPE, VALUE, Json, is_uri

HEAD = ("id", "@id", "type", "@type", "@context", "scope", "expiresAt", "createdAt", "modifiedAt", "deletedAt")
NO_NAMES = frozenset({*VALUE.values(), "datasetId", "instanceId", "observedAt", "unitCode", "objectType", "lang"})
ATTRS_MAX = 2_000  # of one entity


def entity(given: Any, rules: Rules, *, whole: bool = True, now: int | None = None) -> Json:
    """`whole`: with an id and a type; else a Fragment. Raises BadRequest."""
    if not isinstance(given, dict):
        raise BadRequest("an entity is a JSON object")
    found: Json = {"attrs": {}}
    name = given.get("id", given.get("@id"))
    if name is not None or whole:
        if not is_uri(name) or name == NULL:
            raise BadRequest(f"id: {name!r} is no URI")
        found["id"] = name
    kinds = given.get("type", given.get("@type"))
    if kinds is not None or whole:
        found["type"] = types(kinds, rules.context)
    if "scope" in given:
        found["scope"] = scopes(given["scope"], rules)
    if "expiresAt" in given:
        found["expiresAt"] = expiry(given["expiresAt"], rules, now)
    for key, value in given.items():
        if key in HEAD:
            continue
        if key in NO_NAMES or key.startswith("@"):
            raise BadRequest(f"{key}: a word of the core @context is no name of an Attribute")
        uri = rules.context.expand(key, key)
        found["attrs"].setdefault(uri, []).extend(attribute.instances(key, value, rules))
    if len(found["attrs"]) > ATTRS_MAX:
        raise BadRequest(f"{len(found['attrs'])} attributes, at most {ATTRS_MAX}")
    return found


def types(given: Any, context: Context) -> list[str]:
    kinds = given if isinstance(given, list) else [given]
    if not kinds or not all(isinstance(one, str) and one and one != NULL for one in kinds):
        raise BadRequest(f"type: {given!r}: write a name, or an array of names")
    return list(dict.fromkeys(context.expand(one, "type") for one in kinds))


def scopes(given: Any, rules: Rules) -> list[str]:
    """The scopes (4.18); nothing for the one that deletes. In a history they may come as an instance."""
    if rules.temporal and isinstance(given, list) and given and all(isinstance(one, dict) for one in given):
        given = given[-1]
    if rules.temporal and isinstance(given, dict):
        given = given.get("value")
    if given == NULL and rules.nulls:
        return [NULL]
    listed = given if isinstance(given, list) else [given]
    for one in listed:
        if not isinstance(one, str) or not SCOPE.match(one):
            raise BadRequest(f"scope: {one!r}: write levels as /Madrid/Gardens: letters, digits and _")
    return list(dict.fromkeys(listed))


def expiry(given: Any, rules: Rules, now: int | None) -> str:
    if given == NULL and rules.nulls:
        return NULL
    at = times.instant(given)
    if at is None:
        raise BadRequest(f"expiresAt: {given!r}: write a DateTime, as 2026-11-23T08:15:00Z")
    if now is not None and at < now:
        raise BadRequest(f"expiresAt: {given} is in the past")
    return str(given)


def stamped(one: Json, now: str, before: Json | None = None) -> Json:
    """An instance with the times that the broker keeps: created when it first was, modified now, inside too."""
    made = one | {"createdAt": before["createdAt"] if before else now, "modifiedAt": now}
    made.pop("simplified", None)
    if attrs := made.get("attrs"):
        old: Mapping[str, list[Json]] = (before or {}).get("attrs", {})
        made["attrs"] = {
            name: [stamped(each, now, same_dataset(old.get(name, []), each)) for each in each_of if "null" not in each]
            for name, each_of in attrs.items()
        }
        made["attrs"] = {name: some for name, some in made["attrs"].items() if some}
    return {key: value for key, value in made.items() if value != NULL or key in VALUE.values()}


def same_dataset(some: list[Json], one: Json) -> Json | None:
    """The instance with the same datasetId."""
    return next((each for each in some if each.get("datasetId") == one.get("datasetId")), None)


def fresh(given: Json, now: str) -> Json:
    """A new entity, stamped."""
    attrs = {name: [stamped(one, now) for one in some] for name, some in given["attrs"].items()}
    return given | {"attrs": attrs, "createdAt": now, "modifiedAt": now}


def without_expired(found: Json, now: int) -> Json | None:
    """What may still be served at a moment (4.22); nothing once the entity itself is over."""
    if over(found, now):
        return None
    if not any(over(one, now) for some in found["attrs"].values() for one in some):
        return found
    attrs = {name: [one for one in some if not over(one, now)] for name, some in found["attrs"].items()}
    return found | {"attrs": {name: some for name, some in attrs.items() if some}}


def over(one: Json, now: int) -> bool:
    return "expiresAt" in one and (times.instant(one["expiresAt"]) or 0) <= now
