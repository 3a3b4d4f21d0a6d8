"""What goes when there is no room, and what is old enough to go anyway. Rules without IO.

For want of room, in this order and the oldest first in each: what history has; what the aggregator's log has; then
what nobody else has, by class: telemetry, events, alarms, audit. A new batch never pushes out a higher class: then it
is the one that is dropped.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from edge_agent.buffer.stored import Row
from protos.batch import Priority

DAY_NS = 86_400_000_000_000
MB = 1_000_000
SLACK = 64  # free one part in so many at once: deleting in bulk writes far fewer bytes
SLACK_BYTES = 64 << 10
OVERHEAD = 1.06  # pages beside the blobs: cell heads, partly filled pages
EXPIRE_ROWS = 64  # at most in one transaction, so that a commit stays quick


class Limits(Protocol):
    """The [buffer] section of a gateway's file."""

    @property
    def max_mb(self) -> int: ...
    @property
    def keep_days(self) -> float: ...
    @property
    def ballast_mb(self) -> int: ...


class Shelf(Protocol):
    """What is kept, oldest first, read only as far as needed."""

    def settled(self) -> Iterable[Row]: ...
    def acked(self) -> Iterable[Row]: ...
    def waiting(self, priority: Priority) -> Iterable[Row]: ...


@dataclass(frozen=True, slots=True)
class Retention:
    max_bytes: int
    keep_ns: int

    @classmethod
    def of(cls, limits: Limits) -> "Retention":
        return cls(limits.max_mb * MB, int(limits.keep_days * DAY_NS))

    def excess(self, used: int, incoming: int, ceiling: int | None) -> int:
        """Bytes to free before `incoming` bytes fit; 0 when they do. `ceiling`: what the full disk allows."""
        return max(0, used + int(incoming * OVERHEAD) - self.most(ceiling))

    def most(self, ceiling: int | None) -> int:
        return self.max_bytes if ceiling is None else min(self.max_bytes, ceiling)

    def slack(self, ceiling: int | None) -> int:
        """Bytes to free beyond that in the same go, where they are of no higher class."""
        return max(self.most(ceiling) // SLACK, SLACK_BYTES)

    def victims(self, shelf: Shelf, need: int, slack: int, incoming: Priority) -> list[Row]:
        """Rows to drop, in order, until `need` bytes are free; `slack` more as long as no higher class must go for it.

        Fewer when nothing of the incoming class or below is left.
        """
        chosen: dict[int, Row] = {}
        free = 0
        for rows in self._order(shelf, incoming):
            if free >= need and chosen:
                break
            for row in rows:
                if free >= need + slack:
                    return list(chosen.values())
                if row.number not in chosen:
                    chosen[row.number] = row
                    free += row.size
        return list(chosen.values())

    def _order(self, shelf: Shelf, incoming: Priority) -> Iterator[Iterable[Row]]:
        yield shelf.settled()
        yield shelf.acked()
        for priority in Priority:
            if priority <= incoming:
                yield shelf.waiting(priority)

    def expired(self, settled: Iterable[Row], now_utc_ns: int) -> list[Row]:
        """Of settled rows, oldest first, those that are too old; order decides where a time was not known."""
        rows = list(settled)
        end = 0
        for at, row in enumerate(rows):
            if self.keep_ns == 0 or 0 < row.utc_ns < now_utc_ns - self.keep_ns:
                end = at + 1
        return rows[:end]
