"""Whatever comes in whatever order, with crashes between and inside transactions: history is what the log says, once.

The model is a list: every reading of every batch in the log, by point. After each crash the projection begins again
from the checkpoint, as it does in the server. Negative control: a cursor committed in a transaction of its own.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aggregator.stores import Row, sqlite
from aggregator.stores.history import Intake, PointName, Window
from aggregator.stores.history.day import Day
from aggregator.stores.history.segments import SegmentHistory
from protos.batch import Batch
from tests.aggregator.stores.batches import HOUR, NOON, NS, batch, block, intake, row

KEYS = Window(-(1 << 62), 1 << 62, keys=True)
Log = list[tuple[Row, Batch]]
Reading = tuple[int, float, int, int, int]  # source time, value, epoch, sequence, arrival


class Crash(Exception):
    """The process ends here."""


class Countdown:
    """`sqlite.transaction` that crashes before, within or after the n-th one from now."""

    def __init__(self) -> None:
        self.left = -1
        self.moment = "before"
        self._real = sqlite.transaction

    @contextmanager
    def transaction(self, connection: apsw.Connection) -> Iterator[None]:
        self.left -= 1
        due = self.left == 0
        if due and self.moment == "before":
            raise Crash
        with self._real(connection):
            yield
            if due and self.moment == "within":
                raise Crash
        if due:
            raise Crash


class TwoTransactions(Day):
    """The mistake: what a day takes in, and up to where it has taken in, are not one."""

    def put(self, intake: Intake, upto: int) -> int:
        before = self.marks["cursor"]
        with sqlite.transaction(self.connection):
            readings = self.write(intake, upto)
            self.mark(cursor=before)
        with sqlite.transaction(self.connection):
            self.mark(cursor=upto)
        return readings


def content(seed: int, hours: int, late: bool) -> tuple[list[int], list[float]]:
    """Three readings: their times, perhaps over the end of an hour or a day, and values."""
    begin = NOON + (hours * HOUR - NS) - (30 * HOUR if late else 0)
    return [begin, begin + NS, begin + 2 * NS], [seed + i / 10 for i in range(3)]


rows = st.tuples(st.integers(0, 1), st.integers(0, 3), st.booleans())  # gateway, hour, late
step = st.one_of(
    st.tuples(
        st.just("put"), st.integers(1, 4), st.sampled_from(["none", "before", "within", "after"]), st.integers(1, 6)
    ),
    st.tuples(
        st.just("compact"),
        st.integers(0, 40),
        st.sampled_from(["none", "before", "within", "after"]),
        st.integers(1, 3),
    ),
    st.tuples(st.just("reopen"), st.just(0), st.just("none"), st.just(0)),
)


def log_of(shapes: list[tuple[int, int, bool]]) -> Log:
    log = []
    for n, (gateway, hours, late) in enumerate(shapes, 1):
        times, values = content(n, hours, late)
        one = batch(
            f"g{gateway}", 1, 100 - n if late else 100 + n, [block("d", ["p", "q"], times, [[v] for v in values])]
        )
        log.append((row(n, one, NOON + 5 * HOUR + n), one))
    return log


def model(log: Log, point: PointName) -> list[Reading]:
    return sorted(
        (int(t), float(v), one.epoch, one.sequence, one.received_ns)
        for one, content in log
        if one.gateway == point.gateway
        for each in content.blocks
        for t, v in zip(each.source_ns, each.values[:, each.points.index(point.name)], strict=True)
    )


def stored(history: SegmentHistory, point: PointName) -> list[Reading]:
    found = history.scan(point, KEYS)
    assert found.epochs is not None
    assert found.sequences is not None
    assert found.arrived_ns is not None
    columns = (found.source_ns, found.values, found.epochs, found.sequences, found.arrived_ns)
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


def play(log: Log, steps: list[tuple[str, int, str, int]], day: type[Day], patch: pytest.MonkeyPatch) -> None:
    """Do the steps, opening the history again after each crash; then catch up, and compare with the model."""
    countdown = Countdown()
    patch.setattr(sqlite, "transaction", countdown.transaction)
    with tempfile.TemporaryDirectory() as folder:
        history = SegmentHistory(Path(folder), day=day)
        for what, amount, moment, after in steps:
            countdown.left, countdown.moment = (after, moment) if moment != "none" else (-1, "before")
            try:
                if what == "put":
                    ready = log[history.checkpoint : history.checkpoint + amount]
                    if ready:
                        history.put(intake(*ready), ready[-1][0].position)
                elif what == "compact":
                    history.compact(NOON + amount * HOUR)
                else:
                    raise Crash
            except Crash:
                countdown.left = -1
                history.close()
                history = SegmentHistory(Path(folder), day=day)
            countdown.left = -1
        if history.checkpoint < len(log):
            history.put(intake(*log[history.checkpoint :]), len(log))
        for compacted in (False, True):
            for name in ("g0", "g1"):
                for point in (PointName(name, "d", "p"), PointName(name, "d", "q")):
                    assert stored(history, point) == model(log, point)
            if not compacted:
                history.compact(NOON + 99 * HOUR)
        history.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(rows, min_size=1, max_size=12), st.lists(step, max_size=12))
@example([(0, 0, False), (1, 1, True)], [("put", 2, "after", 3), ("put", 2, "none", 0)])
def test_history_is_what_the_log_says(
    monkeypatch: pytest.MonkeyPatch, shapes: list[tuple[int, int, bool]], steps: list[tuple[str, int, str, int]]
) -> None:
    with monkeypatch.context() as patch:
        play(log_of(shapes), steps, Day, patch)


def survives(day: type[Day], after: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether a crash after the n-th transaction of a put leaves no trace."""
    with monkeypatch.context() as patch:
        try:
            play(log_of([(0, 0, False)]), [("put", 1, "after", after), ("put", 1, "none", 0)], day, patch)
        except AssertionError:
            return False
    return True


def test_two_transactions_lose_or_double(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: with the cursor apart, a crash between the two doubles what came."""
    crashes = range(1, 7)  # schema, announcement, day, state, and more than there are
    assert all(survives(Day, after, monkeypatch) for after in crashes)
    assert not all(survives(TwoTransactions, after, monkeypatch) for after in crashes)
