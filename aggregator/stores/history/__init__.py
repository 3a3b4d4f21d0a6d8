"""History: every reading that ever came, by point and time, as segments of compressed columns.

A day of UTC is one SQLite file. What was just taken in lies there as *parts*: all rows of one layout (the points of a
device that are read together) in one hour, one blob. When the hour is over, its parts become *segments*: one blob per
point with values and codes, and beside them one *axis* per layout with the times that its points share. Late readings
come as further parts and segments of their hour. Times that cannot be true go to a file of their own per arrival day.

Errors:
    StoreError
    └── HistoryError    not opened, not written, or another process writes it
        └── DamagedPart  a blob that is not what was written; it is reported and never served
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from aggregator.stores import StoreError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint8]

NS = 1_000_000_000
HOUR_NS = 3600 * NS
DAY_NS = 24 * HOUR_NS


class HistoryError(StoreError):
    """The message names the file and the remedy."""


class DamagedPart(HistoryError):
    """A blob whose checksum, lengths or place are wrong."""


class PointName(NamedTuple):
    gateway: str
    device: str
    name: str

    def __str__(self) -> str:
        return "/".join(self)


class Layout(NamedTuple):
    """The points of one device that are read together."""

    gateway: str
    device: str
    points: tuple[str, ...]


class Origin(NamedTuple):
    """The batch that brought a reading: its place in the log, its key, and when it came (UTC)."""

    position: int
    gateway: str
    epoch: int
    sequence: int
    arrived_ns: int


class Slot(NamedTuple):
    """Where a piece goes: `day` names the file, `hour` counts from 1970 (of arrival when the time is impossible)."""

    day: str
    hour: int


@dataclass(frozen=True, slots=True)
class Piece:
    """T rows of a layout's P points, of one batch and one hour. Times are UTC ns."""

    slot: Slot
    layout: Layout
    position: int
    source_ns: Ints  # (T,)
    receive_ns: Ints  # (T,)
    values: Floats  # (T, P)
    codes: Codes  # (T, P)


@dataclass(frozen=True, slots=True)
class Words:
    """One reading whose value is a string."""

    slot: Slot
    point: PointName
    position: int
    source_ns: int
    receive_ns: int
    code: int
    value: str


@dataclass(frozen=True, slots=True)
class Intake:
    """What some rows of the log bring to history."""

    origins: Sequence[Origin] = ()
    pieces: Sequence[Piece] = ()
    words: Sequence[Words] = ()


@dataclass(frozen=True, slots=True)
class Readings:
    """N readings of one point by source time, then as they came. Times are UTC ns.

    `positions` (places in the log), `epochs`, `sequences` and `arrived_ns` (N,) are there when keys were asked for.
    """

    point: PointName
    source_ns: Ints
    receive_ns: Ints
    values: Floats
    codes: Codes
    positions: Ints | None = None
    epochs: Ints | None = None
    sequences: Ints | None = None
    arrived_ns: Ints | None = None

    def __len__(self) -> int:
        return len(self.source_ns)


@dataclass(frozen=True, slots=True)
class Rollups:
    """One row per hour that has readings, ascending. Only readings that are not BAD count for the numbers."""

    hour: Ints  # since 1970
    readings: Ints  # all, whatever their quality
    usable: Ints
    low: Floats
    high: Floats
    mean: Floats
    last: Floats
    last_ns: Ints


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong with a store, said exactly."""

    file: str
    place: str
    fault: str


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest row of a layout: by epoch and sequence, not by time. Arrays (P,)."""

    layout: Layout
    epoch: int
    sequence: int
    source_ns: int
    receive_ns: int
    values: Floats
    codes: Codes


@dataclass(frozen=True, slots=True)
class Window:
    """first ≤ source time < until, both UTC ns; `as_of_ns`: only what had arrived at the aggregator by then."""

    first_ns: int
    until_ns: int
    as_of_ns: int | None = None
    keys: bool = False  # also epoch, sequence and arrival of each reading


@dataclass(slots=True)
class Account:
    """What one `put` did."""

    readings: int = 0
    parts: int = 0
    skipped: int = 0  # pieces that the day already had
    days: set[str] = field(default_factory=set)


class History(Protocol):
    """Where readings stay. One process writes, any number read, each sees whole transactions."""

    @property
    def checkpoint(self) -> int:
        """All rows of the log up to this position are durable here."""
        ...

    def put(self, intake: Intake, upto: int) -> Account:
        """Make `intake`, the content of the log's rows in (checkpoint, upto], durable: once, however often it comes."""
        ...

    def compact(self, now_ns: int) -> int:
        """Turn the parts of hours that are over into segments; returns how many readings were moved."""
        ...

    def retain(self, now_ns: int) -> list[str]:
        """Unlink the days whose last reading arrived too long ago; returns their names."""
        ...

    def scan(self, point: PointName, window: Window) -> Readings: ...

    def rollups(self, point: PointName, window: Window) -> Rollups: ...

    def latest(self) -> Iterable[Newest]:
        """As of the checkpoint."""
        ...

    def points(self) -> list[PointName]: ...

    def close(self) -> None: ...


def empty(point: PointName, keys: bool = False) -> Readings:
    none = np.empty(0, np.int64)
    more = (none,) * 4 if keys else ()
    return Readings(point, none, none, np.empty(0), np.empty(0, np.uint8), *more)
