"""From the log to the kept city, with the real log and store: late readings, restarts, alarms, operators."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from aggregator.city.file import City, load
from aggregator.projections.city import BEHIND_NS, CityProjection
from aggregator.stores import Arrival, StoreError
from aggregator.stores.city import CityStore
from aggregator.stores.log import SqliteLog
from protos.batch import Batch, encode
from protos.clock import SteppedClock
from tests.aggregator.city.ponds import NS, START_NS, batches, two_hills

SECONDS = 400


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[City]:
    with two_hills(tmp_path, monkeypatch) as path:
        yield load(path)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SqliteLog]:
    one = SqliteLog(tmp_path / "log.sqlite")
    yield one
    await one.close()


def arrival(one: Batch, at_ns: int = 0) -> Arrival:
    newest = START_NS + int(one.blocks[0].receive_ns[-1])
    readings = sum(each.values.size for each in one.blocks)
    return Arrival(one.key, at_ns or newest, START_NS, 1_000_000, readings, encode(one))


def at(seconds: float) -> SteppedClock:
    return SteppedClock(wall_ns=START_NS + int(seconds * NS) + BEHIND_NS)


async def through(store: CityStore, city: City, log: SqliteLog, made: Sequence[Batch]) -> CityProjection:
    """Everything in the log, then the end of the time."""
    projection = CityProjection(log, store, city, at(SECONDS))
    for one in made:
        await log.append([arrival(one)])
    await projection.catch_up()
    return projection


async def test_what_is_kept_is_what_is_believed(tmp_path: Path, city: City, log: SqliteLog) -> None:
    store = CityStore(tmp_path / "city.sqlite")
    projection = await through(store, city, log, batches(SECONDS))
    assert set(store.domains()) == {"blueprint", "below"}
    lane = projection.live.lanes["blueprint"]
    shown = store.moment("blueprint")
    assert shown.t_ns == START_NS + SECONDS * NS
    assert shown.x == pytest.approx(lane.fuser.belief().x, rel=1e-6)
    assert store.moment("blueprint", shown.t_ns - 25 * NS).k == shown.k - 3
    assert len(store.series("below", START_NS, shown.t_ns)) >= SECONDS // 20
    forecast = store.forecast("blueprint")
    assert forecast.mean.shape == (360, 1)
    assert forecast.k == shown.k
    health = store.shown("blueprint", "health")
    assert health is not None
    assert health[1]["k"] == shown.k
    with pytest.raises(StoreError, match="nothing is kept"):
        store.moment("blueprint", START_NS - 10**6 * NS)


async def test_late_readings_change_what_is_known_now_not_what_was_known_then(
    tmp_path: Path, city: City, log: SqliteLog
) -> None:
    made = batches(SECONDS)
    late = [one for one in made if one.key.gateway == "gw-a" and one.key.sequence >= 30]
    store, clock = CityStore(tmp_path / "city.sqlite"), at(SECONDS)
    projection = CityProjection(log, store, city, clock)
    for one in made:
        if one not in late:
            await log.append([arrival(one)])
    await projection.catch_up()
    then_ns = clock.wall_ns()
    before = store.moment("blueprint")
    await clock.advance(60 * NS)
    for one in late:
        await log.append([arrival(one, clock.wall_ns())])
    await projection.catch_up()
    assert store.moment("blueprint", before.t_ns, then_ns).x.tolist() == before.x.tolist()
    assert store.moment("blueprint", before.t_ns).sd[0] < before.sd[0]
    assert len(store.revisions("blueprint", before.k)) == 2


async def test_a_restart_goes_on_where_it_was(tmp_path: Path, city: City, log: SqliteLog) -> None:
    """Stopped in good order, or killed before it had kept anything since: the same city in the end."""
    made = batches(SECONDS)
    store, clock = CityStore(tmp_path / "city.sqlite"), at(200)
    first = CityProjection(log, store, city, clock)
    for one in made[:40]:
        await log.append([arrival(one)])
    task = asyncio.create_task(first.run())
    while first.checkpoint == 0:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert first.checkpoint == log.newest
    whole = CityProjection(log, CityStore(tmp_path / "whole.sqlite"), city, clock)
    await whole.catch_up()
    for one in made[40:]:
        await log.append([arrival(one)])
    await clock.advance((SECONDS - 200) * NS)
    second = CityProjection(log, store, city, clock)
    for each in (second, whole):
        await each.catch_up()
    for name, lane in whole.live.lanes.items():
        assert np.array_equal(lane.fuser.belief().x, second.live.lanes[name].fuser.belief().x)
        assert np.array_equal(lane.fuser.belief().variance, second.live.lanes[name].fuser.belief().variance)


async def test_a_sensor_that_is_wrong_becomes_an_alarm_that_a_person_handles(
    tmp_path: Path, city: City, log: SqliteLog
) -> None:
    made = batches(SECONDS)
    for one in made:
        if one.key.gateway == "gw-b" and one.key.sequence >= 20:
            one.blocks[0].values[:] += 3.0
    store = CityStore(tmp_path / "city.sqlite")
    projection = await through(store, city, log, made)
    raised = {one.asset: one for one in store.alarms() if one.asset == "gw-b/gauge/level"}
    assert raised
    assert {one.after for one in store.transitions()} >= {"unacknowledged"}
    asking = CityStore(tmp_path / "city.sqlite")
    condition = next(one.condition for one in store.alarms() if one.asset == "gw-b/gauge/level")
    number = asking.ask("acknowledge", "gw-b/gauge/level", condition, "ada", "", START_NS)
    wrong = asking.ask("acknowledge", "nothing", "gate", "ada", "", START_NS)
    await projection.catch_up()
    assert asking.answer(number) == ""
    assert "no rule" in (asking.answer(wrong) or "")
    assert store.transitions()[-1].why == "acknowledged by ada"
    again = CityProjection(log, store, city, at(SECONDS))
    await again.catch_up()
    assert ("gw-b/gauge/level", condition) in again.desk.alarms.all
