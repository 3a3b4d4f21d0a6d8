"""What the kernel knows of its own clock: adjtimex(2), read only, needs no rights (struct timex, 64-bit Linux)."""

import ctypes
import struct
import sys
from dataclasses import dataclass
from functools import cache

# modes, offset, freq, maxerror, esterror, status, constant, precision, tolerance, time (two words)
TIMEX = struct.Struct("@I4xqqqqi4xqqqqq")
TIMEX_BYTES = 256  # 208 in use
STA_UNSYNC = 0x0040
STA_NANO = 0x2000  # the second word of the time is in ns, not µs
TIME_ERROR = 5  # return value: not synchronised
WORST_US = 1_000_000  # a kernel that admits more than a second does not help
NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Reading:
    """The kernel vouches for its clock: it is `utc_ns`, within `error_ns`."""

    utc_ns: int
    error_ns: int


def decode(answer: int, raw: bytes) -> Reading | None:
    """What adjtimex returned and wrote; None unless it vouches for its clock."""
    _, _, _, max_error_us, _, status, _, _, _, seconds, part = TIMEX.unpack_from(raw)
    if answer < 0 or answer == TIME_ERROR or status & STA_UNSYNC or not 0 <= max_error_us < WORST_US:
        return None
    return Reading(seconds * NS + (part if status & STA_NANO else part * 1000), max_error_us * 1000)


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
