"""@contexts that this broker keeps for clients (5.13): hosted, implicitly created, and those it has files of."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from aggregator.api.ngsi import core, times
from aggregator.api.ngsi.answer import NO_CONTENT, Answer, created, json_answer
from aggregator.api.ngsi.broker import CITY, HOSTED, Broker
from aggregator.api.ngsi.errors import BadRequest, InvalidRequest, OperationNotSupported, ResourceNotFound
from aggregator.api.ngsi.request import Call
from aggregator.api.ngsi.words import CORE, DEFAULT_TENANT, Json, is_uri

KIND = "context"
KINDS = ("Cached", "Hosted", "ImplicitlyCreated")
CONTEXTS_MAX = 10_000


def add(call: Call) -> Answer:
    body = call.body
    if not isinstance(body, dict) or "@context" not in body:
        raise InvalidRequest("@context is missing: write an object with it")
    given = body["@context"]
    if not isinstance(given, str | dict | list) or (isinstance(given, str) and not is_uri(given)):
        raise BadRequest("@context: write a URL, an object of terms, or an array of them")
    if isinstance(given, dict):
        call.broker.contexts.of(given)
    return created(HOSTED + keep(call, "Hosted", {"@context": given}))


def keep(call: Call, kind: str, body: Json) -> str:
    store = call.broker.store
    if len(store.documents(KIND, DEFAULT_TENANT)) >= CONTEXTS_MAX:
        raise BadRequest(f"{CONTEXTS_MAX} contexts already; delete some")
    name = str(uuid4())
    url = f"{call.base}{HOSTED}{name}"
    now = times.text(call.broker.now_ns)
    entry = {"localId": name, "URL": url, "kind": kind, "createdAt": now, "numberOfHits": 0, "body": body}
    store.put_document(KIND, DEFAULT_TENANT, name, entry)
    return name


def implicit(call: Call, given: list[Any]) -> str:
    """The URL of a context that is made of several."""
    return f"{call.base}{HOSTED}{keep(call, 'ImplicitlyCreated', {'@context': given})}"


def count(broker: Broker) -> None:
    """Write down which contexts were named since the last time; files that were are kept as Cached."""
    for url, hits in broker.named().items():
        if core.is_core(url):
            continue
        kept = entry_of(broker, url)
        if kept is None:
            if not broker.contexts.has(url):
                continue
            now = times.text(broker.now_ns)
            kept = {"localId": url, "URL": url, "kind": "Cached", "createdAt": now, "numberOfHits": 0}
        kept["numberOfHits"] += hits
        kept["lastUsage"] = times.text(broker.now_ns)
        broker.store.put_document(KIND, DEFAULT_TENANT, kept["localId"], kept)


def entry_of(broker: Broker, name: str) -> Json | None:
    """By its local id, or by its URL."""
    return broker.store.document(KIND, DEFAULT_TENANT, name.rpartition(HOSTED)[2])


def entries(broker: Broker) -> Iterator[Json]:
    now = times.text(broker.began_ns)
    yield {"localId": CORE, "URL": CORE, "kind": "Cached", "createdAt": now, "body": core.document()}
    yield city(broker)
    for _, kept in broker.store.documents(KIND, DEFAULT_TENANT):
        yield kept


def city(broker: Broker) -> Json:
    """The context of the city's own entities."""
    url = HOSTED + CITY
    body = broker.contexts.document(url)
    return {"localId": CITY, "URL": url, "kind": "Hosted", "createdAt": times.text(broker.began_ns), "body": body}


def told(entry: Json) -> Json:
    return {key: value for key, value in entry.items() if key != "body"}


def listed(call: Call) -> Answer:
    kind = call.params.get("kind")
    if kind is not None and kind.lower() not in [one.lower() for one in KINDS]:
        raise BadRequest(f"kind: {kind!r}: write one of {', '.join(KINDS)}")
    found = [one for one in entries(call.broker) if kind is None or one["kind"].lower() == kind.lower()]
    return json_answer([told(one) for one in found] if call.flag("details") else [one["URL"] for one in found])


def serve(call: Call) -> Answer:
    found = named(call)
    if call.flag("details"):
        answer = json_answer(told(found))
    elif found["kind"] == "Cached":
        raise OperationNotSupported(f"{found['URL']}: is a copy of what stands there, and not served from here")
    else:
        answer = json_answer(found["body"])
    if "numberOfHits" in found and found["kind"] != "Cached":
        found["numberOfHits"] += 1
        found["lastUsage"] = times.text(call.broker.now_ns)
        call.broker.store.put_document(KIND, DEFAULT_TENANT, found["localId"], found)
    return answer


def named(call: Call) -> Json:
    """Raises ResourceNotFound."""
    name = call.path[0]
    if core.is_core(name):
        return next(entries(call.broker))
    found = city(call.broker) if name.rpartition(HOSTED)[2] == CITY else entry_of(call.broker, name)
    if found is None:
        raise ResourceNotFound(f"{name}: no such @context here")
    return found


def delete(call: Call) -> Answer:
    reload = call.flag("reload")
    name = call.path[0]
    found = next(entries(call.broker)) if core.is_core(name) else entry_of(call.broker, name)
    if reload:
        if found is None or found["kind"] != "Cached":
            raise BadRequest(f"{name}: only a copy of a context can be taken anew")
        call.broker.contexts.reread(found["URL"])
        return NO_CONTENT
    found = named(call)
    if core.is_core(found["URL"]) or found["localId"] == CITY:
        raise BadRequest(f"{found['URL']} stays")
    call.broker.store.drop_document(KIND, DEFAULT_TENANT, found["localId"])
    call.broker.contexts.forget()
    return NO_CONTENT
