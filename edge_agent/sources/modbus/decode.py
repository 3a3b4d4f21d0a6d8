"""From the data of all blocks of a job to values in internal units, in bulk.

What is done to each value is worked out once, as index and coefficient arrays; a cycle then costs a handful of numpy
calls whatever the number of points.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from edge_agent.profile import PointSpec, Register
from edge_agent.sources.modbus.gather import Floats, Indices, gathers
from edge_agent.sources.modbus.plan import Block
from edge_agent.sources.modbus.values import size, text
from protos.quality import Quality, Reason, code
from protos.units import Linear, fold

Codes = npt.NDArray[np.uint8]
Check = tuple[Indices, Callable[[Floats], npt.NDArray[np.bool_]], int]  # points, which of them fail, their code

INVALID = code(Quality.BAD, Reason.INVALID)
EXCEPTION = code(Quality.BAD, Reason.EXCEPTION)
UNNAMED = code(Quality.UNCERTAIN, Reason.ENUMERATION)
IMPRECISE = code(Quality.UNCERTAIN, Reason.PRECISION)
EXACT = 2.0**53  # integers beyond are not all held by a float64
EXPONENT_MAX = 10.0  # of a SunSpec scale factor


def linear(spec: PointSpec) -> Linear:
    """Raw to internal unit. A point without a unit is in its quantity's own. Raises UnitError."""
    return fold(spec.scale, spec.offset, spec.unit, spec.quantity) if spec.unit else Linear(spec.scale, spec.offset)


def markers(spec: PointSpec, register: Register) -> list[float]:
    """The invalid markers as they come out of decoding: 0x8000 of an i16 is -32768, a float's has its precision."""
    found: list[float] = []
    for marker in spec.invalid:
        if register.type == "f32":
            marker = float(np.float32(marker))
        elif register.type[0] == "i" and marker >= 2 ** (16 * size(register) - 1):
            marker -= 2 ** (16 * size(register))
        found.append(float(marker))
    return found


def padded(rows: Sequence[Sequence[float]]) -> Floats:
    """Rows of unlike length as one array, filled with NaN, which equals nothing."""
    out = np.full((len(rows), max(map(len, rows))), np.nan)
    for k, row in enumerate(rows):
        out[k, : len(row)] = row
    return out


def among(rows: Floats) -> Callable[[Floats], npt.NDArray[np.bool_]]:
    return lambda raw: (raw[:, None] == rows).any(1)


def not_among(rows: Floats) -> Callable[[Floats], npt.NDArray[np.bool_]]:
    return lambda raw: ~(raw[:, None] == rows).any(1)


def indices(numbers: Sequence[int]) -> Indices:
    return np.array(numbers, np.intp)


class Decoder:
    """For numeric `specs`, of which the first `shown` are given out; the others only scale them.

    `blocks` hold the points by number. Points in no block are refused by the device: BAD EXCEPTION.
    """

    def __init__(self, specs: Sequence[PointSpec], shown: int, blocks: Sequence[Block]) -> None:
        registers = [spec.register or Register(3, 0, "u16") for spec in specs]
        self.count, self.shown = len(specs), shown
        self._blocks = blocks
        coefficients = [linear(spec) for spec in specs]
        self._scale = np.array([one.scale for one in coefficients])
        self._offset = np.array([one.offset for one in coefficients])
        self._scaled = bool((self._scale != 1).any())
        self._moved = bool(self._offset.any())
        self._gathers = gathers(registers, blocks)
        self._masked = [g for g in self._gathers if g.masks is not None]
        self._doubtful = any(r.type in ("f32", "f64", "bcd16", "bcd32") or r.scale_from for r in registers)
        self._before = list(self._checks_before(specs, registers))
        named = [k for k, spec in enumerate(specs) if spec.enumeration]
        self._after: list[Check] = []
        if named:
            rows = padded([[float(value) for value in specs[k].enumeration] for k in named])
            self._after.append((indices(named), not_among(rows), UNNAMED))
        read = {number for block in blocks for number in block.points}
        self._refused = indices([k for k in range(len(specs)) if k not in read])
        names = [spec.name for spec in specs]
        self._dependent = indices([k for k, r in enumerate(registers) if r.scale_from])
        self._exponents = indices([names.index(r.scale_from) for r in registers if r.scale_from])
        self._partial = self._refused.size > 0
        self._linear = not (self._before or self._after or self._masked or self._doubtful)  # integers, only scaled

    def _checks_before(self, specs: Sequence[PointSpec], registers: Sequence[Register]) -> Iterator[Check]:
        """Checks of the raw values: markers for "no value", integers that a float64 cannot hold."""
        marked = [k for k, spec in enumerate(specs) if spec.invalid]
        if marked:
            yield indices(marked), among(padded([markers(specs[k], registers[k]) for k in marked])), INVALID
        wide = [k for k, register in enumerate(registers) if register.type in ("u64", "i64")]
        if wide:
            yield indices(wide), lambda raw: np.abs(raw) > EXACT, IMPRECISE

    def decode(self, payload: bytes, missing: Sequence[tuple[Block, int]] = ()) -> tuple[Floats, Codes | None]:
        """Values float64 (shown,) in internal units, and their codes uint8 (shown,), None when all are GOOD.

        `payload` is the joined data of all blocks; zeros stand for those `missing`, given with their code.
        """
        raw = np.zeros(self.count)
        source = np.frombuffer(payload, np.uint8)
        for gather in self._gathers:
            gather.into(raw, source)
        faults: list[tuple[Indices, int]] = []
        if self._linear:  # nothing can be invalid: half the work of the general way
            self._to_units(raw)
        else:
            with np.errstate(all="ignore"):  # NaN and infinities are data here
                faults = self._work_out(raw)
        if faults or missing or self._partial:
            return self._coded(raw, faults, missing)
        return raw[: self.shown] if self.shown < self.count else raw, None

    def _work_out(self, raw: Floats) -> list[tuple[Indices, int]]:
        """Raw values to internal units, in place; returns the faults found."""
        faults: list[tuple[Indices, int]] = []
        self._note(self._before, raw, faults)
        for gather in self._masked:
            gather.mask(raw)
        self._note(self._after, raw, faults)
        if self._dependent.size:
            self._apply_exponents(raw, faults)
        self._to_units(raw)
        if self._doubtful and not np.isfinite(raw).all():
            faults.append((np.flatnonzero(~np.isfinite(raw)), INVALID))
        return faults

    def _to_units(self, raw: Floats) -> None:
        if self._scaled:
            raw *= self._scale
        if self._moved:
            raw += self._offset

    def _note(self, checks: Sequence[Check], raw: Floats, faults: list[tuple[Indices, int]]) -> None:
        for points, failing, found in checks:
            if (failed := failing(raw[points])).any():
                faults.append((points[failed], found))

    def _apply_exponents(self, raw: Floats, faults: list[tuple[Indices, int]]) -> None:
        """value × 10^exponent; without a usable exponent there is no value."""
        exponents = raw[self._exponents]
        unusable = ~(np.abs(exponents) <= EXPONENT_MAX)
        for points, found in list(faults):
            if found == INVALID:
                unusable |= (self._exponents[:, None] == points).any(axis=1)  # np.isin may load numpy.ma, 7 MiB
        raw[self._dependent] *= 10.0 ** np.where(unusable, np.nan, exponents)

    def _coded(
        self, raw: Floats, faults: Sequence[tuple[Indices, int]], missing: Sequence[tuple[Block, int]]
    ) -> tuple[Floats, Codes]:
        """The worst fault of each value; BAD values are NaN."""
        codes = np.zeros(self.count, np.uint8)
        known = [(self._refused, EXCEPTION), *((indices(block.points), found) for block, found in missing)]
        for points, found in (*faults, *known):
            weaker = codes[points] >> 6 < found >> 6
            codes[points[weaker]] = found
        for points, found in known:
            codes[points] = found
        if self._dependent.size:  # a value whose exponent was not read was not read
            lost = np.zeros(self.count, np.uint8)
            for points, found in known:
                lost[points] = found
            borrowed = lost[self._exponents]
            codes[self._dependent] = np.where(borrowed > 0, borrowed, codes[self._dependent])
        raw[codes >> 6 == Quality.BAD] = np.nan
        return raw[: self.shown], codes[: self.shown]


def texts(specs: Sequence[PointSpec], blocks: Sequence[Block], payload: bytes) -> Iterator[tuple[str, str]]:
    """(point, string) of each text point in the joined data of these blocks."""
    starts = accumulate((block.request.data for block in blocks), initial=0)
    for block, start in zip(blocks, starts, strict=False):
        for number in block.points:
            register = specs[number].register
            if register is not None and register.type == "str":
                at = start + 2 * (register.address - block.address)
                yield specs[number].name, text(payload[at : at + 2 * register.length], register.order)
