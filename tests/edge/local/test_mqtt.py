"""What is published when, and that it reaches listeners of a real mosquitto, and nobody who comes later."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from edge_agent.local.mqtt import News, run
from edge_agent.profile import Broker
from protos.clock import NS, SteppedClock, SystemClock
from tests.edge.local.scene import Newest, snapshot
from tests.edge.sources.mqtt.listening import WAIT_S, listening
from tests.simulators.mqtt_broker import MosquittoBroker, mosquitto_broker

START_NS = 1000 * NS


def told(news: News, newest: Newest, now_ns: int) -> list[str]:
    assert newest.snapshot is not None
    found = list(news.due(newest.snapshot, now_ns))
    for topic, one in found:
        news.sent(topic, one, now_ns)
    return [topic for topic, _ in found]


def test_on_change_but_not_too_often_and_now_and_then_in_any_case() -> None:
    news, newest = News("c/gw", NS, 10 * NS), Newest(snapshot(START_NS))
    everything = ["c/gw/decision/valve", "c/gw/decision/pump", "c/gw/decision/lamp",
                  "c/gw/estimate/tank/level", "c/gw/estimate/tank/leak", "c/gw/estimate/road/queue"]  # fmt: skip
    assert told(news, newest, START_NS) == everything
    newest.snapshot = replace(snapshot(START_NS + NS), tick=11)
    assert told(news, newest, START_NS + NS // 2) == [], "renewed is not changed"
    newest.decide(0, value=43.0)
    assert told(news, newest, START_NS + NS // 2) == [], "too early"
    assert told(news, newest, START_NS + NS) == ["c/gw/decision/valve"]
    newest.snapshot = replace(newest.snapshot, twins=snapshot(START_NS + 10 * NS).twins, now_ns=START_NS + 10 * NS)
    assert set(told(news, newest, START_NS + 10 * NS)) >= set(everything[2:])


def test_a_message_says_value_until_when_why_and_by_which_model() -> None:
    news, newest = News("c/gw", NS, 10 * NS), Newest(snapshot(START_NS))
    assert newest.snapshot is not None
    messages = dict(news.due(newest.snapshot, START_NS + NS // 2))
    valve = messages["c/gw/decision/valve"]
    assert valve["value"] == 42.5
    assert valve["valid_ms"] == 4500
    assert valve["not_after"] == "2027-01-15T08:00:05.000Z"
    assert (valve["why"], valve["model"], valve["authority"]) == ("level 1.9 m, wanted 2.0 m", "tank 3", "local")
    lamp, queue = messages["c/gw/decision/lamp"], messages["c/gw/estimate/road/queue"]
    for one in (lamp, queue):
        assert (one["value"], one["valid_ms"], one["not_after"]) == (None, 0, None)
    level = messages["c/gw/estimate/tank/level"]
    assert (level["value"], level["sd"], level["unit"], level["valid_ms"]) == (1.9, 0.01, "m", 500)
    assert level["quality"] == "UNCERTAIN ESTIMATED"
    without = dict(news.due(snapshot(START_NS, utc=False), START_NS))
    assert without["c/gw/decision/valve"]["not_after"] is None, "nobody knows what time it is"
    assert without["c/gw/decision/valve"]["valid_ms"] == 5000
    late = dict(news.due(newest.snapshot, START_NS + 6 * NS))
    assert late["c/gw/decision/valve"]["value"] is None


def test_a_name_stays_one_level_of_a_topic() -> None:
    one = snapshot(START_NS)
    twin = one.roster.twins[0]._replace(states=("a/b", "#+"))
    odd = replace(one, roster=replace(one.roster, twins=(twin, one.roster.twins[1])))
    topics = [topic for topic, _ in News("c", 1, 1).due(odd, START_NS)]
    assert topics[3:5] == ["c/estimate/tank/a_b", "c/estimate/tank/__"]


async def test_what_could_not_be_sent_is_still_due() -> None:
    clock, news, connected, sent = SteppedClock(START_NS), News("c", NS, 60 * NS), False, []

    async def publish(topic: str, payload: bytes) -> bool:
        if connected:
            sent.append(topic)
        return connected

    running = asyncio.create_task(run(publish, Newest(snapshot(START_NS)), clock, news))
    await clock.advance(3 * NS)
    assert not sent
    connected = True
    await clock.advance(NS)
    assert len(sent) == 6
    await clock.advance(3 * NS)
    assert news.published_total == 6 + 1, "when the time of the valve is over, that is news"
    running.cancel()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MosquittoBroker]:
    with mosquitto_broker(tmp_path / "broker") as one:
        yield one


@asynccontextmanager
async def publishing(server: MosquittoBroker, newest: Newest) -> AsyncIterator[None]:
    async with listening(Broker("b", "127.0.0.1", server.port), []) as heard:
        news = News("citytwin/gw", NS // 20, NS // 2)
        task = asyncio.create_task(run(heard.source.tell, newest, SystemClock(), news))
        try:
            yield
        finally:
            task.cancel()


async def heard(client: aiomqtt.Client, topic: str, count: int) -> list[tuple[str, Any, bool]]:
    await client.subscribe(topic, qos=1)
    found = []
    async with asyncio.timeout(WAIT_S):
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            found.append((str(message.topic), json.loads(message.payload), message.retain))
            if len(found) == count:
                break
    return found


@pytest.mark.system("mosquitto")
async def test_listeners_hear_it_and_nothing_is_kept_for_later(server: MosquittoBroker) -> None:
    newest = Newest(snapshot(SystemClock().monotonic_ns()))
    session = {"identifier": "away", "clean_session": False}
    async with aiomqtt.Client("127.0.0.1", server.port, **session) as away:  # type: ignore[arg-type]
        await away.subscribe("citytwin/#", qos=1)
    async with aiomqtt.Client("127.0.0.1", server.port) as client:
        async with publishing(server, newest):
            found = await heard(client, "citytwin/gw/decision/+", 6)
        by_topic = {topic: body for topic, body, _ in found}
        assert by_topic["citytwin/gw/decision/valve"]["value"] == 42.5
        assert by_topic["citytwin/gw/decision/pump"]["authority"] == "hand"
        assert not any(retained for _, _, retained in found)
    for options in ({}, session):  # one that comes later, and one whose session was kept all the time
        async with aiomqtt.Client("127.0.0.1", server.port, **options) as late:  # type: ignore[arg-type]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await heard(late, "citytwin/#", 1)


@pytest.mark.system("mosquitto")
async def test_a_broker_that_was_away_hears_it_again(server: MosquittoBroker) -> None:
    newest = Newest(snapshot(SystemClock().monotonic_ns()))
    async with publishing(server, newest):
        async with aiomqtt.Client("127.0.0.1", server.port) as client:
            await heard(client, "citytwin/gw/decision/valve", 1)
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        async with aiomqtt.Client("127.0.0.1", server.port) as client:
            assert len(await heard(client, "citytwin/gw/decision/valve", 2)) == 2
