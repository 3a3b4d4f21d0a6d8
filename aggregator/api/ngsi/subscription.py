"""Subscriptions (5.2.12 … 5.2.15, 5.8): checked, kept with names as URIs, shown with names in a client's words."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from aggregator.api.ngsi import geo, q, selection, times, view
from aggregator.api.ngsi.context import Context
from aggregator.api.ngsi.errors import BadRequest
from aggregator.api.ngsi.words import NULL, Json, is_uri

TRIGGERS = (
    "entityCreated",
    "entityUpdated",
    "entityDeleted",
    "attributeCreated",
    "attributeUpdated",
    "attributeDeleted",
)
DEFAULT_TRIGGERS = ["attributeCreated", "attributeUpdated"]
ACCEPTS = ("application/json", "application/ld+json", "application/geo+json")
SCHEMES = ("http", "https", "mqtt", "mqtts")
BOOKS = ("timesSent", "timesFailed", "lastNotification", "lastSuccess", "lastFailure", "status")
READ_ONLY = ("status", "createdAt", "modifiedAt")
TEXTS = ("subscriptionName", "description", "lang", "expandValues", "jsonKeys", "ngsildConformance")
FLAGS = ("isActive", "localOnly", "splitEntities")
NUMBERS = ("throttling", "timeInterval")
OTHER = (
    "id",
    "type",
    "entities",
    "watchedAttributes",
    "notification",
    "notificationTrigger",
    "q",
    "csf",
    "geoQ",
    "scopeQ",
)
KNOWN = {
    *TEXTS,
    *FLAGS,
    *NUMBERS,
    *OTHER,
    "temporalQ",
    "datasetId",
    "expiresAt",
    "jsonldContext",
    "@context",
    *READ_ONLY,
}


def fragment(given: Any, context: Context, now: int) -> Json:
    """What a client gave, checked; None for members that an NGSI-LD Null deletes. Raises BadRequest."""
    if not isinstance(given, dict):
        raise BadRequest("a subscription is a JSON object")
    given = {("id" if key == "@id" else "type" if key == "@type" else key): one for key, one in given.items()}
    made: Json = {}
    for key, value in given.items():
        if key in READ_ONLY or key == "@context":
            continue
        if value == NULL and key not in ("id", "type", "notification"):
            made[key] = None
        elif value is None:
            raise BadRequest(f"{key}: null is no value")
        else:
            made[key] = member(key, value, context, now)
    return made


def member(key: str, value: Any, context: Context, now: int) -> Any:
    if key in CHECKS:
        return CHECKS[key](value, context)
    if key == "expiresAt":
        at = times.instant(value)
        if at is None or at <= now:
            raise BadRequest(f"expiresAt: {value!r}: write a DateTime in the future")
    elif key in TEXTS and not isinstance(value, str):
        raise BadRequest(f"{key}: {value!r}: write a text")
    elif key in FLAGS and not isinstance(value, bool):
        raise BadRequest(f"{key}: {value!r}: write true or false")
    elif key in NUMBERS and not (geo.is_number(value) and value > 0):
        raise BadRequest(f"{key}: {value!r}: write seconds, more than 0")
    elif key not in KNOWN:
        raise BadRequest(f"{key}: a Subscription has no such member")
    return value


def whole(found: Json) -> Json:
    """What must be true of a whole subscription, new or changed. Raises BadRequest."""
    if found.get("type") != "Subscription":
        raise BadRequest("type: write Subscription")
    if "notification" not in found:
        raise BadRequest("notification is missing: say what is sent where")
    if not found.get("entities") and not found.get("watchedAttributes") and found.get("localOnly") is not True:
        raise BadRequest("entities and watchedAttributes are both missing: write one of them")
    if "timeInterval" in found and ("watchedAttributes" in found or "throttling" in found):
        raise BadRequest("timeInterval goes with neither watchedAttributes nor throttling")
    if "timeInterval" in found and not found.get("entities") and found.get("localOnly") is not True:
        raise BadRequest("timeInterval needs entities")
    return found


def identifier(value: Any, _: Context) -> str:
    if not is_uri(value) or value == NULL:
        raise BadRequest(f"id: {value!r} is no URI")
    return str(value)


def kind(value: Any, _: Context) -> str:
    if value != "Subscription":
        raise BadRequest(f"type: {value!r}: write Subscription")
    return str(value)


def entities(value: Any, context: Context) -> list[Json]:
    if not isinstance(value, list) or not value:
        raise BadRequest("entities: write an array of selectors, one at least")
    return [selector(one, context, f"entities[{place}]") for place, one in enumerate(value)]


def selector(given: Any, context: Context, where: str) -> Json:
    """An EntitySelector (5.2.33): types as groups of URIs. Raises BadRequest."""
    if not isinstance(given, dict) or not given.get("type", given.get("@type")):
        raise BadRequest(f"{where}: write an object with a type")
    kinds = given.get("type", given.get("@type"))
    if isinstance(kinds, list):
        kinds = ",".join(str(one) for one in kinds)
    made: Json = {"types": [] if kinds == "*" else [list(group) for group in selection.types(kinds, context)]}
    if "id" in given:
        made["id"] = selection.names(given["id"] if isinstance(given["id"], list) else [given["id"]], f"{where}.id")
    if "idPattern" in given:
        if not isinstance(given["idPattern"], str):
            raise BadRequest(f"{where}.idPattern: write a regular expression")
        q.pattern(given["idPattern"], f"{where}.idPattern")
        made["idPattern"] = given["idPattern"]
    return made


def selector_of(kept: Json) -> selection.Selector:
    pattern = q.pattern(kept["idPattern"], "idPattern") if "idPattern" in kept else None
    return selection.Selector(tuple(tuple(one) for one in kept["types"]), frozenset(kept.get("id", ())), pattern)


def selector_shown(kept: Json, context: Context) -> Json:
    made: Json = {}
    if "id" in kept:
        made["id"] = view.one_or_many(kept["id"])
    if "idPattern" in kept:
        made["idPattern"] = kept["idPattern"]
    groups = ["(" + ";".join(one) + ")" if len(one) > 1 else one[0] for one in compacted(kept["types"], context)]
    return made | {"type": ",".join(groups) or "*"}


def compacted(groups: list[list[str]], context: Context) -> list[list[str]]:
    return [[context.compact(one) for one in group] for group in groups]


def watched(value: Any, context: Context) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        raise BadRequest("watchedAttributes: write an array of names, one at least")
    return [context.expand(one, "watchedAttributes") for one in value]


def triggers(value: Any, _: Context) -> list[str]:
    if not isinstance(value, list) or not value or any(one not in TRIGGERS for one in value):
        raise BadRequest(f"notificationTrigger: {value!r}: write some of {', '.join(TRIGGERS)}")
    return list(value)


def query(value: Any, context: Context) -> str:
    selection.query(value, context)
    if not value:
        raise BadRequest("q: empty")
    return str(value)


def geoquery(value: Any, context: Context) -> Json:
    if not isinstance(value, dict):
        raise BadRequest("geoQ: write an object with georel, geometry and coordinates")
    selection.selection(
        {key: one for key, one in value.items() if key in GEO} | dict.fromkeys(GEO[:3]) | value, context
    )
    return value


GEO = ("georel", "geometry", "coordinates", "geoproperty")


def scope(value: Any, _: Context) -> str:
    selection.scopes(value)
    return str(value)


def datasets(value: Any, _: Context) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    if not listed or not all(one == "@none" or is_uri(one) for one in listed):
        raise BadRequest(f"datasetId: {value!r}: write an array of URIs, or @none")
    return list(listed)


def link(value: Any, _: Context) -> str:
    if not is_uri(value):
        raise BadRequest(f"jsonldContext: {value!r} is no URL")
    return str(value)


def notification(value: Any, context: Context) -> Json:
    if not isinstance(value, dict):
        raise BadRequest("notification: write an object with an endpoint")
    made = {key: one for key, one in value.items() if key not in BOOKS}
    if faults := list(notification_faults(made)):
        raise BadRequest("; ".join(faults))
    if "attributes" in made:
        made["attributes"] = [context.expand(one, "notification.attributes") for one in made["attributes"]]
    for key in ("pick", "omit"):
        if key in made:
            view.projection(made[key], f"notification.{key}")
    return made


def notification_faults(given: Json) -> Iterator[str]:
    names, form, join = given.get("attributes"), given.get("format", "normalized"), given.get("join", "@none")
    if names is not None and (
        not isinstance(names, list) or not names or any(one in ("id", "type", "scope") for one in names)
    ):
        yield "notification.attributes: write an array of names of Attributes"
    if names is not None and ("pick" in given or "omit" in given):
        yield "notification.attributes goes with neither pick nor omit"
    for key in ("pick", "omit"):
        if key in given and (not isinstance(given[key], list) or not given[key]):
            yield f"notification.{key}: write an array of names"
    if form not in view.FORMATS:
        yield f"notification.format: {form!r}: write one of {', '.join(view.FORMATS)}"
    if join not in ("flat", "inline", "@none"):
        yield f"notification.join: {join!r}: write flat, inline or @none"
    level = given.get("joinLevel", 1)
    if not isinstance(level, int) or isinstance(level, bool) or level < 1:
        yield f"notification.joinLevel: {level!r}: write a whole number from 1"
    for key in ("sysAttrs", "showChanges"):
        if not isinstance(given.get(key, False), bool):
            yield f"notification.{key}: write true or false"
    if given.get("showChanges") is True and view.FORMATS.get(form) == "simplified":
        yield "notification.showChanges does not go with the simplified format"
    yield from endpoint_faults(given.get("endpoint"))


def endpoint_faults(given: Any) -> Iterator[str]:
    if not isinstance(given, dict) or not is_uri(given.get("uri")):
        yield "notification.endpoint.uri: write the URL that notifications are sent to"
        return
    parts = urlsplit(given["uri"])
    if parts.scheme not in SCHEMES or not parts.hostname:
        yield f"notification.endpoint.uri: {given['uri']!r}: write one of {', '.join(SCHEMES)}, and a host"
    elif parts.scheme.startswith("mqtt") and not parts.path.strip("/"):
        yield f"notification.endpoint.uri: {given['uri']!r}: a topic is missing: mqtt://host/topic"
    if given.get("accept", ACCEPTS[0]) not in ACCEPTS:
        yield f"notification.endpoint.accept: {given['accept']!r}: write one of {', '.join(ACCEPTS)}"
    for key in ("cooldown", "timeout"):
        if key in given and not (geo.is_number(given[key]) and given[key] > 0):
            yield f"notification.endpoint.{key}: {given[key]!r}: write milliseconds, more than 0"
    for key in ("receiverInfo", "notifierInfo"):
        pairs = given.get(key, [])
        if not isinstance(pairs, list) or not all(
            isinstance(one, dict) and isinstance(one.get("key"), str) and "value" in one for one in pairs
        ):
            yield f'notification.endpoint.{key}: write an array of {{"key": …, "value": …}}'
            continue
        told = {one["key"]: str(one["value"]) for one in pairs}
        if key == "notifierInfo" and told.get("MQTT-QoS", "0") not in ("0", "1", "2"):
            yield f"notification.endpoint.notifierInfo: MQTT-QoS {told['MQTT-QoS']!r}: write 0, 1 or 2"
        if key == "notifierInfo" and told.get("MQTT-Version", "mqtt5.0") not in ("mqtt3.1.1", "mqtt5.0"):
            yield f"notification.endpoint.notifierInfo: MQTT-Version {told['MQTT-Version']!r}: mqtt3.1.1 or mqtt5.0"


CHECKS: Mapping[str, Callable[[Any, Context], Any]] = {
    "id": identifier,
    "type": kind,
    "entities": entities,
    "watchedAttributes": watched,
    "notification": notification,
    "notificationTrigger": triggers,
    "q": query,
    "csf": query,
    "geoQ": geoquery,
    "scopeQ": scope,
    "datasetId": datasets,
    "jsonldContext": link,
}


def status(kept: Json, now: int) -> str:
    if "expiresAt" in kept and (times.instant(kept["expiresAt"]) or 0) <= now:
        return "expired"
    return "paused" if kept.get("isActive") is False else "active"


def shown(kept: Json, context: Context, now: int, *, system: bool = False) -> Json:
    """With names in a client's words, its status, and what became of its notifications."""
    hidden = ("context", "books", "createdAt", "modifiedAt", "due_ns", "version")
    made = {key: value for key, value in kept.items() if key not in hidden}
    if "entities" in made:
        made["entities"] = [selector_shown(one, context) for one in made["entities"]]
    if "watchedAttributes" in made:
        made["watchedAttributes"] = [context.compact(one) for one in made["watchedAttributes"]]
    notice = dict(made["notification"])
    if "attributes" in notice:
        notice["attributes"] = [context.compact(one) for one in notice["attributes"]]
    made["notification"] = notice | kept.get("books", {})
    made["notificationTrigger"] = kept.get("notificationTrigger", DEFAULT_TRIGGERS)
    made["status"] = status(kept, now)
    return made | ({key: kept[key] for key in ("createdAt", "modifiedAt")} if system else {})
