"""The intake: one clean call a tick, one commit in flight, nothing acknowledged before it is durable."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from edge_agent import intake
from edge_agent.image import Frame, lay_out
from edge_agent.intake import MS, Intake, Pace
from protos.clock import SteppedClock
from protos.quality import Quality, Reason, code

LAYOUTS, IMAGE = lay_out([("meter", ("a", "b")), ("tank", ("level",))])


class Disk:
    """A commit that waits until it is let through, and can fail."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.committed: list[list[Frame]] = []
        self.broken = False
        self.full = False

    async def commit(self, frames: Sequence[Frame]) -> bool:
        await self.open.wait()
        if self.broken:
            raise OSError("disk")
        if self.full:
            return False
        self.committed.append(list(frames))
        return True


def frame(value: float, layout: int = 0, acked: list[float] | None = None) -> Frame:
    one = LAYOUTS[layout]
    committed = None if acked is None else lambda: acked.append(value)
    return Frame(one, 0, 0, np.full(len(one.points), value), committed=committed)


def make(disk: Disk, clock: SteppedClock, cleaned: list[int]) -> Intake:
    return Intake(lambda frames, _now: cleaned.append(len(frames)), IMAGE, disk.commit, clock, Pace(100, 1000, 50))


async def test_frames_of_a_tick_are_cleaned_together_and_committed_when_due() -> None:
    disk, clock, cleaned, acked = Disk(), SteppedClock(), [0][:0], [0.0][:0]
    under = make(disk, clock, cleaned)
    task = asyncio.create_task(under.run())
    await asyncio.sleep(0)
    under.emit(frame(1.0, acked=acked))
    under.emit(frame(2.0, 1))
    await clock.advance(150 * MS)
    assert cleaned == [2]
    assert IMAGE.values.tolist() == [1.0, 1.0, 2.0]
    assert (disk.committed, acked) == ([], [])
    await clock.advance(1100 * MS)
    assert [len(batch) for batch in disk.committed] == [2]
    assert acked == [1.0]
    task.cancel()


async def test_a_full_batch_does_not_wait() -> None:
    disk, clock = Disk(), SteppedClock()
    under = make(disk, clock, [])
    task = asyncio.create_task(under.run())
    await asyncio.sleep(0)
    for value in range(25):
        under.emit(frame(value))
    await clock.advance(150 * MS)
    assert len(disk.committed) == 1
    task.cancel()


async def test_one_commit_in_flight_and_none_lost_when_it_fails() -> None:
    disk, clock, acked = Disk(), SteppedClock(), [0.0][:0]
    under = make(disk, clock, [])
    disk.open.clear()
    task = asyncio.create_task(under.run())
    await asyncio.sleep(0)
    under.emit(frame(1.0, acked=acked))
    await clock.advance(1200 * MS)
    under.emit(frame(2.0, acked=acked))
    await clock.advance(1200 * MS)
    disk.broken = True
    disk.open.set()
    await clock.advance(300 * MS)
    with pytest.raises(OSError, match="disk"):
        await asyncio.wait_for(task, 5)
    assert acked == []
    disk.broken = False
    await under.flush()
    assert [[f.values[0] for f in batch] for batch in disk.committed] == [[1.0, 2.0]]
    assert acked == [1.0, 2.0]


async def test_waiting_is_bounded_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "WAITING_READINGS_MAX", 4)
    under = make(Disk(), SteppedClock(), [])
    for value in range(5):
        under.emit(frame(value))
    under.tick()
    assert (under.received, under.dropped, under.waiting()) == (10, 6, 4)


async def test_what_found_no_room_is_not_acknowledged_but_tried_again() -> None:
    disk, acked = Disk(), [0.0][:0]
    under = make(disk, SteppedClock(), [])
    disk.full = True
    under.emit(frame(1.0))
    under.emit(frame(2.0, acked=acked))
    await under.flush()
    assert acked == []
    disk.full = False
    await under.flush()
    assert [[f.values[0] for f in batch] for batch in disk.committed] == [[2.0]]
    assert acked == [2.0]


def test_history_from_a_device_does_not_hide_the_newest_value() -> None:
    layouts, image = lay_out([("node", ("a",))])
    old = np.full(1, code(Quality.UNCERTAIN, Reason.HISTORICAL), np.uint8)
    image.take(Frame(layouts[0], 20, 20, np.array([2.0])))
    image.take(Frame(layouts[0], 30, 10, np.array([1.0]), old))
    assert image.values.tolist() == [2.0]
    image.take(Frame(layouts[0], 40, 40, np.array([3.0])))
    assert image.values.tolist() == [3.0]


async def test_a_reload_loses_nothing_and_waits_for_no_disk() -> None:
    """What waits goes on to wait; what has just come is cleaned by the checks of the field that read it."""
    disk, clock, cleaned, acked = Disk(), SteppedClock(), [0][:0], [0.0][:0]
    under = make(disk, clock, cleaned)
    disk.open.clear()  # the disk is stuck
    task = asyncio.create_task(under.run())
    await asyncio.sleep(0)
    under.emit(frame(1.0, acked=acked))
    await clock.advance(1200 * MS)  # its commit is on its way
    under.emit(frame(2.0, acked=acked))
    (meter,), image = lay_out([("meter", ("a", "b"))])
    cleaned_since: list[int] = []
    under.turn_to(lambda frames, _now: cleaned_since.append(len(frames)), image, Pace(50, 500, 50))
    assert (cleaned, cleaned_since) == ([1, 1], [])
    under.emit(Frame(meter, 0, 0, np.full(2, 3.0), committed=lambda: acked.append(3.0)))
    await clock.advance(1000 * MS)
    assert cleaned_since == [1]
    assert image.values.tolist() == [3.0, 3.0]
    assert acked == []
    disk.open.set()
    await clock.advance(2000 * MS)
    assert acked == [1.0, 2.0, 3.0]
    assert (under.received, under.dropped) == (6, 0)
    task.cancel()
