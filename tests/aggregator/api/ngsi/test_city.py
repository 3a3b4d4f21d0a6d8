"""The city's own entities: the demo's assets as Smart Data Models, with estimates, history, alarms and orders."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from aggregator.api.atlas import Atlas
from aggregator.api.ngsi import times
from aggregator.api.ngsi.broker import Broker
from aggregator.api.ngsi.city import CitySource, tell_changes
from aggregator.city.file import load
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.city import AlarmRow, CityStore
from aggregator.stores.orders import Orders
from protos.clock import SystemClock
from tests.aggregator.api.ngsi.conftest import Api, Receiver, prop

DEMO = Path(__file__).parents[4] / "deploy/demo/city.toml"
CONTEXT = "http://broker.test/ngsi-ld/v1/jsonldContexts/citytwin"
DT = 10 * 10**9
NOW = SystemClock().wall_ns() // DT * DT


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return Atlas.of(load(DEMO))


@pytest.fixture
def twin(tmp_path: Path, atlas: Atlas) -> Iterator[CityStore]:
    with closing(CityStore(tmp_path / "city.sqlite")) as store, closing(Catalogue(tmp_path / "catalogue.sqlite")) as c:
        for k in range(6):
            for domain, columns in atlas.columns.items():
                record(store, domain, NOW // DT - 5 + k, len(columns), 40 + k)
        row = AlarmRow("busbar", "voltage", "unacknowledged", 1, NOW, 251.0, 253.0, "call the grid", "it will be high")
        store.put_alarms([row], [])
        c.put_gateway("gw-harbour", "approved", NOW)
        Orders(c).write("gw-harbour", "lamp/level", 40.0, 600 * 10**9, "anna", NOW, why="night")
        yield store


def record(store: CityStore, domain: str, k: int, n: int, value: float) -> None:
    store.record(domain, DT, k * DT, [(k, np.full(n, value, np.float32), np.full(n, 2, np.float32))])


@pytest.fixture
def city(broker: Broker, twin: CityStore, tmp_path: Path, atlas: Atlas) -> CitySource:
    one = CitySource(atlas, tmp_path / "city.sqlite", tmp_path / "catalogue.sqlite", broker.contexts, broker.clock)
    broker.city = one
    return one


async def test_a_container_is_a_smart_data_model(api: Api, city: CitySource) -> None:
    found = await api.get("/entities/urn:ngsi-ld:WasteContainer:Demo:bin-quay", link=CONTEXT)
    level = found["fillingLevel"]
    assert found["type"] == "WasteContainer"
    assert level["value"] == pytest.approx(0.45)
    assert level["unitCode"] == "C62"
    assert level["observedAt"] == times.text(NOW)
    assert level["standardDeviation"]["value"] == pytest.approx(0.02)
    assert level["quantiles"]["value"]["0.95"] == pytest.approx(0.45 + 1.645 * 0.02, abs=1e-4)
    assert level["method"]["value"] == "estimated by the twin: services v1"
    assert found["location"]["value"]["type"] == "Point"
    expanded = await api.get("/entities/urn:ngsi-ld:WasteContainer:Demo:bin-quay")
    assert expanded["type"] == "https://smartdatamodels.org/dataModel.WasteManagement/WasteContainer"


async def test_every_asset_is_there_and_queries_find_it(api: Api, city: CitySource, atlas: Atlas) -> None:
    types = (await api.get("/types", link=CONTEXT))["typeList"]
    wanted = {"TrafficFlowObserved", "RoadSegment", "AirQualityObserved", "ThreePhaseAcMeasurement", "WaterObserved"}
    assert wanted | {"WasteContainer", "Alert", "Tank"} <= set(types)
    assert len(await api.ids("type=RoadSegment", link=CONTEXT)) == 6
    assert await api.ids("type=WasteContainer&q=fillingLevel>0.44&limit=1", link=CONTEXT)
    assert await api.ids("type=WasteContainer&q=fillingLevel>0.46", link=CONTEXT) == []
    assert await api.ids("type=AirQualityObserved&q=pm25[standardDeviation]==2.0", link=CONTEXT) == []
    assert len(await api.ids("type=AirQualityObserved&q=pm25.standardDeviation==2.0", link=CONTEXT)) == 4
    near = "georel=near;maxDistance==300&geometry=Point&coordinates=[13.359,52.5452]"
    assert await api.ids(f"type=WasteContainer&{near}", link=CONTEXT)


async def test_nobody_writes_what_the_twin_keeps(api: Api, city: CitySource) -> None:
    path = "/entities/urn:ngsi-ld:WasteContainer:Demo:bin-quay"
    for told in (
        await api.ask("PATCH", path + "/attrs", {"fillingLevel": prop(0)}),
        await api.ask("DELETE", path),
        await api.ask("POST", "/entities", {"id": path.removeprefix("/entities/"), "type": "WasteContainer"}),
    ):
        assert told.status_code in (409, 422), told.text


async def test_its_history_is_the_twins(api: Api, city: CitySource) -> None:
    path = "/temporal/entities/urn:ngsi-ld:WasteContainer:Demo:bin-quay?attrs=fillingLevel&options=temporalValues"
    told = await api.get(path, link=CONTEXT)
    assert [one[0] for one in told["fillingLevel"]["values"]] == pytest.approx([0.4, 0.41, 0.42, 0.43, 0.44, 0.45])
    assert told["fillingLevel"]["values"][-1][1] == times.text(NOW)
    span = f"timerel=after&timeAt={times.text(NOW - 3 * DT)}"
    found = await api.get(f"/temporal/entities?type=TrafficFlowObserved&{span}&options=temporalValues", link=CONTEXT)
    assert len(found) == 6
    assert len(found[0]["vehicles"]["values"]) == 4


async def test_alarms_are_alerts(api: Api, city: CitySource) -> None:
    (alert,) = await api.get("/entities?type=Alert&options=keyValues", link=CONTEXT)
    assert alert["id"] == "urn:ngsi-ld:Alert:Demo:busbar:voltage"
    assert alert["alertSource"] == "urn:ngsi-ld:ThreePhaseAcMeasurement:Demo:busbar"
    assert (alert["severity"], alert["measuredValue"], alert["thresholdValue"]) == ("critical", 251.0, 253.0)
    assert alert["description"] == "it will be high; call the grid"


async def test_orders_are_operations_of_devices(api: Api, city: CitySource) -> None:
    (one,) = await api.get("/entities?type=DeviceOperation&options=keyValues", link=CONTEXT)
    assert one["device"] == "gw-harbour/lamp"
    assert (one["parameter"], one["status"]) == ({"point": "level", "value": 40.0}, "waiting")
    assert one["plannedStartAt"] == {"@type": "DateTime", "@value": times.text(NOW)}


@pytest.mark.usefixtures("sending")
async def test_subscribers_are_told_of_the_city(
    api: Api, city: CitySource, twin: CityStore, receiver: Receiver
) -> None:
    asked = {
        "id": "urn:x:sub:1",
        "type": "Subscription",
        "entities": [{"type": "WasteContainer"}],
        "watchedAttributes": ["fillingLevel"],
        "q": "fillingLevel>0.8",
        "notification": {"endpoint": {"uri": receiver.url}, "format": "keyValues"},
    }
    assert (await api.ask("POST", "/subscriptions", asked, link=CONTEXT)).status_code == 201
    before = tell_changes(api.broker, None)
    record(twin, "services", NOW // DT + 1, 7, 90)
    city._looked_ns = 0  # a second later
    tell_changes(api.broker, before)
    got = [(await receiver.next())[1]["data"][0]["id"] for _ in range(2)]
    assert {one.rpartition(":")[2] for one in got} == {"bin-market", "bin-quay"}
