"""Battery: peak shaving at the connection point, within the limits of its state of charge.

What the site takes without the battery, s = grid − battery, decides: above the import limit the battery gives the
rest, below the export limit it takes it, and below `refill_below` it fills up again.
"""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

from edge_agent.cell import ControllerSpec
from edge_agent.control.motion import Lag
from edge_agent.control.settings import Role, Setting, Wired
from edge_agent.image import View
from edge_agent.setpoint import Rank, Standing, Wiring, Wish


class Battery:
    """Power of a battery, positive when it charges, so that the connection point stays within its limits."""

    KIND: ClassVar[str] = "battery"
    RANK: ClassVar[Rank] = Rank.OPTIMISER
    FALLBACK: ClassVar[str] = "no wish while the grid's power may not be used; rests at 0 W without its state of charge"
    BUMPLESS: ClassVar[bool] = True
    INPUTS: ClassVar[Mapping[str, Role]] = {
        "grid": Role("power at the connection point, positive when taken", "W"),
        "state_of_charge": Role("of the battery", "%"),
        "power": Role("of the battery as measured, signed as the output; else what is applied", "W", optional=True),
    }
    OUTPUTS: ClassVar[Mapping[str, Role]] = {"output": Role("power of the battery", "W")}
    SETTINGS: ClassVar[Mapping[str, Setting]] = {
        "import_limit": Setting("largest power that may be taken from the grid", "W", required=True, low=0),
        "export_limit": Setting("largest power that may be given to it; without it, any", "W", low=0),
        "refill_below": Setting("charges while the site takes less than this; 0: from its surplus only", "W", 0.0),
        "least": Setting("not discharged below this", "%", 10.0, low=0, high=100),
        "most": Setting("not charged above this", "%", 95.0, low=0, high=100),
        "taper": Setting("so near to its limits its power is reduced in proportion", "%", 2.0, low=0.1, high=50),
        "smoothing_s": Setting("time constant of the power", "s", 2.0, low=0, high=600),
        "discharging_positive": Setting("the device counts discharging as positive", "", False, "boolean"),
    }
    EXAMPLE: ClassVar[str] = """
[[controller]]
name = "peaks"
kind = "battery"
inputs = { grid = "meter/power", state_of_charge = "battery/soc" }
outputs = { output = "battery-power" }
settings = { import_limit = 30000, refill_below = 20000 }
"""

    @classmethod
    def build(cls, spec: ControllerSpec, wiring: Wiring) -> Self | None:
        wired = Wired.read(cls, spec, wiring)
        apart = wired.number("least") < wired.number("most")
        wired.require(apart, ("least", "most"), "leaves nothing to most", "least below most")
        below = wired.number("refill_below") <= wired.number("import_limit") or not wired.has("import_limit")
        wired.require(below, ("refill_below", "import_limit"), "is above import_limit", "it would fill up from a peak")
        wired.reachable("outputs.output", 0.0)
        return cls(wired) if wired.sound else None

    def __init__(self, wired: Wired) -> None:
        self.name = wired.name
        self._slot = wired.slot("output")
        self._grid, self._soc, self._power = wired.sense("grid"), wired.sense("state_of_charge"), wired.maybe("power")
        self._import, self._refill = wired.number("import_limit"), wired.number("refill_below")
        self._export = wired.or_else("export_limit", float("inf"))
        self._least, self._most, self._taper = wired.number("least"), wired.number("most"), wired.number("taper")
        self._sign = -1.0 if wired.flag("discharging_positive") else 1.0
        self._lag = Lag(wired.ns("smoothing_s"))
        self._site, self._site_ns = 0.0, -1

    def decide(self, view: View, standing: Sequence[Standing]) -> Sequence[Wish]:
        now = standing[self._slot.index]
        grid, soc = self._grid.read(view), self._soc.read(view)
        measured = self._power.read(view) if self._power is not None else None
        if grid is None:
            self._site_ns = -1
            return ()
        if self._grid.received_ns != self._site_ns:  # a meter's value goes with the battery's power of its time
            power = measured if measured is not None else now.value if math.isfinite(now.value) else 0.0
            self._site, self._site_ns = grid - self._sign * power, self._grid.received_ns
        if soc is None:
            return [self._slot.exactly(0.0, "no state of charge")]
        target = self._sign * self._within(self._wanted(), soc)
        value = self._lag.towards(target, view.now_ns, now, self.name)
        return [self._slot.exactly(value, f"the site takes {self._site:.0f} W, {soc:.0f} % left")]

    def _wanted(self) -> float:
        """Positive charges."""
        if self._site > self._import:
            return self._import - self._site
        return max(self._refill - self._site, -self._export - self._site, 0.0)

    def _within(self, power: float, soc: float) -> float:
        """As much of it as the state of charge allows: all, less near its limits, nothing beyond."""
        output = self._slot.output
        largest = output.high if self._sign * power > 0 else -output.low
        room = (self._most - soc if power > 0 else soc - self._least) / self._taper
        allowed = largest * min(max(room, 0.0), 1.0)
        return min(max(power, -allowed), allowed)
