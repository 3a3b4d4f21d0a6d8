"""A case of a kind of payload: a profile, messages of a device, and what must be read of each.

`config.toml` is a profile like any other. `input.json` gives the device's topic root and messages as text or hex;
`expected.json` gives one entry per message: the readings, `[point, value or text, code, UTC ms of the device or
null]`, the number of requests to publish in answer if any, or the error.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from edge_agent.config.faults import Faults
from edge_agent.config.library import read_profile
from edge_agent.profile import Device
from edge_agent.sources.mqtt.payloads import resolve
from edge_agent.sources.mqtt.payloads.kind import Kind, Moment
from edge_agent.sources.mqtt.reading import PayloadError, Report
from edge_agent.sources.mqtt.topics import Topics
from protos import quality

CASES = Path(__file__).parent / "cases"
UTC_NS = 1_790_000_100_000_000_000


def folders() -> list[Path]:
    return sorted(path.parent for path in CASES.glob("*/*/config.toml"))


def device_of(folder: Path) -> Device:
    faults = Faults()
    profile = read_profile(folder / "config.toml", faults)
    faults.check()
    assert profile is not None
    given = json.loads((folder / "input.json").read_text())
    return Device(given.get("device", "d"), profile, "b", topic=given["root"], options=given.get("options", {}))


def kind_of(folder: Path) -> Kind:
    device = device_of(folder)
    zone = ZoneInfo(json.loads((folder / "input.json").read_text()).get("zone", "UTC"))
    return resolve(folder.parent.name)([device], zone)


def messages_of(folder: Path) -> Iterator[tuple[str, bytes, Moment]]:
    given = json.loads((folder / "input.json").read_text())
    for second, message in enumerate(given["messages"]):
        payload = bytes.fromhex(message["hex"]) if "hex" in message else message["text"].encode()
        utc_ns = message.get("utc_ns", given.get("utc_ns", UTC_NS))
        yield message["topic"], payload, Moment(second * 10_000_000_000, utc_ns)


def entry_of(reports: list[Report], requests: int) -> dict[str, Any]:
    rows: list[Any] = []
    for report in reports:
        values, codes = report.group.convert(report.raws)
        at_ms = None if report.utc_ns is None else report.utc_ns // 1_000_000
        for index, spec in enumerate(report.group.numbers):
            why = max(0 if codes is None else int(codes[index]), report.code)
            value = None if values[index] != values[index] else round(float(values[index]), 9)
            rows.append([spec.name, value, quality.text(why), at_ms])
        rows += [[name, text, quality.text(report.code), at_ms] for name, text in report.group.strings(report.raws)]
    return {"readings": sorted(rows, key=lambda row: str(row[0])), **({"requests": requests} if requests else {})}


def outcome_of(folder: Path) -> list[dict[str, Any]]:
    """What is read of each message, as in `expected.json`."""
    kind = kind_of(folder)
    topics = Topics([kind])
    outcomes: list[dict[str, Any]] = []
    for topic, payload, moment in messages_of(folder):
        reports: list[Report] = []
        requests = 0
        try:
            for one, heard in (topics.of(topic) or topics.of("")).heard:  # type: ignore[union-attr]
                found, asked = one.take(heard, topic, payload, moment)
                reports += found
                requests += len(asked)
        except PayloadError as error:
            outcomes.append({"error": str(error)})
            continue
        outcomes.append(entry_of(reports, requests))
    return outcomes
