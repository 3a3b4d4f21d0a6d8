"""Look for Modbus units on a line, ask who they are, and suggest profiles. Only ever reads.

    edge-agent scan 192.0.2.10                  Modbus TCP, port 502, units 1 to 247
    edge-agent scan rtu:///dev/ttyUSB0?baud=19200 --units 1-20
    edge-agent scan /dev/ttyUSB0 --json

Each unit is asked for one register; whatever answers, even with an exception, is there. A unit that is there is asked
for its identification (function 43/14), its SunSpec models, and for a few telling points of each profile: the share
that comes as the profile says, and lies in its range, is the fit. A fit is a hint, not a proof: look at the values
before trusting it.
"""

import argparse
import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from edge_agent.config import Library
from edge_agent.profile import ModbusManners, PointSpec, Profile
from edge_agent.screen import fail, progress, show
from edge_agent.sources.modbus.address import Address, parse
from edge_agent.sources.modbus.decode import Decoder
from edge_agent.sources.modbus.faults import NoAnswer, Refused
from edge_agent.sources.modbus.framing import Request, read
from edge_agent.sources.modbus.identify import identify
from edge_agent.sources.modbus.link import Link
from edge_agent.sources.modbus.plan import Limits, coalesce
from edge_agent.sources.modbus.source import link_to
from edge_agent.sources.modbus.sunspec import Model, all_placed, models_of
from protos.clock import SystemClock
from protos.units import coefficients

MS = 1_000_000  # ns
PAUSE_NS = 10 * MS  # between two requests: a scan is a guest on the line
TELLING_MAX = 8  # points of a profile that are looked at
BLOCKS_MAX = 3  # requests for them
SILENCES_MAX = 3  # after so many a unit is left alone
SUGGESTED_MAX = 3
FIT_MIN = 0.75
GATEWAY_CODES = (10, 11)  # exceptions by which a TCP gateway says that nobody is there
MANY = (1, 2, 3, 100, 246, 247)  # a device that answers to all of these answers to everything


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "where", metavar="HOST|CONNECTION", help="host, host:port, /dev/tty…, tcp://, rtu+tcp://, rtu://"
    )
    parser.add_argument("--units", default="1-247", help="units to look for, as 1-20 or 1,5,7 (default %(default)s)")
    parser.add_argument(
        "--timeout", type=int, default=300, metavar="MS", help="wait for an answer (default %(default)s ms)"
    )
    parser.add_argument("--profiles", metavar="ID,…", default="", help="consider only these profiles")
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    try:
        address = parse(connection_of(args.where), {})
        units = sorted(units_of(args.units))
        library = Library()
        names = args.profiles.split(",") if args.profiles else library.ids()
        profiles = [one for one in map(library.get, names) if one.modbus is not None]
        found = asyncio.run(Scan(address, profiles, args.timeout * MS).look(units))
    except (ValueError, NoAnswer) as error:
        return fail(error)
    show([row(one) for one in found], as_json=args.json, title=f"units at {args.where}")
    return 0 if found else 1


def connection_of(where: str) -> str:
    """The connection that a gateway's file would name."""
    if "://" in where:
        return where
    return f"rtu://{where}" if where.startswith("/") else f"tcp://{where}"


def units_of(text: str) -> Iterator[int]:
    """`1-20,33` as numbers. Raises ValueError."""
    for part in text.split(","):
        ends = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", part.strip())
        if not ends or not 1 <= int(ends[1]) <= int(ends[2] or ends[1]) <= 247:
            raise ValueError(f"--units {part}: give numbers from 1 to 247, as 1-20 or 1,5,7")
        yield from range(int(ends[1]), int(ends[2] or ends[1]) + 1)


@dataclass(slots=True)
class Found:
    unit: int
    identity: dict[str, str] = field(default_factory=dict)
    models: Sequence[Model] = ()  # its SunSpec chain
    suggestions: list[tuple[float, str]] = field(default_factory=list)  # (fit, profile id), best first
    every_unit: bool = False


def row(one: Found) -> dict[str, object]:
    return {
        "unit": "any" if one.every_unit else one.unit,
        "identification": ", ".join(one.identity.values()),
        "SunSpec models": ", ".join(str(model.number) for model in one.models),
        "profiles that fit": ", ".join(f"{name} {fit:.0%}" for fit, name in one.suggestions) or "none",
    }


def telling(profile: Profile) -> list[PointSpec]:
    """The points that say most about the device: fixed values first, then narrow ranges away from zero."""

    def vagueness(point: PointSpec) -> float:
        bounds = point.checks.get("range", {})
        low, high = bounds.get("min"), bounds.get("max")
        if low is None or high is None:
            return 3.0
        if low == high:
            return 0.0
        return 1.0 if low > 0 else 2.0

    able = [
        point
        for point in profile.points
        if point.register
        and "r" in point.access
        and point.register.type not in ("str", "bit")
        and not point.register.mask
    ]
    alone = [point for point in able if point.register and not point.register.scale_from]
    return sorted(alone, key=vagueness)[:TELLING_MAX]


@dataclass(eq=False)
class Scan:
    """One line, looked over politely: one request at a time, a pause between them, nothing written."""

    address: Address
    profiles: Sequence[Profile]
    timeout_ns: int
    link: Link = field(init=False)

    async def look(self, units: Sequence[int]) -> list[Found]:
        """Every unit that answers. Raises NoAnswer when there is no connection."""
        self.link = link_to(self.address, {}, SystemClock())
        try:
            found = [Found(unit) for unit in await self._present(units)]
            if self.address.scheme in ("tcp", "tls") and len(found) == len(units) > len(MANY):
                found = found[:1]
                found[0].every_unit = True
            for one in progress(found, "asking who they are", len(found)):
                one.identity = await self._identity(one.unit)
                one.models = await self._models(one.unit)
                one.suggestions = await self._suggest(one)
            return found
        finally:
            self.link.drop()

    async def _ask(self, request: Request) -> bytes:
        return await self.link.ask(request, self.timeout_ns, PAUSE_NS)

    async def _present(self, units: Sequence[int]) -> list[int]:
        if await self._answers_to_everything(units):
            return list(units)
        return [unit for unit in progress(units, "looking for units", len(units)) if await self._there(unit)]

    async def _answers_to_everything(self, units: Sequence[int]) -> bool:
        """Many TCP devices do not look at the unit id; 247 of them would be found."""
        if self.address.scheme not in ("tcp", "tls") or not set(MANY) <= set(units):
            return False
        for unit in MANY:
            if not await self._there(unit):
                return False
        return True

    async def _there(self, unit: int) -> bool:
        try:
            await self._ask(read(unit, 3, 0, 1))
        except Refused as refused:
            return refused.code not in GATEWAY_CODES
        except NoAnswer as error:
            if "cannot connect" in str(error):
                raise
            return False
        return True

    async def _identity(self, unit: int) -> dict[str, str]:
        """What function 43/14 says; nothing where it is not spoken."""
        try:
            return await identify(self.link, unit, self.timeout_ns)
        except (Refused, NoAnswer):
            return {}

    async def _models(self, unit: int) -> Sequence[Model]:
        """Its SunSpec chain; nothing where there is none."""
        try:
            return await models_of(partial(self._words, unit))
        except NoAnswer:
            return ()

    async def _words(self, unit: int, address: int, count: int) -> bytes | None:
        try:
            return await self._ask(read(unit, 3, address, count))
        except Refused:
            return None

    async def _suggest(self, one: Found) -> list[tuple[float, str]]:
        fits: list[tuple[float, int, str]] = []
        silences = 0
        for profile in self.profiles:
            points = telling(replace(profile, points=tuple(all_placed(profile.points, one.models))))
            if not points or silences >= SILENCES_MAX:
                continue
            try:
                fits.append((await self._fit(one.unit, profile, points), len(profile.points), profile.id))
            except NoAnswer:
                silences += 1
        best = sorted((fit for fit in fits if fit[0] >= FIT_MIN), reverse=True)[:SUGGESTED_MAX]
        return [(fit, name) for fit, _, name in best]

    async def _fit(self, unit: int, profile: Profile, points: Sequence[PointSpec]) -> float:
        """Share of the telling points that come and lie in their range, from 0 to 1. Raises NoAnswer."""
        manners = profile.modbus or ModbusManners()
        numbered = [(number, point.register) for number, point in enumerate(points) if point.register is not None]
        blocks = coalesce(unit, numbered, Limits.of(manners))
        best = sorted(blocks, key=lambda block: (-len(block.points), min(block.points)))[:BLOCKS_MAX]
        score = 0.0
        for block in best:
            try:
                data = await self._ask(block.request)
            except Refused:
                continue
            chosen = [points[number] for number in block.points]
            again = coalesce(unit, [(n, p.register) for n, p in enumerate(chosen) if p.register], Limits.of(manners))
            values, codes = Decoder(chosen, len(chosen), again).decode(data)
            for at, point in enumerate(chosen):
                if codes is None or codes[at] == 0:
                    score += likeliness(point, float(values[at]))
        return score / sum(len(block.points) for block in best)


def likeliness(point: PointSpec, value: float) -> float:
    """1 for a value in the profile's range, half for a zero or where there is none, which says little; else 0."""
    bounds = point.checks.get("range", {})
    low, high = (
        internal(bounds[end], point) if end in bounds else default
        for end, default in (("min", float("-inf")), ("max", float("inf")))
    )
    if not low - 1e-9 <= value <= high + 1e-9:
        return 0.0
    if point.enumeration:
        return float(int(value) in point.enumeration)
    return 0.5 if value == 0 or not bounds else 1.0


def internal(value: float, point: PointSpec) -> float:
    scale, offset = coefficients(point.unit, point.quantity)
    return value * scale + offset
