"""The kept batches and their account in one database: every change of both is one transaction.

Synchronous and for one thread; `cabinet.py` keeps it alive through full disks and damage.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_agent.buffer.account import Account
from edge_agent.buffer.carve import Found
from edge_agent.buffer.database import Database
from edge_agent.buffer.ranges import Ranges
from edge_agent.buffer.retention import EXPIRE_ROWS, Retention
from edge_agent.buffer.rows import Bad, Rows, Shelf
from edge_agent.buffer.stored import NUMBER_MAX, Refused, Row, Stored, numbers_of
from protos.batch import Priority
from protos.span import Span

EXPIRE_EVERY = 32  # appends: deleting in bulk writes far fewer bytes than deleting one row each time
GAPS = 8  # ranges of acks; more, and it is worth looking which of them belong together
SCAN_ROWS_MAX = 100_000  # rows whose own CRCs are checked at start, too: more take longer than a start may


@dataclass(frozen=True, slots=True)
class Fresh:
    """A batch to append, encoded."""

    row: Row
    blob: bytes


class Store:
    """One open database of one gateway. Raises Damaged or apsw.Error; then nothing has changed."""

    def __init__(self, path: Path, gateway: str, retention: Retention, **options: str) -> None:
        self.database = Database(path, **options)
        self.rows = Rows(self.database, gateway)
        self.retention = retention
        self.changed = False  # marks that no transaction has carried yet
        self.missing = 0  # readings that the account knows and the rows do not have
        self._counted = 0  # bytes written that the account has
        self._appends = 0
        self._telemetry_from = 0
        try:
            self.account, self.lost_account = self._read_account()
        except BaseException:
            self.database.close()
            raise

    def _read_account(self) -> tuple[Account, bool]:
        """The account on file, and whether it had to be made up from the rows."""
        packed = self.database.connection.execute("SELECT packed FROM account").get
        account = Account.unpack(packed) if packed is not None else Account()
        if account is not None and account.kept_batches > SCAN_ROWS_MAX:
            return account, False
        lost, account = account is None, account or Account()
        self.missing = account.recount(self.rows.between(0, NUMBER_MAX))
        account.newest = max(account.newest, self.rows.newest())
        self._set_aside(self.rows.bad, account, 0)
        return account, lost

    def adopt(self, account: Account) -> None:
        """Go on with the account of a damaged database: what waited there is quarantined until it comes home."""
        account.damaged += 1
        account.recount(self.rows.between(0, NUMBER_MAX))
        self.account = account
        self.changed = True

    # ---- what arrives

    def append(
        self, fresh: Sequence[Fresh], now_utc_ns: int, ceiling: int | None, why: str, extra: int = 0
    ) -> tuple[int, int]:
        """Commit `fresh`, making room as the rules say; returns (number of the newest stored or 0, readings dropped).

        `extra` bytes are freed beyond what is needed; `why` is the reason under which rows are dropped.
        """
        draft = self.account.copy()
        last = 0
        with self.database.transaction():
            self._expire(draft, now_utc_ns)
            for one in fresh:
                if self._make_room(draft, one.row, ceiling, why, extra):
                    self.rows.insert(one.row, one.blob)
                    draft.take(one.row)
                    last = one.row.number
                else:
                    draft.lose(one.row.readings, why)
                extra = 0
            self._write(draft)
        dropped = sum(draft.dropped.values()) - sum(self.account.dropped.values())
        self.account, self.changed = draft, False
        self._set_aside(self.rows.bad, self.account, now_utc_ns)
        return last, dropped

    def _make_room(self, draft: Account, row: Row, ceiling: int | None, why: str, extra: int) -> bool:
        """Drop what must go for `row`; False when only higher classes are left and the row itself must go."""
        while excess := self.retention.excess(self.database.used(), row.size, ceiling) + extra:
            slack = self.retention.slack(ceiling)
            victims = self.retention.victims(self._shelf(draft), excess, slack, Priority(row.priority))
            if not victims:
                return False
            for victim in victims:
                draft.drop(victim, why)
            self.rows.delete(victim.number for victim in victims)
            if victims[-1].priority == Priority.TELEMETRY:
                self._telemetry_from = victims[-1].number
            extra = 0
        return True

    def _shelf(self, draft: Account) -> Shelf:
        return Shelf(self.rows, draft.acked, draft.settled, self._telemetry_from, draft.newest)

    def _expire(self, draft: Account, now_utc_ns: int) -> None:
        self._appends += 1
        if self._appends % EXPIRE_EVERY:
            return
        oldest: list[Row] = []
        for row in self._shelf(draft).settled():
            oldest.append(row)
            if len(oldest) == EXPIRE_ROWS:
                break
        gone = self.retention.expired(oldest, now_utc_ns)
        for row in gone:
            draft.drop(row, "expired")  # settled, so it stays counted as stored
        self.rows.delete(row.number for row in gone)
        first = self.rows.oldest()
        for ranges in (draft.acked, draft.settled):
            ranges.forget_below(draft.newest + 1 if first is None else first)
            close_gaps(ranges, self.rows.empty)

    def _write(self, draft: Account) -> None:
        draft.written_bytes += self.database.written - self._counted
        self._counted = self.database.written
        self.database.connection.execute("INSERT OR REPLACE INTO account VALUES (1, ?)", (draft.pack(),))

    def flush(self) -> None:
        """Commit marks that no append has carried."""
        draft = self.account.copy()
        with self.database.transaction():
            self._write(draft)
        self.account, self.changed = draft, False

    def restore(self, found: Iterable[Found]) -> int:
        """Take rows of a damaged database that prove themselves; returns how many were not here already."""
        draft = self.account.copy()
        home = 0
        with self.database.transaction():
            for row, _, blob in found:
                if self.rows.empty(row.number, row.number):
                    self.rows.insert(row, blob)
                    draft.restore(row)
                    home += 1
            self._write(draft)
        self.account = draft
        return home

    def lose(self, readings: int, why: str) -> None:
        """Count readings that could not be written; the next transaction makes the count durable."""
        self.account.lose(readings, why)
        self.changed = True

    # ---- what is asked for

    def waiting(self, first: int, last: int, max_batches: int, max_bytes: int, now_utc_ns: int) -> list[Stored]:
        """Unacked batches with first <= number <= last, ascending."""
        last = min(last, self.account.newest)
        return self._served(self.account.acked.holes(first, last), max_batches, max_bytes, now_utc_ns)

    def kept(self, span: Span, max_batches: int, max_bytes: int, now_utc_ns: int) -> list[Stored]:
        return self._served([numbers_of(span)], max_batches, max_bytes, now_utc_ns)

    def _served(
        self, holes: Iterable[tuple[int, int]], max_batches: int, max_bytes: int, now_utc_ns: int
    ) -> list[Stored]:
        caught = self.rows.read(holes, max_batches, max_bytes)
        self._set_aside(caught.bad, self.account, now_utc_ns)
        return caught.stored

    def _set_aside(self, bad: list[Bad], account: Account, now_utc_ns: int) -> None:
        """Quarantine rows that must not be served and account for them."""
        if not bad:
            return
        with self.database.transaction():
            for one in bad:
                self.rows.quarantine(one, now_utc_ns)
                if one.known:
                    account.set_aside(one.row)
                else:
                    account.quarantined_batches += 1
            account.damaged += 1
        known = all(one.known for one in bad)
        bad.clear()
        if not known:
            account.recount(self.rows.between(0, NUMBER_MAX))
        self.changed = True

    # ---- what the aggregator says

    def mark(self, stored: Iterable[Span], settled: Iterable[Span], refused: Iterable[Refused]) -> None:
        """Remember acks. Durable with the next commit: one that a crash forgets costs a second sending, no more."""
        refused = list(refused)
        settled = [*settled, *(span for span, _ in refused)]
        for span in (*stored, *settled):
            for hole in self.account.acked.holes(*self._known(span)):
                for row in self.rows.between(*hole):
                    self.account.delivered(row)
            self.account.acked.add(*self._known(span))
        for span in settled:
            self.account.settled.add(*self._known(span))
        self.account.refused_batches += sum(map(len, (span for span, _ in refused)))
        for ranges in (self.account.acked, self.account.settled):
            if len(ranges) > GAPS:
                close_gaps(ranges, self.rows.empty)
        self.changed = True

    def _known(self, span: Span) -> tuple[int, int]:
        """Its numbers as far as batches were written: an ack of what is still to come would lose it."""
        first, last = numbers_of(span)
        return first, min(last, self.account.newest)

    def close(self) -> None:
        """Write what is unwritten and copy the log home. Raises Damaged or apsw.Error after closing the file."""
        try:
            if self.changed:
                self.flush()
            self.database.checkpoint(least_pages=1)
        finally:
            self.database.close()


def close_gaps(ranges: Ranges, empty: Callable[[int, int], bool]) -> None:
    """Join ranges with nothing kept between them, as at the border of two epochs."""
    for first, last in ranges.gaps():
        if empty(first, last):
            ranges.add(first, last)
