"""A Modbus source on a simulated line, for tests: devices of a few words, frames collected until a condition holds."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from edge_agent.image import Frame, lay_out
from edge_agent.profile import Device, ModbusManners, PointSpec, Profile, Register
from edge_agent.sources.modbus import Modbus
from protos.clock import SystemClock

WAIT_S = 10.0


def point(name: str, address: int, kind: str = "u16", **more: Any) -> PointSpec:
    """A point of one register description; what `Register` takes goes there, the rest to the point."""
    fields = Register.__dataclass_fields__
    place = Register(
        more.pop("function", 3), address, kind, **{key: more.pop(key) for key in list(more) if key in fields}
    )
    return PointSpec(name, more.pop("quantity", "ratio"), more.pop("unit", ""), place, **more)


def device(*points: PointSpec, name: str = "d", unit: int = 1, options: dict[str, str] | None = None, **manners: Any) -> Device:  # fmt: skip  # noqa: E501
    """A device at `connection` of the source it is given to; 100 ms timeout and period unless said otherwise."""
    period = manners.pop("period_ms", 100)
    profile = Profile(
        "x-y", "x", "energy", "energy meter", "A", "a test", points, ModbusManners(**{"timeout_ms": 200} | manners)
    )
    return Device(name, profile, "", unit, period_ms=period, options=options or {})


@dataclass(eq=False)
class Rig:
    """A running source and the frames it emitted."""

    source: Modbus
    frames: list[Frame] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def emit(self, frame: Frame) -> None:
        self.frames.append(frame)
        self.news.set()

    async def until(self, condition: Callable[[list[Frame]], bool]) -> list[Frame]:
        """Wait until the frames fulfil a condition."""
        async with asyncio.timeout(WAIT_S):
            while not condition(self.frames):
                self.news.clear()
                await self.news.wait()
        return self.frames

    async def next(self, count: int = 1) -> Frame:
        """The last of the next `count` frames."""
        want = len(self.frames) + count
        return (await self.until(lambda frames: len(frames) >= want))[want - 1]


@asynccontextmanager
async def running(connection: str, *devices: Device, guard: bool = True) -> AsyncIterator[Rig]:
    rig = Rig(Modbus(connection, devices, SystemClock(), guard))
    layouts, _ = lay_out(rig.source.wants())
    task = asyncio.create_task(rig.source.run(layouts, rig.emit))
    try:
        yield rig
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()):
            raise error
