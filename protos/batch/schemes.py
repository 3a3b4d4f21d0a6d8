"""How floats become whole numbers, exactly: what a field device sends is nearly always an integer with a decimal point.

A scheme is one column's way from whole numbers back to floats, `back`, in plain IEEE operations, so that every
machine gets the same bits. Which one a column takes is tried, never assumed: a column that does not come back bit
for bit under any of them is kept as its 64 bits.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

RAW = 0  # the 64 bits of the float
SINGLE = 1  # the 32 bits of the float32 that it is
EXACT = float(2**53)  # integers beyond it are not all floats


class Decimal(NamedTuple):
    """value = whole * factor / divisor; then, if `outer`, as the nearest float32, times `outer`."""

    factor: float
    divisor: float
    outer: float = 0.0


# Scheme number - 2 is the place here, on disk for ever: append, never reorder. The first that fits is taken.
DECIMALS = (
    Decimal(1, 1),
    *(
        Decimal(*one)
        for tenth, ten in ((0.1, 10), (0.01, 100), (0.001, 1000), (0.0001, 10_000))
        for one in (
            (tenth, 1),  # register * 0.1, another float than register / 10 now and then
            (1, ten),
            (1, ten, 1.0),  # float32 of few decimals
            (1, ten, 1000.0),  # the same in kW or kWh, turned into W or Wh
        )
    ),
    Decimal(0.00001, 1),
    Decimal(1, 100_000),
    Decimal(0.000001, 1),
    Decimal(1, 1_000_000),
)
FIRST = 2  # number of the first of DECIMALS
COUNT = FIRST + len(DECIMALS)


def _column(of: str) -> Floats:
    """`of` every scheme by its number; RAW and SINGLE are filled in as one."""
    return np.array([1.0] * FIRST + [getattr(one, of) for one in DECIMALS], np.float64)


FACTOR, DIVISOR, OUTER = _column("factor"), _column("divisor"), _column("outer")
OUTER[:FIRST] = 0.0
TOWARDS = DIVISOR / FACTOR / np.where(OUTER > 0, OUTER, 1.0)  # value * TOWARDS is nearly whole


def back(whole: Floats, factor: Floats, divisor: Floats, outer: Floats | None) -> Floats:
    """The values of whole numbers, elementwise; `outer` is 0 where no float32 is in between, None if nowhere."""
    values = whole * factor
    values /= divisor
    if outer is None:
        return values
    return np.where(outer > 0, values.astype(np.float32).astype(np.float64) * outer, values)


def fit(values: Floats, factor: Floats, divisor: Floats, towards: Floats, outer: Floats | None) -> tuple[Floats, Mask]:
    """Whole numbers, and which of them come back as the same 64 bits. All (N,), or one element for all."""
    with np.errstate(all="ignore"):
        whole = np.rint(values * towards)
        whole += 0.0  # -0.0 becomes 0.0, as it will when it is an integer
        same = back(whole, factor, divisor, outer).view(np.int64) == values.view(np.int64)
        same &= np.abs(whole) < EXACT
    return whole, same


def is_single(values: Floats) -> Mask:
    with np.errstate(all="ignore"):
        same: Mask = values.astype(np.float32).astype(np.float64).view(np.int64) == values.view(np.int64)
    return same


def choose(values: Floats, starts: Ints) -> Bytes:
    """The scheme (C,) of each column; column c is values[starts[c]:starts[c + 1]], none empty."""
    chosen = np.full(len(starts), RAW, np.uint8)
    chosen[np.logical_and.reduceat(is_single(values), starts)] = SINGLE
    undecided = np.ones(len(starts), np.bool_)
    for number in range(FIRST, COUNT):
        one = slice(number, number + 1)
        _, same = fit(values, FACTOR[one], DIVISOR[one], TOWARDS[one], OUTER[one] if OUTER[number] else None)
        fits = np.logical_and.reduceat(same, starts)
        chosen[fits & undecided] = number
        undecided &= ~fits
        if not undecided.any():
            break
    return chosen
