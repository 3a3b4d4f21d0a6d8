"""As many numbers as a chart has pixels: of each stretch of time the first, last, lowest, highest and mean reading.

Drawing low, high, first and last of every pixel column gives the same line as drawing all readings (M4, Jugel et al.,
VLDB 2014). Readings that are BAD or no number are counted but do not take part.
"""

from dataclasses import dataclass

import numpy as np

from aggregator.stores.history import HOUR_NS, Floats, Ints, Readings, Rollups
from protos.quality import Quality


@dataclass(frozen=True, slots=True)
class Buckets:
    """B stretches that have readings, ascending; each begins at `begin_ns` (UTC) and is `width_ns` long."""

    width_ns: int
    begin_ns: Ints
    readings: Ints
    usable: Ints
    first: Floats
    last: Floats
    low: Floats
    high: Floats
    mean: Floats

    def __len__(self) -> int:
        return len(self.begin_ns)


def width_for(first_ns: int, until_ns: int, pixels: int) -> int:
    """The least width that needs no more than `pixels` buckets; whole hours from one hour on."""
    width = max(1, -(-(until_ns - first_ns) // max(1, pixels)))
    return width if width < HOUR_NS else -(-width // HOUR_NS) * HOUR_NS


def reduce(readings: Readings, origin_ns: int, width_ns: int) -> Buckets:
    """Of readings in the order of time; buckets are counted from `origin_ns`."""
    bucket = (readings.source_ns - origin_ns) // width_ns
    usable = np.isfinite(readings.values) & (readings.codes < Quality.BAD << 6)
    return gather(
        width_ns,
        origin_ns,
        bucket,
        np.ones(len(bucket), np.int64),
        usable.astype(np.int64),
        (readings.values,) * 5,
    )


def from_rollups(rollups: Rollups, origin_ns: int, width_ns: int) -> Buckets:
    """Of whole hours; the first value of a bucket is then the last of its first hour."""
    bucket = (rollups.hour * HOUR_NS - origin_ns) // width_ns
    columns = (rollups.last, rollups.last, rollups.low, rollups.high, rollups.mean)
    return gather(width_ns, origin_ns, bucket, rollups.readings, rollups.usable, columns)


def gather(
    width_ns: int, origin_ns: int, bucket: Ints, readings: Ints, usable: Ints, columns: tuple[Floats, ...]
) -> Buckets:
    """`columns`: first, last, low, high, mean of each row; `bucket` ascending; `usable` weighs the means."""
    if not len(bucket):
        none, nothing = np.empty(0, np.int64), np.empty(0)
        return Buckets(width_ns, none, none, none, nothing, nothing, nothing, nothing, nothing)
    starts = np.flatnonzero(np.concatenate([[True], bucket[1:] != bucket[:-1]]))
    begin = origin_ns + bucket[starts] * width_ns
    totals = np.add.reduceat(readings, starts)
    weights = np.add.reduceat(usable, starts)
    some = usable > 0
    first, last, low, high, mean = columns
    row = np.arange(len(bucket))
    earliest = np.minimum.reduceat(np.where(some, row, len(row) - 1), starts)
    latest = np.maximum.reduceat(np.where(some, row, 0), starts)
    lowest = np.minimum.reduceat(np.where(some, low, np.inf), starts)
    highest = np.maximum.reduceat(np.where(some, high, -np.inf), starts)
    with np.errstate(over="ignore", invalid="ignore"):
        means = np.add.reduceat(np.where(some, mean, 0.0) * usable, starts) / np.maximum(weights, 1)
    kept = weights > 0
    numbers = (first[earliest], last[latest], lowest, highest, means)
    return Buckets(width_ns, begin, totals, weights, *(np.where(kept, one, np.nan) for one in numbers))


def joined(parts: list[Buckets], width_ns: int) -> Buckets:
    """Buckets one after the other, of the same width."""

    def ints(name: str) -> Ints:
        return np.concatenate([np.empty(0, np.int64), *(getattr(one, name) for one in parts)])

    def floats(name: str) -> Floats:
        return np.concatenate([np.empty(0), *(getattr(one, name) for one in parts)])

    numbers = (floats(name) for name in ("first", "last", "low", "high", "mean"))
    return Buckets(width_ns, ints("begin_ns"), ints("readings"), ints("usable"), *numbers)
