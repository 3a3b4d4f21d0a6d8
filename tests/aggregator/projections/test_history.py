"""From the log to history, with the real log and the real history."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import apsw
import pytest

from aggregator.projections.history import HistoryProjection
from aggregator.projections.latest import Latest
from aggregator.projections.query import Query
from aggregator.projections.rebuild import rebuild, rebuild_lost
from aggregator.stores import Arrival
from aggregator.stores.history import HistoryError, Intake, PointName, Window
from aggregator.stores.history.day import Day
from aggregator.stores.history.segments import SegmentHistory
from aggregator.stores.log import SqliteLog
from protos.batch import encode
from protos.clock import SteppedClock
from tests.aggregator.stores.batches import HOUR, NOON, NS, batch, block

POINT = PointName("gw", "meter", "power")
ALL = Window(-(1 << 62), 1 << 62, keys=True)


def arrival(sequence: int, begin_ns: int = NOON, gateway: str = "gw") -> Arrival:
    """Ten readings of one point, ten seconds."""
    times = [begin_ns + (sequence * 10 + i) * NS for i in range(10)]
    one = batch(gateway, 1, sequence, [block("meter", ["power"], times, sequence / 4)])
    return Arrival(one.key, times[-1], 0, 0, 10, encode(one))


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SqliteLog]:
    one = SqliteLog(tmp_path / "log.sqlite")
    yield one
    await one.close()


@pytest.fixture
async def history(tmp_path: Path) -> AsyncIterator[SegmentHistory]:
    one = SegmentHistory(tmp_path / "history")
    yield one
    one.close()


async def until(true: Callable[[], bool]) -> None:
    """Let others run until `true`; ten seconds at most."""
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0)


async def test_it_follows_the_log_and_tells_what_is_settled(log: SqliteLog, history: SegmentHistory) -> None:
    clock, settled = SteppedClock(wall_ns=NOON), list[int]()
    projection = HistoryProjection(log, history, clock, settled=settled.append)
    task = asyncio.create_task(projection.run())
    await log.append([arrival(1), arrival(2)])
    await until(lambda: list(projection.latest.values[:1]) == [0.5])
    assert settled == []  # gathered, not yet put away
    await clock.advance(61 * NS)
    await until(lambda: settled == [2])
    await log.append([arrival(3)])
    await until(lambda: projection.latest.values[0] == 0.75)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert settled == [2, 3]  # the rest when it ends
    assert len(history.scan(POINT, ALL)) == 30


async def test_a_query_reads_its_own_writes(log: SqliteLog, history: SegmentHistory, tmp_path: Path) -> None:
    projection = HistoryProjection(log, history)
    query = Query(tmp_path / "history", log)
    for sequence in range(1, 7):
        await log.append([arrival(sequence), arrival(sequence, gateway="other")])
        for _ in range(2):
            found = await query.scan(POINT, ALL)
            assert len(found) == 10 * sequence
            assert found.sequences is not None
            assert sorted(set(found.sequences.tolist())) == list(range(1, sequence + 1))
            buckets = await query.downsampled(POINT, Window(NOON, NOON + 2 * HOUR), 2)
            assert buckets.readings.tolist() == [10 * sequence]
            assert [one.value for one in await query.latest(lambda point: point == POINT)] == [sequence / 4]
            if sequence % 3 == 0:
                await projection.catch_up()
    query.close()


async def test_what_cannot_be_decoded_is_kept_aside(log: SqliteLog, history: SegmentHistory) -> None:
    bad = arrival(2)
    await log.append([arrival(1), Arrival(bad.key, bad.received_ns, 0, 0, 10, b"rubbish"), arrival(3)])
    await HistoryProjection(log, history).catch_up()
    assert history.checkpoint == 3
    assert len(history.scan(POINT, ALL)) == 20
    (counts,) = await log.counts()
    assert counts.quarantined == 1


async def test_a_lost_day_comes_back_when_the_server_starts(log: SqliteLog, tmp_path: Path) -> None:
    history = SegmentHistory(tmp_path / "history")
    await log.append([arrival(n) for n in range(1, 6)] + [arrival(6, NOON + 24 * HOUR)])
    await HistoryProjection(log, history).catch_up()
    history.close()
    (tmp_path / "history" / "2026-01-01.sqlite").write_bytes(b"no database at all" * 1000)
    history = SegmentHistory(tmp_path / "history")
    assert history.lost == {"2026-01-01"}
    assert len(history.scan(POINT, ALL)) == 10
    await rebuild_lost(history, log)
    assert history.lost == set()
    assert len(history.scan(POINT, ALL)) == 60
    assert (tmp_path / "history" / "damaged" / "2026-01-01.sqlite.1").exists()
    await log.append([arrival(7)])
    await HistoryProjection(log, history).catch_up()
    assert len(history.scan(POINT, ALL)) == 70
    history.close()


class Rotten(Day):
    """A day whose pages turn out to be damaged when it is written to for the second time."""

    def put(self, intake: Intake, upto: int) -> int:
        if self.cursor and not (self.path.parent / "damaged").exists():
            raise apsw.CorruptError("database disk image is malformed")
        return super().put(intake, upto)


async def test_a_day_damaged_while_it_is_written_comes_back(log: SqliteLog, tmp_path: Path) -> None:
    history = SegmentHistory(tmp_path / "history", day=Rotten)
    projection = HistoryProjection(log, history, repair=lambda: rebuild_lost(history, log))
    await log.append([arrival(n) for n in range(1, 6)])
    await projection.catch_up()
    await log.append([arrival(6)])
    with pytest.raises(HistoryError, match="made again"):
        await projection.catch_up()
    assert history.lost == {"2026-01-01"}
    task = asyncio.create_task(projection.run())  # as the server does when a part failed
    await until(lambda: not history.lost)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await projection.catch_up()
    assert len(history.scan(POINT, ALL)) == 60
    history.close()


async def test_a_day_found_damaged_when_it_is_opened_again_comes_back(log: SqliteLog, tmp_path: Path) -> None:
    history = SegmentHistory(tmp_path / "history")
    projection = HistoryProjection(log, history, repair=lambda: rebuild_lost(history, log))
    await log.append([arrival(n) for n in range(1, 6)])
    await projection.catch_up()
    history._days.pop("2026-01-01").close()  # as when many days are in use
    (tmp_path / "history" / "2026-01-01.sqlite").write_bytes(b"rubbish" * 2000)
    await log.append([arrival(6)])
    await projection.catch_up()
    assert history.lost == set()
    assert len(history.scan(POINT, ALL)) == 60
    history.close()


async def test_a_lost_state_is_found_again(log: SqliteLog, tmp_path: Path) -> None:
    history = SegmentHistory(tmp_path / "history")
    projection = HistoryProjection(log, history)
    for sequence in range(1, 5):
        await log.append([arrival(sequence, NOON + sequence * 12 * HOUR)])
        await projection.catch_up()
    history.close()
    (tmp_path / "history" / "state.sqlite").write_bytes(b"gone" * 3000)
    history = SegmentHistory(tmp_path / "history")
    await HistoryProjection(log, history).catch_up()
    assert history.checkpoint == 4
    assert len(history.scan(POINT, ALL)) == 40
    assert len(list(history.latest())) == 1
    history.close()


async def test_rebuild_leaves_what_the_log_no_longer_has(log: SqliteLog, history: SegmentHistory) -> None:
    await log.append([arrival(1), arrival(2), arrival(3, NOON + 24 * HOUR)])
    await HistoryProjection(log, history).catch_up()
    await log.trim(2)
    result = await rebuild(history, log)
    assert (result.whole, result.kept) == (["2026-01-02"], ["2026-01-01"])
    assert len(history.scan(POINT, ALL)) == 30


async def test_days_are_kept_as_long_as_asked(log: SqliteLog, tmp_path: Path) -> None:
    history = SegmentHistory(tmp_path / "history", retention_days=3)
    await log.append([arrival(1), arrival(2, NOON + 24 * HOUR), arrival(3, NOON + 72 * HOUR)])
    await HistoryProjection(log, history).catch_up()
    assert history.days() == ["2026-01-02", "2026-01-04"]
    assert sorted(path.name for path in (tmp_path / "history").glob("2026-01-01*")) == []
    assert len(history.scan(POINT, ALL)) == 20
    history.close()


def test_latest_grows_and_sorts() -> None:
    latest = Latest()
    assert list(latest.samples()) == []
    assert latest.freshest(3) == []
