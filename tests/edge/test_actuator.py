"""One output's way to its device: the newest value next, and the last word is the last that is written."""

import asyncio
import math

from edge_agent.actuator import AGAIN_NS, Actuator
from edge_agent.sources import Outcome, Written
from protos.clock import SteppedClock


class Device:
    """Takes a write when it is let; what it was given is in `written`."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.written: list[float] = []
        self.outcomes = list(outcomes)
        self.gate = asyncio.Event()
        self._line = asyncio.Lock()

    async def write(self, value: float) -> Written:
        async with self._line:
            await self.gate.wait()
            self.written.append(value)
            outcome = self.outcomes.pop(0) if self.outcomes else Outcome.APPLIED
            return Written(outcome, value if outcome is Outcome.APPLIED else math.nan)


async def settle() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


async def test_the_newest_value_is_next_and_every_answer_is_told() -> None:
    device, clock, told = Device(), SteppedClock(5), list[tuple[float, int]]()
    actuator = Actuator(device.write, lambda written, at_ns: told.append((written.value, at_ns)), clock)
    running = asyncio.create_task(actuator.run())
    actuator.want(1.0)
    await settle()
    for value in (2.0, 3.0, 4.0):  # while the first is on its way
        actuator.want(value)
    device.gate.set()
    await settle()
    running.cancel()
    assert device.written == [1.0, 4.0]
    assert told == [(1.0, 5), (4.0, 5)]
    assert (actuator.last.outcome, actuator.last_ns) == (Outcome.APPLIED, 5)


async def test_nothing_that_was_wanted_before_is_written_after_the_last_word() -> None:
    device = Device()
    actuator = Actuator(device.write, lambda written, at_ns: None, SteppedClock())
    running = asyncio.create_task(actuator.run())
    actuator.want(1.0)
    await settle()
    actuator.want(2.0)  # waits behind the first one
    leaving = asyncio.create_task(actuator.leave(0.0))
    await settle()
    device.gate.set()
    await leaving
    await settle()
    running.cancel()
    assert device.written[-1] == 0.0
    assert 2.0 not in device.written


async def test_the_last_word_is_said_until_it_is_taken() -> None:
    clock, device = SteppedClock(), Device(Outcome.UNKNOWN, Outcome.REJECTED)
    device.gate.set()
    leaving = asyncio.create_task(Actuator(device.write, lambda written, at_ns: None, clock).leave(0.0))
    await clock.advance(3 * AGAIN_NS)
    assert leaving.done()
    assert device.written == [0.0, 0.0, 0.0]
