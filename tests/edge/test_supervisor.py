"""Tasks that fail are started again, more and more slowly; those that are told to end do end."""

import asyncio

import pytest

from edge_agent.health import Health
from edge_agent.supervisor import PAUSE_MAX_S, PAUSE_S, Supervisor
from protos.clock import NS, SteppedClock


class Task:
    """Fails, each time it is started, until `well`."""

    def __init__(self, clock: SteppedClock) -> None:
        self.clock = clock
        self.begun_s: list[float] = []
        self.well = False

    async def run(self) -> None:
        self.begun_s.append(self.clock.monotonic_ns() / NS)
        if self.well:
            await asyncio.Event().wait()
        raise OSError("the line is cut")


async def test_the_pause_doubles_up_to_a_minute() -> None:
    clock = SteppedClock()
    health, task = Health(clock), Task(clock)
    kept = asyncio.create_task(Supervisor(health, clock).keep("line", task.run))
    await clock.advance(200 * NS)
    pauses = [b - a for a, b in zip(task.begun_s, task.begun_s[1:], strict=False)]
    assert pauses == [PAUSE_S, 2.0, 4.0, 8.0, 16.0, 32.0, PAUSE_MAX_S, PAUSE_MAX_S]
    assert health.tasks["line"].restarts == len(task.begun_s)
    assert health.tasks["line"].error == "OSError: the line is cut"
    kept.cancel()


async def test_who_went_well_for_long_is_started_again_at_once() -> None:
    clock = SteppedClock()
    begun_s = []

    async def work() -> None:
        begun_s.append(clock.monotonic_ns() / NS)
        await clock.sleep_until(clock.monotonic_ns() + (2 * int(PAUSE_MAX_S * NS) if len(begun_s) == 4 else 0))
        raise OSError

    kept = asyncio.create_task(Supervisor(Health(clock), clock).keep("line", work))
    await clock.advance(200 * NS)
    assert begun_s[:5] == [0.0, 1.0, 3.0, 7.0, 7.0 + 2 * PAUSE_MAX_S + PAUSE_S]
    kept.cancel()


async def test_a_task_that_fails_while_it_is_cancelled_has_ended(caplog: pytest.LogCaptureFixture) -> None:
    """Else whoever waits for its end, a reload or a stop, would wait for ever."""
    clock = SteppedClock()
    begun = 0

    async def work() -> None:
        nonlocal begun
        begun += 1
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("goodbye failed")

    kept = asyncio.create_task(Supervisor(Health(clock), clock).keep("broker", work))
    await clock.advance(0)
    kept.cancel()
    await clock.advance(200 * NS)
    assert kept.cancelled()
    assert begun == 1
    assert "goodbye failed" in caplog.text
