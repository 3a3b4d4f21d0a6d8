"""Where readings come from. A source owns one line or one broker and emits frames; the table is resolved on use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

from edge_agent.image import Emit, Layout

SOURCES = {
    "modbus": "edge_agent.sources.modbus:Modbus",
    "mqtt": "edge_agent.sources.mqtt:Mqtt",
}


class Outcome(Enum):
    """What became of a write: `accepted` is not `actuated`, so each is read back."""

    APPLIED = "applied"  # read back equal
    CLAMPED = "clamped"  # the device took another value
    ACCEPTED = "accepted"  # the device said yes; the point cannot be read back
    REJECTED = "rejected"  # the device said no, or the value is not allowed
    UNKNOWN = "unknown"  # no answer, or no read-back


@dataclass(frozen=True, slots=True)
class Written:
    outcome: Outcome
    value: float  # as read back, internal unit; NaN when unknown
    why: str = ""


class Source(Protocol):
    name: str  # of the line or broker, for people

    def wants(self) -> Sequence[tuple[str, tuple[str, ...]]]:
        """(device, numeric points) of each layout that this source will emit, in order; called once, before run."""

    async def run(self, layouts: Sequence[Layout], emit: Emit) -> None:
        """Poll or listen until cancelled; `layouts` answer `wants`, in its order. Never ends by a device's fault."""

    async def write(self, device: str, point: str, value: float) -> Written:
        """Write one point (internal unit), read it back, say what became of it."""

    async def actuate(self, device: str, point: str, value: float) -> Written:
        """Write for a caller that itself knows what the point holds and keeps its bounds, renewals and write budget:
        straight out, then read back."""

    def gauges(self) -> Mapping[str, float]:
        """Counters of this source: polls, timeouts, exceptions, overruns, reconnects, open_breakers, ..."""


@runtime_checkable
class Teller(Protocol):
    """A source that can also say things to others: an MQTT broker's."""

    async def tell(self, topic: str, payload: bytes) -> bool:
        """Publish; False where it could not be sent."""
