"""Ventilation: as much air as the worst pollutant asks for.

Each pollutant asks for nothing up to its first number, for everything from its second, in proportion between. The
defaults, all settings:

    CO2     from 800 ppm (ours) to category II of EN 16798-1:2019, 800 ppm above 400 outside
    PM2.5   from 15 µg/m³, WHO 2021 for 24 h, to 50, its interim target 2
    NO2     from 25 µg/m³, WHO 2021 for 24 h, to 200, its hour (WHO 2010, still valid)
    CO      from 4 mg/m³, WHO 2021 for 24 h, to 10, its 8 h; above `co_cap`, its hour of 35, full air at once

WHO global air quality guidelines, 2021 (the table: airclim.org/who-air-quality-guidelines), and WHO guidelines for
indoor air quality: selected pollutants, 2010.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

from edge_agent.cell import ControllerSpec
from edge_agent.control.motion import Lag
from edge_agent.control.sense import Sense
from edge_agent.control.settings import Role, Setting, Wired
from edge_agent.image import View
from edge_agent.setpoint import Rank, Standing, Wiring, Wish

POLLUTANTS = ("co2", "co", "pm25", "no2")


class Ventilation:
    """Fans by what people breathe: demand-controlled, between the least and the most of the output."""

    KIND: ClassVar[str] = "ventilation"
    RANK: ClassVar[Rank] = Rank.OPTIMISER
    FALLBACK: ClassVar[str] = "a sensor that may not be used asks for `missing`, one of CO for everything"
    BUMPLESS: ClassVar[bool] = True
    INPUTS: ClassVar[Mapping[str, Role]] = {
        "co2*": Role("carbon dioxide", "ppm", optional=True),
        "co*": Role("carbon monoxide", "ug/m3", optional=True),
        "pm25*": Role("particles below 2.5 µm", "ug/m3", optional=True),
        "no2*": Role("nitrogen dioxide", "ug/m3", optional=True),
    }
    OUTPUTS: ClassVar[Mapping[str, Role]] = {"output*": Role("fan speed or damper")}
    SETTINGS: ClassVar[Mapping[str, Setting]] = {
        "co2": Setting("from nothing to everything", "ppm", (800.0, 1200.0), "numbers", low=0),
        "co": Setting("from nothing to everything", "ug/m3", (4_000.0, 10_000.0), "numbers", low=0),
        "pm25": Setting("from nothing to everything", "ug/m3", (15.0, 50.0), "numbers", low=0),
        "no2": Setting("from nothing to everything", "ug/m3", (25.0, 200.0), "numbers", low=0),
        "co_cap": Setting("above this, everything at once", "ug/m3", 35_000.0, low=0),
        "least": Setting("air that there always is; without it, the output's min", "of the output"),
        "missing": Setting("demand of a sensor that may not be used", "1", 0.5, low=0, high=1),
        "smoothing_s": Setting("time constant of the air", "s", 60.0, low=0, high=3_600),
    }
    EXAMPLE: ClassVar[str] = """
[[controller]]
name = "air"
kind = "ventilation"
inputs = { co2 = "hall/co2", co_north = "garage/co_1", co_south = "garage/co_2" }
outputs = { output = "fan" }
settings = { least = 15 }
"""

    @classmethod
    def build(cls, spec: ControllerSpec, wiring: Wiring) -> Self | None:
        wired = Wired.read(cls, spec, wiring)
        for name in POLLUTANTS:
            ends = wired.numbers(name)
            wired.require(
                len(ends) == 2 and ends[0] < ends[1], (name,), "is no range", "two rising numbers, as [800, 1200]"
            )
        if wired.sound and not wired.inputs:
            wired.refuse("inputs", "is empty", f"name at least one sensor: {', '.join(POLLUTANTS)}")
        wired.require_reachable("least")
        return cls(wired) if wired.sound else None

    def __init__(self, wired: Wired) -> None:
        self.name = wired.name
        self._slots = list(wired.slots("output").values())
        self._lags = [Lag(wired.ns("smoothing_s")) for _ in self._slots]
        self._senses: list[tuple[str, Sense]] = [
            (name, sense) for name in POLLUTANTS for sense in wired.senses(name).values()
        ]
        self._ends = {name: wired.numbers(name) for name in POLLUTANTS}
        self._cap, self._missing = wired.number("co_cap"), wired.number("missing")
        self._least = [wired.or_else("least", slot.output.low) for slot in self._slots]

    def decide(self, view: View, standing: Sequence[Standing]) -> Sequence[Wish]:
        asked = [(*self._asks(name, sense.read(view)), name) for name, sense in self._senses]
        demand, why, name = max(asked)
        at_once = any(one == "co" and share > 1 for share, _, one in asked)
        share = min(demand, 1.0)
        wishes = []
        for slot, lag, least in zip(self._slots, self._lags, self._least, strict=True):
            target = least + share * (slot.output.high - least)
            if at_once:
                value = lag.jump(target, view.now_ns)
            else:
                value = lag.towards(target, view.now_ns, standing[slot.index], self.name)
            wishes.append(slot.exactly(value, f"{name} {why}"))
        return wishes

    def _asks(self, name: str, value: float | None) -> tuple[float, str]:
        """Share of the air, 0 to 1, or 2 for everything at once; and why."""
        if value is None:
            return (1.0 if name == "co" else self._missing), "may not be used"
        if name == "co" and value > self._cap:
            return 2.0, f"{value:.0f} above its cap"
        low, high = self._ends[name]
        return min(max((value - low) / (high - low), 0.0), 1.0), f"{value:.0f}"
