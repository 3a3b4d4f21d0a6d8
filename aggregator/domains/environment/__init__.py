"""The air: what is in it everywhere, from few stations that drift, and what may be done before people breathe it.

    state      each pollutant at each station and cell, ug/m3; the drift of each sensor
    input      what sources give off, wind, temperature; restrictions, fans
    readings   of stations, each with its drift
    plan       restrictions, advice and fans: which, where, when

How places vary together is pooled over history (field.py) and makes the kriging weights; time is the Kalman filter's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aggregator.domains.environment import decide, dynamics, observe, risk
from aggregator.domains.environment.air import Air
from aggregator.domains.environment.dynamics import Drive
from aggregator.domains.environment.field import Field, assumed, pooled
from aggregator.domains.environment.kinds import GIVES, KINDS, SETTINGS, TAKES
from aggregator.domains.environment.observe import Reference
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

    air: Air
    field: Field  # may be put anew, as when more history has been pooled
    inputs: Inputs
    name: str = "environment"

    @property
    def n(self) -> int:
        return self.air.n

    @property
    def dt_ns(self) -> int:
        return int(self.air.number("step_s") * NS)

    @cached_property
    def graph(self) -> Sparse:
        return dynamics.distances(self.air)

    @cached_property
    def channels(self) -> Sequence[str]:
        return [one.point for one in self.air.part.sensors]

    @property
    def places(self) -> Ints:
        return self.air.sensed

    @cached_property
    def states(self) -> Sequence[Stated]:
        air = self.air
        return [
            *(Stated(one.id, name, "ug/m3") for name in air.pollutants for one in air.places),
            *(Stated(one.asset, f"drift of {one.point}", "ug/m3") for one in air.part.sensors),
        ]

    @cached_property
    def controls(self) -> Sequence[Control]:
        return decide.controls(self.air)

    def prior(self, k: int) -> Belief:
        """As usual, and as far from it as usual."""
        air, field = self.air, self.field
        drifts = air.n - air.values
        A = np.vstack([field.factor, np.zeros((drifts, field.factor.shape[1]))])
        diag = np.concatenate([np.zeros(air.values), np.full(drifts, dynamics.drift_variance(air))])
        return Belief(k, np.concatenate([field.mean, np.zeros(drifts)]), diag, A)

    def learn(self, history: Mapping[tuple[str, str], Floats]) -> None:
        """Pool what was measured: asset and quantity → (T,) values of the same hours, NaN where there are none."""
        self.field = pooled(self.air, self.field, history)

    def f(self, X: Floats, u: Floats, k: int) -> Floats:
        return dynamics.f(self.air, self.field, X, u)

    def Q(self, x: Floats, k: int) -> tuple[Floats, Floats]:
        return dynamics.Q(self.air, self.field, x, self.exogenous(k))

    def h(self, X: Floats, channel: Ints, k: int) -> Floats:
        return observe.h(self.air, X, channel)

    def H(self, x: Floats, channel: Ints, k: int) -> Sparse | None:
        return observe.H(self.air, channel)

    def exogenous(self, k: int) -> Floats:
        return decide.drive_at(self.air, {name: self.inputs.at(name, k) for name in self.inputs.names}).u()

    def steer(self, u: Floats, row: Floats, k: int) -> Floats:
        return decide.steered(self.air, u, row)

    def edge_view(self, gateway: str) -> Ints:
        own = np.array([name.startswith(gateway + "/") for name in self.channels], np.bool_)
        return np.unique(self.places[own]) if own.any() else np.zeros(0, np.int64)

    def gives(self, x: Floats, k: int) -> Mapping[str, Floats]:
        air = self.air
        found = {name: np.zeros(air.p) for name in ("pm25", "no2")}
        for q, name in enumerate(air.pollutants):
            found[name] = np.maximum(x[q * air.p : (q + 1) * air.p], 0.0)
        return {
            **{name: values[air.cells] for name, values in found.items()},
            **{f"station_{name}": values[: air.stations] for name, values in found.items()},
        }

    def indicators(self, X: Floats, u: Floats, k: int) -> Mapping[str, Floats]:
        return risk.indicators(self.air, X, Drive.of(u, self.air))

    def limits(self, x: Floats, k: int) -> Limits:
        return decide.limits(self.air)

    def plan(self, belief: Belief, horizon: int, deadline_s: float) -> Plan:
        return decide.plan(self, belief, horizon, deadline_s)

    def risks(self, series: Series) -> list[Risk]:
        return risk.risks(self, series)

    def contingencies(self, belief: Belief, series: Series) -> list[Risk]:
        return risk.contingencies(self, belief, series)

    def reference(self, channel: Ints, y: Floats) -> Reference:
        """The virtual reference of each reading y (m,) of one time: what the other sensors say that it should be."""
        R = np.array([self.air.part.sensors[i].sd ** 2 for i in channel])
        return observe.reference(self.field, self.places[channel], y, R)


def build(part: Part) -> Domain:
    """Raises BadModel: no place at all, places nobody knows the position of, sensors of what is not followed."""
    names = str(part.settings["pollutants"]).split()
    positioned = part.of("station", "cell", "zone", "actuator")
    faults = [f"{one.id}: no position; give it lon and lat" for one in positioned if one.place is None]
    if not part.of("station", "cell"):
        faults.append("no station and no cell: there is nothing to follow")
    faults += [
        f"{one.point}: measures {one.quantity}, which `pollutants` does not name ({' '.join(names)})"
        for one in part.sensors
        if one.quantity not in names
    ]
    if faults:
        raise BadModel("\n".join(faults))
    air = Air(part, names)
    of = {kind: [one.id for one in part.of(kind)] for kind in KINDS}
    return Domain(air, assumed(air), Inputs(TAKES, {name: of[flow.kind] for name, flow in TAKES.items()}))


def example() -> Domain:
    """Three stations and four cells around them, two zones, a fan in a tunnel, traffic in the cells."""
    place = {name: float(key.default or 0) for name, key in KINDS["station"].keys.items()}
    cell = {name: float(key.default or 0) for name, key in KINDS["cell"].keys.items()}
    zone = {name: float(key.default or 0) for name, key in KINDS["zone"].keys.items()}
    fan = {name: float(key.default or 0) for name, key in KINDS["actuator"].keys.items()}
    assets = [
        *(Asset(f"station-{i}", "station", place, lon=8.50 + 0.02 * i, lat=47.37 + 0.01 * (i % 2)) for i in range(3)),
        *(
            Asset(f"cell-{i}", "cell", cell | {"people": 2000.0 * (i + 1)}, lon=8.51 + 0.02 * i, lat=47.375)
            for i in range(4)
        ),
        *(Asset(f"zone-{i}", "zone", zone, lon=8.51 + 0.04 * i, lat=47.375) for i in range(2)),
        Asset("fan", "actuator", fan, lon=8.51, lat=47.375),
    ]
    wires = [Wire(f"gw-{i // 2}/air-{i}/pm25", f"station-{i}", "pm25", 2.0) for i in range(3)]
    wires.append(Wire("gw-0/air-0/no2", "station-0", "no2", 2.0))
    wires.append(Wire("gw-0/fan/speed", "fan", "percentage", 0.0, does="sets"))
    settings = {name: key.default for name, key in SETTINGS.items() if key.default is not None}
    settings |= {"spread": 0.3, "steady": 0.8, "drift_days": 0.5, "drift_per_day": 1.0, "memory_h": 12.0}
    made = build(Part("environment", assets, wires, settings))
    made.inputs.put("source_pm25", 0, np.full(4, 300.0))
    made.inputs.put("source_nox", 0, np.full(4, 4000.0))
    return made
