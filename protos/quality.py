"""The quality of a sample: GOOD, UNCERTAIN or BAD, and the reason, in one byte.

`code = quality << 6 | reason`, so 0 is GOOD without a reason and a larger quality is a worse one.
After OPC UA Part 8 (status codes) and NAMUR NE 107; the reasons are our own.
"""

from enum import IntEnum

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint8]


class Quality(IntEnum):
    GOOD = 0
    UNCERTAIN = 1
    BAD = 2


class Reason(IntEnum):
    """Why a sample is not GOOD. Numbers are on disk for ever: append, never renumber."""

    NONE = 0
    RANGE = 1  # outside the physical range
    RATE = 2  # changed faster than the quantity can
    STUCK = 3  # unchanged for too long
    SPIKE = 4  # far from its neighbours in time
    TIMING = 5  # source time jumped, or too far from receive time
    DUPLICATE = 6  # same source time and value as before
    STALE = 7  # no news within the topic's or block's deadline
    CLOCK = 8  # the gateway's time error bound was above 1 s
    INVALID = 9  # the device's own marker for "no value"
    NO_ANSWER = 10  # timeout, refused or broken connection
    EXCEPTION = 11  # the device answered with a Modbus exception
    PAYLOAD = 12  # the field was missing or could not be read
    PRECISION = 13  # a 64-bit integer beyond 2**53
    ENUMERATION = 14  # a value that the profile does not name
    SIMULATED = 15  # from a simulator or in test mode
    HISTORICAL = 16  # the device sent it from its own store
    DEAD = 17  # the device announced its death (last will, Sparkplug death)
    ESTIMATED = 18  # from a twin, not measured


def code(quality: Quality, reason: Reason = Reason.NONE) -> int:
    return quality << 6 | reason


def quality(codes: Codes) -> Codes:
    return codes >> np.uint8(6)


def reason(codes: Codes) -> Codes:
    return codes & np.uint8(0x3F)


def worse(a: Codes, b: Codes) -> Codes:
    """Elementwise the one of worse quality; `a` where they are equal (the first reason found stays)."""
    return np.where(quality(b) > quality(a), b, a)


def text(one: int) -> str:
    """`GOOD`, `BAD NO_ANSWER`, ... for people and exports; unknown reasons keep their number."""
    number = one & 0x3F
    why = Reason(number).name if number in Reason._value2member_map_ else str(number)
    return Quality(one >> 6).name + (f" {why}" if number else "")
