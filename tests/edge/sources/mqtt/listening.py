"""A source that listens in a test, and everything that it emits."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from edge_agent.image import Frame, lay_out
from edge_agent.profile import Broker, Device, MqttManners, PointSpec, Profile
from edge_agent.sources.mqtt import Mqtt
from protos.clock import Clock, SystemClock

WAIT_S = 15.0


def device_of(payload: str, root: str, *specs: PointSpec, name: str = "d", **manners: object) -> Device:
    how = MqttManners(payload=payload, **manners)  # type: ignore[arg-type]
    return Device(name, Profile("p", "p", "energy", "t", "A", "t", specs, mqtt=how), "b", topic=root)


@dataclass(eq=False)
class Listening:
    source: Mqtt
    frames: list[Frame] = field(default_factory=list)
    commit: bool = True  # whether each frame is durable at once
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def emit(self, frame: Frame) -> None:
        self.frames.append(frame)
        self._news.set()
        if self.commit and frame.committed is not None:
            asyncio.get_running_loop().call_soon(frame.committed)

    async def until(self, enough: Callable[[list[Frame]], object]) -> list[Frame]:
        async with asyncio.timeout(WAIT_S):
            while not enough(self.frames):
                self._news.clear()
                await self._news.wait()
        return self.frames

    def values(self, point: str) -> list[float]:
        return [f.values[f.layout.points.index(point)] for f in self.frames if point in f.layout.points]

    def commit_all(self) -> None:
        """Everything emitted so far, and from now on, is durable."""
        self.commit = True
        for frame in self.frames:
            if frame.committed is not None:
                frame.committed()


@asynccontextmanager
async def listening(
    broker: Broker,
    devices: Sequence[Device],
    *,
    clock: Clock | None = None,
    connected: bool = True,
    commit: bool = True,
) -> AsyncIterator[Listening]:
    source = Mqtt("g", broker, devices, clock or SystemClock())
    heard = Listening(source, commit=commit)
    layouts, _ = lay_out(source.wants())
    task = asyncio.create_task(source.run(layouts, heard.emit))
    try:
        if connected:
            async with asyncio.timeout(WAIT_S):
                await source.connected.wait()
        yield heard
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
