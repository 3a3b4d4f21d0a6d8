"""A stage for the rules of acting: one output, its device, and a table of ticks. No clock, no thread, no loop.

A row is what happens in one tick: who wishes what (`wishes`), what the device does to a write (`device`), and what is
expected of the decision. The device is a register that shows what it was given, unless the row says otherwise.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from edge_agent.cell import Output
from edge_agent.control.arbiter import Arbiter
from edge_agent.control.guard import Guard
from edge_agent.image import View
from edge_agent.setpoint import Authority, Controller, Decision, Rank, Standing, Wish

MS, S = 1_000_000, 1_000_000_000
PERIOD_NS = 100 * MS
Span = tuple[float, float]

OUTPUT = Output(
    name="valve",
    point="pump/valve",
    safe=0.0,
    ttl_ns=S,
    low=0.0,
    high=100.0,
    slew_per_s=math.inf,
    min_on_ns=0,
    min_off_ns=0,
    refresh_ns=0,
    lifetime_writes=0,
    readback_ns=S // 2,
)


def voice(called: str, rank: Rank) -> Controller:
    """A controller that says what the row says."""

    class Voice:
        KIND: ClassVar[str] = "voice"
        RANK: ClassVar[Rank] = rank
        FALLBACK: ClassVar[str] = "silence"
        name = called

        def decide(self, view: View, standing: Sequence[Standing]) -> Sequence[Wish]:
            raise AssertionError("the stage speaks for it")

    return Voice()


VOICES = [
    voice("interlock", Rank.INTERLOCK),
    voice("hand", Rank.HAND),
    voice("emergency-order", Rank.EMERGENCY),
    voice("order", Rank.CENTRAL),
    voice("pid", Rank.OPTIMISER),
    voice("twin", Rank.OPTIMISER),
    voice("schedule", Rank.DEFAULT),
]
MODEL = {"twin": "tank@1"}


@dataclass
class Device:
    """One register. `stuck`: takes writes and changes nothing; `dead`: answers nothing; `rounds`: its resolution."""

    value: float = 0.0
    stuck: bool = False
    dead: bool = False
    rounds: float = 0.0
    writes: list[float] = field(default_factory=list)

    def write(self, value: float) -> bool:
        if self.dead:
            return False
        self.writes.append(value)
        if not self.stuck:
            self.value = round(value / self.rounds) * self.rounds if self.rounds else value
        return True


class Stage:
    """`polled`: whether the device is read before each tick."""

    def __init__(
        self,
        output: Output = OUTPUT,
        device: Device | None = None,
        *,
        guard: type[Guard] = Guard,
        writes: Mapping[str, int] | None = None,
        polled: bool = True,
    ) -> None:
        self.output, self.device = output, device or Device()
        self.arbiter = Arbiter([output])
        self.guard = guard([output], PERIOD_NS, writes)
        self.polled = polled
        self.rogue: float | None = None  # a decision that comes past the arbiter, in the next tick
        self.now_ns = 1000 * S

    def tick(self, wishes: Mapping[str, float | Span] | None = None, after_ns: int = PERIOD_NS) -> Decision:
        """One tick, `after_ns` later: read, wish, decide, judge, write, be answered."""
        said = [
            (one, [wish_of(wishes[one.name], MODEL.get(one.name, ""))])
            for one in VOICES
            if wishes and one.name in wishes
        ]
        return self._tick(said, after_ns)

    def tick_of(self, name: str, wishes: Sequence[Wish]) -> Decision:
        """One tick in which this voice says what a real controller wished."""
        return self._tick([(one, wishes) for one in VOICES if one.name == name], PERIOD_NS)

    def _tick(self, said: Sequence[tuple[Controller, Sequence[Wish]]], after_ns: int) -> Decision:
        self.now_ns += after_ns
        if self.polled and not self.device.dead:
            self.guard.seen(0, self.device.value, self.now_ns - 1)
        self.arbiter.begin(self.guard.standing())
        for voice_, wishes in said:
            self.arbiter.narrow(voice_, wishes, self.now_ns)
        decisions = self.arbiter.conclude(self.now_ns)
        if self.rogue is not None:
            decisions = [Decision(self.rogue, Authority.LOCAL, "rogue", "says so", self.now_ns + self.output.ttl_ns)]
        (decision,) = self.guard.judge(decisions, self.now_ns)
        for write in self.guard.due(self.now_ns):
            if self.device.write(write.value):
                applied = abs(self.device.value - write.value) <= self.device.rounds / 2
                self.guard.written(0, self.device.value, self.now_ns, applied=applied)
            else:
                self.guard.failed(0, "no answer", self.now_ns)
        return decision

    def ticks(self, count: int, wishes: Mapping[str, float | Span] | None = None) -> list[Decision]:
        return [self.tick(wishes) for _ in range(count)]


def wish_of(wanted: float | Span, model: str = "") -> Wish:
    low, high = wanted if isinstance(wanted, tuple) else (wanted, wanted)
    return Wish(0, low, high, "says the row", model=model)
