"""Queries: what is asked for, how it is shown, in which order and pages (4.9 … 4.23, 5.7.2, 6.4.3.2, 6.23)."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.aggregator.api.ngsi.conftest import NAMES, SUITE, Api, building, point, prop, rel


def square(low: float, high: float) -> dict[str, Any]:
    ring = [[low, low], [high, low], [high, high], [low, high], [low, low]]
    return {"type": "GeoProperty", "value": {"type": "Polygon", "coordinates": [ring]}}


@pytest.fixture
async def town(api: Api) -> Api:
    await api.make(
        building("a", height=prop(10, unitCode="MTR", observedAt="2026-01-01T00:00:00Z"), name=prop("Alpha")),
        building("b", height=prop(20, accuracy=prop(0.5)), name=prop("Beta"), open=prop(True), into=rel("urn:x:1")),
        building("c", height=prop(30), tags=prop(["red", "blue"]), address=prop({"city": {"name": "Bonn"}, "zip": 5})),
        {"id": "urn:ngsi-ld:Shop:d", "type": ["Shop", "Building"], "scope": ["/DE/Bonn", "/EU"], "height": prop(40)},
        {
            "id": "urn:ngsi-ld:Shop:e",
            "type": "Shop",
            "scope": "/DE/Koeln",
            "when": prop({"@type": "DateTime", "@value": "2026-05-05T10:00:00Z"}),
            "title": {"type": "LanguageProperty", "languageMap": {"de": "Laden", "en": "shop"}},
            "kind": {"type": "VocabProperty", "vocab": "Corner"},
            "list": {"type": "ListProperty", "valueList": [1, 2, 3]},
            "raw": {"type": "JsonProperty", "json": {"n": {"x": 7}}},
        },
    )
    return api


@pytest.mark.clause("4.9", "5.7.2", "6.4.3.2")
@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("height==20", "b"),
        ("height!=20", "acd"),
        ("height>=20", "bcd"),
        ("height<20", "a"),
        ("height==10..20", "ab"),
        ("height!=10..20", "cd"),
        ("height==10,30", "ac"),
        ("height>10;height<40", "bc"),
        ("height<15|height>35", "ad"),
        ("(height<15|height>35);name", "a"),
        ("height", "abcd"),
        ('name=="Alpha"', "a"),
        ('name!="Alpha"', "b"),
        ('name~="^Al.*"', "a"),
        ('name!~="^Al.*"', "b"),
        ("open==true", "b"),
        ("open==false", ""),
        ('tags=="red"', "c"),
        ('tags=="red","green"', "c"),
        ('address[city.name]=="Bonn"', "c"),
        ("address[zip]>4", "c"),
        ("height.accuracy<=0.5", "b"),
        ("height.observedAt<=2026-01-01T00:00:00Z", "a"),
        ('height.unitCode=="MTR"', "a"),
        ('into=="urn:x:1"', "b"),
        ("into==urn:x:1", "b"),
        ("when==2026-05-05T10:00:00Z", "e"),
        ("when>2026-05-05T09:00:00Z", "e"),
        ('title[de]=="Laden"', "e"),
        ('title[en]=="Laden"', ""),
        ('title[*]=="Laden"', "e"),
        ('kind=="Corner"&expandValues=kind', "e"),
        ("raw[n.x]==7", "e"),
        ("name==urn:x:1", ""),
    ],
)
async def test_q(town: Api, q: str, found: str) -> None:
    asked, _, more = q.partition("&")
    query = f"q={quote(asked)}" + (f"&{more}" if more else "")
    assert "".join(sorted(await town.ids(query))) == found


@pytest.mark.clause("4.9", "5.5.4")
@pytest.mark.parametrize("q", ["height==", "==3", "(height", "height==1..", "a;;b", "a|", "a[", 'a=="x'])
async def test_q_that_is_none(town: Api, q: str) -> None:
    told = await town.ask("GET", f"/entities?type=Building&q={q.replace(';', '%3B')}")
    assert told.status_code == 400
    assert told.json()["type"].rpartition("/")[2] in ("BadRequestData", "InvalidRequest")


@pytest.mark.clause("4.17", "4.18", "4.19", "5.7.2")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("type=Shop", "de"),
        ("type=Shop,Building", "abcde"),
        ("type=(Shop;Building)", "d"),
        ("type=Shop|Nothing", "de"),
        ("type=*&id=urn:ngsi-ld:Shop:e", "e"),
        ("type=*&id=urn:ngsi-ld:Shop:e,urn:ngsi-ld:Building:a", "ae"),
        ("idPattern=.*:[ab]$&type=Building", "ab"),
        ("attrs=open,title", "be"),
        ("type=Building&attrs=name", "ab"),
        ("type=Building&scopeQ=/EU", "d"),
        ("type=*&scopeQ=/DE/%2B", "de"),
        ("type=*&scopeQ=/DE/%23", "de"),
        ("type=*&scopeQ=/DE", ""),
        ("type=*&scopeQ=/EU;/DE/Bonn", "d"),
        ("type=*&scopeQ=/EU,/DE/Koeln", "de"),
        ("type=*&scopeQ=/%23", "de"),
    ],
)
async def test_what_is_selected(town: Api, query: str, found: str) -> None:
    assert "".join(sorted(await town.ids(query.replace(";", "%3B")))) == found


@pytest.mark.clause("4.10", "4.7", "6.4.3.2")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("georel=near;maxDistance==2000&geometry=Point&coordinates=[0,0]", "o"),
        ("georel=near;minDistance==2000&geometry=Point&coordinates=[0,0]", "p12"),
        ("georel=within&geometry=Polygon&coordinates=[[[-1,-1],[6,-1],[6,6],[-1,6],[-1,-1]]]", "o1p"),
        ("georel=contains&geometry=Point&coordinates=[1,1]", "1"),
        ("georel=intersects&geometry=LineString&coordinates=[[1,1],[11,11]]", "12p"),
        ("georel=equals&geometry=Point&coordinates=[5,5]", "p"),
        ("georel=disjoint&geometry=Point&coordinates=[5,5]", "o12"),
        ("georel=overlaps&geometry=Polygon&coordinates=[[[1,1],[9,1],[9,9],[1,9],[1,1]]]", "1"),
        ("georel=near;maxDistance==2000&geometry=Point&coordinates=[0,0]&geoproperty=other", "q"),
    ],
)
async def test_geo(api: Api, query: str, found: str) -> None:
    other = point(0, 0)
    await api.make(
        building("o", location=point(0, 0)),
        building("p", location=point(5, 5)),
        building("1", location=square(0.5, 2)),
        building("2", location=square(10, 12)),
        building("q", other=other),
    )
    ids = await api.ids("type=Building&" + query.replace(";", "%3B"))
    assert sorted(ids) == sorted(found)


@pytest.mark.clause("4.10", "5.5.4")
@pytest.mark.parametrize(
    "query",
    [
        "georel=near&geometry=Point&coordinates=[0,0]",
        "georel=near%3BmaxDistance==-1&geometry=Point&coordinates=[0,0]",
        "georel=beside&geometry=Point&coordinates=[0,0]",
        "georel=within&geometry=Point",
        "georel=within&geometry=Circle&coordinates=[0,0]",
        "geometry=Point&coordinates=[0,0]",
        "georel=within&geometry=Polygon&coordinates=[[[0,0],[1,1]]]",
        "georel=within&geometry=Point&coordinates=nowhere",
    ],
)
async def test_geo_that_is_none(town: Api, query: str) -> None:
    assert (await town.ask("GET", "/entities?type=Building&" + query)).status_code == 400


@pytest.mark.clause("4.21", "5.7.2", "6.3.7", "4.5.4")
async def test_how_it_is_shown(town: Api) -> None:
    one = "/entities/urn:ngsi-ld:Building:b"
    assert (await town.get(one + "?pick=id,height&format=simplified")) == {"id": one[10:], "height": 20}
    assert "height" not in await town.get(one + "?omit=height")
    assert (await town.get(one + "?options=keyValues&attrs=open")) == {"id": one[10:], "type": "Building", "open": True}
    assert (await town.get(one + "?options=concise"))["into"] == {"object": "urn:x:1"}
    assert (await town.get(one + "?options=concise"))["height"] == {"value": 20, "accuracy": 0.5}
    assert {"createdAt", "modifiedAt"} <= set((await town.get(one + "?options=sysAttrs"))["height"])
    assert (await town.ask("GET", one + "?pick=height&omit=height")).status_code in (200, 400)
    assert (await town.ask("GET", one + "?attrs=nothing")).status_code == 404
    assert (await town.ask("GET", one + "?options=invalid")).status_code == 400


@pytest.mark.clause("4.15", "6.3.7")
async def test_languages(town: Api) -> None:
    one = "/entities/urn:ngsi-ld:Shop:e"
    shown = (await town.get(one + "?lang=de"))["title"]
    assert shown == {"type": "Property", "value": "Laden", "lang": "de"}
    assert (await town.get(one + "?lang=fr,en;q=0.5&options=keyValues"))["title"] == "shop"
    assert (await town.get(one + "?options=keyValues"))["title"] == {"languageMap": {"de": "Laden", "en": "shop"}}
    assert (await town.get(one + "?options=keyValues"))["kind"] == {"vocab": "Corner"}
    assert (await town.get(one + "?options=keyValues"))["raw"] == {"json": {"n": {"x": 7}}}


@pytest.mark.clause("6.3.8", "4.5.16", "4.5.17")
async def test_geojson(api: Api) -> None:
    await api.make(building("1", location=point(1, 2), height=prop(3)))
    told = await api.ask("GET", "/entities/urn:ngsi-ld:Building:1", Accept="application/geo+json")
    assert told.headers["content-type"] == "application/geo+json"
    feature = told.json()
    assert (feature["type"], feature["id"]) == ("Feature", "urn:ngsi-ld:Building:1")
    assert feature["geometry"] == {"type": "Point", "coordinates": [1, 2]}
    assert feature["properties"]["height"] == prop(3)
    several = await api.ask("GET", "/entities?type=Building&options=keyValues", Accept="application/geo+json")
    assert several.json()["type"] == "FeatureCollection"
    assert several.json()["features"][0]["properties"]["height"] == 3


@pytest.mark.clause("5.5.9", "6.3.10", "6.3.13")
async def test_pages(town: Api) -> None:
    told = await town.ask("GET", "/entities?type=Building&limit=2&offset=1&count=true")
    assert told.headers["ngsild-results-count"] == "4"
    assert 'rel="next"' in told.headers["link"]
    assert 'rel="prev"' in told.headers["link"]
    assert len(told.json()) == 2
    only = await town.ask("GET", "/entities?type=Building&limit=0&count=true")
    assert (only.json(), only.headers["ngsild-results-count"]) == ([], "4")
    for wrong in ("limit=-1", "limit=0", "offset=-1", "limit=x"):
        assert (await town.ask("GET", f"/entities?type=Building&{wrong}")).status_code == 400
    assert (await town.ask("GET", "/entities?type=Building&limit=100000")).status_code == 403


@pytest.mark.clause("4.23")
async def test_in_an_order(town: Api) -> None:
    assert await town.ids("type=Building&orderBy=height%3Bdesc") == ["d", "c", "b", "a"]
    assert await town.ids("type=Building&orderBy=name,height%3Bdesc") == ["a", "b", "d", "c"]


@pytest.mark.clause("5.7.2", "5.5.4")
async def test_too_wide(town: Api) -> None:
    for wrong in ("", "?limit=3", "?idPattern=.*", "?type=Building&unknown=1"):
        told = await town.ask("GET", "/entities" + wrong)
        assert told.status_code == 400, wrong


@pytest.mark.clause("4.5.23", "4.5.24")
async def test_linked_entities(api: Api) -> None:
    await api.make(
        {"id": "urn:x:shop", "type": "Shop", "within": rel("urn:x:street", objectType="Street")},
        {"id": "urn:x:street", "type": "Street", "name": prop("High"), "of": rel("urn:x:town", objectType="Town")},
        {"id": "urn:x:town", "type": "Town", "name": prop("Bonn")},
    )
    inline = await api.get("/entities/urn:x:shop?join=inline&joinLevel=2")
    assert inline["within"]["entity"]["name"] == prop("High")
    assert inline["within"]["entity"]["of"]["entity"]["id"] == "urn:x:town"
    flat = await api.get("/entities?type=Shop&join=flat&joinLevel=2")
    assert [one["id"] for one in flat] == ["urn:x:shop", "urn:x:street", "urn:x:town"]
    linked = 'within{Street:name}=="High"'
    found = await api.ask("GET", f"/entities?type=Shop&join=inline&q={quote(linked)}")
    assert found.status_code == 200, found.text
    assert [one["id"] for one in found.json()] == ["urn:x:shop"]


@pytest.mark.clause("6.23.3.1", "5.2.23", "5.7.2")
async def test_by_post(town: Api) -> None:
    asked = {"type": "Query", "entities": [{"type": "Building"}, {"id": "urn:ngsi-ld:Shop:e", "type": "Shop"}]}
    told = await town.ask("POST", "/entityOperations/query?limit=10&count=true", asked)
    assert told.status_code == 200
    assert told.headers["ngsild-results-count"] == "5"
    told = await town.ask("POST", "/entityOperations/query", asked | {"q": "height>20", "pick": ["id"]})
    assert [one["id"][-1] for one in told.json()] == ["c", "d"]
    near = {"georel": "near;maxDistance==10", "geometry": "Point", "coordinates": [0, 0]}
    assert (await town.ask("POST", "/entityOperations/query", asked | {"geoQ": near})).json() == []
    for wrong in ({"type": "Nothing"}, {"type": "Query"}, asked | {"entities": "x"}, asked | {"q": "=="}):
        assert (await town.ask("POST", "/entityOperations/query", wrong)).status_code == 400, wrong


@pytest.mark.clause("5.5.7", "6.3.5", "6.3.6")
async def test_names_of_a_context(api: Api) -> None:
    await api.make(building("1", name=prop("x")), link=SUITE)
    assert [one["type"] for one in await api.get("/entities?type=Building", link=SUITE)] == ["Building"]
    assert (await api.ids("type=Building")) == []
    (one,) = await api.get(f"/entities?type={NAMES.replace('#', '%23')}Building") or [{"type": NAMES + "Building"}]
    assert one["type"] == NAMES + "Building"
    told = await api.ask("GET", "/entities?type=Building", link=SUITE, Accept="application/ld+json")
    assert SUITE in told.json()[0]["@context"]
    assert told.headers["content-type"] == "application/ld+json"
    assert "link" not in told.headers
    assert SUITE in (await api.ask("GET", "/entities?type=Building", link=SUITE)).headers["link"]
