"""Commands and their read-back: a write is APPLIED when the state topic shows the value, not when it was sent."""

import asyncio
import math
from dataclasses import dataclass, field

from edge_agent.profile import Device, PointSpec
from edge_agent.sources import Outcome, Written
from edge_agent.sources.mqtt.payloads.kind import Kind
from edge_agent.sources.mqtt.reading import Group, Request


@dataclass(eq=False, slots=True)
class Watch:
    """Waits for a point to show a value."""

    wanted: float
    tolerance: float
    seen: float = math.nan
    applied: asyncio.Event = field(default_factory=asyncio.Event)

    def saw(self, value: float) -> None:
        if math.isnan(value):
            return
        self.seen = value
        if abs(value - self.wanted) <= self.tolerance:
            self.applied.set()

    def outcome(self, seconds: float) -> Written:
        if self.applied.is_set():
            return Written(Outcome.APPLIED, self.seen)
        if math.isnan(self.seen):
            return Written(Outcome.UNKNOWN, math.nan, f"the state topic said nothing within {seconds:g} s")
        return Written(Outcome.CLAMPED, self.seen, f"the device shows another value after {seconds:g} s")


@dataclass(eq=False)
class Writes:
    """Where each writable point is, and who waits for it."""

    kinds: list[Kind]
    watches: dict[tuple[Group, int], list[Watch]] = field(default_factory=dict)

    def find(self, device: str, point: str) -> tuple[Kind, Group, int] | None:
        for kind in self.kinds:
            for group in kind.groups:
                for at, spec in enumerate(group.numbers):
                    if group.device.name == device and spec.name == point:
                        return kind, group, at
        return None

    def request(self, kind: Kind, group: Group, at: int, value: float) -> Request:
        """The message for a value in internal units. Raises MqttError."""
        device, spec = group.device, group.numbers[at]
        return kind.command(device, spec, exact(group.raw_of(spec, value)))

    def watch(self, group: Group, at: int, value: float) -> Watch:
        watch = Watch(value, max(group.step(at) / 2, 1e-6 * abs(value)))
        self.watches.setdefault((group, at), []).append(watch)
        return watch

    def done(self, group: Group, at: int, watch: Watch) -> None:
        waiting = self.watches[group, at]
        waiting.remove(watch)
        if not waiting:
            del self.watches[group, at]

    def saw(self, group: Group, values: "list[float]") -> None:
        for (watched, at), waiting in self.watches.items():
            if watched is group:
                for watch in waiting:
                    watch.saw(values[at])


def exact(raw: float) -> float:
    """Without the noise of undoing a scale: 49.99999999999999 is 50."""
    return float(f"{raw:.12g}")


def refusal(device: Device, spec: PointSpec, value: float) -> str:
    """Why the point may not be written with this value; "" where it may."""
    if "w" not in spec.access:
        return f"point {spec.name} of {device.profile.id} is read only"
    return "" if math.isfinite(value) else f"{value} is no value"
