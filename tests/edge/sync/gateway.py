"""A gateway's link for tests: enrolled, on a buffer in memory, against `tests.simulators.sync_peer`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from edge_agent.sync import Identity, Settings, Sync
from edge_agent.sync.enrolment import Registry
from edge_agent.sync.surroundings import Command
from edge_agent.sync.trusted import TrustedTime
from protos import sync_pb2 as pb
from protos import telemetry_pb2 as telemetry
from protos.clock import Clock, SystemClock
from tests.edge.sync.memory import MemoryBuffer
from tests.simulators.sync_peer import Home

NAME = "north-1"
CATALOGUE = telemetry.Catalogue(district="north", digest=b"one")


class OffClock(SystemClock):
    """The machine's clock with a wall that is `off_ns` wrong; what its boot knows is its own."""

    def __init__(self, off_ns: int = 0, boot_id: bytes | None = None) -> None:
        super().__init__()
        self.off_ns = off_ns
        self.boot_id = boot_id or self.boot_id

    def wall_ns(self) -> int:
        return super().wall_ns() + self.off_ns


@dataclass(eq=False)
class Gateway:
    state: Path
    clock: Clock
    identity: Identity
    time: TrustedTime
    buffer: MemoryBuffer
    sync: Sync
    orders: list[Command]


def gateway(state: Path, settings: Settings | None = None, clock: Clock | None = None) -> Gateway:
    """A link that is not running yet. The kernel's own synchronisation is left out: this machine's is not ours."""
    clock, orders = clock or SystemClock(), list[Command]()
    time = TrustedTime(state / "time.json", clock, lambda: None)
    identity, buffer = Identity(state / "identity"), MemoryBuffer()
    settings = settings or Settings(retry_cap_s=0.5)
    sync = Sync(
        settings,
        identity,
        buffer,
        clock,
        time,
        CATALOGUE,
        lambda: pb.Status(gauges={"one": 1.0}),
        orders.append,
    )
    return Gateway(state, clock, identity, time, buffer, sync, orders)


async def enrol(one: Gateway, home: Home) -> None:
    registry = Registry(one.identity, one.time, one.clock)
    await registry.enrol(home.token(NAME), NAME, lambda text: None)


@asynccontextmanager
async def running(one: Gateway) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(one.sync.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(buffer: MemoryBuffer, what: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until `what()` is true, looked at whenever the buffer changes."""
    async with asyncio.timeout(seconds), buffer.arrival:
        await buffer.arrival.wait_for(what)
