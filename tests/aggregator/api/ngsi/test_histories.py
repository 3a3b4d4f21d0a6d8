"""Histories (4.5.6 … 4.5.9, 4.5.19, 4.11, 5.6.11 … 5.6.16, 5.7.3, 5.7.4, 6.18 … 6.24)."""

from typing import Any

import pytest

from tests.aggregator.api.ngsi.conftest import Api, building, point, prop

T = "2026-09-01T12:0{}:00Z"
NAME = "urn:ngsi-ld:Vehicle:1"
ONE = f"/temporal/entities/{NAME}"


def at(minute: int, value: Any, **more: Any) -> dict[str, Any]:
    return prop(value, observedAt=T.format(minute), **more)


def vehicle(**attrs: Any) -> dict[str, Any]:
    return {"id": NAME, "type": "Vehicle", **attrs}


@pytest.fixture
async def car(api: Api) -> Api:
    made = vehicle(speed=[at(i, 10 * i) for i in range(5)], fuel=[at(1, 67), at(3, 53)])
    assert (await api.ask("POST", "/temporal/entities", made)).status_code == 201
    return api


def values(told: Any, name: str = "speed") -> list[Any]:
    some = told[name] if isinstance(told[name], list) else [told[name]]
    return sorted(one["value"] for one in some)


@pytest.mark.clause("4.5.6", "4.5.7", "5.6.11", "6.18.3.1", "5.2.20")
async def test_made_and_made_again(api: Api) -> None:
    told = await api.ask("POST", "/temporal/entities", vehicle(speed=[at(1, 5)]))
    assert (told.status_code, told.headers["location"]) == (201, "/ngsi-ld/v1" + ONE)
    told = await api.ask("POST", "/temporal/entities", vehicle(speed=[at(2, 6)]))
    assert told.status_code == 204
    assert values(await api.get(ONE)) == [5, 6]
    assert (await api.ask("GET", "/entities/" + NAME)).status_code == 404
    for wrong in ({}, vehicle(speed={"type": "Property"}), {"id": NAME}, {"id": "x", "type": "V"}):
        assert (await api.ask("POST", "/temporal/entities", wrong)).status_code == 400, wrong


@pytest.mark.clause("5.6.12", "6.20.3.1", "5.6.13", "6.21.3.1", "5.6.14", "6.22.3.1", "5.6.15", "6.22.3.2", "5.6.16")
async def test_changed(car: Api) -> None:
    assert (await car.ask("POST", ONE + "/attrs/", {"speed": [at(6, 99)], "new": at(1, 1)})).status_code == 204
    found = await car.get(ONE)
    assert values(found) == [0, 10, 20, 30, 40, 99]
    last = max(found["speed"], key=lambda one: one["value"])
    place = f"{ONE}/attrs/speed/{last['instanceId'].replace(':', '%3A')}"
    assert (await car.ask("PATCH", place, {"speed": at(6, 98)})).status_code == 204
    assert values(await car.get(ONE))[-1] == 98
    assert (await car.ask("PATCH", ONE + "/attrs/speed/urn:x:none", {"speed": at(6, 98)})).status_code == 404
    assert (await car.ask("DELETE", place)).status_code == 204
    assert (await car.ask("DELETE", place)).status_code == 404
    assert values(await car.get(ONE)) == [0, 10, 20, 30, 40]
    assert (await car.ask("DELETE", ONE + "/attrs/new?deleteAll=true")).status_code == 204
    assert "new" not in await car.get(ONE)
    assert (await car.ask("DELETE", ONE + "/attrs/none")).status_code == 404
    assert (await car.ask("DELETE", ONE)).status_code == 204
    assert (await car.ask("GET", ONE)).status_code == 404
    assert (await car.ask("POST", ONE + "/attrs/", {"speed": [at(6, 99)]})).status_code == 404


@pytest.mark.clause("4.11", "5.7.3", "6.19.3.1")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        (f"timerel=before&timeAt={T.format(2)}", [0, 10]),
        (f"timerel=after&timeAt={T.format(2)}", [20, 30, 40]),
        (f"timerel=between&timeAt={T.format(1)}&endTimeAt={T.format(3)}", [10, 20]),
        ("lastN=2", [30, 40]),
        (f"timerel=before&timeAt={T.format(3)}&lastN=1", [20]),
        ("timerel=after&timeAt=2020-01-01T00:00:00Z&timeproperty=createdAt", [0, 10, 20, 30, 40]),
        ("timerel=before&timeAt=2020-01-01T00:00:00Z&timeproperty=modifiedAt", None),
        ("attrs=speed", [0, 10, 20, 30, 40]),
        ("pick=id,speed", [0, 10, 20, 30, 40]),
    ],
)
async def test_within_a_time(car: Api, query: str, found: list[int] | None) -> None:
    told = await car.get(f"{ONE}?{query}")
    assert (values(told) if "speed" in told else None) == found


@pytest.mark.clause("4.11", "5.7.3", "5.5.4")
@pytest.mark.parametrize(
    "query",
    [
        "timerel=before",
        "timerel=between&timeAt=2026-09-01T12:00:00Z",
        "timerel=sometime&timeAt=2026-09-01T12:00:00Z",
        "timerel=before&timeAt=yesterday",
        "lastN=0",
        "lastN=x",
        "timeproperty=someday&timerel=before&timeAt=2026-09-01T12:00:00Z",
        "options=aggregatedValues",
        "options=aggregatedValues&aggrMethods=mean",
        "options=aggregatedValues&aggrMethods=mean&aggrPeriodDuration=soon",
    ],
)
async def test_no_time(car: Api, query: str) -> None:
    assert (await car.ask("GET", f"{ONE}?{query}")).status_code == 400


@pytest.mark.clause("4.5.8", "4.5.9", "6.3.12")
async def test_as_pairs(car: Api) -> None:
    told = await car.get(ONE + "?options=temporalValues&attrs=fuel")
    assert told["fuel"] == {"type": "Property", "values": [[67, T.format(1)], [53, T.format(3)]]}
    assert await car.get(ONE + "?format=temporalValues&attrs=fuel") == told


@pytest.mark.clause("4.5.19", "5.2.21")
async def test_aggregated(car: Api) -> None:
    methods = "totalCount,distinctCount,sum,avg,min,max,stddev,sumsq"
    span = f"timerel=between&timeAt={T.format(0)}&endTimeAt={T.format(4)}"
    told = await car.get(
        f"{ONE}?options=aggregatedValues&aggrMethods={methods}&aggrPeriodDuration=PT2M&attrs=speed&{span}"
    )
    speed = told["speed"]
    assert speed["type"] == "Property"
    assert speed["avg"] == [[5, T.format(0), T.format(2)], [25, T.format(2), T.format(4)]]
    assert [one[0] for one in speed["sum"]] == [10, 50]
    assert [one[0] for one in speed["totalCount"]] == [2, 2]
    assert [one[0] for one in speed["max"]] == [10, 30]
    assert [one[0] for one in speed["stddev"]] == [5, 5]
    assert [one[0] for one in speed["sumsq"]] == [100, 1300]
    whole = await car.get(f"{ONE}?options=aggregatedValues&aggrMethods=max&aggrPeriodDuration=PT0S&attrs=speed&{span}")
    assert len(whole["speed"]["max"]) == 1


@pytest.mark.clause("5.7.4", "6.18.3.2", "6.24.3.1")
async def test_queried(car: Api) -> None:
    other = {"id": "urn:ngsi-ld:Vehicle:2", "type": "Vehicle", "speed": [at(1, 5)], "location": point(1, 1)}
    assert (await car.ask("POST", "/temporal/entities", other)).status_code == 201
    span = f"timerel=after&timeAt={T.format(0)}"
    assert len(await car.get(f"/temporal/entities?type=Vehicle&{span}")) == 2
    assert [one["id"][-1] for one in await car.get(f"/temporal/entities?type=Vehicle&q=speed>20&{span}")] == ["1"]
    assert [one["id"][-1] for one in await car.get(f"/temporal/entities?type=Vehicle&attrs=fuel&{span}")] == ["1"]
    told = await car.ask("GET", f"/temporal/entities?type=Vehicle&{span}&limit=1&count=true")
    assert (len(told.json()), told.headers["ngsild-results-count"]) == (1, "2")
    assert 'rel="next"' in told.headers["link"]
    asked = {
        "type": "Query",
        "entities": [{"type": "Vehicle"}],
        "temporalQ": {"timerel": "before", "timeAt": T.format(2)},
    }
    told = await car.ask("POST", "/temporal/entityOperations/query", asked)
    assert values(told.json()[0]) == [0, 10]
    assert (await car.ask("GET", "/temporal/entities?type=Vehicle")).status_code == 400
    assert (await car.ask("GET", f"/temporal/entities?{span}")).status_code == 400


@pytest.mark.clause("6.3.10", "5.5.9")
async def test_in_parts(api: Api) -> None:
    many = [prop(i, observedAt=f"2026-09-01T12:{i:02}:00Z") for i in range(25)]
    assert (await api.ask("POST", "/temporal/entities", vehicle(speed=many))).status_code == 201
    told = await api.ask("GET", ONE + "?timerel=after&timeAt=2026-09-01T12:00:00Z")
    assert told.status_code == 206
    assert values(told.json()) == list(range(10))
    assert told.headers["content-range"] == "date-time 2026-09-01T12:00:00-2026-09-01T12:09:00/*" or (
        told.headers["content-range"].startswith("date-time 2026-09-01T12:00:00")
    )
    told = await api.ask("GET", ONE + "?lastN=20")
    assert told.status_code == 206
    assert values(told.json()) == list(range(15, 25))
    assert told.headers["content-range"].endswith("/20")


@pytest.mark.clause("4.3.3", "4.8", "5.6.6")
async def test_entities_leave_their_history(api: Api) -> None:
    await api.make(building("1", level=prop(1)))
    path = "/entities/urn:ngsi-ld:Building:1"
    for value in (2, 3):
        assert (await api.ask("PATCH", path + "/attrs/level", {"value": value})).status_code == 204
    past = "/temporal" + path
    assert values(await api.get(past), "level") == [1, 2, 3]
    assert (await api.ask("DELETE", path)).status_code == 204
    told = await api.get(past + "?options=sysAttrs")
    assert "deletedAt" in told
    gone = [one for one in told["level"] if "deletedAt" in one]
    assert [one["value"] for one in gone] == ["urn:ngsi-ld:null"]
