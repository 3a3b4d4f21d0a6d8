"""Hysteresis: two-point control, on at one level and off at another."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

from edge_agent.cell import ControllerSpec
from edge_agent.control.motion import follows
from edge_agent.control.settings import Role, Setting, Wired
from edge_agent.image import View
from edge_agent.setpoint import Rank, Standing, Wiring, Wish


class Hysteresis:
    """On at `on_at`, off at `off_at`, between them as it was. With on_at below off_at it heats or fills, else it cools
    or empties."""

    KIND: ClassVar[str] = "hysteresis"
    RANK: ClassVar[Rank] = Rank.OPTIMISER
    FALLBACK: ClassVar[str] = "no wish while the input may not be used"
    BUMPLESS: ClassVar[bool] = False
    INPUTS: ClassVar[Mapping[str, Role]] = {"input": Role("what is kept between the two")}
    OUTPUTS: ClassVar[Mapping[str, Role]] = {"output": Role("what is switched")}
    SETTINGS: ClassVar[Mapping[str, Setting]] = {
        "on_at": Setting("switches on here", "of the input", required=True),
        "off_at": Setting("switches off here", "of the input", required=True),
        "on": Setting("the output when on; without it, its max", "of the output"),
        "off": Setting("the output when off; without it, its min", "of the output"),
    }
    EXAMPLE: ClassVar[str] = """
[[controller]]
name = "heating"
kind = "hysteresis"
inputs = { input = "hall/temperature" }
outputs = { output = "heater" }
settings = { on_at = 18, off_at = 20 }
"""

    @classmethod
    def build(cls, spec: ControllerSpec, wiring: Wiring) -> Self | None:
        wired = Wired.read(cls, spec, wiring)
        differ = wired.number("on_at") != wired.number("off_at")
        wired.require(differ, ("on_at", "off_at"), "is off_at as well", "leave a gap between them")
        wired.require_reachable("on", "off")
        return cls(wired) if wired.sound else None

    def __init__(self, wired: Wired) -> None:
        self.name = wired.name
        self._slot, self._input = wired.slot("output"), wired.sense("input")
        self._on_at, self._off_at = wired.number("on_at"), wired.number("off_at")
        self._on, self._off = wired.or_else("on", self._slot.output.high), wired.or_else("off", self._slot.output.low)
        self._is_on = False

    def decide(self, view: View, standing: Sequence[Standing]) -> Sequence[Wish]:
        value = self._input.read(view)
        if value is None:
            return ()
        now = standing[self._slot.index]
        if follows(now, self.name):
            self._is_on = abs(now.value - self._on) < abs(now.value - self._off)
        sign = 1.0 if self._on_at > self._off_at else -1.0
        if sign * (value - self._on_at) >= 0:
            self._is_on = True
        elif sign * (value - self._off_at) <= 0:
            self._is_on = False
        return [self._slot.exactly(self._on if self._is_on else self._off, f"{value:.6g}")]
