"""Writing one point: allowed, in range, changed, within budget; sent, echo checked, read back, judged.

`accepted` is not `actuated`: only what reads back equal is APPLIED. See `edge_agent.sources.Outcome`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from edge_agent.profile import PointSpec
from edge_agent.sources import Outcome, Written
from edge_agent.sources.modbus.budget import Budgets
from edge_agent.sources.modbus.faults import Guarded, ModbusError, NoAnswer, Refused
from edge_agent.sources.modbus.framing import Request, write
from edge_agent.sources.modbus.job import Unit
from edge_agent.sources.modbus.link import Link
from edge_agent.sources.modbus.values import encode, shift, size, wire_order
from edge_agent.sources.modbus.way import Way
from protos.clock import NS, Clock
from protos.units import coefficients

SETTLE_NS = NS // 5  # a device that does not show a value at once is read a second time after this
GUARD_WAIT_NS = 5 * NS  # a write can wait longer than a poll for answers that may still come


def refusal(spec: PointSpec, value: float) -> str:
    """Why this value may not be written to this point; empty when it may."""
    register = spec.register
    if register is None or "w" not in spec.access or not register.write_function:
        return f"{spec.name} is not writable: its profile gives it no access w with a write_function"
    if register.function not in (1, 3):
        return f"{spec.name} is an input of the device (function {register.function})"
    if not math.isfinite(value):
        return f"{value} is no value"
    words = size(register)
    if (register.type == "bit") != (register.write_function in (5, 15)) or (register.write_function == 6 and words > 1):
        return f"{spec.name}: function {register.write_function} does not write {register.type}"
    limits = spec.checks.get("range", {})
    one = coefficients(spec.unit, spec.quantity) if spec.unit else None
    given = (value - one.offset) / one.scale if one else value
    least, most = limits.get("min", -math.inf), limits.get("max", math.inf)
    slack = 1e-9 * max(1.0, abs(given))  # of the conversion
    if not least - slack <= given <= most + slack:
        return f"{given:g} {spec.unit} is outside {least:g} to {most:g}"
    return ""


@dataclass(eq=False)
class Writer:
    """Writes to the units of one line, in turn with its polls."""

    link: Link
    clock: Clock
    budgets: Budgets = field(default_factory=Budgets)
    writes: int = 0
    _last: dict[tuple[int, int, int], tuple[list[int], Written]] = field(default_factory=dict)
    _ways: dict[tuple[int, str], Way] = field(default_factory=dict)

    async def write(self, unit: Unit, specs: Sequence[PointSpec], value: float, again: bool = False) -> Written:
        """`specs` are the point and, if it has one, the point that scales it. `again`: rewrite a lease, as it is.

        Never raises for what the device does.
        """
        spec = specs[0]
        if why := refusal(spec, value):
            return Written(Outcome.REJECTED, math.nan, why)
        try:
            way = self._way(unit, specs)
            words = await self._words(unit, way, value)
        except ValueError as error:
            return Written(Outcome.REJECTED, math.nan, str(error))
        except ModbusError as error:
            return Written(Outcome.UNKNOWN, math.nan, f"not written: {error}")
        key = unit.number, way.register.function, way.register.address
        if not again and (known := await self._already(unit, way, words, key)) is not None:
            return known
        if not again and not self.budgets.spend(key, self.clock.monotonic_ns()):
            return Written(Outcome.REJECTED, math.nan, f"{spec.name}: its write budget is used up")
        outcome = await self._send(unit, way, words)
        self._last[key] = words, outcome
        return outcome

    def _way(self, unit: Unit, specs: Sequence[PointSpec]) -> Way:
        """The same as before for the same points; those of a SunSpec model are others after each walk."""
        way = self._ways.get((unit.number, specs[0].name))
        if (
            way is None
            or len(way.specs) != len(specs)
            or any(a is not b for a, b in zip(way.specs, specs, strict=True))
        ):
            way = self._ways[unit.number, specs[0].name] = Way.of(unit.number, specs)
        return way

    async def _words(self, unit: Unit, way: Way, value: float) -> list[int]:
        """Registers that hold `value`, an internal unit. Raises ValueError, ModbusError."""
        register = way.register
        raw = (value - way.linear.offset) / way.linear.scale
        if register.scale_from:
            exponent = await self._value(unit, self._way(unit, way.specs[1:]))
            if not abs(exponent) <= 10:
                raise ValueError(f"{register.scale_from} holds no usable scale factor")
            raw /= 10.0**exponent
        words = encode(register, raw)
        if not register.mask:
            return words
        held = await self._ask(unit, way.request)
        order = wire_order(2 * len(words), register.order)
        mask = register.mask.to_bytes(2 * len(words))
        field_bits = (round(raw) << shift(register.mask)).to_bytes(2 * len(words))
        merged = bytes(old & ~mask[k] & 0xFF | field_bits[k] & mask[k] for old, k in zip(held, order, strict=True))
        return [int.from_bytes(merged[k : k + 2]) for k in range(0, len(merged), 2)]

    async def _already(self, unit: Unit, way: Way, words: list[int], key: tuple[int, int, int]) -> Written | None:
        """What to say when the device holds these words already, so that nothing is worn out by writing again."""
        if "r" not in way.specs[0].access:
            before, outcome = self._last.get(key, ([], None))
            return outcome if before == words else None
        try:
            held = await self._ask(unit, way.request)
            if held != way.data(words):
                return None
            return Written(Outcome.APPLIED, await self._value(unit, way, held), "held already")
        except ModbusError:
            return None

    async def _send(self, unit: Unit, way: Way, words: list[int]) -> Written:
        """Write, check the echo (the link does), read back."""
        register = way.register
        request = write(unit.number, register.write_function, register.address, words)
        silent = ""
        try:
            await self._ask(unit, request)
            self.writes += 1
        except Refused as error:
            return Written(Outcome.REJECTED, math.nan, str(error))
        except NoAnswer as error:
            silent = str(error)  # it may have been done all the same: reading back tells
        if "r" not in way.specs[0].access:
            return Written(Outcome.UNKNOWN if silent else Outcome.ACCEPTED, math.nan, silent)
        try:
            held = await self._ask(unit, way.request)
            if held != way.data(words):
                await self.clock.sleep_until(self.clock.monotonic_ns() + SETTLE_NS)
                held = await self._ask(unit, way.request)
            value = await self._value(unit, way, held)
        except ModbusError as error:
            return Written(Outcome.UNKNOWN, math.nan, f"no read-back: {error}")
        if held == way.data(words):
            return Written(Outcome.APPLIED, value)
        if silent:
            return Written(Outcome.UNKNOWN, value, silent)
        return Written(Outcome.CLAMPED, value, "the device holds another value")

    async def _ask(self, unit: Unit, request: Request) -> bytes:
        try:
            return await self.link.ask(request, unit.timeout_ns, unit.pause_ns)
        except Guarded as guard:
            if guard.until_ns - self.clock.monotonic_ns() > GUARD_WAIT_NS:
                raise
            await self.clock.sleep_until(guard.until_ns)
            return await self.link.ask(request, unit.timeout_ns, unit.pause_ns)

    async def _value(self, unit: Unit, way: Way, held: bytes = b"") -> float:
        """The point as the device holds it, in its internal unit; `held` is what was read of its register just now."""
        if way.scaled or not held:
            held = b"".join([await self._ask(unit, block.request) for block in way.blocks])
        values, _ = way.decoder.decode(held)
        return float(values[0])
