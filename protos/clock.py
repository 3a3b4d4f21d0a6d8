"""Time as an argument: a monotonic clock for order, a wall clock for people, a boot id to tell boots apart.

Every part that needs time takes a `Clock`. `SystemClock` is the machine's; tests and replays use `SteppedClock`,
whose time moves only when told, so that no test sleeps.
"""

import asyncio
import heapq
import itertools
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

NS = 1_000_000_000
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    boot_id: bytes  # 16 bytes, new at each boot of the machine

    def monotonic_ns(self) -> int: ...  # since boot, counts through suspend, never steps
    def wall_ns(self) -> int: ...  # UTC as the machine believes; may be 1970
    async def sleep_until(self, monotonic_ns: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Anchor:
    """UTC = monotonic + offset, within ±error (95 %), for one boot. Source: aggregator, ntp, wall or none."""

    boot_id: bytes
    offset_ns: int
    error_ns: int
    source: str

    def utc_ns(self, monotonic_ns: int) -> int:
        return monotonic_ns + self.offset_ns


class SystemClock:
    def __init__(self) -> None:
        self.boot_id = uuid.UUID(BOOT_ID.read_text().strip()).bytes

    def monotonic_ns(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def wall_ns(self) -> int:
        return time.time_ns()

    async def sleep_until(self, monotonic_ns: int) -> None:
        await asyncio.sleep(max(0, monotonic_ns - self.monotonic_ns()) / NS)


class FastClock(SystemClock):
    """The machine's time, `speed` times as fast from now on: for whole systems that play against a simulator."""

    def __init__(self, speed: float) -> None:
        super().__init__()
        self.speed = speed
        self._mono, self._wall = super().monotonic_ns(), super().wall_ns()

    def monotonic_ns(self) -> int:
        return self._mono + int((super().monotonic_ns() - self._mono) * self.speed)

    def wall_ns(self) -> int:
        return self._wall + int((super().wall_ns() - self._wall) * self.speed)

    async def sleep_until(self, monotonic_ns: int) -> None:
        await asyncio.sleep(max(0, monotonic_ns - self.monotonic_ns()) / (NS * self.speed))


class SteppedClock:
    """Time that moves only by `advance`; sleepers wake in the order of their deadlines."""

    def __init__(self, monotonic_ns: int = 0, wall_ns: int = 0, boot_id: bytes = bytes(16)) -> None:
        self.boot_id = boot_id
        self._now = monotonic_ns
        self._offset = wall_ns - monotonic_ns
        self._sleepers: list[tuple[int, int, asyncio.Event]] = []
        self._order = itertools.count()

    def monotonic_ns(self) -> int:
        return self._now

    def wall_ns(self) -> int:
        return self._now + self._offset

    def step_wall(self, by_ns: int) -> None:
        self._offset += by_ns

    async def sleep_until(self, monotonic_ns: int) -> None:
        if monotonic_ns <= self._now:
            await asyncio.sleep(0)
            return
        woken = asyncio.Event()
        heapq.heappush(self._sleepers, (monotonic_ns, next(self._order), woken))
        await woken.wait()

    async def advance(self, by_ns: int) -> None:
        """Move time on, waking each sleeper at its own deadline and letting it run before the next."""
        until = self._now + by_ns
        await self._let_run()
        while self._sleepers and self._sleepers[0][0] <= until:
            self._now, _, woken = heapq.heappop(self._sleepers)
            woken.set()
            await self._let_run()
        self._now = until
        await self._let_run()

    async def _let_run(self) -> None:
        """Let the woken task run, and what it wakes in turn."""
        for _ in range(16):
            await asyncio.sleep(0)
