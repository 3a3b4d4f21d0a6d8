"""What all operations have in common: headers, contexts, tenants, errors (4.14, 5.5, 5.13, 6.3, 6.29, 6.30)."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from aggregator.api.ngsi.app import alone
from aggregator.api.ngsi.broker import Broker, Settings
from aggregator.stores.ngsi import NgsiStore
from tests.aggregator.api.ngsi.conftest import ROOT, SUITE, Api, building, prop

ONE = "/entities/urn:ngsi-ld:Building:1"
INLINE = {"Building": "https://example.org/Building", "level": "https://example.org/level"}


def kind(told: httpx.Response) -> str:
    return str(told.json()["type"]).rpartition("/")[2]


@pytest.mark.clause("6.3.2", "6.3.3")
async def test_refused_by_http(api: Api) -> None:
    told = await api.ask("PUT", "/entities", {})
    assert (told.status_code, told.headers["allow"]) == (405, "DELETE, GET, POST")
    assert (await api.ask("GET", "/nothing")).status_code == 404
    told = await api.ask("GET", "/entities?type=A", Accept="text/html")
    assert told.status_code == 406
    told = await api.ask("POST", "/entities", building("1"), Content_Type="text/plain")
    assert told.status_code == 415
    assert (
        await api.ask("PATCH", ONE, {"level": prop(1)}, Content_Type="application/merge-patch+json")
    ).status_code != 415
    assert (await api.ask("GET", "/entities?type=A&q=" + "a" * 20_000)).status_code == 414
    for wrong in (b"{", b"\xff", b"", b"[" * 100_000):
        told = await api.ask("POST", "/entities", wrong)
        assert told.status_code == 400
        assert kind(told) in ("InvalidRequest", "BadRequestData")


@pytest.mark.clause("6.3.4", "6.3.6")
@pytest.mark.parametrize(
    ("accept", "given"),
    [
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("application/ld+json", "application/ld+json"),
        ("application/json;q=0.1,application/ld+json", "application/ld+json"),
        ("text/html,application/json;q=0.5", "application/json"),
    ],
)
async def test_accepted(api: Api, accept: str, given: str) -> None:
    await api.make(building("1"))
    told = await api.ask("GET", ONE, Accept=accept)
    assert told.headers["content-type"] == given
    assert ("@context" in told.json()) == (given == "application/ld+json")


@pytest.mark.clause("5.5.5", "5.5.7", "6.3.5")
async def test_where_a_context_is_named(api: Api) -> None:
    made = building("1", level=prop(1)) | {"@context": INLINE}
    assert (await api.ask("POST", "/entities", made)).status_code == 400
    assert (await api.ask("POST", "/entities", building("1"), Content_Type="application/ld+json")).status_code == 400
    both = await api.ask("POST", "/entities", made, link=SUITE, Content_Type="application/ld+json")
    assert both.status_code == 400
    assert (await api.ask("POST", "/entities", made, Content_Type="application/ld+json")).status_code == 201
    assert (await api.get(ONE))["type"] == "https://example.org/Building"
    told = await api.ask("GET", ONE, link="https://nowhere.example.org/none.jsonld")
    assert (told.status_code, kind(told)) == (503, "LdContextNotAvailable")


@pytest.mark.clause("6.3.5")
async def test_operators_bring_contexts(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonld").write_text(json.dumps({"@context": INLINE}))
    (tmp_path / "index.json").write_text(json.dumps({"https://example.org/mine.jsonld": "mine.jsonld"}))
    mirrored = tmp_path / "mirror.example.org/a"
    mirrored.mkdir(parents=True)
    (mirrored / "b.jsonld").write_text(json.dumps({"@context": INLINE}))
    store = NgsiStore(tmp_path / "ngsi.sqlite")
    broker = Broker(store, Settings(contexts=tmp_path))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(alone(broker)), base_url="http://b.test") as client:
        api = Api(client, broker)
        await api.make(building("1", level=prop(1)), link="https://example.org/mine.jsonld")
        assert (await api.get(ONE))["type"] == "https://example.org/Building"
        told = await api.get(ONE, link="https://mirror.example.org/a/b.jsonld")
        assert told == building("1", level=prop(1))
    store.close()


@pytest.mark.clause("4.14", "5.5.10", "6.3.14")
async def test_tenants(api: Api) -> None:
    told = await api.ask("POST", "/entities", building("1"), NGSILD_Tenant="north")
    assert (told.status_code, told.headers["ngsild-tenant"]) == (201, "north")
    assert (await api.ask("GET", ONE)).status_code == 404
    assert (await api.ask("GET", ONE, NGSILD_Tenant="north")).status_code == 200
    told = await api.ask("GET", ONE, NGSILD_Tenant="south")
    assert (told.status_code, kind(told)) == (404, "NonexistentTenant")


@pytest.mark.clause("5.13.2", "5.13.3", "5.13.4", "5.13.5", "6.29.3.1", "6.29.3.2", "6.30.3.1", "6.30.3.2")
async def test_hosted_contexts(api: Api) -> None:
    told = await api.ask("POST", "/jsonldContexts", {"@context": INLINE})
    assert told.status_code == 201
    place = told.headers["location"]
    name = place.rpartition("/")[2]
    assert (await api.get(f"/jsonldContexts/{name}"))["@context"] == INLINE
    link = f"http://broker.test{ROOT}/jsonldContexts/{name}"
    await api.make(building("1", level=prop(1)), link=link)
    assert (await api.get(ONE))["type"] == "https://example.org/Building"
    details = await api.get(f"/jsonldContexts/{name}?details=true")
    assert details["kind"] == "Hosted"
    assert details["numberOfHits"] >= 1
    assert {"URL", "localId", "createdAt"} <= set(details)
    assert any(name in one for one in await api.get("/jsonldContexts?kind=Hosted"))
    assert (await api.ask("GET", "/jsonldContexts?kind=Strange")).status_code == 400
    assert (await api.ask("DELETE", f"/jsonldContexts/{name}")).status_code == 204
    assert (await api.ask("DELETE", f"/jsonldContexts/{name}")).status_code == 404
    several: tuple[Any, ...] = ({}, {"@context": 5}, [])
    for wrong in several:
        assert (await api.ask("POST", "/jsonldContexts", wrong)).status_code == 400, wrong


@pytest.mark.clause("4.3.6", "5.9.2", "5.9.3", "5.9.4", "5.10.1", "5.10.2", "6.8.3.1", "6.8.3.2", "6.9.3.1", "5.2.9")
async def test_sources_are_registered(api: Api) -> None:
    made = {
        "id": "urn:ngsi-ld:ContextSourceRegistration:1",
        "type": "ContextSourceRegistration",
        "information": [{"entities": [{"type": "Vehicle"}], "propertyNames": ["speed"]}],
        "endpoint": "http://source.example.org:1026",
        "contextSourceInfo": [{"key": "a", "value": "b"}],
    }
    told = await api.ask("POST", "/csourceRegistrations", made)
    assert (told.status_code, told.headers["location"].rpartition("/")[2]) == (201, made["id"])
    one = f"/csourceRegistrations/{made['id']}"
    found = await api.get(one)
    assert found["information"] == made["information"]
    assert (await api.ask("POST", "/csourceRegistrations", made)).status_code == 409
    assert (await api.ask("PATCH", one, {"endpoint": "http://other.example.org"})).status_code == 204
    assert (await api.get(one))["endpoint"] == "http://other.example.org"
    assert len(await api.get("/csourceRegistrations?type=Vehicle")) == 1
    assert await api.get("/csourceRegistrations?type=Boat") == []
    assert len(await api.get("/csourceRegistrations?attrs=speed")) == 1
    for wrong in ({}, made | {"information": []}, made | {"endpoint": 5}, made | {"type": "X"}):
        body: Any = wrong and wrong | {"id": "urn:x:wrong"}
        assert (await api.ask("POST", "/csourceRegistrations", body)).status_code == 400, wrong
    assert (await api.ask("DELETE", one)).status_code == 204
    assert (await api.ask("GET", one)).status_code == 404


@pytest.mark.clause("5.16.1", "5.16.2", "5.16.3", "5.16.4")
async def test_snapshots(api: Api) -> None:
    await api.make(building("1", level=prop(1)))
    told = await api.ask(
        "POST",
        "/snapshots",
        {"type": "Snapshot", "snapshotQueries": [{"type": "Query", "entities": [{"type": "Building"}]}]},
    )
    assert told.status_code == 201, told.text
    name = told.headers["location"].rpartition("/")[2]
    assert (await api.get(f"/snapshots/{name}"))["type"] == "Snapshot"
    assert (await api.ask("PATCH", ONE + "/attrs/level", {"value": 2})).status_code == 204
    then = await api.ask("GET", ONE, NGSILD_Snapshot=name)
    assert then.json()["level"]["value"] == 1
    assert (await api.get(ONE))["level"]["value"] == 2
    assert (await api.ask("DELETE", f"/snapshots/{name}")).status_code == 204
    assert (await api.ask("GET", f"/snapshots/{name}")).status_code == 404


@pytest.mark.clause("5.14.1", "5.14.2", "5.14.3", "5.14.4", "5.15")
async def test_entity_maps_and_who_answers(api: Api) -> None:
    await api.make(building("1"), building("2"))
    told = await api.ask("GET", "/entityMaps?type=Building")
    assert told.status_code in (200, 201), told.text
    name = told.json()["id"]
    assert set(told.json()["entityMap"]) == {"urn:ngsi-ld:Building:1", "urn:ngsi-ld:Building:2"}
    assert (await api.get(f"/entityMaps/{name}"))["type"] == "EntityMap"
    assert (await api.ask("PATCH", f"/entityMaps/{name}", {"expiresAt": "2099-01-01T00:00:00Z"})).status_code == 204
    assert (await api.ask("DELETE", f"/entityMaps/{name}")).status_code == 204
    assert (await api.ask("GET", f"/entityMaps/{name}")).status_code == 404
    assert (await api.get("/info/sourceIdentity"))["type"] == "ContextSourceIdentity"
