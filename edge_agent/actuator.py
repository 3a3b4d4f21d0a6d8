"""The way of one output to its device: one write in flight, the newest value next, every answer told to the guard.

The last word belongs to `leave`: whatever was wanted before and is not under way yet is never written after it.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from edge_agent.sources import Outcome, Written
from protos.clock import NS, Clock

TAKEN = (Outcome.APPLIED, Outcome.CLAMPED, Outcome.ACCEPTED)  # the device has done something about it
AGAIN_NS = NS // 10  # between two tries of the last word


@dataclass(eq=False)
class Actuator:
    """`want` never waits; `run` writes until cancelled. `told` hears what became of each write."""

    write: Callable[[float], Awaitable[Written]]
    told: Callable[[Written, int], None]
    clock: Clock
    last: Written = field(default_factory=lambda: Written(Outcome.UNKNOWN, math.nan, "not written yet"))
    last_ns: int = 0
    _wanted: float = math.nan
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def want(self, value: float) -> None:
        self._wanted = value
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.put(self._wanted)

    async def leave(self, value: float) -> None:
        """Write `value` as the last one, again and again until the device takes it."""
        self._wanted = value  # what `run` writes if it has been woken already
        self._wake.clear()
        await self.put(value)
        while self.last.outcome not in TAKEN:
            await self.clock.sleep_until(self.clock.monotonic_ns() + AGAIN_NS)
            await self.put(value)

    async def put(self, value: float) -> None:
        """Write now, and tell."""
        self.last = await self.write(value)
        self.last_ns = self.clock.monotonic_ns()
        self.told(self.last, self.last_ns)
