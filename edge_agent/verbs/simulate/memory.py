"""The registers and bits of a simulated Modbus device, filled from its profile.

Two ways: `signals`, where every point carries a realistic value, and `address`, where every register of the whole
address space holds its own address (and every bit its address's lowest bit), so that a value read from the wrong
place is known at once.
"""

import math
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from edge_agent.profile import PointSpec, Profile, Register
from edge_agent.verbs.simulate.chain import chained
from edge_agent.verbs.simulate.followed import Follow, nobody
from edge_agent.verbs.simulate.signals import Signal

TABLE = {1: 1, 5: 1, 15: 1, 2: 2, 3: 3, 6: 3, 16: 3, 22: 3, 23: 3, 4: 4}  # function code → the table it works on
REFRESH_S = 0.1  # values are as old as this at most
FORMATS = {"u16": ">H", "i16": ">h", "u32": ">I", "i32": ">i", "u64": ">Q", "i64": ">q", "f32": ">f", "f64": ">d"}
EXPONENT_MIN = -2  # of points that scale others (SunSpec): hundredths can be seen, where the type has room for them


def ordered(data: bytes, order: str) -> list[int]:
    """Big-endian bytes as registers in the order in which this device sends them."""
    words = [data[i : i + 2] for i in range(0, len(data), 2)]
    if order in ("CDAB", "DCBA"):
        words.reverse()
    if order in ("BADC", "DCBA"):
        words = [word[::-1] for word in words]
    return [int.from_bytes(word, "big") for word in words]


def encode(register: Register, raw: float) -> list[int]:
    """The registers (or one bit) that hold `raw`, clipped to what the type can hold."""
    kind = register.type
    if kind == "bit":
        return [int(bool(raw))]
    if kind.startswith("bcd"):
        digits = 4 if kind == "bcd16" else 8
        number = min(max(round(raw), 0), 10**digits - 1)
        return ordered(bytes.fromhex(f"{number:0{digits}d}"), register.order)
    if kind in ("f32", "f64"):
        return ordered(struct.pack(FORMATS[kind], raw), register.order)
    kind = {"bits16": "u16", "bits32": "u32"}.get(kind, kind)
    bits = int(kind[1:])
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if kind[0] == "i" else (0, 2**bits - 1)
    return ordered(struct.pack(FORMATS[kind], min(max(round(raw), low), high)), register.order)


def encode_text(register: Register, text: str) -> list[int]:
    data = text.encode("ascii", "replace")[: 2 * register.length].ljust(2 * register.length, b"\0")
    return ordered(data, "ABCD")


@dataclass(eq=False)
class Memory:
    """What one unit holds. Reads and writes raise LookupError for addresses that it does not have."""

    profile: Profile
    seed: str
    now: Callable[[], float]  # simulated seconds since 1970
    mode: str = "signals"
    follow: Follow = nobody
    cells: dict[tuple[int, int], int] = field(default_factory=dict)  # (table, address) → value
    written: set[tuple[int, int]] = field(default_factory=set)  # these keep what was written
    exponents: dict[str, int] = field(default_factory=dict)  # of the points that scale others
    _fresh_s: float = -math.inf

    def __post_init__(self) -> None:
        self.profile, heads, whole = chained(self.profile)
        if self.mode == "signals":
            self.cells.update({(3, address): 0 for address in whole})
        self.cells.update({(3, address): word for address, word in heads.items()})
        self.written.update((3, address) for address in heads)
        for point in self.profile.points:
            if point.register is not None and (name := point.register.scale_from):
                self.exponents[name] = max(self.exponents.get(name, EXPONENT_MIN), fitting(point, point.register))
        if self.mode == "signals":
            self._fill_gaps()
            self.refresh()

    def read(self, function: int, address: int, count: int) -> list[int]:
        table = TABLE[function]
        if self.mode == "address":
            if address + count > 65536:
                raise LookupError(address)
            return [
                self.cells.get((table, a), a & 1 if table in (1, 2) else a) for a in range(address, address + count)
            ]
        self.refresh()
        return [self.cells[table, a] for a in range(address, address + count)]

    def write(self, function: int, address: int, values: Sequence[int]) -> None:
        table = TABLE[function]
        places = [(table, a) for a in range(address, address + len(values))]
        if self.mode == "signals" and (missing := [place for place in places if place not in self.cells]):
            raise LookupError(missing)
        self.cells.update(zip(places, (int(value) for value in values), strict=True))
        self.written.update(places)

    def points_at(self, function: int, address: int, count: int) -> Iterator[PointSpec]:
        """The points that a request touches, for the actuator log."""
        for point in self.profile.points:
            if point.register is not None and TABLE[point.register.function] == TABLE[function]:
                first = point.register.address
                if first < address + count and address < first + size(point.register):
                    yield point

    def refresh(self) -> None:
        """Take every signal's value at this time, unless that was done just now."""
        now = self.now()
        if abs(now - self._fresh_s) < REFRESH_S:
            return
        self._fresh_s = now
        words: dict[tuple[int, int], int] = {}  # of masked points that share a register
        for point in self.profile.points:
            if point.register is None:
                continue
            registers = self._registers(point, point.register, now)
            for offset, value in enumerate(registers):
                place = (TABLE[point.register.function], point.register.address + offset)
                if place in self.written:
                    continue
                if point.register.mask:
                    value = words[place] = words.get(place, 0) | value
                elif place in words:
                    continue  # the whole word of bits that other points show one by one
                self.cells[place] = value

    def _registers(self, point: PointSpec, register: Register, now: float) -> list[int]:
        signal = Signal(point, self.seed, self.profile.category == "PV inverter")
        if register.type == "str":
            return encode_text(register, signal.text())
        if point.name in self.exponents:
            return encode(register, self.exponents[point.name])
        if point.access == "w":
            return encode(register, 0)
        decided = self.follow(point.name)
        value = ((signal(now) if decided is None else decided) - point.offset) / point.scale
        if register.scale_from:
            value /= 10.0 ** self.exponents[register.scale_from]
        if register.mask:
            return encode(register, register.mask if value else 0)
        return encode(register, value)

    def _fill_gaps(self) -> None:
        """Registers between points that the profile allows to be read along."""
        gap = self.profile.modbus.max_gap if self.profile.modbus else 0
        spans = sorted(
            (TABLE[p.register.function], p.register.address, p.register.address + size(p.register))
            for p in self.profile.points
            if p.register is not None
        )
        for (table, _, end), (after, start, _) in pairwise(spans):
            if table == after and 0 < start - end <= gap:
                self.cells = {(table, address): 0 for address in range(end, start)} | self.cells


def fitting(point: PointSpec, register: Register) -> int:
    """The least power of ten with which the point's whole range fits into its type, short of its invalid markers."""
    bounds = point.checks.get("range", {})
    most = max(abs(bounds.get("min", 0.0)), abs(bounds.get("max", 0.0)), 1e-9) / point.scale
    bits = 16 * size(register) - (register.type[0] == "i")
    return math.ceil(math.log10(most / (2**bits - 2)))


def size(register: Register) -> int:
    """Registers or bits that it takes."""
    if register.type == "str":
        return register.length
    return 1 if register.type == "bit" else int(register.type.lstrip("abcdfistu")) // 16
