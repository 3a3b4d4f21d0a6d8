"""Vectors of numbers as few bytes, exactly: a frame of reference for integers, decimals or a dictionary for floats.

What comes out is meant for zstd: narrow, with the bytes of equal weight side by side. All integer arithmetic is modulo
2**64, so any value comes back as it was. Every packed vector begins with its own header, and its length is known to
the reader, so vectors are simply written one after the other.
"""

import struct
from enum import IntEnum

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

INTS = struct.Struct("<BBqq")  # kind, width, first value, lowest value or difference
FLOATS = struct.Struct("<BbBI")  # kind, decimals, 1 when a mask of missing values follows, entries of the dictionary
WIDTHS = (0, 1, 2, 4, 8)
UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
DECIMALS_MAX = 4  # what field devices give; finer ones are found by the dictionary or as float32
EXACT = float(2**53)  # integers beyond this are not all floats
DICTIONARY_SHARE = 4  # a dictionary pays when values repeat so often, on average
SAMPLE = 64  # values tried before the whole vector is


class Damaged(ValueError):
    """The bytes are not a packed vector of this length."""


class IntKind(IntEnum):
    VALUES = 0
    DIFFERENCES = 1


class FloatKind(IntEnum):
    RAW = 0  # the 8 bytes of each
    SINGLE = 1  # all are float32
    DIVIDED = 2  # integer / 10**decimals
    MULTIPLIED = 3  # integer * 10**-decimals, which is another float now and then
    DICTIONARY = 4  # few distinct values: their numbers in ascending order
    CONSTANT = 5


def shuffled(array: npt.NDArray[np.generic]) -> bytes:
    """All first bytes, then all second bytes, ..."""
    return np.ascontiguousarray(array).view(np.uint8).reshape(-1, array.itemsize).T.tobytes()


def unshuffled(data: memoryview, count: int, kind: npt.DTypeLike) -> npt.NDArray[np.generic]:
    size = np.dtype(kind).itemsize
    if size == 1:
        return np.frombuffer(data, kind, count)
    lanes = np.frombuffer(data, np.uint8, count * size).reshape(size, count)
    return lanes.T.copy().view(kind).reshape(count)  # of its own, also where a transposed view would do


def width_of(spread: int) -> int:
    return next(width for width in WIDTHS if spread >> (8 * width) == 0)


def pack_ints(values: Ints) -> bytes:
    """`values` int64 (N,), N ≥ 1."""
    low = values.min()
    spread = int(values.max()) - int(low)
    kind, base = IntKind.VALUES, values
    if spread and len(values) > 1:
        steps = np.diff(values)
        least = steps.min()
        step_spread = int(steps.max()) - int(least)
        if step_spread < spread >> 1:
            kind, base, low, spread = IntKind.DIFFERENCES, steps, least, step_spread
    width = width_of(spread)
    head = INTS.pack(kind, width, int(values[0]), int(low))
    if not width:
        return head
    return head + shuffled((base - low).view(np.uint64).astype(UNSIGNED[width]))


def unpack_ints(data: memoryview, count: int) -> tuple[Ints, memoryview]:
    """The vector and what follows it. Raises Damaged."""
    if len(data) < INTS.size:
        raise Damaged("vector cut short")
    kind, width, first, low = INTS.unpack_from(data)
    data = data[INTS.size :]
    stored = count - 1 if kind == IntKind.DIFFERENCES else count
    if kind not in (0, 1) or width not in WIDTHS or len(data) < stored * width or stored < 0:
        raise Damaged("not a vector of integers")
    if kind == IntKind.VALUES:
        values = unshuffled(data, count, UNSIGNED[width]).astype(np.int64) if width else np.full(count, low, np.int64)
        if width:
            values += low
        return values, data[stored * width :]
    steps = np.empty(count, np.int64)
    steps[0] = first
    if width:  # bits are added as they are: all of it is modulo 2**64
        np.add(unshuffled(data, stored, UNSIGNED[width]), low, out=steps[1:], casting="unsafe", dtype=np.int64)
    else:
        steps[1:] = low
    return np.cumsum(steps, out=steps), data[stored * width :]


def scaled(values: Floats, kind: FloatKind, decimals: int) -> Floats | None:
    """The integers that give `values` back exactly, or None."""
    with np.errstate(over="ignore"):
        whole = np.rint(values * 10.0**decimals)
    back = whole / 10.0**decimals if kind == FloatKind.DIVIDED else whole * 10.0**-decimals
    if np.array_equal(back, values) and np.abs(whole).max() < EXACT:
        return whole
    return None


def as_decimals(values: Floats) -> tuple[FloatKind, int, Floats] | None:
    """How `values` (finite) are integers with a decimal point, if they are."""
    probe = values[:: max(1, len(values) // SAMPLE)]
    for decimals in range(DECIMALS_MAX + 1):
        for kind in (FloatKind.DIVIDED, FloatKind.MULTIPLIED):
            if scaled(probe, kind, decimals) is None:
                continue
            whole = scaled(values, kind, decimals)
            if whole is not None:
                return kind, decimals, whole
    return None


def pack_finite(values: Floats) -> tuple[FloatKind, int, int, bytes]:
    """(kind, decimals, entries, bytes) of finite values without a negative zero."""
    if (values == values[0]).all():
        return FloatKind.CONSTANT, 0, 0, values[:1].tobytes()
    found = as_decimals(values)
    if found is not None:
        kind, decimals, whole = found
        return kind, decimals, 0, pack_ints(whole.astype(np.int64))
    probe = values[:: max(1, len(values) // SAMPLE)]
    if len(values) >= SAMPLE and len(np.unique(probe)) * 2 <= len(probe) + 1:
        entries, index = np.unique(values, return_inverse=True)
        if len(entries) * DICTIONARY_SHARE <= len(values):
            packed = shuffled(entries) + pack_ints(index.astype(np.int64))
            return FloatKind.DICTIONARY, 0, len(entries), packed
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    if np.array_equal(single.astype(np.float64), values):
        return FloatKind.SINGLE, 0, 0, shuffled(single)
    return FloatKind.RAW, 0, 0, shuffled(values)


def pack_floats(values: Floats) -> bytes:
    """`values` float64 (N,), N ≥ 1. Every NaN comes back as the one NaN of numpy; all else bit for bit."""
    usable = np.isfinite(values)
    masked = False
    if not usable.all():
        if np.isinf(values).any():
            return FLOATS.pack(FloatKind.RAW, 0, 0, 0) + shuffled(values)
        masked = True
        kept = values[usable]
        values = np.where(usable, values, kept[0] if len(kept) else 0.0)
    if (np.signbit(values) & (values == 0)).any():
        kind, decimals, entries, packed = FloatKind.RAW, 0, 0, shuffled(values)
    else:
        kind, decimals, entries, packed = pack_finite(values)
    mask = np.packbits(~usable).tobytes() if masked else b""
    return FLOATS.pack(kind, decimals, masked, entries) + mask + packed


def unpack_floats(data: memoryview, count: int) -> tuple[Floats, memoryview]:
    """The vector and what follows it. Raises Damaged."""
    if len(data) < FLOATS.size:
        raise Damaged("vector cut short")
    kind, decimals, masked, entries = FLOATS.unpack_from(data)
    data = data[FLOATS.size :]
    missing: npt.NDArray[np.bool_] | None = None
    if masked:
        size = (count + 7) // 8
        if len(data) < size:
            raise Damaged("mask cut short")
        missing = np.unpackbits(np.frombuffer(data[:size], np.uint8), count=count).view(np.bool_)
        data = data[size:]
    values, data = unpack_finite(data, count, kind, decimals, entries)
    if missing is not None:
        values[missing] = np.nan
    return values, data


def unpack_finite(data: memoryview, count: int, kind: int, decimals: int, entries: int) -> tuple[Floats, memoryview]:
    if kind in (FloatKind.DIVIDED, FloatKind.MULTIPLIED):
        whole, data = unpack_ints(data, count)
        values = whole.astype(np.float64)
        if decimals:
            values = values / 10.0**decimals if kind == FloatKind.DIVIDED else values * 10.0**-decimals
        return values, data
    size = {FloatKind.CONSTANT: 8, FloatKind.DICTIONARY: 8 * entries, FloatKind.SINGLE: 4 * count}.get(
        FloatKind(kind) if kind in FloatKind._value2member_map_ else FloatKind.RAW, 8 * count
    )
    if kind not in FloatKind._value2member_map_ or len(data) < size:
        raise Damaged("not a vector of floats")
    if kind == FloatKind.CONSTANT:
        return np.full(count, np.frombuffer(data[:8], np.float64)[0]), data[8:]
    if kind == FloatKind.SINGLE:
        with np.errstate(invalid="ignore"):  # damage may look like a signalling NaN
            return unshuffled(data, count, np.float32).astype(np.float64), data[size:]
    if kind == FloatKind.RAW:
        return unshuffled(data, count, np.float64).astype(np.float64, copy=False), data[size:]
    table = unshuffled(data, entries, np.float64)
    index, data = unpack_ints(data[size:], count)
    if not entries or index.min() < 0 or index.max() >= entries:
        raise Damaged("a value outside the dictionary")
    return table[index].astype(np.float64, copy=False), data


def pack_codes(codes: Bytes) -> bytes:
    """`codes` uint8, any shape, at least one: two bytes when all are alike."""
    flat = codes.reshape(-1)
    if (flat == flat[0]).all():
        return bytes((0, int(flat[0])))
    return b"\x01" + flat.tobytes()


def unpack_codes(data: memoryview, count: int) -> tuple[Bytes, memoryview]:
    """The vector and what follows it. Raises Damaged."""
    if len(data) >= 2 and data[0] == 0:
        return np.full(count, data[1], np.uint8), data[2:]
    if len(data) < 1 + count or data[0] != 1:
        raise Damaged("not a vector of codes")
    return np.frombuffer(data[1 : 1 + count], np.uint8).copy(), data[1 + count :]
