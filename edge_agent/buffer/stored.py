"""What the buffer gives out: batches as they lie on disk, and how many still wait."""

from dataclasses import dataclass

from protos.batch import Priority
from protos.span import Span

SEQUENCE_BITS = 40  # 10^12 batches of one epoch: 35,000 years at one a second
SEQUENCE_MAX = (1 << SEQUENCE_BITS) - 1
EPOCH_MAX = (1 << 22) - 1  # both fit into SQLite's row number; an epoch is used up by a crash, never by time
NUMBER_MAX = (1 << 62) - 1
Refused = tuple[Span, str]  # batches that the aggregator keeps aside, and why


def number_of(epoch: int, sequence: int) -> int:
    """The row number of a batch: ascending in (epoch, sequence)."""
    return epoch << SEQUENCE_BITS | sequence


def key_of(number: int) -> tuple[int, int]:
    return number >> SEQUENCE_BITS, number & SEQUENCE_MAX


def numbers_of(span: Span) -> tuple[int, int]:
    """First and last row number of a span, clipped to what a row number can be."""
    return number_of(span.epoch, max(0, span.first)), number_of(span.epoch, min(span.last, SEQUENCE_MAX))


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of a kept batch without reading its blob."""

    number: int
    priority: int
    readings: int
    utc_ns: int  # when it was written; 0 where the time was not known
    size: int  # of the blob


@dataclass(frozen=True, slots=True)
class Stored:
    """One kept batch; `blob` has passed its checksum and says the same key."""

    epoch: int
    sequence: int
    priority: Priority
    blob: bytes


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for the aggregator's log."""

    batches: int = 0
    bytes: int = 0
    readings: int = 0
