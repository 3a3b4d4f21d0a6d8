"""What became of every reading, and what is acknowledged: in memory, and in one small row of each transaction.

`received = stored + dropped + quarantined` holds at any time: a reading is stored until the disk is too small for it
(dropped, with the reason) or its batch fails its checksum (quarantined). Delivered readings stay stored for ever.
"""

import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from edge_agent.buffer.ranges import Ranges
from edge_agent.buffer.stored import Backlog, Row

RANGES_MAX = 200  # on disk: more are sent again after a crash and deduplicated; every commit writes them
PLAIN = (
    "received",
    "stored",
    "quarantined",
    "refused_batches",
    "quarantined_batches",
    "kept_batches",
    "kept_bytes",
    "kept_readings",
    "waiting_batches",
    "waiting_bytes",
    "waiting_readings",
    "newest",
    "written_bytes",
    "damaged",
)


@dataclass(slots=True)
class Account:
    """Counts of readings where not said otherwise. `kept` is on disk, `waiting` is kept and not yet acked."""

    received: int = 0
    stored: int = 0
    quarantined: int = 0
    refused_batches: int = 0
    quarantined_batches: int = 0
    kept_batches: int = 0
    kept_bytes: int = 0
    kept_readings: int = 0
    waiting_batches: int = 0
    waiting_bytes: int = 0
    waiting_readings: int = 0
    newest: int = 0  # row number
    written_bytes: int = 0  # to the disk, ever: database, log of it, checkpoints
    damaged: int = 0  # times that damage was found at all
    dropped: dict[str, int] = field(default_factory=dict)  # reason → readings
    acked: Ranges = field(default_factory=Ranges)  # durable in the aggregator's log
    settled: Ranges = field(default_factory=Ranges)  # in its history

    def copy(self) -> "Account":
        new = Account(**{name: getattr(self, name) for name in PLAIN})
        new.dropped, new.acked, new.settled = self.dropped.copy(), self.acked.copy(), self.settled.copy()
        return new

    def take(self, row: Row) -> None:
        """A new batch, committed."""
        self.received += row.readings
        self.stored += row.readings
        self.newest = max(self.newest, row.number)
        self.keep((row,))

    def keep(self, rows: Iterable[Row]) -> None:
        """Count rows that are on disk; those that wait, too."""
        for row in rows:
            self.kept_batches += 1
            self.kept_bytes += row.size
            self.kept_readings += row.readings
            if row.number not in self.acked:
                self._wait(row, 1)

    def _wait(self, row: Row, sign: int) -> None:
        self.waiting_batches += sign
        self.waiting_bytes += sign * row.size
        self.waiting_readings += sign * row.readings

    def delivered(self, row: Row) -> None:
        """A waiting row was acked; call before its number is added to `acked`."""
        self._wait(row, -1)

    def lose(self, readings: int, reason: str) -> None:
        """New readings that never got to the disk."""
        self.received += readings
        self.dropped[reason] = self.dropped.get(reason, 0) + readings

    def drop(self, row: Row, reason: str) -> None:
        """A row goes for want of room; what was delivered stays stored."""
        if self._gone(row):
            self.stored -= row.readings
            self.dropped[reason] = self.dropped.get(reason, 0) + row.readings

    def set_aside(self, row: Row) -> None:
        """A row failed its checksum, or cannot be read."""
        self.quarantined_batches += 1
        if self._gone(row):
            self.stored -= row.readings
            self.quarantined += row.readings

    def restore(self, row: Row) -> None:
        """A row came home from a damaged database: known as quarantined, or not known at all any more."""
        self.keep((row,))
        if row.number not in self.acked:
            known = min(self.quarantined, row.readings)
            self.quarantined -= known
            self.received += row.readings - known
            self.stored += row.readings

    def _gone(self, row: Row) -> bool:
        self.kept_batches -= 1
        self.kept_bytes -= row.size
        self.kept_readings -= row.readings
        waited = row.number not in self.acked
        if waited:
            self._wait(row, -1)
        return waited

    def recount(self, rows: Iterable[Row]) -> int:
        """Set kept and waiting by what is really there; returns the readings that waited and are missing."""
        before = self.waiting_readings
        self.kept_batches = self.kept_bytes = self.kept_readings = 0
        self.waiting_batches = self.waiting_bytes = self.waiting_readings = 0
        self.keep(rows)
        missing = max(0, before - self.waiting_readings)
        found = max(0, self.waiting_readings - before)  # more than we knew of: a state older than the rows
        self.stored += found - missing
        self.received += found
        self.quarantined += missing
        return missing

    @property
    def backlog(self) -> Backlog:
        return Backlog(self.waiting_batches, self.waiting_bytes, self.waiting_readings)

    def balanced(self) -> bool:
        return self.received == self.stored + sum(self.dropped.values()) + self.quarantined

    def gauges(self, reasons: Iterable[str]) -> dict[str, float]:
        """Names end in `_total` where they only grow; `reasons` are shown even while they are 0."""
        dropped = dict.fromkeys(reasons, 0) | self.dropped
        return {
            "received_total": self.received,
            "stored_total": self.stored,
            "dropped_total": sum(dropped.values()),
            **{f"dropped_{why}_total": count for why, count in dropped.items()},
            "quarantined_total": self.quarantined,
            "quarantined_batches_total": self.quarantined_batches,
            "refused_batches_total": self.refused_batches,
            "damaged_total": self.damaged,
            "written_bytes_total": self.written_bytes,
            "backlog_batches": self.waiting_batches,
            "backlog_bytes": self.waiting_bytes,
            "backlog_readings": self.waiting_readings,
            "kept_batches": self.kept_batches,
            "kept_bytes": self.kept_bytes,
            "kept_readings": self.kept_readings,
        }

    def pack(self) -> bytes:
        """CRC-32 and JSON: a person can read it in any SQLite tool."""
        text = {name: getattr(self, name) for name in PLAIN if getattr(self, name)}
        text |= {"dropped": self.dropped, "acked": widest(self.acked), "settled": widest(self.settled)}
        body = json.dumps(text, separators=(",", ":")).encode()
        return zlib.crc32(body).to_bytes(4, "big") + body

    @classmethod
    def unpack(cls, data: object) -> "Account | None":
        """The account in `data`; None when it is damaged."""
        if not isinstance(data, bytes) or zlib.crc32(data[4:]).to_bytes(4, "big") != data[:4]:
            return None
        text = json.loads(data[4:])
        acked, settled = Ranges(text.pop("acked")), Ranges(text.pop("settled"))
        return cls(**text, acked=acked, settled=settled)


def widest(ranges: Ranges) -> list[tuple[int, int]]:
    """At most RANGES_MAX of them, ascending: forgetting an ack costs a second sending, never a reading."""
    kept = sorted(ranges, key=lambda one: one[0] - one[1])[:RANGES_MAX]
    return sorted(kept)
