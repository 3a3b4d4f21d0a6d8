"""Which types and attributes there are (5.7.5 … 5.7.10, 6.25 … 6.28)."""

import pytest

from tests.aggregator.api.ngsi.conftest import SUITE, Api, building, point, prop, rel

DEFAULT = "https://uri.etsi.org/ngsi-ld/default-context/"


@pytest.fixture
async def town(api: Api) -> Api:
    await api.make(
        building("1", level=prop(1), location=point(0, 0)),
        building("2", level=prop(2), beside=rel("urn:ngsi-ld:Building:1")),
        {"id": "urn:x:shop", "type": ["Shop", "Building"], "level": prop(1)},
    )
    return api


@pytest.mark.clause("5.7.5", "5.7.6", "5.7.7", "6.25.3.1", "6.26.3.1", "5.2.24", "5.2.25", "5.2.26", "5.2.27", "5.2.28")
async def test_types(town: Api) -> None:
    told = await town.get("/types")
    assert (told["type"], told["typeList"]) == ("EntityTypeList", ["Building", "Shop"])
    assert told["id"].startswith("urn:")
    details = await town.get("/types?details=true")
    (one,) = [each for each in details if each["typeName"] == "Building"]
    assert (one["id"], one["type"]) == (DEFAULT + "Building", "EntityType")
    assert sorted(one["attributeNames"]) == ["beside", "level", "location"]
    info = await town.get("/types/Building")
    assert (info["type"], info["entityCount"], info["typeName"]) == ("EntityTypeInfo", 3, "Building")
    levels = next(each for each in info["attributeDetails"] if each["attributeName"] == "level")
    assert levels["attributeTypes"] == ["Property"]
    assert (await town.ask("GET", "/types/Nothing")).status_code == 404
    assert (await town.get(f"/types/{DEFAULT.replace('/', '%2F').replace(':', '%3A')}Shop"))["entityCount"] == 1


@pytest.mark.clause("5.7.8", "5.7.9", "5.7.10", "6.27.3.1", "6.28.3.1")
async def test_attributes(town: Api) -> None:
    told = await town.get("/attributes")
    assert (told["type"], told["attributeList"]) == ("AttributeList", ["beside", "level", "location"])
    details = await town.get("/attributes?details=true")
    level = next(each for each in details if each["attributeName"] == "level")
    assert (level["id"], level["typeNames"]) == (DEFAULT + "level", ["Building", "Shop"])
    info = await town.get("/attributes/level")
    assert (info["attributeCount"], info["attributeTypes"], info["typeNames"]) == (
        3,
        ["Property"],
        ["Building", "Shop"],
    )
    assert (await town.ask("GET", "/attributes/nothing")).status_code == 404


@pytest.mark.clause("5.7.5", "5.5.7")
async def test_names_as_their_context_has_them(api: Api) -> None:
    await api.make(building("1", name=prop("x")), link=SUITE)
    assert (await api.get("/types", link=SUITE))["typeList"] == ["Building"]
    assert (await api.get("/types"))["typeList"][0].startswith("http")
