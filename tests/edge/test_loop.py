"""The control loop against real devices: it follows, waits for nobody who is silent, and leaves safe what it set."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge_agent import field, plant
from edge_agent.config import load
from edge_agent.control.hand import Hand
from edge_agent.image import Frame, View
from edge_agent.loop import Loop
from edge_agent.recorder import Recorder
from edge_agent.setpoint import Authority, Rank, Standing, Wish
from protos.clock import NS, SystemClock
from tests.bench.acting import Devices, devices, site

PATIENCE_S = 10.0


class Bomb:
    """A controller that fails in a way that no controller may: what ends its thread must be heard."""

    KIND, RANK, FALLBACK, name = "bomb", Rank.OPTIMISER, "none", "bomb"

    def decide(self, view: View, standing: Sequence[Standing]) -> Sequence[Wish]:
        raise MemoryError("on purpose")


class Stage:
    """A loop on the devices of a file, and what it handed over."""

    def __init__(self, file: Path, *always: object, period_ms: int = 10) -> None:
        config, clock = load(file), SystemClock()
        self.recorded: list[Frame] = []
        self.told: list[Frame] = []
        recorder = Recorder(config.cell.outputs, NS, self.recorded.extend, self.told.extend)
        self.hand = Hand(config.cell.outputs)
        built = plant.build(config, clock, field.build(config, clock), {})
        self.clock = clock
        self.loop = Loop(built, clock, recorder, lambda _: None, None, (self.hand, *always))  # type: ignore[arg-type]

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


async def test_a_silent_device_and_a_slow_one_delay_nobody(tmp_path: Path) -> None:
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
