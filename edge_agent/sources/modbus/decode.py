"""From the data of all blocks of a job to values in internal units, in bulk.

What is done to each value is worked out once, as index and coefficient arrays; some cycles then cost a handful of
numpy calls whatever their number and that of the points. Arrays are (T, P): a row for each answer.
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
Mask = npt.NDArray[np.bool_]
Check = tuple[Indices, Callable[[Floats], Mask], int]  # points, which of their values fail, their code
Fault = tuple[Indices | slice, Mask, int]  # points, which of their values failed, their code

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


def among(rows: Floats) -> Callable[[Floats], Mask]:
    return lambda raw: (raw[..., None] == rows).any(-1)


def not_among(rows: Floats) -> Callable[[Floats], Mask]:
    return lambda raw: ~(raw[..., None] == rows).any(-1)


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
        values, codes = self.decode_all((payload,), missing)
        return values[0], None if codes is None else codes[0]

    def decode_all(
        self, payloads: Sequence[bytes], missing: Sequence[tuple[Block, int]] = ()
    ) -> tuple[Floats, Codes | None]:
        """As `decode`, of T payloads at once: values (T, shown), and codes (T, shown) or None when all are GOOD."""
        rows = len(payloads)
        raw = np.zeros((rows, self.count))
        source = np.frombuffer(b"".join(payloads), np.uint8).reshape(rows, -1)
        for gather in self._gathers:
            gather.into(raw, source)
        faults: list[Fault] = []
        if self._linear:  # nothing can be invalid: half the work of the general way
            self._to_units(raw)
        else:
            with np.errstate(all="ignore"):  # NaN and infinities are data here
                faults = self._work_out(raw)
        if faults or missing or self._partial:
            return self._coded(raw, faults, missing)
        return raw[:, : self.shown], None

    def _work_out(self, raw: Floats) -> list[Fault]:
        """Raw values to internal units, in place; returns the faults found."""
        faults: list[Fault] = []
        self._note(self._before, raw, faults)
        for gather in self._masked:
            gather.mask(raw)
        self._note(self._after, raw, faults)
        if self._dependent.size:
            self._apply_exponents(raw, faults)
        self._to_units(raw)
        if self._doubtful and not np.isfinite(raw).all():
            faults.append((slice(None), ~np.isfinite(raw), INVALID))
        return faults

    def _to_units(self, raw: Floats) -> None:
        if self._scaled:
            raw *= self._scale
        if self._moved:
            raw += self._offset

    def _note(self, checks: Sequence[Check], raw: Floats, faults: list[Fault]) -> None:
        for points, failing, found in checks:
            if (failed := failing(raw[:, points])).any():
                faults.append((points, failed, found))

    def _apply_exponents(self, raw: Floats, faults: Sequence[Fault]) -> None:
        """value × 10^exponent; without a usable exponent there is no value."""
        exponents = raw[:, self._exponents]
        invalid = np.zeros(raw.shape, np.bool_)
        for points, failed, found in faults:
            if found == INVALID:
                invalid[:, points] |= failed
        unusable = invalid[:, self._exponents] | ~(np.abs(exponents) <= EXPONENT_MAX)
        raw[:, self._dependent] *= 10.0 ** np.where(unusable, np.nan, exponents)

    def _coded(
        self, raw: Floats, faults: Sequence[Fault], missing: Sequence[tuple[Block, int]]
    ) -> tuple[Floats, Codes]:
        """The worst fault of each value; BAD values are NaN."""
        codes = np.zeros(raw.shape, np.uint8)
        for points, failed, found in faults:
            now = codes[:, points]
            codes[:, points] = np.where(failed & (now >> 6 < found >> 6), np.uint8(found), now)
        lost = np.zeros(self.count, np.uint8)  # what was not read, in all rows alike
        lost[self._refused] = EXCEPTION
        for block, found in missing:
            lost[indices(block.points)] = found
        if self._dependent.size:  # a value whose exponent was not read was not read
            borrowed = lost[self._exponents]
            lost[self._dependent] = np.where(borrowed > 0, borrowed, lost[self._dependent])
        codes = np.where(lost > 0, lost, codes)
        raw[codes >> 6 == Quality.BAD] = np.nan
        return raw[:, : self.shown], codes[:, : self.shown]


def texts(specs: Sequence[PointSpec], blocks: Sequence[Block], payload: bytes) -> Iterator[tuple[str, str]]:
    """(point, string) of each text point in the joined data of these blocks."""
    starts = accumulate((block.request.data for block in blocks), initial=0)
    for block, start in zip(blocks, starts, strict=False):
        for number in block.points:
            register = specs[number].register
            if register is not None and register.type == "str":
                at = start + 2 * (register.address - block.address)
                yield specs[number].name, text(payload[at : at + 2 * register.length], register.order)
