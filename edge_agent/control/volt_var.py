"""Q(V): reactive power of an inverter by the voltage at its terminals.

Four corners V1 < V2 ≤ V3 < V4: capacitive below V1, nothing between V2 and V3, inductive above V4, straight between.
The defaults are those of IEEE 1547-2018 (category B: 0.92, 0.98, 1.02, 1.08; 44 % of the rated apparent power; 90 %
of the way after 5 s), checked against EPRI's OpenDER, its public model (github.com/epri-dev/OpenDER). Under
VDE-AR-N 4105 the network operator gives corners and time constant: no number of it is a default here. The way to a new
value is of first order (PT1), as inverters for that rule have it (Fronius GEN24, manual, Q(U) and time constant).
"""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np

from edge_agent.cell import ControllerSpec
from edge_agent.control.motion import Lag
from edge_agent.control.settings import Role, Setting, Wired
from edge_agent.image import View
from edge_agent.setpoint import Rank, Standing, Wiring, Wish


class VoltVar:
    """Reactive power against the voltage: positive (inductive, as in the image) where it is too high."""

    KIND: ClassVar[str] = "volt_var"
    RANK: ClassVar[Rank] = Rank.OPTIMISER
    FALLBACK: ClassVar[str] = "no wish while a voltage may not be used; without the active power the curve alone limits"
    BUMPLESS: ClassVar[bool] = True
    INPUTS: ClassVar[Mapping[str, Role]] = {
        "voltage*": Role("at the terminals, one or each phase; the mean counts", "V"),
        "active_power": Role("leaves less for reactive power: Q² ≤ S² − P²", "W", optional=True),
    }
    OUTPUTS: ClassVar[Mapping[str, Role]] = {"output": Role("reactive power", "var")}
    SETTINGS: ClassVar[Mapping[str, Setting]] = {
        "nominal": Setting(
            "nominal voltage, phase to neutral or between phases as measured", "V", required=True, low=1
        ),
        "rated": Setting("rated apparent power", "VA", required=True, low=1),
        "corners": Setting("V1, V2, V3, V4 over nominal", "1", (0.92, 0.98, 1.02, 1.08), "numbers", low=0.5, high=1.5),
        "share": Setting("of the rated apparent power, below V1 and above V4", "1", 0.44, low=0, high=1),
        "response_s": Setting("90 % of a step are reached after so long; 0: at once", "s", 5.0, low=0, high=600),
        "capacitive_positive": Setting("the device counts capacitive as positive", "", False, "boolean"),
    }
    EXAMPLE: ClassVar[str] = """
[[controller]]
name = "voltage"
kind = "volt_var"
inputs = { voltage_1 = "meter/voltage_l1", voltage_2 = "meter/voltage_l2", voltage_3 = "meter/voltage_l3" }
outputs = { output = "inverter-q" }
settings = { nominal = 230, rated = 10000, corners = [0.93, 0.97, 1.03, 1.07], share = 0.33 }
"""

    @classmethod
    def build(cls, spec: ControllerSpec, wiring: Wiring) -> Self | None:
        wired = Wired.read(cls, spec, wiring)
        corners = wired.numbers("corners")
        rising = len(corners) == 4 and corners[0] < corners[1] <= corners[2] < corners[3]
        wired.require(
            rising, ("corners",), "are no V1 < V2 ≤ V3 < V4", "four rising numbers, as [0.92, 0.98, 1.02, 1.08]"
        )
        return cls(wired) if wired.sound else None

    def __init__(self, wired: Wired) -> None:
        self.name = wired.name
        self._slot = wired.slot("output")
        self._voltages = list(wired.senses("voltage").values())
        self._power = wired.maybe("active_power")
        self._nominal, self._rated = wired.number("nominal"), wired.number("rated")
        share = wired.number("share")
        self._v, self._q = np.array(wired.numbers("corners")), np.array((-share, 0.0, 0.0, share))
        self._sign = -1.0 if wired.flag("capacitive_positive") else 1.0
        self._lag = Lag(round(wired.ns("response_s") / math.log(10)))

    def decide(self, view: View, standing: Sequence[Standing]) -> Sequence[Wish]:
        found = [sense.read(view) for sense in self._voltages]
        voltages = [one for one in found if one is not None]
        if len(voltages) < len(found):
            return ()
        v = sum(voltages) / len(voltages) / self._nominal
        q = self._rated * float(np.interp(v, self._v, self._q))
        most = self._most(view)
        target = self._sign * min(max(q, -most), most)
        value = self._lag.towards(target, view.now_ns, standing[self._slot.index], self.name)
        return [self._slot.exactly(value, f"{v:.4f} of the nominal voltage")]

    def _most(self, view: View) -> float:
        """√(S² − P²), with the share of the curve where the active power is unknown."""
        power = self._power.read(view) if self._power is not None else None
        if power is None:
            return self._rated * float(self._q[-1])
        return math.sqrt(max(self._rated**2 - power**2, 0.0))
