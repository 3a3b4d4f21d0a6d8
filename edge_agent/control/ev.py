"""EV: the current of charging points by the power that is left at the connection.

IEC 61851-1: a car charges with at least 6 A or not at all. Where there is less for each, as many as can be served are,
and they take turns.
"""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

from edge_agent.cell import ControllerSpec
from edge_agent.control.motion import follows
from edge_agent.control.settings import Role, Setting, Wired
from edge_agent.image import View
from edge_agent.setpoint import Rank, Standing, Wiring, Wish

LEAST_A = 6.0


class Ev:
    """Shares what the connection has left among the charging points, evenly; limit 0 charges from surplus only."""

    KIND: ClassVar[str] = "ev"
    RANK: ClassVar[Rank] = Rank.OPTIMISER
    FALLBACK: ClassVar[str] = (
        "no wish while the grid's power may not be used; a car counts as there while it is unknown"
    )
    BUMPLESS: ClassVar[bool] = False
    INPUTS: ClassVar[Mapping[str, Role]] = {
        "grid": Role("power at the connection point, positive when taken", "W"),
        "connected*": Role("whether a car is there, 1 or 0, named as its charger*", optional=True),
        "current*": Role("what it draws, named as its charger*; else what is applied", "A", optional=True),
    }
    OUTPUTS: ClassVar[Mapping[str, Role]] = {"charger*": Role("largest current that a car may draw", "A")}
    SETTINGS: ClassVar[Mapping[str, Setting]] = {
        "limit": Setting("largest power that may be taken from the grid", "W", required=True),
        "voltage": Setting("between phase and neutral", "V", 230.0, low=100, high=300),
        "phases": Setting("that each car charges with", "1", 3, "whole", low=1, high=3),
        "least": Setting("a car is not given less", "A", LEAST_A, low=LEAST_A, high=80),
        "rise_s": Setting("time constant of more current; less is given at once", "s", 10.0, low=0, high=600),
        "turn_s": Setting("a turn, where there is not enough for all", "s", 900.0, low=60, high=86_400),
    }
    EXAMPLE: ClassVar[str] = """
[[controller]]
name = "cars"
kind = "ev"
inputs = { grid = "meter/power", connected_1 = "wallbox-1/connected", connected_2 = "wallbox-2/connected" }
outputs = { charger_1 = "wallbox-1", charger_2 = "wallbox-2" }
settings = { limit = 22000 }
"""

    @classmethod
    def build(cls, spec: ControllerSpec, wiring: Wiring) -> Self | None:
        wired = Wired.read(cls, spec, wiring)
        chargers = wired.slots("charger")
        for prefix in ("connected", "current"):
            for suffix in wired.senses(prefix):
                if suffix not in chargers and chargers:
                    remedy = f"there are {', '.join(f'charger{one}' for one in chargers)}"
                    wired.refuse(f"inputs.{prefix}{suffix}", f"has no charger{suffix} in outputs", remedy)
        for suffix, slot in chargers.items():
            if not slot.output.low <= 0.0:
                wired.refuse(f"outputs.charger{suffix}", "cannot pause", "the output's min must be 0")
            elif wired.number("least") > slot.output.high:
                wired.refuse(f"outputs.charger{suffix}", "has a max below least", "raise its max or lower least")
        return cls(wired) if wired.sound else None

    def __init__(self, wired: Wired) -> None:
        self.name = wired.name
        chargers = wired.slots("charger")
        connected, drawn = wired.senses("connected"), wired.senses("current")
        self._slots = list(chargers.values())
        self._connected = [connected.get(suffix) for suffix in chargers]
        self._drawn = [drawn.get(suffix) for suffix in chargers]
        self._grid = wired.sense("grid")
        self._limit, self._least = wired.number("limit"), wired.number("least")
        self._w_per_a = wired.number("voltage") * wired.whole("phases")
        self._rise_ns, self._turn_ns = wired.ns("rise_s"), wired.ns("turn_s")
        self._total, self._left, self._seen_ns, self._now_ns = 0.0, 0.0, -1, 0

    def decide(self, view: View, standing: Sequence[Standing]) -> Sequence[Wish]:
        there = [self._is_there(number, view) for number in range(len(self._slots))]
        drawn = [self._draws(number, view, standing) for number in range(len(self._slots))]
        grid = self._grid.read(view)
        if grid is None:
            self._seen_ns = -1
            return ()
        others = any(follows(standing[slot.index], self.name) for slot in self._slots)
        if self._seen_ns < 0 or others:
            self._total, self._now_ns = sum(drawn), view.now_ns
        if self._grid.received_ns != self._seen_ns:  # a meter's value goes with the currents of its time
            self._left = (self._limit - grid) / self._w_per_a + sum(drawn)
            self._seen_ns = self._grid.received_ns
        total = self._rise(view.now_ns)
        given = shares(total, there, [slot.output.high for slot in self._slots], self._least, self._turn(view.now_ns))
        return [
            slot.exactly(amperes, self._why(total, number, there))
            for number, (slot, amperes) in enumerate(zip(self._slots, given, strict=True))
        ]

    def _is_there(self, number: int, view: View) -> bool:
        sense = self._connected[number]
        found = None if sense is None else sense.read(view)
        return found is None or found >= 0.5

    def _draws(self, number: int, view: View, standing: Sequence[Standing]) -> float:
        sense, slot = self._drawn[number], self._slots[number]
        found = None if sense is None else sense.read(view)
        if found is None:
            applied = standing[slot.index].value
            found = applied if math.isfinite(applied) and self._is_there(number, view) else 0.0
        return max(found, 0.0)

    def _rise(self, now_ns: int) -> float:
        """What is given in total: down at once, up slowly, for a car answers seconds later."""
        h, self._now_ns = now_ns - self._now_ns, now_ns
        step = h / (self._rise_ns + h) if self._rise_ns else 1.0
        more = self._left - self._total
        self._total = max(self._total + (more if more < 0 else more * step), 0.0)
        return self._total

    def _turn(self, now_ns: int) -> int:
        return now_ns // self._turn_ns

    def _why(self, total: float, number: int, there: Sequence[bool]) -> str:
        return f"{total:.1f} A for {sum(there)} cars" if there[number] else "no car"


def shares(total: float, there: Sequence[bool], most: Sequence[float], least: float, turn: int) -> list[float]:
    """Amperes for each: even shares, what one cannot take going to the others; none below `least`."""
    given = [0.0] * len(there)
    waiting = [number for number, one in enumerate(there) if one]
    served = min(len(waiting), int((total + 1e-9) // least))
    if not served:
        return given
    first = turn * served % len(waiting) if served < len(waiting) else 0
    chosen = sorted((waiting * 2)[first : first + served], key=lambda number: most[number])
    for position, number in enumerate(chosen):  # who can take least first: the rest is shared by the others
        given[number] = min(total / (served - position), most[number])
        total -= given[number]
    return given
