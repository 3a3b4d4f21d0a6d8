"""Where in the payload of a job each raw value is: byte indices worked out once, one numpy gather per type.

Payloads are the rows of an array (T, bytes), raw values those of an array (T, P).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_agent.profile import Register
from edge_agent.sources.modbus.plan import Block
from edge_agent.sources.modbus.values import shift, size, wire_order

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint32]
Indices = npt.NDArray[np.intp]

DTYPES = {"u16": "<u2", "i16": "<i2", "u32": "<u4", "i32": "<i4", "u64": "<u8", "i64": "<i8", "f32": "<f4"}
DTYPES |= {"f64": "<f8", "bits16": "<u2", "bits32": "<u4", "bcd16": "<u2", "bcd32": "<u4"}
DIGITS = np.arange(0, 32, 4, dtype=np.uint32)  # shifts of eight packed decimal digits
WEIGHTS = 10.0 ** np.arange(8)
NO_BITS = np.zeros(0, np.uint8)
NO_WORDS = np.zeros(0, np.uint32)


@dataclass(frozen=True, eq=False, slots=True)
class Gather:
    """All points of one type: which bytes of the payload make them, and at which places they go."""

    dtype: np.dtype[Any] | None  # None for bits
    digits: bool  # packed decimal
    index: Indices  # bytes of all values, least significant first; of a bit, the byte it is in
    to: slice | Indices
    bits: Bytes  # of type bit: the bit's number in its byte
    masks: Words | None  # of bits16 and bits32, when any has a mask; 0 is the whole word
    shifts: Words
    run: slice | None = None  # the bytes of all values where they lie in the payload as big-endian neighbours

    def into(self, raw: Floats, payload: Bytes) -> None:
        if self.dtype is not None and self.dtype.kind == "f":
            with np.errstate(invalid="ignore"):  # a signalling NaN is "no value" like any other, and no fault of ours
                self._take(raw, payload)
        else:
            self._take(raw, payload)

    def _take(self, raw: Floats, payload: Bytes) -> None:
        if self.run is not None and self.dtype is not None:
            raw[:, self.to] = payload[:, self.run].view(self.dtype)
            return
        taken = payload.take(self.index, axis=1)
        if self.dtype is not None:
            words = taken.view(self.dtype)
            raw[:, self.to] = decimal(words) if self.digits else words
        else:
            raw[:, self.to] = taken >> self.bits & 1

    def mask(self, raw: Floats) -> None:
        """Reduce words to their masked bits; after the invalid markers, which mean the whole word, were looked for."""
        if self.masks is not None:
            words = raw[:, self.to].astype(np.uint32)
            raw[:, self.to] = np.where(self.masks == 0, words, (words & self.masks) >> self.shifts)


def decimal(words: npt.NDArray[Any]) -> Floats:
    """Packed decimal digits as numbers; NaN where a digit is none."""
    digits = words.astype(np.uint32)[..., None] >> DIGITS & 0xF
    return np.where((digits > 9).any(-1), np.nan, digits @ WEIGHTS)


def together(places: Sequence[int]) -> slice | Indices:
    """A slice where the places are neighbours, which numpy fills faster."""
    first = places[0]
    if list(places) == list(range(first, first + len(places))):
        return slice(first, first + len(places))
    return np.array(places, np.intp)


def gathers(registers: Sequence[Register], blocks: Sequence[Block]) -> list[Gather]:
    """One gather per type over the joined data of `blocks`, whose points are numbers of `registers`."""
    by_kind: dict[str, list[tuple[int, Register, int]]] = {}  # (number, register, first byte or bit of the payload)
    start = 0
    for block in blocks:
        for number in block.points:
            register = registers[number]
            at = register.address - block.address
            place = 8 * start + at if register.type == "bit" else start + 2 * at
            by_kind.setdefault(register.type, []).append((number, register, place))
        start += block.request.data
    return [gather(kind, sorted(found, key=lambda one: one[0])) for kind, found in by_kind.items() if kind != "str"]


def gather(kind: str, found: Sequence[tuple[int, Register, int]]) -> Gather:
    to = together([number for number, _, _ in found])
    if kind == "bit":
        places = np.array([place for _, _, place in found], np.intp)
        return Gather(None, False, places // 8, to, (places % 8).astype(np.uint8), None, NO_WORDS)
    index: list[int] = []
    for _, register, place in found:
        order = wire_order(2 * size(register), register.order)
        index.extend(place + order.index(k) for k in reversed(range(len(order))))
    masks, shifts = None, NO_WORDS
    if kind.startswith("bits") and any(register.mask for _, register, _ in found):
        masks = np.array([register.mask for _, register, _ in found], np.uint32)
        shifts = np.array([shift(register.mask) for _, register, _ in found], np.uint32)
    dtype = np.dtype(DTYPES[kind])
    digits = kind.startswith("bcd")
    run = None if digits else run_of(index, dtype.itemsize)
    if run is not None:
        dtype = dtype.newbyteorder(">")
    return Gather(dtype, digits, np.array(index, np.intp), to, NO_BITS, masks, shifts, run)


def run_of(index: Sequence[int], size: int) -> slice | None:
    """The one slice that these bytes are, when values of `size` bytes follow each other most significant byte first."""
    first = index[size - 1]
    straight = [first + at - at % size + (size - 1 - at % size) for at in range(len(index))]
    return slice(first, first + len(index)) if list(index) == straight else None
