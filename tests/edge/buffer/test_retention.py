"""What goes first, without a disk."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from edge_agent.buffer.retention import DAY_NS, Retention
from edge_agent.buffer.stored import Row
from protos.batch import Priority


def row(number: int, priority: int = 0, size: int = 100, utc_ns: int = 0) -> Row:
    return Row(number, priority, 10, utc_ns, size)


@dataclass
class Table:
    """A shelf of plain lists."""

    rows: list[Row]
    acked_numbers: set[int] = field(default_factory=set)
    settled_numbers: set[int] = field(default_factory=set)

    def settled(self) -> Iterable[Row]:
        return (one for one in self.rows if one.number in self.settled_numbers)

    def acked(self) -> Iterable[Row]:
        return (one for one in self.rows if one.number in self.acked_numbers - self.settled_numbers)

    def waiting(self, priority: Priority) -> Iterable[Row]:
        return (one for one in self.rows if one.priority == priority and one.number not in self.acked_numbers)


TABLE = Table(
    [row(1, 3), row(2, 0), row(3, 2), row(4, 0), row(5, 1), row(6, 0), row(7, 0)],
    acked_numbers={4, 6},
    settled_numbers={6},
)
RULES = Retention(max_bytes=10_000_000, keep_ns=DAY_NS)


def order(need: int, slack: int, incoming: Priority) -> list[int]:
    return [one.number for one in RULES.victims(TABLE, need, slack, incoming)]


def test_delivered_first_then_by_class_and_age() -> None:
    assert order(10_000, 0, Priority.AUDIT) == [6, 4, 2, 7, 5, 3, 1]
    assert order(300, 0, Priority.AUDIT) == [6, 4, 2]


def test_a_new_batch_pushes_out_no_higher_class() -> None:
    assert order(10_000, 0, Priority.TELEMETRY) == [6, 4, 2, 7]
    assert order(10_000, 0, Priority.EVENT) == [6, 4, 2, 7, 5]


def test_slack_is_never_taken_from_a_higher_class() -> None:
    assert order(250, 10_000, Priority.AUDIT) == [6, 4, 2, 7]
    assert order(500, 10_000, Priority.AUDIT) == [6, 4, 2, 7, 5]


def test_a_full_disk_is_a_lower_limit() -> None:
    assert RULES.excess(1_000_000, 1_000, None) == 0
    assert RULES.excess(1_000_000, 1_000, 1_000_000) == 1_060
    assert RULES.excess(10_000_000, 1_000, None) == 1_060


def test_age_counts_only_where_the_time_was_known() -> None:
    now = 10 * DAY_NS
    rows = [row(1, utc_ns=0), row(2, utc_ns=8 * DAY_NS), row(3, utc_ns=0), row(4, utc_ns=now - 5)]
    assert [one.number for one in RULES.expired(rows, now)] == [1, 2]
    assert RULES.expired(rows[2:], now) == []
    assert len(Retention(1, 0).expired(rows, now)) == 4
