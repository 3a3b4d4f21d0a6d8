"""Many entities at once (5.6.7 … 5.6.10, 5.6.20, 6.14 … 6.17, 6.31)."""

from typing import Any

import pytest

from tests.aggregator.api.ngsi.conftest import Api, building, prop

BAD = {"id": "urn:ngsi-ld:Building:bad", "type": "Building", "a": {"type": "Property"}}


async def batch(api: Api, act: str, body: Any, options: str = "") -> Any:
    return await api.ask("POST", f"/entityOperations/{act}{options}", body)


def name(number: int) -> str:
    return f"urn:ngsi-ld:Building:{number}"


@pytest.mark.clause("5.6.7", "6.14.3.1", "5.2.16")
async def test_created(api: Api) -> None:
    told = await batch(api, "create", [building("1"), building("2", level=prop(3))])
    assert (told.status_code, told.json()) == (201, [name(1), name(2)])
    told = await batch(api, "create", [building("2"), building("3"), BAD])
    assert told.status_code == 207
    assert told.json()["success"] == [name(3)]
    errors = {one["entityId"]: one["error"]["type"].rpartition("/")[2] for one in told.json()["errors"]}
    assert errors == {name(2): "AlreadyExists", BAD["id"]: "BadRequestData"}


@pytest.mark.clause("5.6.8", "6.15.3.1")
async def test_upserted(api: Api) -> None:
    await api.make(building("1", level=prop(1), name=prop("one")))
    told = await batch(api, "upsert", [building("1", level=prop(2)), building("2")])
    assert (told.status_code, told.json()) == (201, [name(2)])
    assert "name" not in await api.get("/entities/" + name(1))
    told = await batch(api, "upsert", [building("1", more=prop(2))], "?options=update")
    assert (told.status_code, told.content) == (204, b"")
    assert {"level", "more"} <= set(await api.get("/entities/" + name(1)))


@pytest.mark.clause("5.6.9", "6.16.3.1")
async def test_updated(api: Api) -> None:
    await api.make(building("1", level=prop(1)))
    assert (await batch(api, "update", [building("1", level=prop(2))])).status_code == 204
    told = await batch(api, "update", [building("1", level=prop(3), new=prop(1))], "?options=noOverwrite")
    assert told.status_code in (204, 207)
    found = await api.get("/entities/" + name(1))
    assert (found["level"]["value"], found["new"]["value"]) == (2, 1)
    told = await batch(api, "update", [building("1"), building("9")])
    assert told.status_code == 207
    assert told.json()["errors"][0]["error"]["type"].endswith("ResourceNotFound")


@pytest.mark.clause("5.6.10", "6.17.3.1")
async def test_deleted(api: Api) -> None:
    await api.make(building("1"), building("2"))
    told = await batch(api, "delete", [name(1), name(9)])
    assert told.status_code == 207
    assert (told.json()["success"], told.json()["errors"][0]["entityId"]) == ([name(1)], name(9))
    assert (await batch(api, "delete", [name(2)])).status_code == 204
    assert (await api.ask("GET", "/entities/" + name(2))).status_code == 404


@pytest.mark.clause("5.6.20", "6.31.3.1")
async def test_merged(api: Api) -> None:
    await api.make(building("1", level=prop({"a": 1, "b": 2}), name=prop("x")))
    given = building("1", level={"value": {"a": 5, "b": "urn:ngsi-ld:null"}}, name="urn:ngsi-ld:null")
    assert (await batch(api, "merge", [given])).status_code == 204
    found = await api.get("/entities/" + name(1))
    assert found == building("1", level=prop({"a": 5}))
    assert (await batch(api, "merge", [building("9")])).status_code in (207, 404)


@pytest.mark.clause("5.6.7", "5.5.4")
@pytest.mark.parametrize("act", ["create", "upsert", "update", "merge", "delete"])
@pytest.mark.parametrize("body", [[], {}, "x", b"[{", [7]])
async def test_no_batch(api: Api, act: str, body: Any) -> None:
    told = await batch(api, act, body)
    assert told.status_code in (400, 207), told.text
    assert told.status_code == 400 or body == [7]


@pytest.mark.clause("5.6.7", "6.3.5")
async def test_each_entity_has_its_own_context(api: Api) -> None:
    made = [building(str(i)) | {"@context": [f"https://example.org/{i}.jsonld"]} for i in (1, 2)]
    made[0]["@context"] = {"Building": "https://example.org/Building"}
    told = await api.ask("POST", "/entityOperations/create", made, Content_Type="application/ld+json")
    assert told.status_code == 207
    assert told.json()["success"] == [name(1)]
    assert told.json()["errors"][0]["error"]["type"].endswith("LdContextNotAvailable")
    plain = await api.ask("POST", "/entityOperations/create", made)
    assert plain.status_code in (400, 207)
