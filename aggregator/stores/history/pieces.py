"""From a batch in the log to pieces of history: monotonic time becomes UTC, doubtful clocks become doubtful quality."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain

import numpy as np

from aggregator.stores import Row
from aggregator.stores.history import DAY_NS, HOUR_NS, NS, Codes, Ints, Layout, Origin, Piece, PointName, Slot, Words
from protos.batch import Batch, Block
from protos.quality import Quality, Reason, code, worse

CLOCK_ERROR_NS = NS  # beyond it a time is UNCERTAIN CLOCK
PAST_NS = 5 * 365 * DAY_NS  # no gateway keeps readings longer: an earlier time is wrong, not late
FUTURE_NS = DAY_NS  # more than any clock error that is not a fault
IMPOSSIBLE = ".impossible"  # ends the name of the file that keeps what has no true time

CLOCK = np.array(code(Quality.UNCERTAIN, Reason.CLOCK), np.uint8)
TIMING = np.array(code(Quality.UNCERTAIN, Reason.TIMING), np.uint8)


def origin(row: Row) -> Origin:
    return Origin(row.position, row.gateway, row.epoch, row.sequence, row.received_ns)


def cut(row: Row, batch: Batch) -> Iterator[Piece]:
    """The numbers of `batch`, one piece per block and hour."""
    doubtful = not 0 <= row.clock_error_ns <= CLOCK_ERROR_NS
    offset = np.int64(row.clock_offset_ns)
    earliest, latest = row.received_ns - PAST_NS, row.received_ns + FUTURE_NS
    for block in chain.from_iterable(map(distinct, batch.blocks)):
        if not block.values.size:
            continue
        source, receive = block.source_ns + offset, block.receive_ns + offset
        codes = worse(block.codes, CLOCK) if doubtful else block.codes
        layout = Layout(row.gateway, block.device, block.points)
        low = high = int(source[0])
        if len(source) > 1:
            low, high = int(source.min()), int(source.max())
        if earliest <= low and high < latest and low // HOUR_NS == high // HOUR_NS:
            yield Piece(slot(low), layout, row.position, source, receive, block.values, codes)
        else:
            yield from split(row, block, layout, source, receive, codes)


def distinct(block: Block) -> tuple[Block, ...]:
    """`block`, or one block per column when a faulty sender named a point twice."""
    if len(set(block.points)) == len(block.points):
        return (block,)
    return tuple(
        Block(block.device, (name,), block.receive_ns, block.source_ns, block.values[:, [k]], block.codes[:, [k]])
        for k, name in enumerate(block.points)
    )


def split(row: Row, block: Block, layout: Layout, source: Ints, receive: Ints, codes: Codes) -> Iterator[Piece]:
    """The pieces of a block that spans hours or has impossible times; the rows of each keep their order."""
    possible = (source >= row.received_ns - PAST_NS) & (source < row.received_ns + FUTURE_NS)
    hours = np.where(possible, source // HOUR_NS, -1)
    for hour in np.unique(hours):
        rows = np.flatnonzero(hours == hour)
        place, flagged = slot(int(hour) * HOUR_NS), codes[rows]
        if hour == -1:
            place, flagged = no_slot(row.received_ns), worse(flagged, TIMING)
        yield Piece(place, layout, row.position, source[rows], receive[rows], block.values[rows], flagged)


def words(row: Row, batch: Batch) -> Iterator[Words]:
    """The strings of `batch`."""
    doubtful = not 0 <= row.clock_error_ns <= CLOCK_ERROR_NS
    for text in batch.texts:
        source, receive = text.source_ns + row.clock_offset_ns, text.receive_ns + row.clock_offset_ns
        one = np.array([text.code], np.uint8)
        one = worse(one, CLOCK) if doubtful else one
        place = slot(source)
        if not row.received_ns - PAST_NS <= source < row.received_ns + FUTURE_NS:
            place, one = no_slot(row.received_ns), worse(one, TIMING)
        point = PointName(row.gateway, text.device, text.point)
        yield Words(place, point, row.position, wrap(source), wrap(receive), int(one[0]), text.value)


def wrap(value: int) -> int:
    """As int64 arithmetic gives it: what does not fit is impossible anyway, in numbers and strings alike."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def slot(utc_ns: int) -> Slot:
    return slot_of_hour(wrap(utc_ns) // HOUR_NS)


@lru_cache(4096)
def slot_of_hour(hour: int) -> Slot:
    return Slot(datetime.fromtimestamp(hour * 3600, UTC).date().isoformat(), hour)


def no_slot(arrived_ns: int) -> Slot:
    """For readings whose own time cannot be true: the day and hour of their arrival."""
    day, hour = slot(arrived_ns)
    return Slot(day + IMPOSSIBLE, hour)
