"""Subscriptions and what they tell (5.2.12 … 5.2.15, 5.8, 6.10, 6.11): to a real receiver, and a real MQTT broker."""

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import aiomqtt
import httpx
import pytest

from tests.aggregator.api.ngsi.conftest import ROOT, SUITE, Api, Receiver, building, point, prop

pytestmark = pytest.mark.usefixtures("sending")
SUB = "urn:ngsi-ld:Subscription:1"
ONE = f"/subscriptions/{SUB}"
THING = "/entities/urn:ngsi-ld:Building:1"


def asked(url: str, **more: Any) -> dict[str, Any]:
    notice = more.pop("notice", {})
    return {
        "id": SUB,
        "type": "Subscription",
        "entities": [{"type": "Building"}],
        "notification": {"endpoint": {"uri": url, "accept": "application/json"}} | notice,
    } | more


async def subscribe(api: Api, url: str, /, link: str = "", **more: Any) -> None:
    told = await api.ask("POST", "/subscriptions", asked(url, **more), link=link)
    assert told.status_code == 201, told.text


@pytest.mark.clause("5.8.1", "5.8.2", "5.8.3", "5.8.4", "5.8.5", "6.10.3.1", "6.10.3.2", "6.11.3.1", "6.11.3.2")
async def test_kept(api: Api) -> None:
    told = await api.ask("POST", "/subscriptions", asked("http://x.test/n", q="level>3", description="d"))
    assert told.headers["location"] == ROOT + ONE
    found = await api.get(ONE)
    assert (found["status"], found["q"], found["description"]) == ("active", "level>3", "d")
    assert (await api.ask("POST", "/subscriptions", asked("http://x.test/n"))).status_code == 409
    assert len(await api.get("/subscriptions")) == 1
    assert (await api.ask("PATCH", ONE, {"isActive": False})).status_code == 204
    assert (await api.get(ONE))["status"] == "paused"
    assert (await api.ask("PATCH", ONE, {"entities": []})).status_code == 400
    assert (await api.ask("PATCH", ONE, {"expiresAt": "2001-01-01T00:00:00Z"})).status_code == 400
    assert (await api.ask("DELETE", ONE)).status_code == 204
    assert (await api.ask("GET", ONE)).status_code == 404
    assert (await api.ask("PATCH", ONE, {"isActive": True})).status_code == 404


@pytest.mark.clause("5.8.1", "5.2.12", "5.2.14", "5.2.15")
@pytest.mark.parametrize(
    "wrong",
    [
        {"entities": [], "watchedAttributes": []},
        {"notification": {}},
        {"notification": {"endpoint": {"uri": "nowhere"}}},
        {"notification": {"endpoint": {"uri": "http://x.test", "accept": "text/html"}}},
        {"notification": {"endpoint": {"uri": "http://x.test"}, "format": "strange"}},
        {"timeInterval": 10, "watchedAttributes": ["level"]},
        {"timeInterval": -1},
        {"timeInterval": 10, "throttling": 5},
        {"throttling": -5},
        {"q": "level>>"},
        {"geoQ": {"georel": "near"}},
        {"scopeQ": ""},
        {"expiresAt": "2001-01-01T00:00:00Z"},
        {"notificationTrigger": ["now"]},
        {"id": "none"},
        {"type": "Wish"},
        {"isActive": "yes"},
    ],
)
async def test_wrong(api: Api, wrong: dict[str, Any]) -> None:
    told = await api.ask("POST", "/subscriptions", asked("http://x.test/n") | wrong)
    assert told.status_code == 400, told.text


@pytest.mark.clause("5.8.6", "5.3.1", "6.3.8", "5.2.14")
async def test_told(api: Api, receiver: Receiver) -> None:
    endpoint = {"uri": receiver.url, "receiverInfo": [{"key": "X-Key", "value": "secret"}]}
    await subscribe(api, receiver.url, notice={"endpoint": endpoint})
    await api.make(building("1", level=prop(1)))
    headers, body = await receiver.next()
    assert headers["x-key"] == "secret"
    assert headers["content-type"] == "application/json"
    assert (body["type"], body["subscriptionId"]) == ("Notification", SUB)
    assert body["data"] == [building("1", level=prop(1))]
    assert {"id", "notifiedAt"} <= set(body)
    await asyncio.sleep(0.05)
    notice = (await api.get(ONE))["notification"]
    assert (notice["timesSent"], notice["status"]) == (1, "ok")
    assert {"lastSuccess", "lastNotification"} <= set(notice)


@pytest.mark.clause("5.8.6", "5.2.12")
@pytest.mark.parametrize(
    ("more", "act", "told"),
    [
        ({"watchedAttributes": ["name"]}, ("PATCH", "/attrs/level", {"value": 2}), False),
        ({"watchedAttributes": ["level"]}, ("PATCH", "/attrs/level", {"value": 2}), True),
        ({"watchedAttributes": ["level"]}, ("PATCH", "/attrs/level", {"value": 1}), None),
        ({"q": "level>5"}, ("PATCH", "/attrs/level", {"value": 2}), False),
        ({"q": "level>5"}, ("PATCH", "/attrs/level", {"value": 6}), True),
        ({"scopeQ": "/A"}, ("PATCH", "/attrs/level", {"value": 6}), False),
        ({"entities": [{"type": "Shop"}]}, ("PATCH", "/attrs/level", {"value": 6}), False),
        ({"entities": [{"type": "Building", "idPattern": ".*1$"}]}, ("PATCH", "/attrs/level", {"value": 6}), True),
        ({"isActive": False}, ("PATCH", "/attrs/level", {"value": 6}), False),
        ({"notificationTrigger": ["attributeDeleted"]}, ("DELETE", "/attrs/level", None), True),
        ({"notificationTrigger": ["attributeCreated"]}, ("DELETE", "/attrs/level", None), False),
        ({"notificationTrigger": ["entityDeleted"]}, ("DELETE", "", None), True),
        ({"notificationTrigger": ["entityCreated"]}, ("PATCH", "/attrs/level", {"value": 2}), False),
        ({"notificationTrigger": ["entityUpdated"]}, ("PATCH", "/attrs/level", {"value": 2}), True),
        (
            {"geoQ": {"georel": "near;maxDistance==9", "geometry": "Point", "coordinates": [0, 0]}},
            ("PATCH", "/attrs/level", {"value": 2}),
            True,
        ),
        (
            {"geoQ": {"georel": "near;maxDistance==9", "geometry": "Point", "coordinates": [9, 9]}},
            ("PATCH", "/attrs/level", {"value": 2}),
            False,
        ),
    ],
)
async def test_when(
    api: Api, receiver: Receiver, more: dict[str, Any], act: tuple[str, str, Any], told: bool | None
) -> None:
    await api.make(building("1", level=prop(1), name=prop("x"), location=point(0, 0)))
    await subscribe(api, receiver.url, **more)
    done = await api.ask(act[0], THING + act[1], act[2])
    assert done.status_code == 204
    if told:
        assert (await receiver.next())[1]["data"][0]["id"] == "urn:ngsi-ld:Building:1"
    elif told is False:
        await receiver.nothing(0.08)


@pytest.mark.clause("5.8.6", "4.5.4", "4.5.20", "5.2.14")
async def test_in_the_form_that_was_asked_for(api: Api, receiver: Receiver) -> None:
    await api.make(building("1", level=prop(1), name=prop("x"), location=point(0, 0)))
    await subscribe(api, receiver.url, notice={"format": "keyValues", "attributes": ["level"]})
    await api.ask("PATCH", THING + "/attrs/level", {"value": 2})
    assert (await receiver.next())[1]["data"] == [building("1", level=2)]
    change = {"endpoint": {"uri": receiver.url, "accept": "application/ld+json"}, "showChanges": True}
    assert (await api.ask("PATCH", ONE, {"notification": change})).status_code == 204
    await api.ask("PATCH", THING + "/attrs/level", {"value": 3})
    headers, body = await receiver.next()
    assert headers["content-type"] == "application/ld+json"
    assert "@context" in body
    assert body["data"][0]["level"]["previousValue"] == 2
    change = {"endpoint": {"uri": receiver.url, "accept": "application/geo+json"}, "sysAttrs": True}
    assert (await api.ask("PATCH", ONE, {"notification": change})).status_code == 204
    await api.ask("PATCH", THING + "/attrs/level", {"value": 4})
    data = (await receiver.next())[1]["data"]
    feature = data["features"][0] if isinstance(data, dict) else data[0]
    assert feature["geometry"] == {"type": "Point", "coordinates": [0, 0]}
    assert "modifiedAt" in feature["properties"]["level"]


@pytest.mark.clause("5.8.6", "4.8")
async def test_deletion_is_told(api: Api, receiver: Receiver) -> None:
    await api.make(building("1", level=prop(1)))
    await subscribe(api, receiver.url, notificationTrigger=["attributeDeleted"], watchedAttributes=["level"])
    await api.ask("DELETE", THING + "/attrs/level")
    (told,) = (await receiver.next())[1]["data"]
    assert told["level"]["value"] == "urn:ngsi-ld:null"


@pytest.mark.clause("5.8.6", "5.2.12")
async def test_throttled(api: Api, receiver: Receiver) -> None:
    await api.make(building("1", level=prop(1)))
    await subscribe(api, receiver.url, throttling=60)
    for value in (2, 3, 4):
        await api.ask("PATCH", THING + "/attrs/level", {"value": value})
    assert (await receiver.next())[1]["data"][0]["level"]["value"] == 2
    await receiver.nothing()


@pytest.mark.clause("5.8.6", "5.2.12")
async def test_at_intervals(api: Api, receiver: Receiver) -> None:
    await api.make(building("1", level=prop(1)))
    await subscribe(api, receiver.url, timeInterval=1)
    first = (await receiver.next())[1]["data"]
    assert first == [building("1", level=prop(1))]
    assert (await receiver.next())[1]["data"] == first


@pytest.mark.clause("5.8.6", "5.5.7", "5.2.12")
async def test_names_as_the_subscriber_has_them(api: Api, receiver: Receiver) -> None:
    await subscribe(api, receiver.url, link=SUITE)
    await api.make(building("1", name=prop("x")), link=SUITE)
    headers, body = await receiver.next()
    assert body["data"][0]["type"] == "Building"
    assert SUITE in headers["link"]


@pytest.mark.clause("5.8.6", "5.2.14")
async def test_a_receiver_that_fails_is_told_again(api: Api, receiver: Receiver) -> None:
    receiver.answers = [500]
    await subscribe(api, receiver.url)
    await api.make(building("1", level=prop(1)))
    assert (await receiver.next())[1]["data"][0]["id"] == "urn:ngsi-ld:Building:1"
    assert receiver.count == 2
    await asyncio.sleep(0.05)
    notice = (await api.get(ONE))["notification"]
    assert {"lastFailure", "lastSuccess"} <= set(notice)
    assert notice["timesFailed"] == 1


@pytest.mark.clause("5.11.2", "5.11.3", "5.11.4", "5.11.5", "5.11.6", "5.11.7", "5.3.2", "6.12.3.1", "6.13.3.1")
async def test_sources_are_told(api: Api, receiver: Receiver) -> None:
    told = await api.ask("POST", "/csourceSubscriptions", asked(receiver.url))
    assert told.status_code == 201, told.text
    source = {
        "id": "urn:x:source",
        "type": "ContextSourceRegistration",
        "information": [{"entities": [{"type": "Building"}]}],
        "endpoint": "http://source.example.org",
    }
    assert (await api.ask("POST", "/csourceRegistrations", source)).status_code == 201
    _, body = await receiver.next()
    assert (body["type"], body["triggerReason"]) == ("ContextSourceNotification", "newlyMatching")
    assert body["data"][0]["id"] == "urn:x:source"
    assert (await api.ask("DELETE", "/csourceRegistrations/urn:x:source")).status_code == 204
    assert (await receiver.next())[1]["triggerReason"] == "noLongerMatching"
    one = f"/csourceSubscriptions/{SUB}"
    assert (await api.get(one))["status"] == "active"
    assert (await api.ask("PATCH", one, {"isActive": False})).status_code == 204
    assert (await api.ask("DELETE", one)).status_code == 204


@pytest.mark.system("mosquitto")
@pytest.mark.clause("7.1", "7.2", "5.8.6")
async def test_over_mqtt(api: Api, tmp_path: Path) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    (tmp_path / "m.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    process = await asyncio.create_subprocess_exec("mosquitto", "-c", str(tmp_path / "m.conf"), stderr=-3)
    try:
        async with asyncio.timeout(10):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                except OSError:
                    await asyncio.sleep(0.05)
            async with aiomqtt.Client("127.0.0.1", port) as client:
                await client.subscribe("city/notices", qos=1)
                await subscribe(api, f"mqtt://127.0.0.1:{port}/city/notices")
                await api.make(building("1", level=prop(1)))
                message = await anext(aiter(client.messages))
                told = json.loads(bytes(message.payload))
                assert told["body"]["data"] == [building("1", level=prop(1))]
                assert told["metadata"]["Content-Type"] == "application/json"
    finally:
        process.terminate()
        await process.wait()


async def started(state: Path) -> tuple[asyncio.subprocess.Process, str]:
    words = [sys.executable, "-m", "aggregator.cli", "ngsi-ld", "--listen", "127.0.0.1:0", "--state", str(state)]
    process = await asyncio.create_subprocess_exec(*words, stdout=-1)
    assert process.stdout is not None
    async with asyncio.timeout(20):
        return process, (await process.stdout.readline()).decode().strip()


@pytest.mark.clause("5.8.6")
async def test_nothing_is_lost_to_a_kill(tmp_path: Path, receiver: Receiver) -> None:
    """The receiver is away while entities change and the broker is killed; a broker that starts anew tells it all."""
    receiver.answers = [503]
    process, url = await started(tmp_path)
    async with httpx.AsyncClient() as client:
        headers = {"Content-Type": "application/json"}
        made = asked(receiver.url)
        assert (await client.post(url + "/subscriptions", json=made, headers=headers)).status_code == 201
        for number in range(5):
            assert (
                await client.post(url + "/entities", json=building(str(number), level=prop(1)), headers=headers)
            ).is_success
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    taken = {one["data"][0]["id"] for _, one in drained(receiver)}
    assert len(taken) < 5  # else this would show nothing
    process, url = await started(tmp_path)
    try:
        while len(taken) < 5:
            taken.add((await receiver.next())[1]["data"][0]["id"])
    finally:
        process.terminate()
        assert await process.wait() in (0, -signal.SIGTERM)


def drained(receiver: Receiver) -> list[Any]:
    return [receiver.got.get_nowait() for _ in range(receiver.got.qsize())]
