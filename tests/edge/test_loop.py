"""The control loop against real devices: it follows, waits for nobody who is silent, and leaves safe what it set."""

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent import field, loop, plant
from edge_agent.config import load
from edge_agent.control.hand import Hand
from edge_agent.image import Frame, View
from edge_agent.loop import Loop
from edge_agent.recorder import Recorder
from edge_agent.setpoint import Authority, Rank, Standing, Wish
from edge_agent.sources import Outcome, Written
from protos.clock import NS, SystemClock
from tests.bench.acting import Devices, devices, site

PATIENCE_S = 10.0


class Bomb:
    """A controller that fails in a way that no controller may: what ends its thread must be heard."""

    KIND, RANK, FALLBACK, name = "bomb", Rank.OPTIMISER, "none", "bomb"

    def __init__(self, fuse: Callable[[], bool] = lambda: True) -> None:
        self._fuse = fuse

    def decide(self, view: View, standing: Sequence[Standing]) -> Sequence[Wish]:
        if self._fuse():
            raise MemoryError("on purpose")
        return []


class Stuck:
    """A controller that does not come back while `held`, as a deadlock in a library would do."""

    KIND, RANK, FALLBACK, name = "stuck", Rank.OPTIMISER, "none", "stuck"

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()
        self.inside = False

    def decide(self, view: View, standing: Sequence[Standing]) -> Sequence[Wish]:
        self.inside = not self.free.is_set()
        self.free.wait(PATIENCE_S)
        self.inside = False
        return []


class Stage:
    """A loop on the devices of a file, and what it handed over."""

    def __init__(
        self, file: Path, *always: object, writes: Mapping[str, int] | None = None, controllers: bool = True
    ) -> None:
        config, clock = load(file), SystemClock()
        self.recorded: list[Frame] = []
        self.told: list[Frame] = []
        recorder = Recorder(config.cell.outputs, NS, self.recorded.extend, self.told.extend)
        self.hand = Hand(config.cell.outputs)
        built = plant.build(config, clock, field.build(config, clock), {})
        if not controllers:
            built = replace(built, controllers=())
        self.clock = clock
        self.loop = Loop(built, clock, recorder, lambda _: None, None, (self.hand, *always), writes)  # type: ignore[arg-type]

    async def until(self, true: object) -> None:
        assert callable(true)
        async with asyncio.timeout(PATIENCE_S):
            while not true():
                await asyncio.sleep(0.005)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.loop.run())
        try:
            await self.until(lambda: self.loop.newest is not None or task.done())
            yield
        finally:
            self.loop.stop(safe=True)
            async with asyncio.timeout(PATIENCE_S):
                await task


def actuators(found: Devices) -> list[int]:
    values: list[int] = found.ask()["actuators"]
    return values


async def test_it_follows_the_input_and_leaves_the_output_safe(tmp_path: Path) -> None:
    with devices("--echo-ms", "50", "--safe", "7") as found:
        stage = Stage(site(tmp_path, found.ports, period_ms=10, outputs=1))
        async with stage.running():
            await stage.until(lambda: len(found.ask()["log"][0]) >= 10)
            assert stage.loop.newest is not None
            decision = stage.loop.newest.tick.decisions[0]
            assert (decision.by, decision.authority) == ("follow0", Authority.LOCAL)
            done = {value / 10 for _, value in found.ask()["log"][0]}
        assert actuators(found) == [0]  # the file's safe value, as the loop was stopped in good order
    recorded = {round(frame.values[0], 1) for frame in stage.recorded if frame.layout.device == "control"}
    assert done <= recorded, "every actuation is recorded"
    assert any("follow0" in text for frame in stage.told for _, text in frame.texts), "the audit hears who decides"


async def test_rule_25_a_silent_device_and_a_slow_one_delay_nobody(tmp_path: Path) -> None:
    with devices("--ports", "3", "--echo-ms", "50", "--slow", "2:0.2", "--dead", "3") as found:
        stage = Stage(site(tmp_path, found.ports, period_ms=100, outputs=3))
        async with stage.running():
            await stage.until(lambda: stage.loop.counts.ticks >= 20)
            assert stage.loop.counts.late == 0
            assert stage.loop.newest is not None
            by = [one.authority for one in stage.loop.newest.tick.decisions]
            assert by[0] is Authority.LOCAL
            assert by[2] is not Authority.LOCAL  # nothing is known of a device that never answered


async def test_a_reload_leaves_the_outputs_as_they_are(tmp_path: Path) -> None:
    with devices("--echo-ms", "50") as found:
        file = site(tmp_path, found.ports, period_ms=10, outputs=1)
        stage = Stage(file)
        async with stage.running():
            stage.hand.set("out0", 55, 60 * NS, "test", "", stage.clock.monotonic_ns())
            await stage.until(lambda: actuators(found) == [550])
            stage.loop.stop(safe=False)
        assert actuators(found) == [550]


async def test_what_ends_the_thread_is_raised_to_the_supervisor(tmp_path: Path) -> None:
    with devices() as found:
        stage = Stage(site(tmp_path, found.ports, period_ms=10, outputs=1), Bomb())
        with pytest.raises(BaseExceptionGroup) as caught:
            await asyncio.wait_for(stage.loop.run(), PATIENCE_S)
        assert caught.group_contains(MemoryError)


async def test_a_cancelled_run_ends_its_thread_and_leaves_safe(tmp_path: Path) -> None:
    with devices() as found:
        stage = Stage(site(tmp_path, found.ports, period_ms=10, outputs=1))
        task = asyncio.create_task(stage.loop.run())
        await stage.until(lambda: stage.loop.newest is not None)
        stage.hand.set("out0", 55, 60 * NS, "test", "", stage.clock.monotonic_ns())
        await stage.until(lambda: actuators(found) == [550])
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert actuators(found) == [0]


async def test_a_part_that_fails_leaves_the_outputs_safe(tmp_path: Path) -> None:
    """It may be long until the supervisor's next try; nobody decides in between."""
    with devices() as found:
        lit: list[bool] = []
        stage = Stage(site(tmp_path, found.ports, period_ms=10, outputs=1), Bomb(lambda: bool(lit)))
        task = asyncio.create_task(stage.loop.run())
        await stage.until(lambda: stage.loop.newest is not None)
        stage.hand.set("out0", 55, 60 * NS, "test", "", stage.clock.monotonic_ns())
        await stage.until(lambda: actuators(found) == [550])
        lit.append(True)
        with pytest.raises(BaseExceptionGroup):
            await asyncio.wait_for(task, PATIENCE_S)
        assert actuators(found) == [0]


async def test_what_an_earlier_life_set_is_left_safe_too(tmp_path: Path) -> None:
    """Stopped right after a reload, before anybody has decided anew."""
    with devices("--echo-ms", "50", "--safe", "7") as found:
        file = site(tmp_path, found.ports, period_ms=10, outputs=1)
        first = Stage(file)
        async with first.running():
            first.hand.set("out0", 55, 60 * NS, "test", "", first.clock.monotonic_ns())
            await first.until(lambda: actuators(found) == [550])
            first.loop.stop(safe=False)
        second = Stage(file, writes=first.loop.guard.saved(), controllers=False)
        async with second.running():
            assert actuators(found) == [550]
        assert actuators(found) == [0]


async def test_a_thread_that_hangs_is_left_behind_at_the_end_and_acts_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loop, "END_S", 0.2)
    with devices() as found:
        stuck = Stuck()
        stage = Stage(site(tmp_path, found.ports, period_ms=10, outputs=1), stuck)
        task = asyncio.create_task(stage.loop.run())
        await stage.until(lambda: stage.loop.newest is not None)
        stuck.free.clear()
        await stage.until(lambda: stuck.inside)
        stage.hand.set("out0", 55, 60 * NS, "test", "", stage.clock.monotonic_ns())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, PATIENCE_S)
        assert "hangs" in caplog.text
        stuck.free.set()  # it comes back when nobody wants it any more
        await stage.until(lambda: not any(one.name == "control" for one in threading.enumerate()))
        assert actuators(found) == [0]


async def test_what_the_main_loop_did_not_write_in_time_is_never_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "ELSEWHERE_S", 0.05)
    written: list[float] = []

    async def write(value: float) -> Written:
        written.append(value)
        return Written(Outcome.APPLIED, value)

    main, said = asyncio.get_running_loop(), queue.SimpleQueue[Written]()
    other = threading.Thread(target=lambda: said.put(asyncio.run(loop.elsewhere(main, write, 5.0))))
    other.start()
    late = said.get(timeout=PATIENCE_S)  # this holds the main loop up
    assert late.outcome is Outcome.UNKNOWN
    await asyncio.sleep(0.01)
    assert not written
    assert (await loop.elsewhere(main, write, 6.0)).outcome is Outcome.APPLIED
    assert written == [6.0]
    other.join()


async def test_at_a_reload_a_thread_that_hangs_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two loops on one device would be worse than none; the watchdog ends what does not come back."""
    monkeypatch.setattr(loop, "END_S", 0.1)
    with devices() as found:
        stuck = Stuck()
        stage = Stage(site(tmp_path, found.ports, period_ms=10, outputs=1), stuck)
        task = asyncio.create_task(stage.loop.run())
        await stage.until(lambda: stage.loop.newest is not None)
        stuck.free.clear()
        await stage.until(lambda: stuck.inside)
        stage.loop.stop(safe=False)
        task.cancel()
        assert not (await asyncio.wait([task], timeout=0.3))[0]
        stuck.free.set()
        assert (await asyncio.wait([task], timeout=PATIENCE_S))[0]
