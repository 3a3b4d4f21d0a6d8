"""Read every point of one Modbus device once, by a profile: does it say what the device shows? Only ever reads.

    edge-agent read eastron-sdm120 192.0.2.10 --unit 3
    edge-agent read my-meter rtu:///dev/ttyUSB0?baud=9600 --unit 3 --profiles ./devices
    edge-agent read my-meter 192.0.2.10 --case tests/edge/profiles/my-meter/usual.json

Values are in the profile's own units, as the device shows them. --case keeps the bytes that came and these values as a
case for the tests: compare each value with the device's display first, and mend what is wrong in profile and case.
What an MQTT device says is text already:  mosquitto_sub -h BROKER -v -t 'TOPIC/#'
"""

import argparse
import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from struct import unpack

from edge_agent.config import ConfigError, Library
from edge_agent.profile import ModbusManners, PointSpec, Profile
from edge_agent.screen import fail, show
from edge_agent.sources.modbus.address import Address, parse
from edge_agent.sources.modbus.decode import EXCEPTION, INVALID, Decoder, texts
from edge_agent.sources.modbus.faults import NoAnswer, Refused
from edge_agent.sources.modbus.framing import Request
from edge_agent.sources.modbus.framing import read as request_to_read
from edge_agent.sources.modbus.link import Link
from edge_agent.sources.modbus.plan import Block, Limits, coalesce
from edge_agent.sources.modbus.source import link_to
from edge_agent.sources.modbus.sunspec import all_placed, models_of
from edge_agent.verbs.scan import connection_of
from protos import quality
from protos.clock import SystemClock
from protos.units import coefficients

MS = 1_000_000  # ns
KEYS = ("function", "address", "count", "hex")  # of a read in a case


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("profile", help="profile id, or a profile's file")
    parser.add_argument(
        "where", metavar="HOST|CONNECTION", help="host, host:port, /dev/tty…, tcp://, rtu+tcp://, rtu://"
    )
    parser.add_argument("--unit", type=int, default=1, help="unit on the line (default %(default)s)")
    parser.add_argument("--profiles", type=Path, metavar="DIR", help="directory of own profiles, searched first")
    parser.add_argument("--case", type=Path, metavar="FILE", help="keep bytes and values as a case; never overwrites")
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    try:
        profile = profile_of(args.profile, args.profiles)
        if profile.modbus is None:
            raise ValueError(f"{profile.id} speaks MQTT: see its messages by mosquitto_sub, as the help says")
        if args.case and args.case.exists():
            raise ValueError(f"{args.case}: is there already and is never overwritten; name another file")
        address = parse(connection_of(args.where), {})
        seen = asyncio.run(look(profile, profile.modbus, address, args.unit))
        if args.case:
            args.case.parent.mkdir(parents=True, exist_ok=True)
            args.case.write_text(json.dumps(case_of(seen, f"unit {args.unit} at {args.where}"), indent=1) + "\n")
    except (ConfigError, ValueError, NoAnswer, OSError) as error:
        return fail(error)
    show([row(one) for one in seen.points], as_json=args.json, title=f"{profile.id} at {args.where}")
    return 0 if any(one.good for one in seen.points) else 1


def profile_of(what: str, folder: Path | None) -> Profile:
    """By its id or by its file. Raises ConfigError."""
    file = Path(what)
    return Library(file.parent).get(file.stem) if file.suffix == ".toml" else Library(folder).get(what)


@dataclass(frozen=True, slots=True)
class Seen:
    """One point as it came: `value` in the profile's unit, or a text."""

    spec: PointSpec
    value: float | str
    code: int

    @property
    def good(self) -> bool:
        return self.code == 0


@dataclass(frozen=True, slots=True)
class Answers:
    came: Sequence[tuple[Request, bytes]]  # every request that was answered
    points: Sequence[Seen]


async def look(profile: Profile, manners: ModbusManners, address: Address, unit: int) -> Answers:
    """Raises NoAnswer when there is no connection, or the unit says nothing."""
    link = link_to(address, {}, SystemClock(), manners.connect_delay_ms * MS)
    ask = Asking(link, manners, unit)
    try:
        models = await models_of(ask.words) if any(p.register and p.register.model for p in profile.points) else ()
        there = [p for p in all_placed(profile.points, models) if p.register and "r" in p.access]
        strings = [p for p in there if p.register and p.register.type == "str"]
        numeric = [p for p in there if p.register and p.register.type != "str"]
        numbers, words = await ask.blocks(numeric), await ask.blocks(strings)
    finally:
        link.drop()
    return Answers(ask.came, (*seen_numbers(numeric, numbers), *seen_words(strings, words)))


@dataclass(frozen=True, eq=False, slots=True)
class Asking:
    """Requests to one unit, one at a time, as its profile wants them."""

    link: Link
    manners: ModbusManners
    unit: int
    came: list[tuple[Request, bytes]] = field(default_factory=list)

    async def words(self, address: int, count: int) -> bytes | None:
        return await self._ask(request_to_read(self.unit, 3, address, count))

    async def _ask(self, request: Request) -> bytes | None:
        """None where the device refuses."""
        try:
            data = await self.link.ask(request, self.manners.timeout_ms * MS, self.manners.pause_ms * MS)
        except Refused:
            return None
        self.came.append((request, data))
        return data

    async def blocks(self, points: Sequence[PointSpec]) -> list[tuple[Block, bytes | None]]:
        numbered = [(number, point.register) for number, point in enumerate(points) if point.register is not None]
        planned = coalesce(self.unit, numbered, Limits.of(self.manners))
        return [(block, await self._ask(block.request)) for block in planned]


def joined(answers: Sequence[tuple[Block, bytes | None]]) -> bytes:
    return b"".join(bytes(block.request.data) if data is None else data for block, data in answers)


def seen_numbers(points: Sequence[PointSpec], answers: Sequence[tuple[Block, bytes | None]]) -> list[Seen]:
    if not points:
        return []
    missing = [(block, EXCEPTION) for block, data in answers if data is None]
    values, codes = Decoder(points, len(points), [block for block, _ in answers]).decode(joined(answers), missing)
    told = [0] * len(points) if codes is None else codes.tolist()
    return [
        Seen(point, as_shown(point, value), code)
        for point, value, code in zip(points, values.tolist(), told, strict=True)
    ]


def seen_words(points: Sequence[PointSpec], answers: Sequence[tuple[Block, bytes | None]]) -> list[Seen]:
    found = dict(texts(points, [block for block, _ in answers], joined(answers)))
    refused = {number for block, data in answers if data is None for number in block.points}
    return [
        Seen(point, found.get(point.name, ""), EXCEPTION if number in refused else 0)
        for number, point in enumerate(points)
    ]


def as_shown(point: PointSpec, value: float) -> float:
    """From the internal unit back to the profile's."""
    scale, offset = coefficients(point.unit, point.quantity) if point.unit else (1.0, 0.0)
    return float(f"{(value - offset) / scale:.12g}")  # the conversion's rounding is not the device's


def row(one: Seen) -> dict[str, object]:
    spec = one.spec
    bounds = spec.checks.get("range", {})
    note = quality.text(one.code) if one.code else ""
    if one.good and isinstance(one.value, float) and bounds:
        low, high = bounds.get("min", one.value), bounds.get("max", one.value)
        note = "" if low <= one.value <= high else f"outside {low:g} … {high:g}"
    named = spec.enumeration.get(int(one.value)) if one.good and isinstance(one.value, float) else None
    return {
        "point": spec.name,
        "value": one.value if one.good else None,
        "unit": spec.unit,
        "means": named or "",
        "note": note,
    }


def case_of(seen: Answers, where: str) -> dict[str, object]:
    """What tests/edge/test_every_profile.py runs: bytes as they came, and what they mean in the profile's units."""
    good = [one for one in seen.points if one.good]
    return {
        "about": f"read from {where}; each value compared with the device's display by: ",
        "reads": [
            dict(zip(("function", "address", "count"), unpack(">BHH", one.pdu), strict=True))
            | {"hex": data.hex(" ", 2)}
            for one, data in seen.came
        ],
        "expected": {one.spec.name: one.value for one in good if isinstance(one.value, float)},
        "invalid": [one.spec.name for one in seen.points if one.code == INVALID],
        "texts": {one.spec.name: one.value for one in good if isinstance(one.value, str)},
    }
