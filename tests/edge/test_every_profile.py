"""Every device profile: it reads without fault, agrees with the schema, and decodes its cases of raw bytes.

`profiles/<id>/*.json` holds bytes as they come from the device and the values that they mean, in the profile's own
units. The values were worked out beside the code (vendor examples, or packed with struct), not by it.
"""

import asyncio
import json
import math
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jsonschema
import numpy as np
import pytest

from edge_agent.cleaning import CHECKS, Cleaning
from edge_agent.cleaning import resolve as resolve_check
from edge_agent.config import ConfigError, Library
from edge_agent.config.library import SHIPPED
from edge_agent.config.profiles import CHECKS as CHECK_KEYS
from edge_agent.config.profiles import PAYLOADS as PAYLOAD_NAMES
from edge_agent.config.profiles import PROFILE
from edge_agent.config.schema import of_section
from edge_agent.profile import Device, ModbusManners, PointSpec, Profile
from edge_agent.sources.modbus.decode import Decoder, texts
from edge_agent.sources.modbus.plan import Block, Limits, coalesce
from edge_agent.sources.modbus.sunspec import Model, all_placed, models_of
from edge_agent.sources.modbus.values import size
from edge_agent.sources.mqtt.payloads import PAYLOADS, resolve
from edge_agent.sources.mqtt.payloads.kind import Moment
from protos import units
from protos.quality import Quality, Reason, code

CASES = Path(__file__).parent / "profiles"
LIBRARY = Library()
IDS = LIBRARY.ids()
CATEGORIES = {  # of the issue: one profile of each at least
    "energy meter",
    "PV inverter",
    "battery",
    "EV charger",
    "loop-detector I/O module",
    "signal-controller gateway",
    "air-quality station",
    "weather station",
    "noise meter",
    "water meter",
    "pump drive",
    "tank level",
    "street-light controller",
    "waste-bin sensor",
    "parking sensor",
}
BAD_INVALID = code(Quality.BAD, Reason.INVALID)


def cases(speech: str) -> Iterator[Any]:
    for file in sorted(CASES.glob("*/*.json")):
        if (getattr(LIBRARY.get(file.parent.name), speech)) is not None:
            yield pytest.param(file, id=f"{file.parent.name}/{file.stem}")


def internal(point: PointSpec, value: float) -> float:
    scale, offset = units.coefficients(point.unit, point.quantity)
    return value * scale + offset


def compare(profile: Profile, case: dict[str, Any], values: dict[str, float], codes: dict[str, int]) -> None:
    """Every expected value is there and GOOD, every invalid one is BAD INVALID."""
    points = {point.name: point for point in profile.points}
    for name, value in case["expected"].items():
        assert codes[name] == 0, f"{name}: code {codes[name]}"
        assert values[name] == pytest.approx(internal(points[name], value), rel=1e-9, abs=1e-12), name
    for name in case.get("invalid", ()):
        assert codes[name] == BAD_INVALID, f"{name}: code {codes[name]}"
        assert math.isnan(values[name])


@pytest.mark.parametrize("name", IDS)
def test_profile(name: str) -> None:
    profile = LIBRARY.get(name)
    assert profile.id == name
    assert (SHIPPED / f"{name}.toml").read_text().startswith("#:schema ../device.schema.json\n")
    assert profile.source
    assert list((CASES / name).glob("*.json")), "no case folder: tests/edge/profiles/<id>/<case>.json"
    with (SHIPPED / f"{name}.toml").open("rb") as file:
        jsonschema.validate(tomllib.load(file), of_section(PROFILE))
    Cleaning(profile.points)  # its checks can be set up
    if profile.grade == "C":
        assert profile.verify, "grade C: say what a vendor document must confirm"


def test_enough_profiles_of_every_category_and_domain() -> None:
    profiles = [LIBRARY.get(name) for name in IDS]
    assert {profile.category for profile in profiles} >= CATEGORIES
    assert {profile.domain for profile in profiles} >= {"traffic", "energy", "environment", "services"}
    assert len(profiles) >= 14


def test_tables_agree_with_the_parts_that_use_them() -> None:
    """The checks and the payload kinds that a profile may name are those that there are."""
    in_cleaning = {name: set(resolve_check(name).PARAMETERS) for name in CHECKS if resolve_check(name).PARAMETERS}
    in_profiles = {key.name: {one.name for one in key.section.keys} for key in CHECK_KEYS.keys if key.section}
    assert in_profiles == in_cleaning
    assert set(PAYLOAD_NAMES) == set(PAYLOADS)


@pytest.mark.parametrize("file", list(cases("mqtt")))
def test_mqtt_case(file: Path) -> None:
    case = json.loads(file.read_text())
    profile = LIBRARY.get(file.parent.name)
    assert profile.mqtt is not None
    device = Device(file.parent.name, profile, "broker", topic=case["root"])
    kind = resolve(profile.mqtt.payload)([device], ZoneInfo(case.get("zone", "UTC")))
    values: dict[str, float] = {}
    codes: dict[str, int] = {}
    moment = Moment(0, case.get("utc_ns", 1_790_000_000_000_000_000))
    for message in case["messages"]:
        payload = json.dumps(message["payload"]).encode()
        heard = next(one for one in kind.filters() if one == message["topic"])
        reports, _ = kind.take(heard, message["topic"], payload, moment)
        assert reports
        for report in reports:
            array, why = report.group.convert(report.raws)
            why = np.zeros(len(array), np.uint8) if why is None else why
            values.update(zip(report.group.names, array.tolist(), strict=True))
            codes.update(zip(report.group.names, why.tolist(), strict=True))
            if "utc_ns" in case:
                assert report.utc_ns == case["utc_ns"]
    compare(profile, case, values, codes)


Memory = dict[tuple[int, int], int]  # (function, address) → register or bit


def memory_of(case: dict[str, Any]) -> Memory:
    held: Memory = {}
    for one in case["reads"]:
        data = bytes.fromhex(one["hex"])
        bits = one["function"] in (1, 2)
        for offset in range(one["count"]):
            word = data[offset // 8] >> offset % 8 & 1 if bits else int.from_bytes(data[2 * offset : 2 * offset + 2])
            held[one["function"], one["address"] + offset] = word
    return held


async def chain_of(held: Memory) -> Sequence[Model]:
    """The SunSpec models of a device with these registers."""

    async def ask(address: int, count: int) -> bytes | None:
        words = [held.get((3, address + k)) for k in range(count)]
        return None if None in words else b"".join(word.to_bytes(2) for word in words if word is not None)

    return await models_of(ask)


def payload_of(blocks: Sequence[Block], held: Memory) -> bytes:
    """What a device with these registers would answer to the blocks' requests, joined."""
    payload = b""
    for block in blocks:
        words = [held.get((block.function, block.address + k), 0) for k in range(block.count)]
        if block.bits:
            payload += np.packbits(np.array(words, np.uint8), bitorder="little").tobytes()
        else:
            payload += np.array(words, ">u2").tobytes()
    return payload


def present(points: Sequence[PointSpec], held: Memory) -> list[PointSpec]:
    """The points all of whose registers are in the case."""
    return [
        point
        for point in points
        if point.register is not None
        and "r" in point.access
        and all((point.register.function, point.register.address + k) in held for k in range(size(point.register)))
    ]


def planned(points: Sequence[PointSpec], manners: ModbusManners) -> list[Block]:
    numbered = [(number, point.register) for number, point in enumerate(points) if point.register is not None]
    return coalesce(1, numbered, Limits.of(manners))


def decoded(profile: Profile, case: dict[str, Any]) -> tuple[dict[str, float], dict[str, int], dict[str, str]]:
    """The case through the gateway's own planning and decoding: values, codes and texts by point."""
    assert profile.modbus is not None
    held = memory_of(case)
    there = present(all_placed(profile.points, asyncio.run(chain_of(held))), held)
    numeric = [point for point in there if point.register and point.register.type != "str"]
    strings = [point for point in there if point.register and point.register.type == "str"]
    blocks = planned(numeric, profile.modbus)
    array, why = Decoder(numeric, len(numeric), blocks).decode(payload_of(blocks, held))
    codes = [0] * len(numeric) if why is None else why.tolist()
    names = [point.name for point in numeric]
    told = planned(strings, profile.modbus)
    return (
        dict(zip(names, array.tolist(), strict=True)),
        dict(zip(names, codes, strict=True)),
        dict(texts(strings, told, payload_of(told, held))),
    )


@pytest.mark.parametrize("file", list(cases("modbus")))
def test_modbus_case(file: Path) -> None:
    case = json.loads(file.read_text())
    profile = LIBRARY.get(file.parent.name)
    values, codes, strings = decoded(profile, case)
    assert set(values) >= {*case["expected"], *case.get("invalid", ())}
    compare(profile, case, values, codes)
    assert {name: strings[name] for name in case.get("texts", {})} == case.get("texts", {})


def test_a_wrong_word_order_is_caught(tmp_path: Path) -> None:
    """Negative control: the case of the EM24 no longer fits a profile that turns its words round."""
    text = (SHIPPED / "carlo-gavazzi-em24.toml").read_text()
    (tmp_path / "wrong.toml").write_text(text.replace('"CDAB"', '"ABCD"'))
    case = json.loads((CASES / "carlo-gavazzi-em24" / "usual.json").read_text())
    profile = Library(tmp_path).get("wrong")
    with pytest.raises(AssertionError):
        compare(profile, case, *decoded(profile, case)[:2])


def test_a_wrong_profile_is_caught(tmp_path: Path) -> None:
    """A unit that is none of its quantity is a fault."""
    text = (SHIPPED / "carlo-gavazzi-em24.toml").read_text()
    (tmp_path / "wrong.toml").write_text(text.replace('unit = "V"', 'unit = "parsec"', 1))
    with pytest.raises(ConfigError, match="parsec"):
        Library(tmp_path).get("wrong")


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (("address = 0,", "address = 65535,"), "leaves no room for 2 registers"),
        (("address = 0,", "address = 0, function = 2,"), "cannot read the type i32"),
        (("address = 0,", 'address = 0, type = "str",'), "a text needs its length"),
        (("address = 0,", "address = 0, mask = 3,"), "does not go with the type i32"),
        (("address = 0,", 'address = 0, access = "rw",'), "writing needs both access and write_function"),
        (("address = 0,", 'address = 0, access = "rw", write_function = 6,'), "writes one register"),
        (("address = 0,", 'address = 0, access = "rw", write_function = 5,'), "cannot write the type i32"),
        (("address = 0,", 'address = 0, scale_from = "v_l4",'), "is no point of this profile; did you mean v_l"),
        (("address = 0,", 'topic = "x",'), "does not go with [modbus]"),
        (("address = 0,", ""), "needs it"),
        (("scale = 0.1,", "scale = 0,"), "would make every value the same"),
        (("min = 0, max = 500", "min = 501, max = 500"), "is above max = 500"),
        (('name = "v_l2"', 'name = "v_l1"'), "is there twice"),
        (('quantity = "voltage"', 'quantity = "voltag"'), "did you mean voltage"),
        (("[modbus]", "[mqtt]\n[modbus]"), "a device speaks Modbus or MQTT"),
        (('order = "CDAB"', 'order = "ACDB"'), "must be one of ABCD, CDAB, BADC, DCBA"),
    ],
)
def test_faults_of_a_profile(tmp_path: Path, change: tuple[str, str], wrong: str) -> None:
    text = (SHIPPED / "carlo-gavazzi-em24.toml").read_text()
    assert change[0] in text
    (tmp_path / "wrong.toml").write_text(text.replace(*change, 1))
    with pytest.raises(ConfigError) as caught:
        Library(tmp_path).get("wrong")
    assert wrong in str(caught.value)
    assert all(fault.line for fault in caught.value.faults)
