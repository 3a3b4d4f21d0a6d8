"""Level: pumps or valves that fill or empty a tank, with a gap, rest, and turns for duty and standby."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import ClassVar, Self

from edge_agent.cell import ControllerSpec
from edge_agent.control.motion import follows
from edge_agent.control.settings import Role, Setting, Slot, Wired
from edge_agent.image import View
from edge_agent.setpoint import Rank, Standing, Wiring, Wish

NEVER_NS = -(10**18)  # a pump that has not run since the start has rested long enough


class Level:
    """The n-th pump joins at the n-th of `starts`, all stop at `stop`; whoever rested longest goes first."""

    KIND: ClassVar[str] = "level"
    RANK: ClassVar[Rank] = Rank.OPTIMISER
    FALLBACK: ClassVar[str] = (
        "while the level may not be used, filling stops and emptying has no wish (the safe value of the pumps); "
        "a pump counts as sound while its fault is unknown"
    )
    BUMPLESS: ClassVar[bool] = False
    INPUTS: ClassVar[Mapping[str, Role]] = {
        "level": Role("of the tank"),
        "fault*": Role("1 while a pump cannot run, named as its pump*", optional=True),
    }
    OUTPUTS: ClassVar[Mapping[str, Role]] = {"pump*": Role("a pump or valve")}
    SETTINGS: ClassVar[Mapping[str, Setting]] = {
        "mode": Setting("what running does to the tank", "", "empty", "text", choices=("empty", "fill")),
        "starts": Setting("levels at which one, two, … pumps run", "of the level", kind="numbers", required=True),
        "stop": Setting("level at which all stop", "of the level", required=True),
        "rest_s": Setting("a pump that stopped stays off so long", "s", 60.0, low=0, high=86_400),
        "stagger_s": Setting("from one start to the next", "s", 10.0, low=0, high=3_600),
        "on": Setting("the output when running; without it, its max", "of the output"),
        "off": Setting("the output when not; without it, its min", "of the output"),
    }
    EXAMPLE: ClassVar[str] = """
[[controller]]
name = "well"
kind = "level"
inputs = { level = "well/level", fault_a = "pump-a/fault", fault_b = "pump-b/fault" }
outputs = { pump_a = "pump-a", pump_b = "pump-b" }
settings = { mode = "empty", starts = [1.8, 2.4], stop = 0.6 }
"""

    @classmethod
    def build(cls, spec: ControllerSpec, wiring: Wiring) -> Self | None:
        wired = Wired.read(cls, spec, wiring)
        sign = 1.0 if wired.text("mode") == "empty" else -1.0
        levels = [sign * one for one in (wired.number("stop"), *wired.numbers("starts"))]
        rising = all(a < b for a, b in pairwise(levels)) and len(levels) > 1
        order = "stop < starts" if sign > 0 else "stop > starts"
        remedy = f"{order}, one by one, for mode {wired.text('mode')}"
        wired.require(rising, ("starts", "stop", "mode"), "do not follow each other", remedy)
        pumps = wired.slots("pump")
        fewer = len(wired.numbers("starts")) <= len(pumps) or not pumps
        wired.require(fewer, ("starts",), f"are more than {len(pumps)} pumps", "one for each pump, or fewer")
        for suffix in wired.senses("fault"):
            if suffix not in pumps and pumps:
                remedy = f"there are {', '.join(f'pump{one}' for one in pumps)}"
                wired.refuse(f"inputs.fault{suffix}", f"has no pump{suffix} in outputs", remedy)
        wired.require_reachable("on", "off")
        return cls(wired) if wired.sound else None

    def __init__(self, wired: Wired) -> None:
        self.name = wired.name
        pumps, faults = wired.slots("pump"), wired.senses("fault")
        self._slots = list(pumps.values())
        self._faults = [faults.get(suffix) for suffix in pumps]
        self._level = wired.sense("level")
        self._fills = wired.text("mode") == "fill"
        self._starts, self._stop = wired.numbers("starts"), wired.number("stop")
        self._rest_ns, self._stagger_ns = wired.ns("rest_s"), wired.ns("stagger_s")
        self._on = [wired.or_else("on", slot.output.high) for slot in self._slots]
        self._off = [wired.or_else("off", slot.output.low) for slot in self._slots]
        self._runs = [False] * len(self._slots)
        self._stopped_ns = [NEVER_NS] * len(self._slots)
        self._started_ns = NEVER_NS  # the last of any
        self._wanted = 0

    def decide(self, view: View, standing: Sequence[Standing]) -> Sequence[Wish]:
        sound = [fault is None or (fault.read(view) or 0.0) < 0.5 for fault in self._faults]
        self._follow(view.now_ns, standing)
        level = self._level.read(view)
        if level is None:
            if not self._fills:
                return ()
            self._wanted = 0
        else:
            self._count(level)
        self._stop_some(sound, view.now_ns)
        self._start_one(sound, view.now_ns)
        why = "no level" if level is None else f"{level:.6g}, {self._wanted} wanted"
        return [self._wish(number, slot, why) for number, slot in enumerate(self._slots)]

    def _wish(self, number: int, slot: Slot, why: str) -> Wish:
        return slot.exactly(self._on[number] if self._runs[number] else self._off[number], why)

    def _follow(self, now_ns: int, standing: Sequence[Standing]) -> None:
        """A pump that somebody else has set runs or does not, whatever was wished."""
        for number, slot in enumerate(self._slots):
            now = standing[slot.index]
            if follows(now, self.name):
                nearer_on = abs(now.value - self._on[number]) < abs(now.value - self._off[number])
                self._set(number, nearer_on, now_ns)

    def _set(self, number: int, runs: bool, now_ns: int) -> None:
        if self._runs[number] and not runs:
            self._stopped_ns[number] = now_ns
        if runs and not self._runs[number]:
            self._started_ns = now_ns
        self._runs[number] = runs

    def _count(self, level: float) -> None:
        """How many are wanted: more as starts are passed, none at the stop level, between them as before."""
        sign = -1.0 if self._fills else 1.0
        passed = sum(sign * (level - start) >= 0 for start in self._starts)
        if sign * (level - self._stop) <= 0:
            self._wanted = 0
        else:
            self._wanted = max(self._wanted, sum(self._runs) if not self._wanted else 0, passed)

    def _stop_some(self, sound: Sequence[bool], now_ns: int) -> None:
        """Those with a fault, and all when none is wanted: a pump that joined stays until the stop level."""
        for number in range(len(self._slots)):
            if self._runs[number] and (not sound[number] or not self._wanted):
                self._set(number, False, now_ns)

    def _start_one(self, sound: Sequence[bool], now_ns: int) -> None:
        if sum(self._runs) >= self._wanted or now_ns - self._started_ns < self._stagger_ns:
            return
        rested = [
            number
            for number in range(len(self._slots))
            if sound[number] and not self._runs[number] and now_ns - self._stopped_ns[number] >= self._rest_ns
        ]
        if rested:
            self._set(min(rested, key=lambda number: (self._stopped_ns[number], number)), True, now_ns)
