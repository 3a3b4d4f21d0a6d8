"""The simplest domain there is, to copy: ponds that drain one into the next, some with a gauge, all with a pump.

    state      level of each pond, m
    input      inflow per step: rain as forecast, less what the pumps have been ordered to take
    readings   the level, where there is a gauge
    plan       pump rates that keep every pond below its rim at the least energy

To make a domain of it: copy the folder, put your physics into `dynamics`, your sensors into `observe`, what matters
into `risk` and `decide`, and one line into DOMAINS. The battery says what is still missing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aggregator.domains._blueprint import decide, dynamics, observe, risk
from aggregator.twin import BadModel, Floats, Ints
from aggregator.twin.belief import Belief
from aggregator.twin.domain import Control, Limits, Plan, Stated
from aggregator.twin.exchange import Inputs
from aggregator.twin.model import Sparse
from aggregator.twin.part import Asset, Flow, Key, Kind, Part, Wire
from aggregator.twin.risk import Risk
from aggregator.twin.series import Series

NS = 1_000_000_000

KINDS = {
    "pond": Kind(
        "holds water, and has a pump that lifts some of it out of the city",
        {
            "drains_per_step": Key("share of the level that runs into the pond below", "1", 0.1, 0, 1),
            "rim_m": Key("level at which it overflows", "m", low=0.01),
            "pump_m": Key("the most that its pump takes in a step", "m", 0.0, 0),
        },
        measured=("water_level",),
        commanded=("water_flow",),
    ),
    "drain": Kind(
        "leads from a pond to the one below",
        {"length_m": Key("of the drain", "m", 100.0, 0)},
        ends=("pond",),
    ),
}
SETTINGS = {
    "step_s": Key("of the twin", "s", 60.0, 1, 3600),
    "noise_m": Key("of a level in a step, that nobody can foresee; standard deviation", "m", 0.02, 0),
}
TAKES = {"rain": Flow("depth that flows in, per step", "m", "pond")}
GIVES = {"overflow": Flow("what goes over the rim, per step", "m", "pond")}


@dataclass(frozen=True, slots=True)
class Pond:
    """`into` is the place of the pond below, None for the river."""

    name: str
    drains_per_step: float
    rim_m: float
    pump_m: float
    into: int | None = None
    distance_m: float = 100.0  # to the pond below
    gauge: str | None = None  # point, gateway/device/point
    gauge_sd_m: float = 0.01
    pump: str = ""  # point that sets it


@dataclass(eq=False)
class Domain:
    """Implements `aggregator.twin.domain.Domain`."""

    ponds: Sequence[Pond]
    inputs: Inputs
    dt_ns: int = 60 * NS
    noise_m: float = 0.02
    name: str = "blueprint"

    @property
    def n(self) -> int:
        return len(self.ponds)

    @cached_property
    def F(self) -> Sparse:
        return dynamics.transition(self.ponds)

    @cached_property
    def graph(self) -> Sparse:
        return dynamics.distances(self.ponds)

    @cached_property
    def rims(self) -> Floats:
        return np.array([one.rim_m for one in self.ponds])

    @property
    def channels(self) -> Sequence[str]:
        return [one.gauge for one in self.ponds if one.gauge is not None]

    @cached_property
    def places(self) -> Ints:
        return np.array([i for i, one in enumerate(self.ponds) if one.gauge is not None], np.int64)

    def prior(self, k: int) -> Belief:
        """Half full, and anything between empty and full possible."""
        return Belief(k, self.rims / 2, (self.rims / 4) ** 2, np.zeros((self.n, 0)))

    def f(self, X: Floats, u: Floats, k: int) -> Floats:
        return dynamics.f(self.F, X, u)

    def Q(self, x: Floats, k: int) -> tuple[Floats, Floats]:
        return dynamics.Q(self.n, self.noise_m)

    def h(self, X: Floats, channel: Ints, k: int) -> Floats:
        return observe.h(X, self.places[channel])

    def H(self, x: Floats, channel: Ints, k: int) -> Sparse | None:
        return observe.H(self.n, self.places[channel])

    def exogenous(self, k: int) -> Floats:
        return self.inputs.at("rain", k)

    def steer(self, u: Floats, row: Floats, k: int) -> Floats:
        return u - np.nan_to_num(row)

    def edge_view(self, gateway: str) -> Ints:
        own = [name.startswith(gateway + "/") for name in self.channels]
        return self.places[np.array(own, np.bool_)]

    @property
    def states(self) -> Sequence[Stated]:
        return [Stated(one.name, "water_level", "m") for one in self.ponds]

    @property
    def controls(self) -> Sequence[Control]:
        return [Control(one.name, "water_flow", "m", one.pump) for one in self.ponds]

    def gives(self, x: Floats, k: int) -> Mapping[str, Floats]:
        return {"overflow": np.maximum(x - self.rims, 0.0)}

    def indicators(self, X: Floats, u: Floats, k: int) -> Mapping[str, Floats]:
        return {"over the rims, m": np.maximum(X - self.rims[:, None], 0.0).sum(axis=0)}

    def limits(self, x: Floats, k: int) -> Limits:
        return decide.limits(self.ponds)

    def plan(self, belief: Belief, horizon: int, deadline_s: float) -> Plan:
        inflow = np.array([self.exogenous(belief.k + 1 + i) for i in range(horizon)])
        return decide.plan(self.F, inflow, self.noise_m, self.limits(belief.x, belief.k), belief, deadline_s)

    def risks(self, series: Series) -> list[Risk]:
        return risk.risks(self.ponds, series)

    def contingencies(self, belief: Belief, series: Series) -> list[Risk]:
        return risk.contingencies(self.ponds, series)


def build(part: Part) -> Domain:
    """Raises BadModel: two drains from one pond, two gauges at one, drains in a circle."""
    drains = {one.ends[0]: one for one in part.of("drain")}
    gauges = {one.asset: one for one in part.sensors}
    faults = [f"{one.id}: a second drain from {one.ends[0]}" for one in part.of("drain") if drains[one.ends[0]] != one]
    faults += [f"{one.point}: a second gauge at {one.asset}" for one in part.sensors if gauges[one.asset] != one]
    faults += [f"{one}: its drains lead in a circle" for one in drains if circles(one, drains)]
    if faults:
        raise BadModel("\n".join(faults))
    ponds = part.of("pond")
    pumps = {one.asset: one.point for one in part.actuators}
    places = {one.id: place for place, one in enumerate(ponds)}
    made = [pond(one, places, drains.get(one.id), gauges.get(one.id), pumps.get(one.id, "")) for one in ponds]
    inputs = Inputs(TAKES, {"rain": [one.id for one in ponds]})
    return Domain(made, inputs, int(float(part.settings["step_s"]) * NS), float(part.settings["noise_m"]))


def pond(one: Asset, places: Mapping[str, int], drain: Asset | None, gauge: Wire | None, pump: str) -> Pond:
    return Pond(
        one.id,
        one.number("drains_per_step"),
        one.number("rim_m"),
        one.number("pump_m"),
        places[drain.ends[1]] if drain else None,
        drain.number("length_m") if drain else 100.0,
        gauge.point if gauge else None,
        gauge.sd if gauge else 0.01,
        pump,
    )


def circles(start: str, drains: Mapping[str, Asset]) -> bool:
    at, seen = start, set()
    while at in drains and at not in seen:
        seen.add(at)
        at = drains[at].ends[1]
    return at == start and bool(seen)


def example() -> Domain:
    """Six ponds in two rows, half of them with a gauge, in steady rain."""
    into = [1, 2, None, 4, 5, 2]
    values = {"drains_per_step": 0.1, "rim_m": 2.0, "pump_m": 0.2}
    assets = [Asset(f"pond-{i}", "pond", values) for i in range(len(into))]
    assets += [
        Asset(f"drain-{i}", "drain", {"length_m": 100.0}, (f"pond-{i}", f"pond-{below}"))
        for i, below in enumerate(into)
        if below is not None
    ]
    wires = [Wire(f"gw-{i // 3}/gauge/level-{i}", f"pond-{i}", "water_level", 0.01) for i in range(0, len(into), 2)]
    made = build(Part("blueprint", assets, wires, {name: float(key.default or 0) for name, key in SETTINGS.items()}))
    made.inputs.put("rain", 0, np.full(len(into), 0.05))
    return made
