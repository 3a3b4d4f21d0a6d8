"""The battery over every kind of payload: its cases, bytes that are nothing, commands, places that cannot be."""

import json
import random
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest

from edge_agent.profile import Device, Field, MqttManners, PointSpec, Profile
from edge_agent.sources.mqtt.limits import PAYLOAD_MAX
from edge_agent.sources.mqtt.payloads import PAYLOADS, resolve
from edge_agent.sources.mqtt.payloads.kind import Moment
from edge_agent.sources.mqtt.reading import MqttError, PayloadError, PlaceError
from tests.edge.sources.mqtt.case import folders, kind_of, messages_of, outcome_of

EVERY = pytest.mark.parametrize("name", PAYLOADS)
NOW = Moment(0, 1_790_000_000_000_000_000)


def first_case(name: str) -> Path:
    return next(folder for folder in folders() if folder.parent.name == name)


@pytest.mark.parametrize("folder", folders(), ids=lambda folder: f"{folder.parent.name}/{folder.name}")
def test_case(folder: Path) -> None:
    assert outcome_of(folder) == json.loads((folder / "expected.json").read_text())


@EVERY
def test_every_kind_has_a_case(name: str) -> None:
    assert first_case(name)


@EVERY
def test_reading_is_repeatable(name: str) -> None:
    """Nothing is kept between instances: the same messages give the same readings."""
    assert outcome_of(first_case(name)) == outcome_of(first_case(name))


@EVERY
def test_mutated_messages_end_in_readings_or_payload_error(name: str) -> None:
    folder, dice = first_case(name), random.Random(name)
    for _ in range(100):
        kind = kind_of(folder)
        for topic, payload, moment in messages_of(folder):
            data = bytearray(payload)
            for _ in range(dice.randrange(4)):
                at = dice.randrange(len(data) + 1)
                data[at : at + dice.randrange(3)] = dice.randbytes(dice.randrange(4))
            for heard in kind.filters():
                try:
                    reports, _ = kind.take(heard, topic, bytes(data), moment)
                except PayloadError:
                    continue
                for report in reports:
                    report.group.convert(report.raws)
                    report.group.strings(report.raws)


@EVERY
@pytest.mark.parametrize(
    "payload",
    [b"", b"\0", b"\xff" * 100, b"[" * 100_000, b"1" * 10_000, b'"' + b"a" * (PAYLOAD_MAX + 1) + b'"', b"{}", b"null"],
    ids=["empty", "zero", "ff", "deep", "digits", "large", "object", "null"],
)
def test_senseless_messages(name: str, payload: bytes) -> None:
    kind = kind_of(first_case(name))
    topic = next(messages_of(first_case(name)))[0]
    for heard in kind.filters():
        try:
            reports, _ = kind.take(heard, topic, payload, NOW)
        except PayloadError:
            continue
        for report in reports:
            values, codes = report.group.convert(report.raws)
            assert all(values == values) or codes is not None


@EVERY
def test_commands_are_messages_or_a_clear_refusal(name: str) -> None:
    kind = kind_of(first_case(name))
    for group in kind.groups:
        for spec in group.numbers:
            try:
                request = kind.command(group.device, spec, 1.0)
            except MqttError:
                continue
            assert "+" not in request.topic
            assert "#" not in request.topic
            assert request.payload


COMMANDS = {
    "json": ("", "a.b", ("root/set", b'{"a": {"b": 1}}')),
    "raw": ("lamp", "", ("root/lamp/set", b"ON")),
    "tasmota": ("RESULT", "POWER", ("cmnd/root/POWER", b"ON")),
    "zigbee2mqtt": ("", "state", ("zigbee2mqtt/root/set", b'{"state": "ON"}')),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_command(name: str) -> None:
    topic, where, (told, payload) = COMMANDS[name]
    spec = PointSpec("lamp", "switch", "1", place=Field(topic, where), access="rw", enumeration={0: "OFF", 1: "ON"})
    device = device_of(name, spec)
    kind = resolve(name)([device], UTC)
    request = kind.command(device, spec, 1.0)
    assert (request.topic, request.payload) == (told, payload)


def test_command_of_a_shelly_switch() -> None:
    spec = PointSpec("on", "switch", "1", place=Field("", "switch:2.output"), access="rw")
    device = device_of("shelly", spec)
    request = resolve("shelly")([device], UTC).command(device, spec, 1.0)
    assert request.topic == "root/rpc"
    call = json.loads(request.payload)
    assert (call["method"], call["params"]) == ("Switch.Set", {"id": 2, "on": True})


def test_command_topic_may_be_told() -> None:
    spec = PointSpec("lamp", "switch", "1", place=Field("", "on"), access="rw")
    device = replace(device_of("json", spec), options={"command_topic": "orders/{point}"})
    assert resolve("json")([device], UTC).command(device, spec, 1.0).topic == "orders/lamp"


@pytest.mark.parametrize(
    ("name", "where", "says"),
    [
        ("json", "a[x]", "cannot be read from character"),
        ("raw", "a", "has no path"),
        ("csv", "", "names no column"),
        ("packed", "h@0", "<h@4"),
        ("packed", "<h@0.3", "no bit 3"),
        ("sparkplug", "", "names no metric"),
    ],
)
def test_places_that_cannot_be(name: str, where: str, says: str) -> None:
    """All faults at once, each naming the profile, the point, the value and the remedy."""
    specs = [PointSpec(point, "ratio", "1", place=Field("", where)) for point in ("one", "two")]
    with pytest.raises(PlaceError, match=r"test-device\.toml: point one") as caught:
        resolve(name)([device_of(name, *specs, topic="group/node")], UTC)
    assert len(caught.value.faults) == 2
    assert says in str(caught.value)


def device_of(name: str, *specs: PointSpec, topic: str = "root") -> Device:
    manners = MqttManners(payload=name)
    return Device("d", Profile("test-device", "t", "energy", "t", "A", "t", specs, mqtt=manners), "b", topic=topic)
