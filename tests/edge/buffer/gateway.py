"""What the tests of the buffer share: limits, frames that say which append they came from, and a place."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_agent.buffer import Buffer, Stored
from edge_agent.image import Frame, Layout
from protos.batch import Priority, decode
from protos.clock import NS, Anchor, SteppedClock

GATEWAY = "north-1"
POINTS = 10
LAYOUT = Layout("meter", tuple(f"p{at}" for at in range(POINTS)))
UTC_NS = 1_700_000_000 * NS


@dataclass(frozen=True)
class Limits:
    max_mb: int = 50
    keep_days: float = 14.0
    ballast_mb: int = 1


class Gateway:
    """One buffer that can be closed, killed and opened again; `append(n)` writes readings of value n."""

    def __init__(self, directory: Path, limits: Limits | None = None) -> None:
        self.directory = directory
        self.limits = limits or Limits()
        self.clock = SteppedClock()
        self.buffer: Buffer

    async def open(self) -> Buffer:
        self.buffer = await Buffer.open(self.directory, GATEWAY, self.clock, self.limits)
        return self.buffer

    def anchor(self) -> Anchor:
        return Anchor(self.clock.boot_id, UTC_NS, 0, "ntp")

    async def append(self, serial: int, priority: Priority = Priority.TELEMETRY, rows: int = 2) -> int:
        return await self.buffer.append(frames_of(serial, rows), priority, self.anchor())

    async def waiting(self) -> list[int]:
        return [serial_of(one) for one in await self.buffer.newer(0, 0, 1_000_000, 1 << 40)]


def frames_of(serial: int, rows: int = 2) -> list[Frame]:
    values = np.random.default_rng(serial).random((rows, POINTS))
    values[:, 0] = serial
    return [Frame(LAYOUT, at, at, row) for at, row in enumerate(values)]


def serial_of(stored: Stored) -> int:
    """Which append a batch is; checks that it is exactly that."""
    values = decode(stored.blob).blocks[0].values
    serial = int(values[0, 0])
    assert np.array_equal(values, np.stack([frame.values for frame in frames_of(serial, len(values))]))
    return serial
