"""The battery of `History`: every implementation in STORES gives the same answers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from aggregator.stores import STORES, implementation
from aggregator.stores.history import History, PointName, Window
from protos.batch import Text
from protos.quality import Quality, Reason, code, text
from tests.aggregator.stores.batches import HOUR, NOON, NS, batch, block, intake, row

POINT = PointName("g", "pump", "flow")
ALL = Window(-(1 << 62), 1 << 62)
KEYS = Window(-(1 << 62), 1 << 62, keys=True)
Open = Callable[[], History]


@pytest.fixture(params=sorted(STORES["history"]))
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the history in the same place, again and again; the one before is closed."""
    kind = implementation("history", request.param)
    live: list[History] = []

    def open_it() -> History:
        while live:
            live.pop().close()
        live.append(kind(tmp_path / "history"))
        return live[0]

    yield open_it
    while live:
        live.pop().close()


def seconds(count: int, begin: int = NOON) -> list[int]:
    return [begin + i * NS for i in range(count)]


def test_what_is_put_is_scanned(reopen: Open) -> None:
    history = reopen()
    values = np.arange(20.0).reshape(10, 2) / 10
    values[3, 0] = np.nan
    codes = np.zeros((10, 2), np.uint8)
    codes[3, 0] = code(Quality.BAD, Reason.NO_ANSWER)
    one = batch("g", 1, 1, [block("pump", ["flow", "power"], seconds(10), values, codes, delay_ns=5)])
    history.put(intake((row(7, one), one)), 7)
    for again in (history, reopen()):
        found = again.scan(POINT, Window(NOON, NOON + HOUR, keys=True))
        assert found.source_ns.tolist() == seconds(10)
        assert (found.receive_ns - found.source_ns == 5).all()
        assert np.array_equal(found.values, values[:, 0], equal_nan=True)
        assert text(int(found.codes[3])) == "BAD NO_ANSWER"
        assert found.epochs is not None
        assert found.sequences is not None
        assert found.arrived_ns is not None
        assert {*found.epochs.tolist(), *found.sequences.tolist()} == {1}
        assert set(found.arrived_ns.tolist()) == {NOON}
        assert again.checkpoint == 7
    assert len(history.scan(POINT, Window(NOON + 2 * NS, NOON + 4 * NS))) == 2
    assert reopen().points() == [POINT, PointName("g", "pump", "power")]


def test_compaction_changes_no_answer(reopen: Open) -> None:
    history = reopen()
    for n in range(12):
        one = batch("g", 1, n + 1, [block("pump", ["flow", "power"], seconds(60, NOON + n * 60 * NS), n / 4)])
        history.put(intake((row(n + 1, one), one)), n + 1)
    before = history.scan(POINT, KEYS)
    rollups = history.rollups(POINT, Window(NOON, NOON + HOUR))
    assert history.compact(NOON + 30 * 60 * NS) == 0  # the hour is not over
    assert history.compact(NOON + 2 * HOUR) == 12 * 60 * 2
    for again in (history, reopen()):
        after = again.scan(POINT, KEYS)
        assert np.array_equal(before.source_ns, after.source_ns)
        assert np.array_equal(before.values, after.values)
        assert before.positions is not None
        assert after.positions is not None
        assert np.array_equal(before.positions, after.positions)
        packed = again.rollups(POINT, Window(NOON, NOON + HOUR))
        assert packed.readings.tolist() == rollups.readings.tolist() == [720]
        assert packed.mean[0] == pytest.approx(rollups.mean[0])
        assert (packed.low[0], packed.high[0], packed.last[0]) == (0, 11 / 4, 11 / 4)


def test_late_and_shuffled_readings_come_in_the_order_of_time(reopen: Open) -> None:
    history = reopen()
    now = batch("g", 1, 2, [block("pump", ["flow"], seconds(5, NOON + 10 * NS), 2.0)])
    late = batch("g", 1, 1, [block("pump", ["flow"], seconds(5)[::-1], [[5], [4], [3], [2], [1]])])
    history.put(intake((row(1, now), now)), 1)
    history.compact(NOON + 3 * HOUR)
    history.put(intake((row(2, late), late)), 2)
    found = history.scan(POINT, Window(NOON, NOON + HOUR, keys=True))
    assert found.source_ns.tolist() == [*seconds(5), *seconds(5, NOON + 10 * NS)]
    assert found.values.tolist() == [1, 2, 3, 4, 5, 2, 2, 2, 2, 2]
    assert found.sequences is not None
    assert found.sequences.tolist() == [1] * 5 + [2] * 5
    history.compact(NOON + 3 * HOUR)
    assert history.scan(POINT, ALL).values.tolist() == found.values.tolist()


def test_the_same_again_changes_nothing(reopen: Open) -> None:
    history = reopen()
    one = batch("g", 1, 1, [block("pump", ["flow"], seconds(3), 1.0)])
    history.put(intake((row(1, one), one)), 1)
    account = history.put(intake((row(1, one), one)), 1)
    assert (account.readings, account.skipped) == (0, 1)
    two = batch("g", 1, 2, [block("pump", ["flow"], seconds(3, NOON + 60 * NS), 2.0)])
    reopen().put(intake((row(1, one), one), (row(2, two), two)), 2)
    assert len(reopen().scan(POINT, ALL)) == 6


def test_as_of_shows_what_was_known(reopen: Open) -> None:
    history = reopen()
    one = batch("g", 1, 2, [block("pump", ["flow"], seconds(3, NOON + 10 * NS), 1.0)])
    late = batch("g", 1, 1, [block("pump", ["flow"], seconds(3), 2.0)])
    history.put(intake((row(1, one, NOON), one), (row(2, late, NOON + HOUR), late)), 2)
    for _ in range(2):
        assert len(history.scan(POINT, Window(NOON, NOON + HOUR))) == 6
        assert len(history.scan(POINT, Window(NOON, NOON + HOUR, as_of_ns=NOON + HOUR - 1))) == 3
        assert len(history.scan(POINT, Window(NOON, NOON + HOUR, as_of_ns=NOON - 1))) == 0
        history.compact(NOON + 4 * HOUR)


def test_a_doubtful_clock_makes_a_doubtful_reading(reopen: Open) -> None:
    history = reopen()
    bad = code(Quality.BAD, Reason.NO_ANSWER)
    one = batch("g", 1, 1, [block("pump", ["flow"], seconds(2, 0), 1.0, [[0], [bad]])])
    history.put(intake((row(1, one, offset_ns=NOON, error_ns=2 * NS), one)), 1)
    found = history.scan(POINT, Window(NOON, NOON + HOUR))
    assert [text(each) for each in found.codes.tolist()] == ["UNCERTAIN CLOCK", "BAD NO_ANSWER"]


@pytest.mark.parametrize("when", [0, 4_102_444_800 * NS], ids=["1970", "2100"])
def test_impossible_times_are_kept_and_flagged(reopen: Open, when: int) -> None:
    history = reopen()
    one = batch("g", 1, 1, [block("pump", ["flow"], [NOON, when, NOON + NS], [[1], [2], [3]])])
    history.put(intake((row(1, one), one)), 1)
    for _ in range(2):
        assert history.scan(POINT, Window(NOON, NOON + HOUR)).values.tolist() == [1, 3]
        strange = history.scan(POINT, Window(when - NS, when + NS))
        assert strange.values.tolist() == [2]
        assert text(int(strange.codes[0])) == "UNCERTAIN TIMING"
        assert len(history.scan(POINT, ALL)) == 3
        assert history.compact(NOON + 4 * HOUR) in (0, 3)


def test_the_newest_is_by_sequence_not_by_time(reopen: Open) -> None:
    history = reopen()
    new = batch("g", 1, 9, [block("pump", ["flow"], seconds(2), [[1], [2]])])
    old = batch("g", 1, 3, [block("pump", ["flow"], seconds(2, NOON + 60 * NS), 7.0)])
    history.put(intake((row(1, new), new)), 1)
    history.put(intake((row(2, old), old)), 2)
    for again in (history, reopen()):
        (newest,) = again.latest()
        assert (newest.sequence, newest.values.tolist(), newest.source_ns) == (9, [2.0], NOON + NS)


def test_strings_are_kept(reopen: Open) -> None:
    history = reopen()
    one = batch("g", 1, 1, [], [Text("pump", "state", NOON + 1, NOON, 0, "läuft")])
    history.put(intake((row(1, one), one)), 1)
    assert reopen().points() == [PointName("g", "pump", "state")]


def test_midnight_splits_a_block(reopen: Open) -> None:
    history = reopen()
    midnight = NOON + 12 * HOUR
    one = batch("g", 1, 1, [block("pump", ["flow"], [midnight - NS, midnight, midnight + NS], [[1], [2], [3]])])
    history.put(intake((row(1, one, midnight), one)), 1)
    assert history.scan(POINT, Window(midnight - HOUR, midnight + HOUR)).values.tolist() == [1, 2, 3]
    assert history.rollups(POINT, Window(midnight - HOUR, midnight + HOUR)).usable.tolist() == [1, 2]
