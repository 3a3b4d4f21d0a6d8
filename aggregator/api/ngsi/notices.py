"""Letters: what a notification looks like on its way (5.3.1, 5.3.2, 5.3.4, 6.3.8, 7.2), for HTTP and for MQTT."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from aggregator.api.ngsi.context import Context
from aggregator.api.ngsi.watching import Watch, features
from aggregator.api.ngsi.words import DEFAULT_TENANT, Json

LINK = '<{}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
SNAPSHOT = "snapshot:"  # a tenant of this name is the inside of a snapshot: "snapshot:<id>|<tenant it belongs to>"


def entity_letter(watch: Watch, tenant: str, entities: Sequence[Json], data: Sequence[Json], now: str) -> Json:
    """About entities; `entities` as they are kept, for their places on a map."""
    endpoint = watch.kept["notification"]["endpoint"]
    context, accept = watch.view.context, endpoint.get("accept", "application/json")
    told: Any = list(data)
    info = pairs(endpoint.get("receiverInfo"))
    if accept == "application/geo+json":
        told = features(entities, data)
        if info.get("Prefer") != "body=json":
            told["@context"] = context.told()
    elif accept == "application/ld+json":
        told = [one | {"@context": context.told()} for one in data]
    body = {
        "id": f"urn:ngsi-ld:Notification:{uuid4()}",
        "type": "Notification",
        "subscriptionId": watch.kept["id"],
        "notifiedAt": now,
        "data": told,
    }
    return letter(watch.kept, tenant, body, context)


def source_letter(kept: Json, tenant: str, context: Context, data: Sequence[Json], reason: str, now: str) -> Json:
    """About context source registrations (5.3.2)."""
    body = {
        "id": f"urn:ngsi-ld:ContextSourceNotification:{uuid4()}",
        "type": "ContextSourceNotification",
        "subscriptionId": kept["id"],
        "notifiedAt": now,
        "data": list(data),
        "triggerReason": reason,
    }
    return letter(kept, tenant, body, context)


def letter(kept: Json, tenant: str, body: Json, context: Context) -> Json:
    endpoint = kept["notification"]["endpoint"]
    accept = endpoint.get("accept", "application/json")
    headers = {"Content-Type": accept}
    if accept == "application/json" or pairs(endpoint.get("receiverInfo")).get("Prefer") == "body=json":
        headers["Link"] = LINK.format(kept.get("jsonldContext") or context.link)
    elif accept == "application/ld+json" and "@context" not in body:
        body = body | {"@context": context.told()}
    return {
        "uri": endpoint["uri"],
        "headers": headers | tenancy(tenant) | pairs(endpoint.get("receiverInfo")),
        "notifier": pairs(endpoint.get("notifierInfo")),
        "timeout_ms": endpoint.get("timeout"),
        "cooldown_ms": endpoint.get("cooldown"),
        "body": body,
    }


def snapshot_letter(kept: Json, tenant: str, now: str) -> Json:
    """About a snapshot (5.16.6)."""
    body = {
        "id": f"urn:ngsi-ld:SnapshotNotification:{uuid4()}",
        "type": "SnapshotNotification",
        "notifiedAt": now,
        "snapshotId": kept["id"],
        "snapshotStatus": kept["snapshotStatus"],
        "snapshotPriority": kept["snapshotPriority"],
        "expiresAt": kept["expiresAt"],
    }
    for name, told in (
        ("snapshotQueriesDetails", "snapshotQueriesDetails"),
        ("snapshotTemporalQueriesDetails", "temporalSnapshotQueriesDetails"),
    ):
        if name in kept:
            body[told] = kept[name]
    headers = {"Content-Type": "application/json"} | tenancy(tenant) | pairs(kept.get("receiverInfo"))
    return {"uri": kept["endpoint"], "headers": headers, "notifier": {}, "body": body}


def tenancy(tenant: str) -> dict[str, str]:
    """The headers that name a tenant, or a snapshot."""
    if tenant.startswith(SNAPSHOT):
        name, _, owner = tenant.removeprefix(SNAPSHOT).rpartition("|")
        return {"NGSILD-Snapshot": name} | tenancy(owner)
    return {"NGSILD-Tenant": tenant} if tenant != DEFAULT_TENANT else {}


def pairs(given: Sequence[Mapping[str, Any]] | None) -> dict[str, str]:
    return {str(one["key"]): str(one["value"]) for one in given or ()}
