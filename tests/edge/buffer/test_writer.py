"""The buffer as the agent uses it."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agent.buffer import Backlog, Buffer, Closed, Locked
from edge_agent.image import Frame, Layout
from protos.batch import Priority, decode
from protos.span import Span
from tests.edge.buffer.gateway import POINTS, Gateway, Limits, frames_of, serial_of


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    gateway = Gateway(tmp_path / "state")
    await gateway.open()
    yield gateway
    await gateway.buffer.close()


async def test_what_is_appended_comes_back(gateway: Gateway) -> None:
    buffer = gateway.buffer
    assert [await gateway.append(serial) for serial in (1, 2, 3)] == [1, 2, 3]
    assert (buffer.epoch, buffer.newest) == (1, 3)
    stored = await buffer.newer(1, 1, 10, 1 << 20)
    assert [(one.epoch, one.sequence, serial_of(one)) for one in stored] == [(1, 2, 2), (1, 3, 3)]
    assert decode(stored[0].blob).key.gateway == "north-1"
    assert [one.sequence for one in await buffer.oldest(10, 1 << 20, (1, 3))] == [1, 2]
    assert [one.sequence for one in await buffer.between((1, 1), (1, 3), 10, 1 << 20)] == [2]


async def test_limits_of_a_read_are_kept_but_one_batch_always_comes(gateway: Gateway) -> None:
    for serial in range(1, 6):
        await gateway.append(serial)
    assert len(await gateway.buffer.newer(0, 0, 2, 1 << 20)) == 2
    assert len(await gateway.buffer.newer(0, 0, 9, 1)) == 1
    assert len(await gateway.buffer.read(Span(1, 2, 4))) == 3


async def test_acks_shrink_the_backlog_and_survive_a_restart(gateway: Gateway) -> None:
    for serial in range(1, 7):
        await gateway.append(serial)
    await gateway.buffer.mark([Span(1, 1, 2), Span(1, 5, 5)], [Span(1, 1, 1)], [(Span(1, 6, 6), "not decodable")])
    assert await gateway.waiting() == [3, 4]
    waiting = gateway.buffer.backlog()
    assert (waiting.batches, waiting.readings) == (2, 2 * 2 * POINTS)
    await gateway.buffer.close()
    await gateway.open()
    assert gateway.buffer.backlog() == waiting
    assert await gateway.waiting() == [3, 4]
    assert gateway.buffer.gauges()["refused_batches_total"] == 1
    assert [one.sequence for one in await gateway.buffer.read(Span(1, 1, 6))] == [1, 2, 3, 4, 5, 6]


async def test_an_ack_of_what_is_not_written_yet_loses_nothing(gateway: Gateway) -> None:
    await gateway.append(1)
    await gateway.buffer.mark([Span(1, 1, 100), Span(7, 1, 5)], [Span(1, 1, 100)])
    await gateway.append(2)
    assert await gateway.waiting() == [2]


async def test_a_clean_end_keeps_the_epoch_and_a_kill_begins_a_new_one(gateway: Gateway, tmp_path: Path) -> None:
    await gateway.append(1)
    await gateway.buffer.close()
    await gateway.open()
    assert gateway.buffer.epoch == 1
    assert await gateway.append(2) == 2
    killed = Gateway(tmp_path / "killed")
    shutil.copytree(gateway.directory, killed.directory)
    await killed.open()
    assert (killed.buffer.epoch, killed.buffer.newest) == (2, 0)
    assert await killed.append(3) == 1
    assert await killed.waiting() == [1, 2, 3]
    await killed.buffer.mark([Span(1, 1, 2)])
    assert await killed.waiting() == [3]
    await killed.buffer.close()


async def test_the_aggregator_can_raise_the_epoch(gateway: Gateway) -> None:
    await gateway.append(1)
    assert await gateway.buffer.raise_epoch(40) == 41
    assert await gateway.append(2) == 1
    assert (gateway.buffer.epoch, gateway.buffer.newest) == (41, 1)
    assert await gateway.buffer.raise_epoch(7) == 41
    with pytest.raises(ValueError, match="the aggregator must be wrong"):
        await gateway.buffer.raise_epoch(1 << 40)
    await gateway.buffer.close()
    await gateway.open()
    assert gateway.buffer.epoch == 41
    assert await gateway.append(3) == 2


async def test_a_second_agent_is_refused(gateway: Gateway) -> None:
    with pytest.raises(Locked, match="another agent"):
        await Buffer.open(gateway.directory, "north-1", gateway.clock, gateway.limits)


async def test_arrival_wakes_who_waits(gateway: Gateway) -> None:
    async def wait() -> None:
        async with gateway.buffer.arrival:
            await gateway.buffer.arrival.wait_for(lambda: gateway.buffer.newest > 0)

    waiter = asyncio.create_task(wait())
    await asyncio.sleep(0)
    await gateway.append(1)
    await asyncio.wait_for(waiter, 5)


async def test_nothing_is_asked_of_a_closed_buffer(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    buffer = await gateway.open()
    await buffer.close()
    await buffer.close()
    with pytest.raises(Closed):
        await gateway.append(1)


async def test_close_finishes_what_was_asked(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    buffer = await gateway.open()
    pending = [asyncio.create_task(gateway.append(serial)) for serial in range(1, 20)]
    await asyncio.sleep(0)
    await buffer.close()
    assert await asyncio.gather(*pending) == list(range(1, 20))
    await gateway.open()
    assert await gateway.waiting() == list(range(1, 20))
    await gateway.buffer.close()


async def test_very_many_frames_become_several_batches(gateway: Gateway) -> None:
    wide = Layout("wide", tuple(f"p{at}" for at in range(POINTS)))
    frames = [Frame(wide, at, at, frame.values) for at, frame in enumerate(frames_of(1, 5_000))]
    assert await gateway.buffer.append(frames, Priority.TELEMETRY, gateway.anchor()) == 3
    assert gateway.buffer.backlog().readings == 50_000
    kept = await gateway.buffer.newer(0, 0, 10, 1 << 30)
    assert sum(len(decode(one.blob).blocks[0].receive_ns) for one in kept) == 5_000


async def test_a_full_buffer_drops_the_oldest_telemetry_first(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, Limits(max_mb=1))
    buffer = await gateway.open()
    appended = 0
    for serial in range(1, 161):
        priority = Priority.ALARM if serial % 10 == 0 else Priority.TELEMETRY
        await gateway.append(serial, priority, rows=100)
        appended += 100 * POINTS
    gauges = buffer.gauges()
    kept = await gateway.waiting()
    alarms = set(range(10, 161, 10))
    telemetry = [serial for serial in kept if serial not in alarms]
    assert alarms <= set(kept)
    assert telemetry[0] > 10
    assert telemetry == [serial for serial in range(telemetry[0], 161) if serial not in alarms]
    assert gauges["received_total"] == appended == gauges["stored_total"] + gauges["dropped_total"]
    assert gauges["dropped_buffer_full_total"] == gauges["dropped_total"] == appended - len(kept) * 100 * POINTS
    assert buffer.backlog() == Backlog(len(kept), int(gauges["backlog_bytes"]), len(kept) * 100 * POINTS)
    assert sum(one.stat().st_size for one in tmp_path.glob("buffer.sqlite")) <= 1_000_000
    await buffer.close()


async def test_settled_batches_go_when_they_are_old_and_waiting_ones_stay(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, Limits(keep_days=1 / 24))
    buffer = await gateway.open()
    for serial in range(1, 201):
        await gateway.clock.advance(60 * 10**9)
        await gateway.append(serial)
        if serial == 100:
            await buffer.mark([Span(1, 1, 90)], [Span(1, 1, 80)])
    kept = {one.sequence for one in await buffer.read(Span(1, 1, 200), max_batches=1000)}
    assert kept == set(range(81, 201))
    assert buffer.gauges()["stored_total"] == 200 * 2 * POINTS
    await buffer.close()
