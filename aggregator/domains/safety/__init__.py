"""Safety: how likely what is dangerous is, how long until then, whom to warn, whom to send, on which way.

    state      the level of everything that is watched, and what it rises in a step
    input      rain, outages, traffic, air and floods as other domains see them; calls; live travel times
    readings   of levels
    plan       warnings where p > C/L; units to incidents; green asked for on their way

Nothing here is a safety function of a rating: signals, gas valves and brigades have their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from aggregator.domains.safety import decide, dynamics, observe, risk
from aggregator.domains.safety.dispatch import Dispatch, dispatch, needs, preempted, routes
from aggregator.domains.safety.dynamics import Drive
from aggregator.domains.safety.events import Event, either, events, witnesses
from aggregator.domains.safety.ground import Ground
from aggregator.domains.safety.interlock import Interlocks, flooded
from aggregator.domains.safety.kinds import GIVES, HAZARDS, KINDS, SETTINGS, TAKES
from aggregator.domains.safety.roads import Route
from aggregator.twin import BadModel, Floats, Ints
from aggregator.twin.belief import Belief
from aggregator.twin.domain import Control, Limits, Plan, Stated
from aggregator.twin.exchange import Inputs
from aggregator.twin.model import Sparse
from aggregator.twin.part import Asset, Part, Wire
from aggregator.twin.risk import Risk
from aggregator.twin.series import Series

__all__ = ["GIVES", "KINDS", "SETTINGS", "TAKES", "Domain", "build", "example"]

NS = 1_000_000_000


@dataclass(eq=False)
class Domain:
    """Implements `aggregator.twin.domain.Domain`."""

    ground: Ground
    inputs: Inputs
    name: str = "safety"

    @property
    def n(self) -> int:
        return 2 * self.ground.w

    @property
    def dt_ns(self) -> int:
        return int(self.ground.number("step_s") * NS)

    @cached_property
    def graph(self) -> Sparse:
        return dynamics.distances(self.ground)

    @cached_property
    def channels(self) -> Sequence[str]:
        return [one.point for one in self.ground.part.sensors]

    @property
    def places(self) -> Ints:
        return self.ground.sensed

    @cached_property
    def states(self) -> Sequence[Stated]:
        ground = self.ground
        named = [(one.id, HAZARDS[ground.hazards[i]], ground.unit_of(i)) for i, one in enumerate(ground.watches)]
        return [Stated(*one) for one in named] + [Stated(a, f"rise of {q} in a step", u) for a, q, u in named]

    @cached_property
    def controls(self) -> Sequence[Control]:
        return decide.controls(self.ground)

    def prior(self, k: int) -> Belief:
        """As on a usual day."""
        one = self.ground
        sd = np.concatenate([one.values("spread"), one.values("trend") * one.step_h])
        x = np.concatenate([one.values("usual"), np.zeros(one.w)])
        return Belief(k, x, sd**2, np.zeros((self.n, 0)))

    def f(self, X: Floats, u: Floats, k: int) -> Floats:
        return dynamics.f(self.ground, X, u)

    def Q(self, x: Floats, k: int) -> tuple[Floats, Floats]:
        return dynamics.Q(self.ground)

    def h(self, X: Floats, channel: Ints, k: int) -> Floats:
        return observe.h(X, self.places[channel])

    def H(self, x: Floats, channel: Ints, k: int) -> Sparse | None:
        return observe.H(self.n, self.places[channel])

    def exogenous(self, k: int) -> Floats:
        one, take = self.ground, self.inputs.at
        push = one.values("per_rain") * take("rain", k) + one.values("per_outage") * take("outage", k)
        vehicles = one.values("per_vehicle") * take("vehicles", k)
        return Drive(one.step_h * push, vehicles, np.zeros(one.w), take("sent", k)).u()

    def steer(self, u: Floats, row: Floats, k: int) -> Floats:
        return decide.steered(self.ground, u, row)

    def edge_view(self, gateway: str) -> Ints:
        own = np.array([name.startswith(gateway + "/") for name in self.channels], np.bool_)
        return np.unique(self.places[own]) if own.any() else np.zeros(0, np.int64)

    def taken(self, k: int) -> Mapping[str, Floats]:
        return {name: self.inputs.at(name, k) for name in self.inputs.names}

    def gives(self, x: Floats, k: int) -> Mapping[str, Floats]:
        one, taken = self.ground, self.taken(k)
        locks = Interlocks.of(one, x[: one.w], taken)
        target = taken["sent"].astype(np.int64) - 1
        over = (x[: one.w] > one.values("limit")).astype(np.float64)
        danger = [witnesses(one, i, over, taken) for i in range(len(one.wards))]
        return {
            "preempt": preempted(one, routes(one, target, locks, taken["travel_time"]), locks),
            "blocked": flooded(one, x[: one.w]).astype(np.float64),
            "danger": np.array([either([p for every in each.values() for p in every]) for each in danger]),
        }

    def indicators(self, X: Floats, u: Floats, k: int) -> Mapping[str, Floats]:
        return risk.indicators(self.ground, X, Drive.of(u, self.ground))

    def limits(self, x: Floats, k: int) -> Limits:
        return decide.limits(self.ground)

    def plan(self, belief: Belief, horizon: int, deadline_s: float) -> Plan:
        return decide.plan(self, belief, horizon, deadline_s)

    def risks(self, series: Series) -> list[Risk]:
        return risk.risks(self, series)

    def contingencies(self, belief: Belief, series: Series) -> list[Risk]:
        return risk.contingencies(self, belief, series)

    def events(self, series: Series) -> list[Event]:
        """What is likely to happen within a forecast, the likeliest first."""
        return events(self.ground, series, self.taken(series.k))

    def dispatched(self, belief: Belief, p: Floats, without: int | None = None) -> Dispatch:
        """Who goes where now; p (w,) of the watches' events. `without` a unit, where one is imagined to be out."""
        one, taken = self.ground, self.taken(belief.k)
        locks = Interlocks.of(one, belief.x[: one.w], taken)
        if without is not None:
            locks = replace(locks, units=locks.units | (np.arange(len(one.units)) == without))
        return dispatch(one, needs(one, p, taken), locks, taken["travel_time"])

    def ways(self, belief: Belief, sent: Dispatch) -> Mapping[str, Route]:
        """Unit → its way at the live times of now."""
        one, taken = self.ground, self.taken(belief.k)
        locks = Interlocks.of(one, belief.x[: one.w], taken)
        found = routes(one, sent.target, locks, taken["travel_time"])
        return {one.units[i].id: way for i, way in found.items()}


def build(part: Part) -> Domain:
    """Raises BadModel: nothing watched, no position, a sensor of another hazard, units without roads."""
    placed = part.of("watch", "ward", "crossing", "unit")
    faults = [f"{one.id}: no position; give it lon and lat" for one in placed if one.place is None]
    if not part.of("watch"):
        faults.append("nothing is watched: there is no state to follow")
    if part.of("unit") and not part.of("crossing"):
        faults.append("units, and no crossing that they could be sent to")
    hazards = {one.id: one.text("hazard") for one in part.of("watch")}
    faults += [
        f"{one.point}: measures {one.quantity}, {one.asset} is watched for {hazards[one.asset]}; "
        f"that is {HAZARDS[hazards[one.asset]]}"
        for one in part.sensors
        if one.quantity != HAZARDS[hazards[one.asset]]
    ]
    if faults:
        raise BadModel("\n".join(faults))
    of = {kind: [one.id for one in part.of(kind)] for kind in KINDS}
    return Domain(Ground(part), Inputs(TAKES, {name: of[flow.kind] for name, flow in TAKES.items()}))


def example() -> Domain:
    """A river, an underpass, a square and a gas pipe; a grid of sixteen crossings with three units; a call."""
    watches = {
        "river": ("flood", 1.0, 2.5, 0.1, 0.2),
        "underpass": ("flood", 0.0, 0.3, 0.05, 0.05),
        "square": ("crowd", 0.5, 4.0, 0.3, 0.2),
        "pipe": ("gas", 1.0, 20.0, 1.0, 0.5),
    }
    usual = {name: key.default for name, key in KINDS["watch"].keys.items() if key.default is not None}
    assets = [
        Asset(
            name,
            "watch",
            usual | {"hazard": hazard, "usual": level, "limit": limit, "spread": spread, "trend": trend},
            lon=8.50 + 0.005 * i,
            lat=47.37,
        )
        for i, (name, (hazard, level, limit, spread, trend)) in enumerate(watches.items())
    ]
    assets.append(Asset("ward", "ward", {"reach_m": 1000.0, "limit_pm25": 100.0}, lon=8.507, lat=47.37))
    assets += [
        Asset(f"x-{i}", "crossing", {"signals": float(i % 2)}, lon=8.50 + 0.005 * (i % 4), lat=47.37 + 0.003 * (i // 4))
        for i in range(16)
    ]
    pairs = [(i, j) for i in range(16) for j in range(16) if abs(i // 4 - j // 4) + abs(i % 4 - j % 4) == 1]
    assets += [Asset(f"r-{i}-{j}", "road", {"seconds": 40.0}, (f"x-{i}", f"x-{j}")) for i, j in pairs]
    assets += [
        Asset(f"unit-{i}", "unit", {"per_minute": 10.0}, lon=8.50 + 0.005 * i, lat=47.379 - 0.003 * i) for i in range(3)
    ]
    wires = [
        Wire(f"gw-{i // 2}/{name}/level", name, HAZARDS[watches[name][0]], 0.1 * watches[name][3])
        for i, name in enumerate(watches)
    ]
    settings = {name: key.default for name, key in SETTINGS.items() if key.default is not None}
    made = build(Part("safety", assets, wires, settings))
    made.inputs.put("rain", 0, np.full(4, 2.0))
    made.inputs.put("call", 0, np.eye(16)[5])
    return made
