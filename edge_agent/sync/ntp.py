"""What the kernel knows of its own clock: adjtimex(2), read only, needs no rights (struct timex, 64-bit Linux)."""

import ctypes
import struct
import sys
from dataclasses import dataclass
from functools import cache

TIMEX = struct.Struct("@Iqqqqi")  # modes offset freq maxerror esterror status; times in µs
TIMEX_BYTES = 256  # 208 in use
STA_UNSYNC = 0x0040
TIME_ERROR = 5  # return value: not synchronised
WORST_US = 1_000_000  # a kernel that admits more than a second does not help


@dataclass(frozen=True, slots=True)
class Reading:
    """The kernel's wall clock is synchronised, within `error_ns`."""

    error_ns: int


def decode(answer: int, raw: bytes) -> Reading | None:
    """What adjtimex returned and wrote; None unless it vouches for its clock."""
    _, _, _, max_error_us, _, status = TIMEX.unpack_from(raw)
    if answer < 0 or answer == TIME_ERROR or status & STA_UNSYNC or not 0 <= max_error_us < WORST_US:
        return None
    return Reading(max_error_us * 1000)


@cache
def library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def read() -> Reading | None:
    """None where the kernel's clock is not synchronised, or cannot be asked."""
    if sys.platform != "linux" or ctypes.sizeof(ctypes.c_long) != 8:
        return None
    raw = ctypes.create_string_buffer(TIMEX_BYTES)
    try:
        answer = library().adjtimex(raw)
    except AttributeError:  # a C library without it
        return None
    return decode(answer, raw.raw)
