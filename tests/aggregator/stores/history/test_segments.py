"""What the implementation promises beyond the protocol: late sets merged, bounded work, buckets, damage named."""

from pathlib import Path

import numpy as np
import pytest

from aggregator.stores.history import DamagedPart, PointName, Window, compaction
from aggregator.stores.history.archive import Archive
from aggregator.stores.history.downsampling import from_rollups, reduce, width_for
from aggregator.stores.history.segment import Axis, Press, decode_part, encode_part
from aggregator.stores.history.segments import OPEN_MAX, SegmentHistory
from aggregator.stores.verification import verify_day
from tests.aggregator.stores.batches import HOUR, NOON, NS, batch, block, intake, row

POINT = PointName("g", "d", "p")
ALL = Window(-(1 << 62), 1 << 62, keys=True)


def put(history: SegmentHistory, position: int, begin_ns: int, count: int = 10) -> None:
    times = [begin_ns + i * NS for i in range(count)]
    one = batch("g", 1, position, [block("d", ["p", "q"], times, [[position, i / 10] for i in range(count)])])
    history.put(intake((row(position, one, begin_ns), one)), position)


def sets(history: SegmentHistory, day: str = "2026-01-01") -> int:
    return int(history._day(day).connection.execute("SELECT count(*) FROM axis").get)


def test_a_late_trickle_is_merged(tmp_path: Path) -> None:
    history = SegmentHistory(tmp_path)
    for position in range(1, 30):
        put(history, position, NOON + (position * 37 % 50) * 60 * NS)
        history.compact(NOON + 3 * HOUR)
        assert sets(history) <= compaction.AXES_MAX
    found = history.scan(POINT, ALL)
    assert found.sequences is not None
    assert sorted(found.sequences.tolist()) == sorted(list(range(1, 30)) * 10)
    assert (np.diff(found.source_ns) >= 0).all()
    assert not list(verify_day(tmp_path / "2026-01-01.sqlite", Press(), lambda blobs: None))
    history.close()


def test_a_set_of_segments_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "READINGS_MAX", 100)
    history = SegmentHistory(tmp_path)
    for position in range(1, 13):
        put(history, position, NOON + position * 60 * NS)
    assert history.compact(NOON + 3 * HOUR) == 12 * 20
    assert sets(history) == 3  # five parts of 20 readings each, at most
    assert len(history.scan(POINT, ALL)) == 120
    history.close()


def test_many_days_need_few_files_open(tmp_path: Path) -> None:
    history = SegmentHistory(tmp_path)
    for position in range(1, OPEN_MAX + 10):
        put(history, position, NOON - position * 24 * HOUR)
        assert len(history._days) <= OPEN_MAX
    assert len(history.scan(POINT, ALL)) == 10 * (OPEN_MAX + 9)
    history.close()


def test_a_reader_sees_what_another_connection_writes(tmp_path: Path) -> None:
    history = SegmentHistory(tmp_path)
    archive = Archive(tmp_path)
    for position in range(1, 5):
        put(history, position, NOON + position * 60 * NS)
        cursors: dict[str, int] = {}
        assert len(archive.scan(POINT, ALL, cursors)) == 10 * position
        assert cursors == {"2026-01-01": position}
        assert archive.checkpoint == position
    archive.close()
    history.close()


def test_rollups_and_readings_give_the_same_buckets(tmp_path: Path) -> None:
    history = SegmentHistory(tmp_path)
    for position in range(1, 25):
        put(history, position, NOON + (position - 1) * 1800 * NS, 60)
        if position == 20:
            history.compact(NOON + 8 * HOUR)
    window = Window(NOON, NOON + 12 * HOUR)
    width = width_for(window.first_ns, window.until_ns, 5)
    assert width == 3 * HOUR
    fast = from_rollups(history.rollups(PointName("g", "d", "q"), window), NOON, width)
    slow = reduce(history.scan(PointName("g", "d", "q"), window), NOON, width)
    assert fast.begin_ns.tolist() == slow.begin_ns.tolist() == [NOON + n * 3 * HOUR for n in range(4)]
    for name in ("readings", "usable", "low", "high", "mean", "last"):
        assert np.allclose(getattr(fast, name), getattr(slow, name)), name
    history.close()


def test_buckets_leave_out_what_is_bad(tmp_path: Path) -> None:
    history = SegmentHistory(tmp_path)
    times = [NOON + i * NS for i in range(4)]
    one = batch("g", 1, 1, [block("d", ["p"], times, [[1], [99], [np.nan], [3]], [[0], [128], [0], [64]])])
    history.put(intake((row(1, one), one)), 1)
    buckets = reduce(history.scan(POINT, ALL), NOON, HOUR)
    assert (buckets.readings.tolist(), buckets.usable.tolist()) == ([4], [2])
    assert (buckets.first[0], buckets.last[0], buckets.low[0], buckets.high[0], buckets.mean[0]) == (1, 3, 1, 3, 2)
    history.close()


def test_a_part_in_another_place_is_refused() -> None:
    press, times = Press(), np.arange(3, dtype=np.int64)
    axis = Axis(times, times, np.array([1]), np.array([3]))
    blob = encode_part(press, b"here", axis, np.ones((1, 3)), np.zeros((1, 3), np.uint8))
    assert decode_part(press, b"here", blob)[1].tolist() == [[1, 1, 1]]
    with pytest.raises(DamagedPart):
        decode_part(press, b"there", blob)
    with pytest.raises(DamagedPart):
        decode_part(press, b"here", blob[:10])


def test_a_point_named_twice_keeps_both(tmp_path: Path) -> None:
    history = SegmentHistory(tmp_path)
    one = batch("g", 1, 1, [block("d", ["p", "p"], [NOON], [[1, 2]])])
    history.put(intake((row(1, one), one)), 1)
    history.compact(NOON + 3 * HOUR)
    assert sorted(history.scan(POINT, ALL).values.tolist()) == [1, 2]
    history.close()
