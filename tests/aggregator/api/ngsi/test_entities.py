"""Entities: created, retrieved, changed, merged, replaced, deleted (5.6, 5.7.1, 6.4 … 6.7)."""

from typing import Any

import pytest

from tests.aggregator.api.ngsi.conftest import NAMES, SUITE, Api, building, point, prop, rel

ONE = "/entities/urn:ngsi-ld:Building:1"
ERRORS = "https://uri.etsi.org/ngsi-ld/errors/"
NULL = "urn:ngsi-ld:null"


def is_problem(told: Any, status: int, kind: str) -> bool:
    body = told.json()
    assert told.status_code == status, told.text
    assert body["type"] == ERRORS + kind
    assert body["title"] != body["detail"]
    assert told.headers["content-type"] == "application/json"
    return True


@pytest.mark.clause("5.6.1", "6.4.3.1", "5.7.1", "6.5.3.1")
async def test_created_and_retrieved(api: Api) -> None:
    made = building(level=prop(4, unitCode="C62", observedAt="2020-09-09T16:40:00Z"), location=point(2, 48))
    made |= {"name": prop("Eiffel"), "in": rel("urn:ngsi-ld:City:Paris")}
    told = await api.ask("POST", "/entities/", made)
    assert told.status_code == 201
    assert told.headers["location"] == "/ngsi-ld/v1/entities/urn:ngsi-ld:Building:1"
    assert told.content == b""
    assert await api.get(ONE) == made
    assert is_problem(await api.ask("POST", "/entities", made), 409, "AlreadyExists")


@pytest.mark.clause("5.6.1", "5.5.4", "4.5.1", "4.6.2", "4.5.2", "4.5.3")
@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "Building"},
        {"id": "not a uri", "type": "Building"},
        {"id": "urn:x:1"},
        {"id": "urn:x:1", "type": []},
        building(a={"type": "Nothing", "value": 1}),
        building(a={"type": "Property"}),
        building(a=prop(None)),
        building(a=prop(NULL)),
        building(a=NULL),
        building(a=prop({"x": NULL})),
        building(a={}),
        building(a={"colour": "red"}),
        building(a=rel("no uri")),
        building(a=rel("urn:x:2", unitCode="C62")),
        building(a=prop(1, observedAt="yesterday")),
        building(a=prop(1, datasetId="no uri")),
        building(a=[prop(1), prop(2)]),
        building(a={"type": "GeoProperty", "value": {"type": "Point", "coordinates": [200, 0]}}),
        building(a={"type": "GeoProperty", "value": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0]]]}}),
        building(a={"type": "LanguageProperty", "languageMap": {"en": 5}}),
        building(a={"type": "LanguageProperty", "value": "x"}),
        building(a={"type": "ListProperty", "valueList": 5}),
        building(a={"type": "ListRelationship", "objectList": ["x y"]}),
        building(a={"type": "VocabProperty", "vocab": 5}),
        building(**{"a b": prop(1)}),
        building(datasetId="urn:x:1"),
        building(scope="9bad"),
        building(scope=["/a//b"]),
        building(expiresAt="2001-01-01T00:00:00Z"),
        building(a=prop(1, **{"@context": {}})),
    ],
    ids=str,
)
async def test_data_that_cannot_be_used(api: Api, wrong: dict[str, Any]) -> None:
    assert is_problem(await api.ask("POST", "/entities", wrong), 400, "BadRequestData")


@pytest.mark.clause("5.5.2", "5.5.4", "6.3.2")
@pytest.mark.parametrize("body", [b"{", b"", b'"x"', b"\xff", b"[" * 100_000])
async def test_no_json(api: Api, body: bytes) -> None:
    assert is_problem(await api.ask("POST", "/entities", body), 400, "InvalidRequest")


@pytest.mark.clause("4.5.2", "4.5.3", "4.5.18", "4.5.20", "4.5.21", "4.5.22", "4.5.24", "4.7")
async def test_every_type_of_attribute_comes_back(api: Api) -> None:
    made = building(
        a=prop({"deep": [1, {"x": True}]}, sub=prop(5, unitCode="MTR", deeper=rel("urn:x:3"))),
        b=rel(["urn:x:1", "urn:x:2"], objectType="City"),
        c={"type": "LanguageProperty", "languageMap": {"en": "street", "fr": ["rue", "voie"]}},
        d={"type": "VocabProperty", "vocab": ["monument", "tower"]},
        e={"type": "ListProperty", "valueList": [3, 1, 2]},
        f={"type": "ListRelationship", "objectList": [{"object": "urn:x:2"}, {"object": "urn:x:1"}]},
        g={"type": "JsonProperty", "json": {"id": 5, "@type": None}},
        h=[prop(1), prop(2, datasetId="urn:d:1")],
        location=point(13.4, 52.5),
        scope=["/a/b", "/c"],
    )
    await api.make(made)
    assert await api.get(ONE) == made


@pytest.mark.clause("4.5.2.3", "4.5.3.3", "4.5.18.3", "4.5.20.3", "4.5.21.3", "4.5.22.3", "4.5.24.3", "6.3.7")
async def test_concise_in_and_out(api: Api) -> None:
    concise = building(
        a=5,
        b={"value": 5, "unitCode": "MTR"},
        c={"object": "urn:x:1"},
        d={"languageMap": {"en": "x"}},
        e={"vocab": "tower"},
        f={"valueList": [1, 2]},
        g={"objectList": ["urn:x:1"]},
        h={"json": {"x": 1}},
        i={"value": {"city": "Berlin"}},
        location={"type": "Point", "coordinates": [1.0, 2.0]},
    )
    await api.make(concise)
    full = await api.get(ONE)
    assert full["a"] == prop(5)
    assert full["location"]["type"] == "GeoProperty"
    assert full["g"] == {"type": "ListRelationship", "objectList": [{"object": "urn:x:1"}]}
    assert await api.get(ONE + "?format=concise") == concise
    assert await api.get(ONE + "?options=concise") == concise


@pytest.mark.clause("4.5.4", "6.3.7", "4.5.5")
async def test_simplified(api: Api) -> None:
    await api.make(
        building(
            a=prop(1),
            b=[prop(1), prop(2, datasetId="urn:d:1")],
            c={"type": "LanguageProperty", "languageMap": {"en": "x"}},
            d={"type": "VocabProperty", "vocab": "tower"},
            e={"type": "JsonProperty", "json": [1]},
            f=rel("urn:x:1"),
            location=point(1, 2),
        )
    )
    shown = await api.get(ONE + "?options=keyValues")
    assert shown == await api.get(ONE + "?format=simplified")
    assert shown["a"] == 1
    assert shown["b"] == {"dataset": {"@none": 1, "urn:d:1": 2}}
    assert shown["c"] == {"languageMap": {"en": "x"}}
    assert shown["d"] == {"vocab": "tower"}
    assert shown["e"] == {"json": [1]}
    assert shown["f"] == "urn:x:1"
    assert shown["location"] == {"type": "Point", "coordinates": [1, 2]}
    assert is_problem(await api.ask("GET", ONE + "?format=fancy"), 400, "InvalidRequest")


@pytest.mark.clause("4.15")
@pytest.mark.parametrize(
    ("lang", "said", "tag"),
    [
        ("fr", "rue", "fr"),
        ("de,en;q=0.5", "street", "en"),
        ("en-GB", "street", "en"),
        ("xx", "rue", "fr"),
        ("*", "rue", "fr"),
    ],
)
async def test_one_language(api: Api, lang: str, said: str, tag: str) -> None:
    await api.make(building(a={"type": "LanguageProperty", "languageMap": {"fr": "rue", "en": "street"}}))
    assert (await api.get(f"{ONE}?lang={lang}"))["a"] == prop(said, lang=tag)
    assert (await api.get(f"{ONE}?lang={lang}&options=keyValues"))["a"] == said


@pytest.mark.clause("4.8", "6.3.11", "5.2.2")
async def test_system_attributes(api: Api) -> None:
    await api.make(building(a=prop(1, createdAt="2001-01-01T00:00:00Z"), expiresAt="2999-01-01T00:00:00Z"))
    assert "createdAt" not in await api.get(ONE)
    shown = await api.get(ONE + "?options=sysAttrs")
    assert shown["createdAt"] == shown["modifiedAt"] == shown["a"]["createdAt"]
    assert shown["expiresAt"].startswith("2999")
    await api.ask("PATCH", ONE + "/attrs", {"a": prop(2)})
    later = await api.get(ONE + "?options=sysAttrs")
    assert later["a"]["createdAt"] == shown["a"]["createdAt"]
    assert later["a"]["modifiedAt"] > shown["a"]["modifiedAt"]
    assert later["modifiedAt"] > later["createdAt"]


@pytest.mark.clause("4.21", "5.7.1")
async def test_some_members_only(api: Api) -> None:
    await api.make(building(a=prop(1), b=prop(2), scope="/x"))
    assert set(await api.get(ONE + "?attrs=a")) == {"id", "type", "a", "scope"}
    assert set(await api.get(ONE + "?pick=id,a")) == {"id", "a"}
    assert set(await api.get(ONE + "?pick=a|b")) == {"a", "b"}
    assert set(await api.get(ONE + "?omit=type,b")) == {"id", "scope", "a"}
    assert is_problem(await api.ask("GET", ONE + "?attrs=z"), 404, "ResourceNotFound")
    for wrong in ("pick=a&attrs=b", "pick=", "pick=a,,b", "pick=a{b", "pick=a,a"):
        assert is_problem(await api.ask("GET", f"{ONE}?{wrong}"), 400, "BadRequestData")


@pytest.mark.clause("4.5.5", "5.7.1")
async def test_instances_by_dataset(api: Api) -> None:
    await api.make(building(a=[prop(1), prop(2, datasetId="urn:d:1"), prop(3, datasetId="urn:d:2")], b=prop(1)))
    assert (await api.get(ONE + "?datasetId=urn:d:1"))["a"] == prop(2, datasetId="urn:d:1")
    assert (await api.get(ONE + "?datasetId=@none"))["a"] == prop(1)
    assert "b" not in await api.get(ONE + "?datasetId=urn:d:1")
    assert len((await api.get(ONE + "?datasetId=urn:d:1,@none"))["a"]) == 2


@pytest.mark.clause("5.7.1", "5.6.6", "4.17")
async def test_unknown_and_of_other_types(api: Api) -> None:
    await api.make(building(a=prop(1)))
    assert is_problem(await api.ask("GET", "/entities/urn:x:9"), 404, "ResourceNotFound")
    assert is_problem(await api.ask("GET", "/entities/nope"), 400, "BadRequestData")
    assert is_problem(await api.ask("GET", ONE + "?type=Vehicle"), 404, "ResourceNotFound")
    assert is_problem(await api.ask("DELETE", ONE + "?type=Vehicle"), 404, "ResourceNotFound")
    assert (await api.ask("GET", ONE + "?type=Building")).status_code == 200
    assert (await api.ask("DELETE", ONE)).status_code == 204
    assert is_problem(await api.ask("DELETE", ONE), 404, "ResourceNotFound")


@pytest.mark.clause("5.6.2", "5.5.8", "6.6.3.2")
async def test_update_attributes(api: Api) -> None:
    await api.make(building(a=prop(25, unitCode="CEL"), b=[prop(1), prop(2, datasetId="urn:d:1")], scope="/x"))
    body = {"a": prop(100), "b": prop(NULL, datasetId="urn:d:1"), "c": prop(3), "type": "Tower", "scope": "/y"}
    assert (await api.ask("PATCH", ONE + "/attrs", body)).status_code == 204
    shown = await api.get(ONE)
    assert (shown["a"], shown["b"], shown["c"]) == (prop(100), prop(1), prop(3))
    assert (shown["type"], shown["scope"]) == (["Building", "Tower"], "/y")
    assert (await api.ask("PATCH", ONE + "/attrs/", {"a": NULL})).status_code == 204
    assert "a" not in await api.get(ONE)
    assert is_problem(await api.ask("PATCH", "/entities/urn:x:9/attrs", {"a": prop(1)}), 404, "ResourceNotFound")
    assert is_problem(await api.ask("PATCH", ONE + "/attrs", {"b": prop(1, datasetId=NULL)}), 400, "BadRequestData")


@pytest.mark.clause("5.6.3", "5.2.18", "6.6.3.1")
async def test_append_attributes(api: Api) -> None:
    await api.make(building(a=prop(1), scope="/x"))
    body = {"a": prop(2), "b": prop(3), "scope": "/y"}
    told = await api.ask("POST", ONE + "/attrs?options=noOverwrite", body)
    assert told.status_code == 207
    vocab = "https://uri.etsi.org/ngsi-ld/default-context/"
    assert told.json()["updated"] == [vocab + "b"]
    assert [one["attributeName"] for one in told.json()["notUpdated"]] == [vocab + "a"]
    shown = await api.get(ONE)
    assert (shown["a"], shown["b"], shown["scope"]) == (prop(1), prop(3), ["/x", "/y"])
    assert (await api.ask("POST", ONE + "/attrs", body)).status_code == 204
    shown = await api.get(ONE)
    assert (shown["a"], shown["scope"]) == (prop(2), "/y")
    assert is_problem(await api.ask("POST", ONE + "/attrs", {"a": NULL}), 400, "BadRequestData")


@pytest.mark.clause("5.6.4", "6.7.3.1")
async def test_partial_update_of_an_attribute(api: Api) -> None:
    await api.make(building(a=[prop(25, unitCode="CEL", by=prop("x")), prop(1, datasetId="urn:d:1")]))
    assert (await api.ask("PATCH", ONE + "/attrs/a", {"value": 100, "by": prop("y")})).status_code == 204
    assert (await api.ask("PATCH", ONE + "/attrs/a", {"value": 2, "datasetId": "urn:d:1"})).status_code == 204
    shown = (await api.get(ONE))["a"]
    assert shown == [prop(100, unitCode="CEL", by=prop("y")), prop(2, datasetId="urn:d:1")]
    assert (await api.ask("PATCH", ONE + "/attrs/a", {"unitCode": NULL})).status_code == 204
    assert "unitCode" not in (await api.get(ONE))["a"][0]
    assert is_problem(await api.ask("PATCH", ONE + "/attrs/a", rel("urn:x:1")), 400, "BadRequestData")
    assert is_problem(await api.ask("PATCH", ONE + "/attrs/z", prop(1)), 404, "ResourceNotFound")
    assert is_problem(await api.ask("PATCH", ONE + "/attrs/a", prop(1, datasetId="urn:d:9")), 404, "ResourceNotFound")
    assert is_problem(await api.ask("PATCH", ONE + "/attrs/scope", prop("/a")), 400, "BadRequestData")
    assert (await api.ask("PATCH", ONE + "/attrs/a", prop(NULL))).status_code == 204
    assert (await api.get(ONE))["a"] == prop(2, datasetId="urn:d:1")


@pytest.mark.clause("5.6.19", "6.7.3.3")
async def test_replace_an_attribute(api: Api) -> None:
    await api.make(building(a=prop(25, unitCode="CEL")))
    assert (await api.ask("PUT", ONE + "/attrs/a", rel("urn:x:1"))).status_code == 204
    assert (await api.get(ONE))["a"] == rel("urn:x:1")
    assert is_problem(await api.ask("PUT", ONE + "/attrs/b", prop(1)), 404, "ResourceNotFound")
    assert is_problem(await api.ask("PUT", ONE + "/attrs/scope", prop(1)), 400, "BadRequestData")


@pytest.mark.clause("5.6.5", "6.7.3.2")
async def test_delete_an_attribute(api: Api) -> None:
    many = [prop(1), prop(2, datasetId="urn:d:1"), prop(3, datasetId="urn:d:2")]
    await api.make(building(a=many, b=many, c=prop(1), scope="/x"))
    assert (await api.ask("DELETE", ONE + "/attrs/a")).status_code == 204
    assert (await api.ask("DELETE", ONE + "/attrs/a?datasetId=urn:d:1")).status_code == 204
    assert (await api.ask("DELETE", ONE + "/attrs/b?deleteAll=true")).status_code == 204
    assert (await api.ask("DELETE", ONE + "/attrs/scope")).status_code == 204
    assert set(await api.get(ONE)) == {"id", "type", "a", "c"}
    assert (await api.get(ONE))["a"] == many[2]
    for path in ("/attrs/a", "/attrs/z", "/attrs/a?datasetId=urn:d:9", "/attrs/scope"):
        assert is_problem(await api.ask("DELETE", ONE + path), 404, "ResourceNotFound")
    assert is_problem(await api.ask("DELETE", ONE + "/attrs/c?datasetId=nope"), 400, "BadRequestData")


@pytest.mark.clause("5.6.17", "5.5.12", "6.5.3.4")
async def test_merge(api: Api) -> None:
    address = {"street": "Straße des 17. Juni", "city": "Berlin", "country": "Germany"}
    await api.make(building(a=prop(25, unitCode="CEL", observedAt="2022-01-01T00:00:00Z"), b=prop(address), c=prop(1)))
    body = {"a": prop(100), "b": prop({"street": "Pariser Platz", "country": NULL}), "c": NULL, "d": prop(4)}
    assert (await api.ask("PATCH", ONE + "?observedAt=2023-01-01T00:00:00Z", body)).status_code == 204
    shown = await api.get(ONE)
    assert shown["a"] == prop(100, unitCode="CEL", observedAt="2023-01-01T00:00:00Z")
    assert shown["b"] == prop({"street": "Pariser Platz", "city": "Berlin"})
    assert "c" not in shown
    assert shown["d"] == prop(4)
    assert is_problem(await api.ask("PATCH", ONE, {"a": rel("urn:x:1")}), 400, "BadRequestData")
    assert is_problem(await api.ask("PATCH", "/entities/urn:x:9", body), 404, "ResourceNotFound")


@pytest.mark.clause("5.6.17", "6.5.3.4")
async def test_merge_of_bare_values_keeps_types(api: Api) -> None:
    await api.make(
        building(a={"type": "LanguageProperty", "languageMap": {"en": "x", "fr": "y"}}, b=rel("urn:x:1"), c=prop(1))
    )
    body = {"a": "z", "b": "urn:x:2", "c": 5, "d": "new"}
    assert (await api.ask("PATCH", ONE + "?options=keyValues&lang=en", body)).status_code == 204
    shown = await api.get(ONE)
    assert shown["a"]["languageMap"] == {"en": "z", "fr": "y"}
    assert (shown["b"], shown["c"], shown["d"]) == (rel("urn:x:2"), prop(5), prop("new"))


@pytest.mark.clause("5.6.18", "6.5.3.3")
async def test_replace(api: Api) -> None:
    await api.make(building(a=prop(1), b=prop(2)))
    created = (await api.get(ONE + "?options=sysAttrs"))["createdAt"]
    assert (await api.ask("PUT", ONE, building(c=prop(3)))).status_code == 204
    shown = await api.get(ONE + "?options=sysAttrs")
    assert {"a", "b"} & shown.keys() == set()
    assert shown["createdAt"] == created
    assert is_problem(await api.ask("PUT", ONE, building("2")), 400, "BadRequestData")
    assert is_problem(await api.ask("PUT", ONE, building(a=NULL)), 400, "BadRequestData")
    assert is_problem(await api.ask("PUT", "/entities/urn:x:9", building("9")), 404, "ResourceNotFound")


@pytest.mark.clause("4.22")
async def test_what_has_expired_is_gone(api: Api) -> None:
    await api.make(building("1", a=prop(1), expiresAt="2999-01-01T00:00:00Z"), building("2", a=prop(1), b=prop(2)))
    store = api.broker.store
    for name, change in (("1", {"expiresAt": "2020-01-01T00:00:00Z"}), ("2", {})):
        kept = store.entity("", f"urn:ngsi-ld:Building:{name}")
        assert kept is not None
        if name == "2":
            next(iter(kept["attrs"].values()))[0]["expiresAt"] = "2020-01-01T00:00:00,5Z"
        store.put_entity("", kept | change)
    assert (await api.ask("GET", ONE)).status_code == 404
    assert set(await api.get("/entities/urn:ngsi-ld:Building:2")) == {"id", "type", "b"}
    await api.make(building("1", a=prop(2)))


@pytest.mark.clause("5.6.21", "6.4.3.3")
async def test_purge(api: Api) -> None:
    await api.make(building("1", a=prop(1), b=prop(1)), building("2", a=prop(2), b=prop(1)), building("3", b=prop(1)))
    assert is_problem(await api.ask("DELETE", "/entities"), 400, "BadRequestData")
    assert (await api.ask("DELETE", "/entities?type=Building&q=a==1&drop=a")).status_code == 204
    assert await api.ids("type=Building&q=a") == ["2"]
    assert (await api.ask("DELETE", "/entities?type=Building&keep=b")).status_code == 204
    assert await api.ids("type=Building&q=a") == []
    assert (await api.ask("DELETE", "/entities?type=Building")).status_code == 204
    assert await api.ids("type=Building") == []


@pytest.mark.clause("5.5.7", "4.4", "5.5.5", "6.3.5")
async def test_names_by_the_context(api: Api) -> None:
    made = {"id": "urn:ngsi-ld:Building:1", "type": "Building", "almostFull": prop(False), "other": prop(1)}
    await api.make(made, link=SUITE)
    assert await api.get(ONE, link=SUITE) == made
    plain = await api.get(ONE)
    assert plain["type"] == NAMES + "Building"
    assert NAMES + "almostFull" in plain
    await api.make({"id": "urn:ngsi-ld:Building:2", "type": "Building", "almostFull": prop(True)})
    other = await api.get("/entities/urn:ngsi-ld:Building:2", link=SUITE)
    assert "ngsi-ld:default-context/almostFull" in other
    assert await api.ids("type=Building", link=SUITE) == ["1"]
