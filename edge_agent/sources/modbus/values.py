"""Values as registers: the types, the order of their bytes, and how a value to be written becomes registers."""

import math
import struct

from edge_agent.profile import WORDS, Register

PACKED = {"u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q", "f32": "f", "f64": "d"}
INTEGERS = {"bits16": "u16", "bits32": "u32", "bcd16": "u16", "bcd32": "u32"}  # types that travel as another


def size(register: Register) -> int:
    """Registers, or 1 for a bit."""
    return register.length if register.type == "str" else WORDS.get(register.type, 1)


def wire_order(count: int, order: str) -> list[int]:
    """Which byte of the big-endian value each of `count` bytes on the wire is. Raises ValueError."""
    if order not in ("ABCD", "CDAB", "BADC", "DCBA"):
        raise ValueError(f"order {order!r}; one of ABCD, CDAB, BADC, DCBA")
    words = [[k, k + 1] for k in range(0, count, 2)]
    if order in ("CDAB", "DCBA"):
        words.reverse()
    return [byte for word in words for byte in (word[::-1] if order in ("BADC", "DCBA") else word)]


def shift(mask: int) -> int:
    """Place of the lowest bit of a mask."""
    return (mask & -mask).bit_length() - 1 if mask else 0


def limits(kind: str) -> tuple[float, float]:
    """Smallest and largest raw value of a type."""
    if kind in ("f32", "f64"):
        most = 3.4028234663852886e38 if kind == "f32" else 1.7976931348623157e308
        return -most, most
    if kind == "bit":
        return 0, 1
    if kind.startswith("bcd"):
        return 0, 9999 if kind == "bcd16" else 99_999_999
    bits = int(kind.lstrip("uibts"))
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if kind[0] == "i" else (0, 2**bits - 1)


def encode(register: Register, raw: float) -> list[int]:
    """Registers (or one bit) that hold `raw`. Raises ValueError when the type cannot hold it."""
    kind = register.type
    if kind == "str" or not math.isfinite(raw):
        raise ValueError(f"{raw} cannot be written as {kind}")
    low, high = (0, register.mask >> shift(register.mask)) if register.mask else limits(kind)
    number = raw if kind in ("f32", "f64") else round(raw)
    if not low <= number <= high:
        raise ValueError(f"{number:g} does not fit {kind}: {low:g} to {high:g}")
    if kind == "bit":
        return [int(number)]
    if kind.startswith("bcd"):
        number = int(str(int(number)), 16)
    packed = struct.pack(">" + PACKED[INTEGERS.get(kind, kind)], number)
    sent = bytes(packed[k] for k in wire_order(len(packed), register.order))
    return list(struct.unpack(f">{len(sent) // 2}H", sent))


def text(data: bytes, order: str = "ABCD") -> str:
    """A string of registers: cut at the first NUL, spaces stripped, what is not ASCII replaced."""
    if order in ("BADC", "DCBA"):
        data = bytes(data[k ^ 1] for k in range(len(data)))
    return data.split(b"\0")[0].decode("ascii", "replace").strip()
