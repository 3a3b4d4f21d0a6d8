"""Keeps the agent's tasks going: one that fails is written down, counted and started again after a growing pause."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from edge_agent.health import Health
from protos.clock import NS, Clock

log = logging.getLogger(__name__)
PAUSE_S, PAUSE_MAX_S = 1.0, 60.0  # before a failed task is started again
Work = Callable[[], Awaitable[object]]


@dataclass(eq=False)
class Supervisor:
    """One for the life of the agent."""

    health: Health
    clock: Clock

    async def keep(self, name: str, work: Work) -> None:
        """Run `work` until cancelled; one that fails or ends is started again after a pause that grows to a minute.

        A task that fails while it is being cancelled has ended all the same: whoever cancelled it waits for that.
        """
        if name not in self.health.tasks:
            self.health.watch(name)
        pause = PAUSE_S
        while True:
            begun = self.clock.monotonic_ns()
            try:
                await work()
            except Exception as error:
                self.health.failed(name, error)
                if told_to_end():
                    log.exception("%s failed at its end", name)
                    raise asyncio.CancelledError from error
                log.exception("%s failed; again in %.0f s", name, pause)
            if self.clock.monotonic_ns() - begun > PAUSE_MAX_S * NS:
                pause = PAUSE_S
            await self.clock.sleep_until(self.clock.monotonic_ns() + int(pause * NS))
            pause = min(2 * pause, PAUSE_MAX_S)


def told_to_end() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
