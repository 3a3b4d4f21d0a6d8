"""What is read together: the points of one device at one period, their blocks, their decoder, and what the device
refused of them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from edge_agent.image import Layout
from edge_agent.profile import Device, PointSpec, Register
from edge_agent.sources.modbus.breaker import Breaker
from edge_agent.sources.modbus.decode import Decoder
from edge_agent.sources.modbus.plan import Block, Limits, coalesce
from edge_agent.sources.modbus.sunspec import Model, placed
from protos.clock import NS

log = logging.getLogger(__name__)
MS = NS // 1000
TEXT_AGAIN_NS = 3600 * NS  # a string that did not change is told again after so long


@dataclass(eq=False)
class Unit:
    """One unit of a line: how it wants to be asked, and whether it answers."""

    number: int
    breaker: Breaker
    timeout_ns: int
    pause_ns: int
    jobs: "list[Job]" = field(default_factory=list)
    models: Sequence[Model] = ()  # its SunSpec chain, where a profile asks for it
    chained: int | None = None  # the connection (`Link.reconnects`) on which the chain was read
    chain_ns: int = 0  # not read again before, when there was none


def register_of(spec: PointSpec) -> Register:
    """Raises ValueError for a point that is not on Modbus."""
    if spec.register is None:
        raise ValueError(f"point {spec.name} has no register")
    return spec.register


@dataclass(eq=False)
class Job:
    """`specs` are the numeric points: first those of the layout, then those that only scale them; then the texts."""

    device: Device
    unit: Unit
    period_ns: int
    shown: int  # numeric points of the layout
    numeric: Sequence[PointSpec]
    strings: Sequence[PointSpec]
    layout: Layout | None = None
    blocks: list[Block] = field(default_factory=list)
    silent: bool = False  # the last cycle read nothing, and that was said
    refused: set[int] = field(default_factory=set)  # numbers of points that the device does not have
    told: dict[str, tuple[str, int]] = field(default_factory=dict)  # text points: what was said last, and when
    _limits: dict[int, Limits] = field(default_factory=dict)  # by point, where narrower than the device's

    def __post_init__(self) -> None:
        self.specs = (*self.numeric, *self.strings)
        self.registers = tuple(register_of(spec) for spec in self.specs)
        manners = self.device.profile.modbus
        if manners is None:
            raise ValueError(f"device {self.device.name}: profile {self.device.profile.id} has no [modbus]")
        self.limits = Limits.of(manners)
        self.given = self.specs  # as the profile says them, by SunSpec model or by address
        self.by_model = any(register.model for register in self.registers)
        if self.by_model:
            self.place(())
        else:
            self.plan()

    def place(self, models: Sequence[Model]) -> None:
        """Put points given by SunSpec model where the device has them; those that it does not have are refused."""
        found = [placed(spec, models) for spec in self.given]
        self.refused = {number for number, spec in enumerate(found) if spec is None}
        self.specs = tuple(spec or given for spec, given in zip(found, self.given, strict=True))
        self.registers = tuple(register_of(spec) for spec in self.specs)
        self._limits.clear()
        self.plan()

    def plan(self) -> None:
        """Coalesce all points that the device has, and build the decoder for the blocks that come of it."""
        groups: dict[Limits, list[int]] = {}
        for number in range(len(self.specs)):
            if number not in self.refused:
                groups.setdefault(self._limits.get(number, self.limits), []).append(number)
        self.blocks = []
        for limits, numbers in groups.items():
            self.blocks += coalesce(self.unit.number, [(n, self.registers[n]) for n in numbers], limits)
        numeric = len(self.numeric)
        seen = [replace(one, points=tuple(n for n in one.points if n < numeric)) for one in self.blocks]
        self.decoder = Decoder(self.specs[:numeric], self.shown, seen)

    def narrow(self, block: Block, refused: set[int]) -> None:
        """The device refused `block`; of its points, read one by one, it refused these. Remembered from now on.

        Where it refused none, the gaps were the cause, else the length: read without gaps, then in halves.
        """
        self.refused |= refused
        before = self._limits.get(block.points[0], self.limits)
        length = before.bits if block.bits else before.registers
        if not refused and not block.gaps:
            length = max(1, min(length, block.count) // 2)
        bits, registers = (length, before.registers) if block.bits else (before.bits, length)
        after = replace(before, bits=bits, registers=registers, gap=0)
        for number in block.points:
            self._limits[number] = after
        self.plan()
        names = ", ".join(self.specs[n].name for n in sorted(refused)) or "none of its points alone"
        log.warning("%s refuses a read of %d at %d; it refuses %s", self.device.name, block.count, block.address, names)

    def single(self, number: int) -> Block:
        return coalesce(self.unit.number, [(number, self.registers[number])], self.limits)[0]


def jobs_of(device: Device, unit: Unit) -> list[Job]:
    """One job for each period of the device's readable points, in the order of the profile."""
    by_name = {spec.name: spec for spec in device.profile.points}
    numeric: dict[int, list[PointSpec]] = {}
    strings: dict[int, list[PointSpec]] = {}
    for spec in device.profile.points:
        if spec.register is not None and "r" in spec.access:
            kind = strings if spec.register.type == "str" else numeric
            kind.setdefault(device.period_ms or spec.period_ms, []).append(spec)
    for period in [p for p in strings if numeric and p not in numeric]:
        strings.setdefault(max(numeric), []).extend(strings.pop(period))  # no frame has texts only, if it can be helped
    jobs = []
    for period in dict.fromkeys((*numeric, *strings)):
        shown = numeric.get(period, [])
        names = {spec.name for spec in shown}
        needed = dict.fromkeys(scale for spec in shown if (scale := register_of(spec).scale_from) not in names | {""})
        hidden = [by_name[name] for name in needed]
        jobs.append(Job(device, unit, period * MS, len(shown), (*shown, *hidden), strings.get(period, [])))
    return jobs
