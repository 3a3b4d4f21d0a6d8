"""Services: water, waste, light. What is used, what stands ready, who is sent where.

    state      levels of tanks, unusual demand of junctions, fill of containers and how fast they fill
    input      outages of pumps, factors on demand, temperature; which pumps run, which containers are emptied
    readings   levels, fills; pressures and flows, which the network makes of levels and demands
    plan       which pumps run when; tours, sites and leaks beside it (collection, siting, leak)

The network is made linear around a usual hour (water.py), so that a thousand members cost a product; what the loss of
a pump or pipe does is asked of the full equations (hydraulics.py), which are EPANET's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from aggregator.domains.services import decide, dynamics, observe, risk, water
from aggregator.domains.services.dynamics import Sizes
from aggregator.domains.services.kinds import DAY, GIVES, KINDS, SETTINGS, TAKES
from aggregator.domains.services.observe import Sensor
from aggregator.domains.services.water import Hour, Water
from aggregator.twin import BadModel, Flags, Floats, Ints
from aggregator.twin.belief import Belief
from aggregator.twin.domain import Control, Limits, Plan, Stated
from aggregator.twin.exchange import Inputs
from aggregator.twin.model import Sparse
from aggregator.twin.part import Asset, Part, Wire
from aggregator.twin.risk import Risk
from aggregator.twin.series import Series

__all__ = ["GIVES", "KINDS", "SETTINGS", "TAKES", "Domain", "build", "example"]

NS = 1_000_000_000
WARM = 20.0  # degC from which people take more water
QUANTITY = {"level": "water_level", "fill": "fill_level", "pressure": "pressure", "flow": "water_flow"}


@dataclass(eq=False)
class Domain:
    """Implements `aggregator.twin.domain.Domain`."""

    part: Part
    water: Water
    sensors: Sequence[Sensor]
    inputs: Inputs
    switches: Mapping[str, str]  # pump → the point that switches it
    name: str = "services"
    _rows: dict[bytes, tuple[Floats, Floats]] = field(default_factory=dict)

    def number(self, key: str) -> float:
        return float(self.part.settings[key])

    @property
    def dt_ns(self) -> int:
        return int(self.number("step_s") * NS)

    @cached_property
    def containers(self) -> list[Asset]:
        return self.part.of("container")

    @cached_property
    def depots(self) -> list[Asset]:
        return self.part.of("depot")

    @cached_property
    def pumps(self) -> list[Asset]:
        return [self.water.links[i] for i in self.water.pumps]

    @cached_property
    def sizes(self) -> Sizes:
        return Sizes(len(self.water.tanks), len(self.water.junctions), len(self.containers))

    @cached_property
    def least(self) -> Floats:
        """(j,) m of pressure that customers need."""
        return np.array([one.number("least_m") for one in self.water.junctions])

    @property
    def n(self) -> int:
        return self.sizes.n

    @property
    def a(self) -> float:
        return float(np.exp(-self.number("step_s") / 3600 / self.number("memory_h")))

    @cached_property
    def graph(self) -> Sparse:
        """Pipes and pumps join what they join; a container's rate stands beside its fill."""
        s, water_ = self.sizes, self.water
        state = {one.id: s.level.start + i for i, one in enumerate(water_.tanks)}
        state |= {one.id: s.unusual.start + i for i, one in enumerate(water_.junctions)}
        edges = {
            (state[a], state[b]): one.number("length_m") if one.kind == "pipe" else 1.0
            for one in water_.links
            for a, b in [one.ends]
            if a in state and b in state and a != b
        }
        edges |= {(s.fill.start + i, s.rate.start + i): 1.0 for i in range(s.containers)}
        rows, columns = ([pair[end] for pair in edges] for end in (0, 1))
        half = sp.coo_array((np.array([*edges.values()], float), (rows, columns)), shape=(s.n, s.n))
        return sp.csr_array(half.maximum(half.T) if edges else half)

    @cached_property
    def channels(self) -> Sequence[str]:
        return [one.point for one in self.sensors]

    @cached_property
    def places(self) -> Ints:
        s, starts = self.sizes, {"level": 0, "fill": self.sizes.fill.start, "pressure": self.sizes.unusual.start}
        where = []
        for one in self.sensors:
            if one.what == "flow":
                link = self.water.links[one.at]
                ends = [self.water.place[end] for end in link.ends]
                junction = next((i for i in ends if i < s.junctions), None)
                where.append(s.unusual.start + junction if junction is not None else max(ends[0] - s.junctions, 0))
            else:
                where.append(starts[one.what] + one.at)
        return np.array(where, np.int64)

    def usual(self, k: int) -> Floats:
        """(j,) m3/h that is usually taken in step k, with the factors that count for it."""
        hour = (k * self.dt_ns / 3.6e12 + self.number("utc_offset_h")) % 24
        before, after, part = int(hour) % 24, (int(hour) + 1) % 24, hour % 1
        share = DAY[before] * (1 - part) + DAY[after] * part
        heat = 1 + self.number("per_degree") * np.maximum(self.inputs.at("temperature", k) - WARM, 0.0)
        usual: Floats = self.water.mean * share * heat * self.inputs.at("demand", k)
        return usual

    def running(self, k: int) -> Flags:
        """(p,) which pumps run: meant to, and with supply."""
        on: Flags = (self.inputs.at("running", k) > 0.5) & (self.inputs.at("outage", k) < 0.5)
        return on

    def hour(self, running: Flags) -> Hour:
        return self.water.hour(running)

    def prior(self, k: int) -> Belief:
        s = self.sizes
        x, sd = np.zeros(s.n), np.zeros(s.n)
        span = np.array([one.number("high_m") - one.number("low_m") for one in self.water.tanks])
        x[s.level], sd[s.level] = self.water.usual_level, span / 4
        sd[s.unusual] = self.number("unusual") / 100 * np.maximum(self.water.mean, 0.01)
        rate = np.array([one.number("per_day") for one in self.containers])
        x[s.fill], sd[s.fill] = 40.0, 25.0
        x[s.rate], sd[s.rate] = rate, self.number("rate_spread") / 100 * np.maximum(rate, 1.0)
        return Belief(k, x, sd**2, np.zeros((s.n, 0)))

    def f(self, X: Floats, u: Floats, k: int) -> Floats:
        usual, running, emptied = self._split(u)
        return dynamics.f(self.sizes, self.hour(running), X, usual, emptied, self.a, self.number("step_s"))

    def Q(self, x: Floats, k: int) -> tuple[Floats, Floats]:
        spread = (self.number("unusual") / 100, self.number("level_noise_m"), self.number("fill_noise"))
        rate = self.number("rate_spread") / 100 * 15.0
        return dynamics.Q(self.sizes, self.water.mean, (*spread, rate), self.a, self.number("step_s"))

    def _seen(self, k: int) -> tuple[Floats, Floats]:
        running = self.running(k)
        if (key := running.tobytes()) not in self._rows:
            self._rows[key] = observe.rows(self.sensors, self.sizes, self.hour(running), self.water.elevation)
        return self._rows[key]

    def h(self, X: Floats, channel: Ints, k: int) -> Floats:
        return observe.read(*self._seen(k), self.sizes, X, self.usual(k), channel)

    def H(self, x: Floats, channel: Ints, k: int) -> Sparse | None:
        return observe.slope(self._seen(k)[0], channel)

    def exogenous(self, k: int) -> Floats:
        """Usual demand of junctions, pumps that run, containers that are emptied."""
        return np.concatenate([self.usual(k), self.running(k).astype(np.float64), self.inputs.at("emptied", k)])

    def _split(self, u: Floats) -> tuple[Floats, Flags, Floats]:
        j, p = self.sizes.junctions, len(self.water.pumps)
        return u[:j], u[j : j + p] > 0.5, u[j + p :]

    def steer(self, u: Floats, row: Floats, k: int) -> Floats:
        """What is without supply does not run, whatever is wanted."""
        steered, j = u.copy(), self.sizes.junctions
        wanted = np.where(self.inputs.at("outage", k) < 0.5, row, 0.0)
        part = steered[j : j + len(row)]
        part[:] = np.where(np.isnan(row), part, wanted)
        return steered

    def edge_view(self, gateway: str) -> Ints:
        own = [name.startswith(gateway + "/") for name in self.channels]
        return np.unique(self.places[np.array(own, np.bool_)])

    @cached_property
    def states(self) -> Sequence[Stated]:
        return [
            *(Stated(one.id, "water_level", "m") for one in self.water.tanks),
            *(Stated(one.id, "unusual_demand", "m3/h") for one in self.water.junctions),
            *(Stated(one.id, "fill_level", "%") for one in self.containers),
            *(Stated(one.id, "fill_rate", "%") for one in self.containers),
        ]

    @cached_property
    def controls(self) -> Sequence[Control]:
        return [Control(one.id, "switch", "1", self.switches.get(one.id, "")) for one in self.pumps]

    def _pressures(self, X: Floats, usual: Floats, running: Flags) -> Floats:
        """(j, N) m."""
        heads = self.hour(running).heads(X[self.sizes.level], usual[:, None] + X[self.sizes.unusual])
        pressures: Floats = heads - self.water.elevation[:, None]
        return pressures

    def gives(self, x: Floats, k: int) -> Mapping[str, Floats]:
        running = self.running(k)
        pressure = self._pressures(x[:, None], self.usual(k), running)[:, 0]
        power = np.array([one.number("power_w") for one in self.pumps])
        return {
            "pump_power": power * running.astype(np.float64),
            "pressure_low": (pressure < self.least).astype(np.float64),
            "full": (x[self.sizes.fill] >= risk.FULL).astype(np.float64),
        }

    def indicators(self, X: Floats, u: Floats, k: int) -> Mapping[str, Floats]:
        usual, running, _ = self._split(u)
        hours, s = self.number("step_s") / 3600, self.sizes
        short = self._pressures(X, usual, running) < self.least[:, None]
        empty = X[s.level] < np.array([one.number("low_m") for one in self.water.tanks])[:, None]
        kwh = float(np.array([one.number("power_w") for one in self.pumps]) @ running) / 1e3 * hours
        return {
            "water not served, m3": (usual[:, None] * short).sum(axis=0) * hours,
            "tanks below their reserve": empty.sum(axis=0).astype(np.float64),
            "containers that overflow": (X[s.fill] > risk.FULL).sum(axis=0).astype(np.float64),
            "money for pumping": np.full(X.shape[1], kwh * decide.price(self, k)),
        }

    def limits(self, x: Floats, k: int) -> Limits:
        return decide.limits(self.n, len(self.water.pumps))

    def plan(self, belief: Belief, horizon: int, deadline_s: float) -> Plan:
        return decide.plan(self, belief, horizon, deadline_s)

    def risks(self, series: Series) -> list[Risk]:
        return risk.risks(self, series)

    def contingencies(self, belief: Belief, series: Series) -> list[Risk]:
        return risk.contingencies(self, belief, series)


def build(part: Part) -> Domain:
    """Raises BadModel: what no water reaches, levels the wrong way round, nothing at all."""
    faults = list(water.faults(part))
    if not part.of("tank", "water_junction", "container"):
        faults.append("there is nothing to follow: name a tank, a water_junction or a container")
    if faults:
        raise BadModel("\n".join(faults))
    made = Water(part)
    containers = {one.id: i for i, one in enumerate(part.of("container"))}
    tanks = {one.id: i for i, one in enumerate(made.tanks)}
    junctions = {one.id: i for i, one in enumerate(made.junctions)}
    links = {one.id: i for i, one in enumerate(made.links)}
    index = {
        "water_level": ("level", tanks),
        "fill_level": ("fill", containers),
        "pressure": ("pressure", junctions),
        "water_flow": ("flow", links),
    }
    sensors = [sensor(one, *index[one.quantity]) for one in part.sensors if one.quantity in index]
    assets = {kind: [one.id for one in part.of(kind)] for kind in ("pump", "water_junction", "container")}
    inputs = Inputs(TAKES, {name: assets[flow.kind] for name, flow in TAKES.items()})
    return Domain(part, made, sensors, inputs, {one.asset: one.point for one in part.actuators})


def sensor(wire: Wire, what: str, places: Mapping[str, int]) -> Sensor:
    return Sensor(wire.point, what, places[wire.asset])


def example() -> Domain:
    """A reservoir, a pump, a tank on a hill, three streets; two containers and a depot."""

    def filled(kind: str, id_: str, ends: tuple[str, ...] = (), **values: float | str) -> Asset:
        keys = KINDS[kind].keys
        return Asset(
            id_, kind, {name: values.get(name, key.default or 0.0) for name, key in keys.items()}, ends, 13.4, 52.5
        )

    assets = [
        filled("reservoir", "lake", head_m=10.0),
        filled("tank", "hill", floor_m=60.0, area_m2=60.0),
        *(filled("water_junction", f"street-{i}", elevation_m=10.0 + i, demand=8.0 + i) for i in range(3)),
        filled("pump", "works", ("lake", "street-0"), lift_m=75.0, flow=40.0, power_w=9000.0),
        filled("pipe", "p-hill", ("street-0", "hill"), length_m=600.0, diameter_m=0.2),
        filled("pipe", "p-01", ("street-0", "street-1"), length_m=400.0),
        filled("pipe", "p-12", ("street-1", "street-2"), length_m=400.0),
        filled("pipe", "p-20", ("street-2", "street-0"), length_m=500.0),
        *(filled("container", f"bin-{i}") for i in range(2)),
        filled("depot", "yard"),
    ]
    wires = [
        Wire("gw-0/tank/level", "hill", "water_level", 0.02),
        Wire("gw-0/meter/pressure", "street-1", "pressure", 2000.0),
        Wire("gw-1/meter/flow", "p-01", "water_flow", 0.5),
        Wire("gw-1/bin/fill", "bin-0", "fill_level", 2.0),
    ]
    settings = {name: key.default if key.default is not None else 0.0 for name, key in SETTINGS.items()}
    return build(Part("services", assets, wires, settings))
