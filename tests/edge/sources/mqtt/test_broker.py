"""The source against a real mosquitto: sessions, TLS, passwords, retained messages, back-pressure, commands."""

import asyncio
import gc
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import aiomqtt
import pytest

from edge_agent.profile import Broker, Field, PointSpec
from edge_agent.sources import Outcome
from edge_agent.sources.mqtt.connection import Connection, ConnectionFault
from edge_agent.sources.mqtt.reading import BAD_STALE, OLD
from protos.clock import NS, SteppedClock
from tests.edge.sources.mqtt.listening import WAIT_S, device_of, listening
from tests.simulators import mqtt_certificates
from tests.simulators.mqtt_broker import MosquittoBroker, free_port, mosquitto_broker

pytestmark = pytest.mark.system("mosquitto")
VALUE = PointSpec("v", "ratio", "1", place=Field("", "v"))
METER = device_of("json", "site/meter", VALUE)
LAMP = device_of(
    "json", "lamp", PointSpec("level", "ratio", "1", place=Field("state", "level"), access="rw"), name="lamp"
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MosquittoBroker]:
    with mosquitto_broker(tmp_path / "broker") as started:
        yield started


def broker(server: MosquittoBroker, **settings: object) -> Broker:
    return Broker("b", "127.0.0.1", server.port, **settings)  # type: ignore[arg-type]


async def publish(server: MosquittoBroker, topic: str, *bodies: object, retain: bool = False) -> None:
    async with aiomqtt.Client("127.0.0.1", server.port) as client:
        for body in bodies:
            await client.publish(topic, json.dumps(body), qos=1, retain=retain)


@pytest.mark.parametrize("version", [4, 5])
async def test_messages_become_frames(server: MosquittoBroker, version: int) -> None:
    async with listening(broker(server, version=version), [METER]) as heard:
        await publish(server, "site/meter", {"v": 1.5}, {"v": 2.5}, {"v": 3.5})
        await heard.until(lambda frames: len(frames) == 3)
        assert heard.values("v") == [1.5, 2.5, 3.5]
        assert all(frame.codes is None for frame in heard.frames)
        assert heard.source.gauges()["messages_total"] == 3


async def test_wildcards_and_overlaps_give_one_reading_per_message(server: MosquittoBroker) -> None:
    devices = [
        device_of("json", "hall/+/meter", VALUE, name="any"),
        device_of("json", "hall/1/meter", VALUE, name="one"),
    ]
    async with listening(broker(server), devices) as heard:
        await publish(server, "hall/1/meter", {"v": 1})
        await publish(server, "hall/2/meter", {"v": 2})
        await heard.until(lambda frames: len(frames) >= 3)
        got = [(frame.layout.device, float(frame.values[0])) for frame in heard.frames]
        assert sorted(got) == [("any", 1.0), ("any", 2.0), ("one", 1.0)]


@pytest.mark.parametrize("version", [4, 5])
async def test_unread_messages_come_once_after_a_lost_connection(server: MosquittoBroker, version: int) -> None:
    """Received, not durable, connection lost: the broker sends them again, and they are not read twice."""
    async with listening(broker(server, version=version), [METER], commit=False) as heard:
        await publish(server, "site/meter", *({"v": number} for number in range(5)))
        await heard.until(lambda frames: len(frames) == 5)
        server.stop()
        async with asyncio.timeout(WAIT_S):
            while heard.source.connected.is_set():
                await asyncio.sleep(0.01)
        server.start()
        async with asyncio.timeout(WAIT_S):
            await heard.source.connected.wait()
        heard.commit_all()
        await publish(server, "site/meter", {"v": 5})
        await heard.until(lambda frames: len(frames) >= 6)
        assert heard.values("v") == [0, 1, 2, 3, 4, 5]
        assert heard.source.gauges()["unacknowledged"] == 0


async def test_subscribes_again_where_the_broker_forgot(server: MosquittoBroker) -> None:
    async with listening(broker(server), [METER]) as heard:
        server.stop()
        for kept in server.folder.glob("*.db"):
            kept.unlink()
        server.start()
        async with asyncio.timeout(WAIT_S):
            while heard.source.gauges().get("connects_total", 0) < 2:
                await asyncio.sleep(0.01)
            await heard.source.connected.wait()
        await publish(server, "site/meter", {"v": 7})
        await heard.until(bool)
        assert heard.values("v") == [7]


async def test_messages_of_the_time_away_are_delivered(server: MosquittoBroker) -> None:
    settings = broker(server, version=5)
    async with listening(settings, [METER]):
        pass
    await publish(server, "site/meter", {"v": 1}, {"v": 2})
    async with listening(settings, [METER]) as heard:
        await heard.until(lambda frames: len(frames) == 2)
        assert heard.values("v") == [1, 2]


async def test_password(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    with mosquitto_broker(tmp_path / "broker", users={"gateway": "right"}) as server:
        secret.write_text("right\n")
        async with listening(broker(server, username="gateway", password_file=secret), [METER]):
            pass
        secret.write_text("wrong\n")
        with pytest.raises(ConnectionFault, match=r"broker b at 127\.0\.0\.1.*[Nn]ot auth"):
            async with Connection(broker(server, username="gateway", password_file=secret), "c", print):
                pass
        with pytest.raises(ConnectionFault, match="cannot read password_file"):
            Connection(broker(server, username="gateway", password_file=tmp_path / "none"), "c", print)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho leaves a refused socket to gc
@pytest.mark.parametrize("version", [4, 5])
async def test_tls_with_certificates_of_both_ends(tmp_path: Path, version: int) -> None:
    made, other = mqtt_certificates.make(tmp_path / "ca"), mqtt_certificates.make(tmp_path / "other")
    with mosquitto_broker(tmp_path / "broker", certificates=made, client_certificates=True) as server:
        own = {"certificate_file": made.client, "key_file": made.client_key}
        good = broker(server, tls=True, version=version, ca_file=made.ca, **own)
        async with listening(good, [METER]) as heard:
            assert heard.source.gauges()["connected"]
        stranger = broker(server, tls=True, version=version, ca_file=other.ca, **own)
        with pytest.raises(ConnectionFault, match="certificate verify failed"):
            async with Connection(stranger, "c", print):
                pass
        with pytest.raises(ConnectionFault, match=r"cannot use .*server\.key"):
            Connection(broker(server, tls=True, ca_file=made.server_key), "c", print)
    gc.collect()


@dataclass(frozen=True)
class Believed:
    """A time, and whether anybody vouches for it."""

    days: float  # from now
    sure: bool

    @property
    def wall_is_right(self) -> bool:
        return abs(self.days) < 1 / 24

    def utc_ns(self) -> int:
        return time.time_ns() + int(self.days * 86_400 * NS)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("begins", "believed", "good"),
    [
        (10, None, False),  # the negative control: the machine's clock is ten days behind, and OpenSSL asks it
        (10, Believed(10.5, sure=True), True),
        (10, Believed(0, sure=True), False),
        (10, Believed(12, sure=True), False),
        (10, Believed(-20_000, sure=False), True),  # 1970, and nobody vouches: what has not begun may well have
        (10, Believed(12, sure=False), False),  # … but what was over when time was last known is over
        (-10, None, False),
        (-10, Believed(-9.5, sure=True), True),  # the machine's clock is ahead
        (-10, Believed(0, sure=True), False),
    ],
)
async def test_a_brokers_dates_are_judged_by_the_time_that_may_be_believed(
    tmp_path: Path, begins: int, believed: Believed | None, good: bool
) -> None:
    made = mqtt_certificates.make(tmp_path / "ca", timedelta(days=begins))
    with mosquitto_broker(tmp_path / "broker", certificates=made) as server:
        told = broker(server, tls=True, ca_file=made.ca)
        if good:
            async with Connection(told, "c", print, time=believed):
                pass
        else:
            with pytest.raises(ConnectionFault, match="certificate"):
                async with Connection(told, "c", print, time=believed):
                    pass
        stranger = broker(
            server, tls=True, ca_file=mqtt_certificates.make(tmp_path / "other", timedelta(days=begins)).ca
        )
        with pytest.raises(ConnectionFault, match="certificate"):
            async with Connection(stranger, "c", print, time=believed):
                pass
    gc.collect()


async def test_a_retained_reading_is_taken_with_its_age(server: MosquittoBroker) -> None:
    """Without a time of its own its age is unknown; what was heard live and is given again is no news."""
    await publish(server, "site/meter", {"v": 1}, retain=True)
    async with listening(broker(server), [METER]) as heard:
        await heard.until(bool)
        codes = heard.frames[0].codes
        assert codes is not None
        assert codes.tolist() == [OLD]
        await publish(server, "site/meter", {"v": 2})
        await heard.until(lambda frames: len(frames) == 2)
        assert heard.frames[1].codes is None


async def test_a_retained_reading_of_now_is_good(server: MosquittoBroker) -> None:
    clocked = device_of("json", "site/meter", VALUE, time_path="t", time_format="unix", stale_s=60.0)
    now_s = time.time()
    await publish(server, "site/meter", {"v": 1, "t": now_s - 10}, retain=True)
    async with listening(broker(server), [clocked]) as heard:
        await heard.until(bool)
        frame = heard.frames[0]
        assert frame.codes is None
        assert (frame.receive_ns - frame.source_ns) / 1e9 == pytest.approx(10, abs=1)


async def test_back_pressure_stops_reading(tmp_path: Path) -> None:
    """With a full window the socket is not read; acknowledging what became durable opens it again."""
    with mosquitto_broker(tmp_path / "broker", settings="max_inflight_messages 0") as server:
        async with listening(broker(server), [METER], commit=False) as heard:
            heard.source._window.limit = 10
            await publish(server, "site/meter", *({"v": number} for number in range(50)))
            await heard.until(lambda frames: len(frames) >= 10)
            await publish(server, "elsewhere", 1)  # the broker has sent what it can by now
            assert len(heard.frames) == 10
            heard.commit_all()
            await heard.until(lambda frames: len(frames) >= 50)
            assert heard.values("v") == list(range(50))


async def test_silence_is_told_once_even_without_a_broker() -> None:
    clock = SteppedClock(wall_ns=1_790_000_000_000_000_000)
    nowhere = Broker("b", "127.0.0.1", free_port())
    async with listening(nowhere, [METER], clock=clock, connected=False) as heard:
        await clock.advance(2_900_000_000)
        assert not heard.frames
        await clock.advance(10_000_000_000)
        assert [frame.codes.tolist() for frame in heard.frames if frame.codes is not None] == [[BAD_STALE]]


async def obey(server: MosquittoBroker, answers: dict[int, int], ready: asyncio.Event) -> None:
    """A lamp that takes levels as `answers` says, and keeps others to itself."""
    async with aiomqtt.Client("127.0.0.1", server.port) as client:
        await client.subscribe("lamp/state/set", qos=1)
        ready.set()
        async for message in client.messages:
            assert not message.retain
            assert isinstance(message.payload, bytes)
            level = answers.get(json.loads(message.payload)["level"])
            if level is not None:
                await client.publish("lamp/state", json.dumps({"level": level}), qos=1)


async def test_write_is_what_the_device_then_shows(server: MosquittoBroker) -> None:
    lamp = replace(LAMP, options={"write_s": "0.5"})
    ready = asyncio.Event()
    device = asyncio.create_task(obey(server, {50: 50, 120: 100}, ready))
    try:
        async with listening(broker(server), [lamp, METER]) as heard:
            await ready.wait()
            write = heard.source.write
            assert (await write("lamp", "level", 50)).outcome is Outcome.APPLIED
            clamped = await write("lamp", "level", 120)
            assert (clamped.outcome, clamped.value) == (Outcome.CLAMPED, 100)
            assert (await write("lamp", "level", 7)).outcome is Outcome.UNKNOWN
            assert "read only" in (await write("d", "v", 7)).why
            assert (await write("x", "level", 7)).outcome is Outcome.REJECTED
    finally:
        device.cancel()
        await asyncio.wait([device])


async def test_write_without_a_connection_is_rejected() -> None:
    nowhere = Broker("b", "127.0.0.1", free_port())
    async with listening(nowhere, [LAMP], connected=False) as heard:
        written = await heard.source.write("lamp", "level", 5)
        assert written.outcome is Outcome.REJECTED
        assert "nothing was sent" in written.why
