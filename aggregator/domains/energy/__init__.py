"""The distribution grid: what customers, sun and stores do to voltages and loadings, and what may be done about it.

    state      power that each load, plant, store and charger takes or gives; charge of stores; voltage of the sources
    input      the habits of a day, bent by weather and demand; orders; what is out of order or switched
    readings   of any of these, and of voltages and flows, which are the power flow of all injections
    plan       stores, chargers and plants for the least cost, peak and emission within the limits of the grid

The power flow is power-grid-model's (network.py); everything else is here. Where readings are few the estimate stays
solvable, and every number has an uncertainty, because the habits stand in for what nobody measures.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from aggregator.domains.energy import decide, dynamics, observe, risk
from aggregator.domains.energy.dynamics import Drive
from aggregator.domains.energy.grid import INJECTORS, Grid, Standing, grid_of
from aggregator.domains.energy.habits import DAY_S, Clock, Habits, assumed
from aggregator.domains.energy.kinds import GIVES, KINDS, SETTINGS, TAKES
from aggregator.domains.energy.network import Flows, Network
from aggregator.domains.energy.observe import Meters, meters
from aggregator.domains.energy.program import Solver
from aggregator.twin import BadModel, Floats, Ints
from aggregator.twin.belief import Belief
from aggregator.twin.domain import Control, Limits, Plan, Stated
from aggregator.twin.exchange import Inputs
from aggregator.twin.model import Sparse
from aggregator.twin.part import Asset, Part, Wire
from aggregator.twin.risk import Risk
from aggregator.twin.series import Series

__all__ = ["GIVES", "KINDS", "SETTINGS", "TAKES", "Domain", "asset", "build", "example"]

NS = 1_000_000_000
NETWORKS_MAX = 32  # standings whose factorisations are kept: a day's switching, not all that there ever was


@dataclass(eq=False)
class Domain:
    """Implements `aggregator.twin.domain.Domain`."""

    grid: Grid
    habits: Habits  # may be put anew, as when more history has been learned from
    meters: Meters
    inputs: Inputs
    settings: Mapping[str, float | str]
    points: Mapping[tuple[str, str], str]  # asset and quantity → the point that sets it
    name: str = "energy"
    solver: Solver = field(default_factory=Solver)
    _networks: dict[bytes, Network] = field(default_factory=dict)

    @property
    def n(self) -> int:
        return self.grid.n

    @property
    def dt_ns(self) -> int:
        return self.habits.clock.step_s * NS

    @cached_property
    def graph(self) -> Sparse:
        return dynamics.distances(self.grid)

    @property
    def channels(self) -> Sequence[str]:
        return self.meters.points

    @property
    def places(self) -> Ints:
        return self.meters.places

    @property
    def states(self) -> Sequence[Stated]:
        return self.grid.states

    @cached_property
    def controls(self) -> Sequence[Control]:
        return [Control(*one, self.points.get(one[:2], "")) for one in decide.handles(self.grid)]

    def prior(self, k: int) -> Belief:
        """As usual, and as far from it as usual; stores half full."""
        x, sd = self._usual(k), self.habits.lasting(k)
        at, one = self.grid.layout, self.grid
        volts = one.values("bus", "rated_v")[one.bus_of("source")] / 100
        sd[at["source", "voltage"]] = volts * one.values("source", "known_to")
        x[at["battery", "state_of_charge"]], sd[at["battery", "state_of_charge"]] = 50.0, 25.0
        sd[at["charger", "active_energy"]] = one.values("charger", "energy_wh") / 4
        return Belief(k, x, self.habits.rest * sd**2, sd[:, None] * self.habits.factor)

    def f(self, X: Floats, u: Floats, k: int) -> Floats:
        return dynamics.f(self.grid, self.habits, X, Drive.of(u, self.grid), k)

    def Q(self, x: Floats, k: int) -> tuple[Floats, Floats]:
        return dynamics.Q(self.habits, k)

    def h(self, X: Floats, channel: Ints, k: int) -> Floats:
        through = (self.meters.row[channel] >= 0).any() or self.network(self.standing(k)).dark.any()
        return observe.h(self.meters, X, self.flows(X, k) if through else None, channel)

    def H(self, x: Floats, channel: Ints, k: int) -> Sparse | None:
        return observe.H(self.meters, x, self.network(self.standing(k)), self.inputs.at("pumping", k), channel)

    def exogenous(self, k: int) -> Floats:
        n, take = self.n, self.inputs.at
        none = np.full(n, np.nan)
        prices = decide.prices(self.grid, self.habits.clock, self.settings, k, take("price", k), take("carbon", k))
        pumping, lines, transformers, moved = (
            take(name, k) for name in ("pumping", "line_out", "transformer_out", "moved")
        )
        return Drive(
            self._usual(k), self._usual(k - 1), none, none, pumping, lines, transformers, moved, prices[0], prices[1]
        ).u()

    def steer(self, u: Floats, row: Floats, k: int) -> Floats:
        """0 rests a store, stops a charger, shuts a plant off, leaves a switch as it is; NaN leaves all to habit."""
        return decide.steered(self.grid, Drive.of(u, self.grid), row).u()

    def edge_view(self, gateway: str) -> Ints:
        own = np.array([name.startswith(gateway + "/") for name in self.channels], np.bool_)
        return np.unique(self.places[own]) if own.any() else np.zeros(0, np.int64)

    def standing(self, k: int) -> Standing:
        return self.grid.standing(*(self.inputs.at(name, k) for name in ("line_out", "transformer_out", "moved")))

    def network(self, standing: Standing) -> Network:
        """Kept: a factorisation is found once for each standing."""
        key = standing.digest()
        if key not in self._networks:
            if len(self._networks) >= NETWORKS_MAX:
                del self._networks[next(iter(self._networks))]
            self._networks[key] = Network(self.grid, standing)
        return self._networks[key]

    def flows(self, X: Floats, k: int) -> Flows:
        """Voltages and flows of members (n, N), each by a power flow of its own; none where that has no solution."""
        return self._solved(X, self.standing(k), self.inputs.at("pumping", k))

    def sensitivities(self, x: Floats, k: int) -> Floats:
        """(rows, n) of all of `Flows.stacked` by the states, around x. Raises BadModel where x has no power flow."""
        every = slice(None)
        return observe.sensitivities(self.grid, self.network(self.standing(k)), x, self.inputs.at("pumping", k), every)

    def gives(self, x: Floats, k: int) -> Mapping[str, Floats]:
        flows = self.flows(x[:, None], k)
        return {
            "outage": np.where(flows.supplied[:, 0], 0.0, 1.0),
            "voltage": flows.voltage[:, 0],
            "loading": flows.line_loading[:, 0],
            "transformer_loading": flows.transformer_loading[:, 0],
        }

    def indicators(self, X: Floats, u: Floats, k: int) -> Mapping[str, Floats]:
        drive = Drive.of(u, self.grid)
        standing = self.grid.standing(drive.line_out, drive.transformer_out, drive.moved)
        return risk.indicators(self.grid, self.settings, X, self._solved(X, standing, drive.pumping), drive)

    def limits(self, x: Floats, k: int) -> Limits:
        return decide.limits(self, x, k)

    def plan(self, belief: Belief, horizon: int, deadline_s: float) -> Plan:
        return decide.plan(self, belief, horizon, deadline_s)

    def risks(self, series: Series) -> list[Risk]:
        return risk.risks(self, series)

    def contingencies(self, belief: Belief, series: Series) -> list[Risk]:
        return risk.contingencies(self, belief, series)

    def _usual(self, k: int) -> Floats:
        taken = {name: self.inputs.at(name, k) for name in ("temperature", "irradiance", "demand")}
        return dynamics.usual(self.grid, self.habits, k, taken)

    def _solved(self, X: Floats, standing: Standing, pumping: Floats) -> Flows:
        P, Q = observe.injected(self.grid, X, pumping)
        return self.network(standing).solve(P, Q, X[self.grid.layout["source", "voltage"]], collapse=True)


def build(part: Part) -> Domain:
    """Raises BadModel with all faults, one per line, each beginning with the asset."""
    grid = grid_of(part)
    if faults := list(_faults(part, grid)):
        raise BadModel("\n".join(faults))
    clock = Clock(int(float(part.settings["step_s"])), int(float(part.settings["utc_offset_h"]) * 3600))
    inputs = Inputs(TAKES, {name: [one.id for one in grid.assets[flow.kind]] for name, flow in TAKES.items()})
    points = {(one.asset, one.quantity): one.point for one in part.actuators}
    habits = assumed(grid, clock, part.settings)
    return Domain(grid, habits, meters(grid, part.sensors), inputs, dict(part.settings), points)


def _faults(part: Part, grid: Grid) -> Iterator[str]:
    step = float(part.settings["step_s"])
    if step != int(step) or DAY_S % int(step):
        yield f"energy: step_s = {step:g} does not divide a day; 60, 300, 900 and 3600 do"
    for one in grid.assets["charger"]:
        window = (one.number("leaves_h") - one.number("arrives_h")) % 24 or 24.0
        if one.number("energy_wh") > window * one.number("rated_w"):
            yield f"{one.id}: energy_wh is more than rated_w gives in the {window:g} h that vehicles stay"
    if not any(grid.count(kind) for kind in INJECTORS):
        yield "energy: nothing takes or gives power; write loads"
    seen: set[tuple[str, str]] = set()
    for wire in part.actuators:
        if (wire.asset, wire.quantity) in seen:
            yield f"{wire.asset}: {wire.point} sets its {wire.quantity}, which another point sets already"
        seen.add((wire.asset, wire.quantity))


def example() -> Domain:
    """A street: a transformer, six service boxes, a ring switch, homes, a shop, a plant, a store, a charger."""
    return build(Part("energy", list(_street()), list(_meters()), _settings()))


def _settings() -> dict[str, float | str]:
    return {name: key.default for name, key in SETTINGS.items() if key.default is not None}


def asset(id_: str, kind: str, ends: tuple[str, ...] = (), **values: float | str) -> Asset:
    """With the defaults of its kind."""
    every = {name: key.default for name, key in KINDS[kind].keys.items() if key.default is not None}
    return Asset(id_, kind, every | values, ends)


def _street() -> Iterator[Asset]:
    yield asset("grid", "bus", rated_v=20_000.0)
    yield asset("feed", "source", bus="grid", voltage=102.0, known_to=0.5)
    for i in range(7):
        yield asset(f"box-{i}", "bus", rated_v=400.0)
    yield asset(
        "substation",
        "transformer",
        ("grid", "box-0"),
        rated_va=250e3,
        from_v=20e3,
        to_v=400.0,
        copper_w=3e3,
        iron_w=400.0,
        magnetising=0.4,
        clock=5.0,
    )
    for a, b in ((0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (5, 6)):
        yield asset(f"cable-{a}{b}", "line", (f"box-{a}", f"box-{b}"), r_ohm=0.02, x_ohm=0.008, rated_a=270.0)
    yield asset("spare", "line", ("box-3", "box-6"), r_ohm=0.02, x_ohm=0.008, rated_a=270.0)
    yield asset("ring", "switch", ("box-3", "spare"), closed=0.0)
    for i, watts in enumerate((4e3, 6e3, 3e3, 5e3, 8e3, 4e3), 1):
        habit = "business" if i == 5 else "household"
        yield asset(f"load-{i}", "load", bus=f"box-{i}", mean_w=watts, habit=habit, customers=8.0)
    yield asset("roof", "pv", bus="box-6", rated_w=15e3)
    yield asset("store", "battery", bus="box-3", rated_w=10e3, capacity_wh=20e3)
    yield asset("bays", "charger", bus="box-2", rated_w=11e3, energy_wh=30e3)


def _meters() -> Iterator[Wire]:
    yield Wire("gw-0/trafo/p", "substation", "active_power", 500.0)
    yield Wire("gw-0/trafo/q", "substation", "reactive_power", 500.0)
    yield Wire("gw-0/trafo/u", "box-0", "voltage", 1.0)
    yield Wire("gw-1/meter/p", "load-3", "active_power", 50.0)
    yield Wire("gw-1/meter/u", "box-3", "voltage", 1.0)
    yield Wire("gw-1/store/soc", "store", "state_of_charge", 1.0)
    yield Wire("gw-1/store/p", "store", "active_power", 50.0)
    yield Wire("gw-2/roof/p", "roof", "active_power", 50.0)
    yield Wire("gw-2/feeder/p", "cable-04", "active_power", 200.0)
    yield Wire("gw-1/store/order", "store", "active_power", 0.0, does="sets")
    yield Wire("gw-2/bays/order", "bays", "active_power", 0.0, does="sets")
    yield Wire("gw-2/ring/order", "ring", "switch", 0.0, does="sets")
