"""The map of registers that a gateway shows to the controllers beside it. No IO.

It is made of the gateway's file alone. Every output, twin and estimate has a slot of fixed size at a fixed distance,
so what is appended to the file moves nothing that was there; the header has a digest of the whole map. The same map
stands in the input and in the holding registers. Numbers of 32 and 64 bits have the high word first and the high byte
first (ABCD), the order of Modbus itself; f32 is IEEE 754, and 0x7FC00000 (NaN) says that there is no value.

       0  header, and at 100 the heartbeat of the other side
    1000  outputs, 20 registers each
    7000  twins, 10 each
   10000  estimates, 10 each; 500 for every twin
"""

import hashlib
import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edge_agent.local.slots import ESTIMATE, HEADER, HEARTBEAT, OUTPUT, TWIN, VERSION, Moment, Part
from edge_agent.snapshot import Roster

OUTPUTS_AT, OUTPUT_SIZE = 1000, 20
TWINS_AT, TWIN_SIZE = 7000, 10
ESTIMATES_AT, ESTIMATE_SIZE, ESTIMATES_SIZE = 10_000, 10, 500
TWINS_MAX = 100  # whose estimates end at 60,000
STATES_MAX = ESTIMATES_SIZE // ESTIMATE_SIZE
COUNT_MAX = 125  # registers in one answer
FORMATS = {"u16": "H", "u32": "I", "u64": "Q", "f32": "f"}
WORDS = {"u16": 1, "u32": 2, "u64": 4, "f32": 2}
SINGLE_MAX = 3.4028234663852886e38  # of f32


class Row(NamedTuple):
    """One number of the map, as `edge-agent registers` prints it."""

    address: int  # 0-based, as on the wire
    type: str  # u16 u32 u64 f32
    name: str  # output.NAME.value, estimate.TWIN.STATE.sd, …
    unit: str
    scale: float  # value = number * scale; all are 1: nothing is rounded to fit
    access: str  # r, rw
    meaning: str


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a header, output, twin or estimate stands; `place` and `state` are what it shows."""

    start: int
    parts: Sequence[Part]
    name: str = ""
    unit: str = ""
    place: int = 0
    state: int = 0

    def rows(self) -> Iterator[Row]:
        for part in self.parts:
            unit = self.unit if part.unit == "=" else part.unit
            access = "rw" if self.start + part.offset == HEARTBEAT else "r"
            yield Row(self.start + part.offset, part.type, f"{self.name}.{part.name}", unit, 1.0, access, part.meaning)

    def pack(self, form: struct.Struct, moment: Moment) -> bytes:
        return form.pack(*(fitting(part, part.take(moment, self.place, self.state)) for part in self.parts))


@dataclass(frozen=True, slots=True)
class Section:
    """Slots of one kind, each of `size` registers, one behind the other."""

    start: int
    size: int
    form: struct.Struct  # of one slot, padded to its size
    slots: Sequence[Slot]

    @classmethod
    def of(cls, start: int, size: int, parts: Sequence[Part], slots: Sequence[Slot]) -> "Section":
        return cls(start, size, form_of(parts, size), slots)

    @property
    def end(self) -> int:
        return self.start + self.size * len(self.slots)

    def pack(self, moment: Moment, address: int, count: int) -> bytes:
        first = (address - self.start) // self.size
        last = (address + count - 1 - self.start) // self.size
        whole = b"".join(slot.pack(self.form, moment) for slot in self.slots[first : last + 1])
        skip = 2 * (address - self.start - first * self.size)
        return whole[skip : skip + 2 * count]


class Registers:
    """The map of one roster. `left_out` names the twins and estimates that it has no room for."""

    def __init__(self, roster: Roster) -> None:
        self.roster = roster
        self.sections = tuple(sections_of(roster))
        self.rows = tuple(row for section in self.sections for slot in section.slots for row in slot.rows())
        self.left_out = tuple(left_out(roster))
        told = "\n".join(f"{row.address} {row.type} {row.name} {row.unit}" for row in self.rows)
        self.digest = int.from_bytes(hashlib.sha256(told.encode()).digest()[:4], "big")

    def read(self, moment: Moment, address: int, count: int) -> bytes:
        """The registers from `address` on, high byte first, all of one moment; those between numbers are 0.

        Raises LookupError where they are not all within one section of the map.
        """
        for section in self.sections:
            if section.start <= address and address + count <= section.end and 0 < count <= COUNT_MAX:
                return section.pack(moment._replace(digest=self.digest), address, count)
        raise LookupError(address)


def sections_of(roster: Roster) -> Iterator[Section]:
    twins = roster.twins[:TWINS_MAX]
    header = Slot(0, HEADER, "gateway")
    yield Section.of(0, HEARTBEAT + 1, HEADER, (header,))
    outputs = tuple(
        Slot(OUTPUTS_AT + OUTPUT_SIZE * place, OUTPUT, f"output.{name}", unit, place)
        for place, (name, unit) in enumerate(zip(roster.outputs, roster.units, strict=True))
    )
    yield Section.of(OUTPUTS_AT, OUTPUT_SIZE, OUTPUT, outputs)
    models = tuple(
        Slot(TWINS_AT + TWIN_SIZE * place, TWIN, f"twin.{twin.name}", "", place) for place, twin in enumerate(twins)
    )
    yield Section.of(TWINS_AT, TWIN_SIZE, TWIN, models)
    for place, twin in enumerate(twins):
        start = ESTIMATES_AT + ESTIMATES_SIZE * place
        named = zip(twin.states[:STATES_MAX], twin.units, strict=False)
        slots = tuple(
            Slot(start + ESTIMATE_SIZE * state, ESTIMATE, f"estimate.{twin.name}.{name}", unit, place, state)
            for state, (name, unit) in enumerate(named)
        )
        yield Section.of(start, ESTIMATE_SIZE, ESTIMATE, slots)


def left_out(roster: Roster) -> Iterator[str]:
    yield from (twin.name for twin in roster.twins[TWINS_MAX:])
    for twin in roster.twins[:TWINS_MAX]:
        yield from (f"{twin.name}/{state}" for state in twin.states[STATES_MAX:])


def form_of(parts: Sequence[Part], size: int) -> struct.Struct:
    """How a slot is packed: each part at its offset, zeros between."""
    text, at = ">", 0
    for part in parts:
        text += f"{2 * (part.offset - at)}x{FORMATS[part.type]}"
        at = part.offset + WORDS[part.type]
    return struct.Struct(f"{text}{2 * (size - at)}x")


def fitting(part: Part, value: float) -> float:
    """`value` as the type can hold it: whole numbers end at their largest, floats become infinite."""
    if part.type == "f32":
        return value if abs(value) <= SINGLE_MAX or math.isnan(value) else math.copysign(math.inf, value)
    most: int = (1 << 16 * WORDS[part.type]) - 1
    return min(int(value), most)


def markdown(registers: Registers, of: str) -> str:
    """The map as a table for people; `of` is whose."""
    lines = [
        f"# Registers of {of}",
        "",
        f"Map {registers.digest:08x} (register 2), version {VERSION}. Input registers (function 4) and holding "
        "registers (function 3) show the same. Addresses are 0-based, as on the wire. Numbers of several registers "
        "have the high word first, and every word its high byte (ABCD). One answer is of one tick.",
        "",
        "A countdown `valid` of 0 and a value of NaN (0x7FC00000) mean: do not use.",
        "",
        f"| {' | '.join(Row._fields)} |",
        "|---:|---|---|---|---:|---|---|",
    ]
    lines += [f"| {' | '.join(f'{x:g}' if isinstance(x, float) else str(x) for x in row)} |" for row in registers.rows]
    return "\n".join(lines) + "\n"
