"""Lighting: lamps by daylight, presence and traffic.

By night a road has the lighting class that its traffic asks for: EN 13201-2:2015 says how much light each class is (its
tables, checked at performanceinlighting.com/ww/nl/en-13201-2-2015), and CEN/TR 13201-1:2014 how to select one. The
installation is dimensioned for the first of `classes`; the others are shares of it. Without anybody there for `hold_s`
the last class is enough.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

from edge_agent.cell import ControllerSpec
from edge_agent.control.motion import Ramp
from edge_agent.control.settings import Role, Setting, Wired
from edge_agent.image import View
from edge_agent.setpoint import Rank, Standing, Wiring, Wish

CLASSES = {  # least mean luminance in cd/m² (M) or illuminance in lux (C, P), EN 13201-2:2015
    **dict(zip(("M1", "M2", "M3", "M4", "M5", "M6"), (2.0, 1.5, 1.0, 0.75, 0.5, 0.3), strict=True)),
    **dict(zip(("C0", "C1", "C2", "C3", "C4", "C5"), (50.0, 30.0, 20.0, 15.0, 10.0, 7.5), strict=True)),
    **dict(zip(("P1", "P2", "P3", "P4", "P5", "P6"), (15.0, 10.0, 7.5, 5.0, 3.0, 2.0), strict=True)),
}
BACK = 0.9  # a class is left downwards only when the traffic is clearly below it


class Lighting:
    """Dims lamps: off by day, by night the class of the traffic, less when nobody is there, along a ramp."""

    KIND: ClassVar[str] = "lighting"
    RANK: ClassVar[Rank] = Rank.OPTIMISER
    FALLBACK: ClassVar[str] = (
        "without its illuminance it is night, without its traffic the first class holds, without a presence somebody "
        "is there: rather too much light than too little"
    )
    BUMPLESS: ClassVar[bool] = True
    INPUTS: ClassVar[Mapping[str, Role]] = {
        "illuminance": Role("of the sky, away from the lamps", "lux"),
        "traffic": Role("vehicles an hour", "veh/h", optional=True),
        "presence*": Role("1 while somebody is there", optional=True),
    }
    OUTPUTS: ClassVar[Mapping[str, Role]] = {"light*": Role("dimming level")}
    SETTINGS: ClassVar[Mapping[str, Setting]] = {
        "on_below": Setting("night begins", "lux", 35.0, low=0, high=10_000),
        "off_above": Setting("night ends", "lux", 60.0, low=0, high=10_000),
        "classes": Setting(
            "lighting classes, brightest first", "", ("M3", "M4", "M5"), "texts", choices=tuple(CLASSES)
        ),
        "flows": Setting("from these on, the first, second, … class", "veh/h", (800.0, 300.0), "numbers", low=0),
        "hold_s": Setting("somebody counts as there so long after", "s", 120.0, low=0, high=3_600),
        "full": Setting("the output in the first class; without it, its max", "of the output"),
        "ramp_s": Setting("from dark to full; 0: at once", "s", 20.0, low=0, high=600),
    }
    EXAMPLE: ClassVar[str] = """
[[controller]]
name = "street"
kind = "lighting"
inputs = { illuminance = "mast/illuminance", traffic = "radar/flow", presence_1 = "pole-1/presence" }
outputs = { light_1 = "lamps-north", light_2 = "lamps-south" }
settings = { classes = ["M3", "M4", "M5"], flows = [800, 300] }
"""

    @classmethod
    def build(cls, spec: ControllerSpec, wiring: Wiring) -> Self | None:
        wired = Wired.read(cls, spec, wiring)
        gap = wired.number("on_below") < wired.number("off_above")
        wired.require(gap, ("on_below", "off_above"), "is not below off_above", "leave a gap between them")
        light = [CLASSES[one] for one in wired.texts("classes") if one in CLASSES]
        falling = bool(light) and light == sorted(light, reverse=True)
        alike = len({one[:1] for one in wired.texts("classes")}) == 1
        remedy = 'M, C or P throughout, as ["M3", "M4", "M5"]'
        wired.require(falling and alike, ("classes",), "are not of one kind, brightest first", remedy)
        flows = wired.numbers("flows")
        fits = len(flows) == len(light) - 1 and list(flows) == sorted(flows, reverse=True)
        if "traffic" in wired.inputs:
            wired.require(fits, ("flows", "classes"), "do not fit the classes", "one falling number less than classes")
        wired.require_reachable("full")
        return cls(wired) if wired.sound else None

    def __init__(self, wired: Wired) -> None:
        self.name = wired.name
        self._slots = list(wired.slots("light").values())
        self._full = [wired.or_else("full", slot.output.high) for slot in self._slots]
        seconds = wired.number("ramp_s")
        self._ramps = [Ramp(slot.span / seconds if seconds else 0.0) for slot in self._slots]
        self._sky, self._traffic = wired.sense("illuminance"), wired.maybe("traffic")
        self._presences = list(wired.senses("presence").values())
        light = [CLASSES[one] for one in wired.texts("classes")]
        self._names, self._shares = wired.texts("classes"), [one / light[0] for one in light]
        self._flows, self._hold_ns = wired.numbers("flows"), wired.ns("hold_s")
        self._on_below, self._off_above = wired.number("on_below"), wired.number("off_above")
        self._night, self._class = True, 0
        self._there_ns: int | None = None  # when somebody was there last

    def decide(self, view: View, standing: Sequence[Standing]) -> Sequence[Wish]:
        self._look_up(self._sky.read(view))
        number = self._dimmed(view)
        share = self._shares[number] if self._night else 0.0
        why = self._names[number] if self._night else "day"
        wishes = []
        for slot, full, ramp in zip(self._slots, self._full, self._ramps, strict=True):
            target = slot.output.low + share * (full - slot.output.low)
            wishes.append(slot.exactly(ramp.towards(target, view.now_ns, standing[slot.index], self.name), why))
        return wishes

    def _look_up(self, sky: float | None) -> None:
        if sky is None or sky < self._on_below:
            self._night = True
        elif sky > self._off_above:
            self._night = False

    def _dimmed(self, view: View) -> int:
        """Which class holds now."""
        flow = self._traffic.read(view) if self._traffic is not None else None
        self._class = 0 if flow is None else self._of_flow(flow)
        found = [presence.read(view) for presence in self._presences]
        if not found or any(one is None or one >= 0.5 for one in found):
            self._there_ns = view.now_ns
        empty = self._there_ns is None or view.now_ns - self._there_ns > self._hold_ns
        return len(self._shares) - 1 if empty else self._class

    def _of_flow(self, flow: float) -> int:
        """The first class whose traffic is reached; the one that holds is kept a little longer downwards."""
        for number, least in enumerate(self._flows):
            if flow >= least * (BACK if number >= self._class else 1.0):
                return number
        return len(self._flows)
