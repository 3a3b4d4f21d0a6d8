"""Every device profile: it reads without fault, agrees with the schema, and decodes its cases of raw bytes.

`profiles/<id>/*.json` holds bytes as they come from the device and the values that they mean, in the profile's own
units. The values were worked out beside the code (vendor examples, or packed with struct), not by it.
"""

import json
import math
import tomllib
from collections.abc import Iterator
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
from edge_agent.profile import Device, PointSpec, Profile
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


def test_a_wrong_profile_is_caught(tmp_path: Path) -> None:
    """Negative control: another word order, and the case of the EM24 no longer fits; an unknown unit is a fault."""
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
