"""What the aggregator keeps, as protocols: every implementation passes the battery of its protocol.

`Log` is the one durable way in; a `Projection` reads it and can be rebuilt from it; `History` is where readings stay.
Implementations are found in STORES and loaded on use.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from typing import Any, Protocol

from protos.batch import Key
from protos.span import Span

STORES: dict[str, dict[str, str]] = {  # protocol → implementation → where it is
    "log": {"sqlite": "aggregator.stores.log:SqliteLog"},
    "history": {"segments": "aggregator.stores.history.segments:SegmentHistory"},
}


class StoreError(Exception):
    """A store cannot be opened, or does not do what it was asked to; the message names the file and the remedy."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A batch as it came, checked but not yet durable. UTC = monotonic + clock_offset_ns, within ± clock_error_ns."""

    key: Key
    received_ns: int  # UTC by the aggregator's wall clock
    clock_offset_ns: int
    clock_error_ns: int
    readings: int
    blob: bytes


@dataclass(frozen=True, slots=True)
class Row:
    """A batch in the log. Positions rise by commit, never fall, are never used twice, and may have gaps."""

    position: int
    gateway: str
    epoch: int
    sequence: int
    received_ns: int
    clock_offset_ns: int  # chosen at ingest, so that a replay gives the same times
    clock_error_ns: int
    readings: int
    blob: bytes


class Fate(Enum):
    """Where a batch ended: exactly one of these."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`position` is the batch's place in the log; 0 when it was quarantined, or a duplicate long trimmed away."""

    fate: Fate
    position: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reject:
    """A batch that cannot go into the log, with why. `blob` is kept aside as far as the quarantine has room."""

    gateway: str
    epoch: int
    sequence: int
    received_ns: int
    reason: str
    blob: bytes


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one gateway, for ever. received = stored + duplicate + quarantined holds after every commit."""

    gateway: str
    received: int
    stored: int
    duplicate: int
    quarantined: int
    readings: int  # in stored batches
    bytes: int  # of stored batches
    newest_ns: int  # when the last batch arrived, UTC


class Log(Protocol):
    """The durable log. Everything it answered for survives a crash of the process or the machine."""

    async def append(self, arrivals: Sequence[Arrival]) -> list[Outcome]:
        """Store what is new, for ever once per key; returns, in the same order, after it is durable.

        A key that is on file with other bytes is quarantined, never overwritten and never dropped in silence.
        """
        ...

    async def quarantine(self, rejects: Sequence[Reject]) -> None:
        """Count and keep aside; returns after it is durable. A batch on file with the same bytes, found useless
        later, moves from stored to quarantined."""
        ...

    async def read(self, after: int, max_rows: int, max_bytes: int = 64 << 20) -> list[Row]:
        """Rows with position > after, ascending; at least one where there is one, else as many as fit."""
        ...

    async def newer(self, after: int) -> int:
        """Wait until there is a row with position > after; returns the newest position."""
        ...

    @property
    def newest(self) -> int:
        """The newest durable position; 0 for an empty log. Rises even when rows are trimmed."""
        ...

    @property
    def trimmed(self) -> int:
        """Positions up to this one are no longer in the log."""
        ...

    async def stored(self, gateway: str) -> list[Span]:
        """Every key ever stored of this gateway, ascending."""
        ...

    async def pending(self, gateway: str, checkpoint: int) -> list[Span]:
        """The keys of this gateway with position > checkpoint, ascending."""
        ...

    async def counts(self) -> list[Counts]: ...

    async def first_since(self, received_ns: int, at_most: int) -> int:
        """The lowest position that arrived at or after `received_ns`, or `at_most` if that is lower."""
        ...

    async def trim(self, before: int) -> int:
        """Forget rows with position < before, not their keys; returns how many. Readers must have passed them."""
        ...

    async def close(self) -> None:
        """Finish what was begun; later calls raise StoreError."""
        ...


class Projection(Protocol):
    """Something made from the log that can be made again from it."""

    name: str
    version: int  # a higher one than on disk: rebuild

    @property
    def checkpoint(self) -> int:
        """Log position up to which its own store is durable."""
        ...

    async def run(self) -> None:
        """Follow the log until cancelled."""
        ...


def implementation(protocol: str, name: str) -> Any:
    """The class STORES names. Raises StoreError with the known names."""
    known = STORES.get(protocol, {})
    if name not in known:
        raise StoreError(f"no {protocol} store {name!r}; there are: {', '.join(known) or 'none'}")
    module, _, attribute = known[name].partition(":")
    return getattr(import_module(module), attribute)
