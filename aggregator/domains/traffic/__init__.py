"""The streets: where vehicles are, how long ways take, and what signals and advice may do about it.

    state      vehicles on each link, and a surplus: what enters or ends there beyond the usual
    input      demand, what is blocked, signals that are dark, the greens that run
    readings   flow, density, occupancy, speed or queue of a link, from a part of the links
    plan       greens of every stage and offsets of every junction, for the least time lost

Around it, each a file: `history` (what is usual, learned), `guidance` (routes with live times, and when a vehicle in a
hurry needs green where), `arrivals` (whom a junction must expect from further away than its own loops see).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from aggregator.domains.traffic import decide, dynamics, observe, risk
from aggregator.domains.traffic.dynamics import Drive, Habits, assumed
from aggregator.domains.traffic.history import Day, learned
from aggregator.domains.traffic.kinds import GIVES, KINDS, SETTINGS, TAKES
from aggregator.domains.traffic.observe import Detectors, detectors
from aggregator.domains.traffic.streets import Streets, streets_of
from aggregator.twin import Floats, Ints
from aggregator.twin.belief import Belief
from aggregator.twin.domain import Control, Limits, Plan, Stated
from aggregator.twin.exchange import Inputs
from aggregator.twin.model import Sparse
from aggregator.twin.part import Asset, Part, Wire
from aggregator.twin.risk import Risk
from aggregator.twin.series import Series

__all__ = ["GIVES", "KINDS", "SETTINGS", "TAKES", "Domain", "build", "example"]

NS = 1_000_000_000
HOUR_S, DAY_S = 3600, 86_400
CITY = np.interp(  # factor of the mean at each local hour: two peaks, after MiD 2017 (trips begun by car on workdays)
    np.arange(25), (0, 4, 5, 7, 8, 10, 15, 17, 19, 22, 24), (0.2, 0.15, 0.4, 1.6, 1.5, 1.1, 1.4, 1.9, 1.2, 0.5, 0.2)
)


@dataclass(eq=False)
class Domain:
    """Implements `aggregator.twin.domain.Domain`."""

    streets: Streets
    habits: Habits
    detectors: Detectors
    inputs: Inputs
    settings: Mapping[str, float | str]
    points: Mapping[tuple[str, str], str]  # asset and quantity → the point that sets it
    name: str = "traffic"

    @property
    def n(self) -> int:
        return 2 * self.streets.E

    @property
    def dt_ns(self) -> int:
        return int(self.step_s * NS)

    @property
    def step_s(self) -> float:
        return float(self.settings["step_s"])

    @cached_property
    def graph(self) -> Sparse:
        return dynamics.distances(self.streets)

    @cached_property
    def channels(self) -> Sequence[str]:
        return [one.point for one in self.detectors.wires]

    @property
    def places(self) -> Ints:
        return self.detectors.link

    @cached_property
    def states(self) -> Sequence[Stated]:
        links = self.streets.links
        return [
            *(Stated(one.id, "vehicles", "count") for one in links),
            *(Stated(one.id, "surplus", "veh/h") for one in links),
        ]

    @cached_property
    def controls(self) -> Sequence[Control]:
        lit = [one for one in self.streets.junctions if one.number("cycle_s") > 0]
        named = [(one.id, "green_time") for one in self.streets.stages] + [(one.id, "plan_offset") for one in lit]
        return [Control(*one, "s", self.points.get(one, "")) for one in named]

    def learn(self, days: Sequence[Day]) -> None:
        """Take what is usual from history. Raises BadModel for days that do not fit."""
        self.habits = learned(self.streets, self.habits, days, self.step_s)

    def prior(self, k: int) -> Belief:
        """As usual, and as far from it as usual."""
        one, E = self.habits, self.streets.E
        q = one.spread.shape[1]
        A = np.zeros((2 * E, q + one.surplus.shape[1]))
        A[:E, :q], A[E:, q:] = one.spread, 3600 * one.surplus
        x = np.concatenate([one.vehicles, np.zeros(E)])
        return Belief(k, x, np.concatenate([one.spread_rest, 3600**2 * one.surplus_rest]), A)

    def f(self, X: Floats, u: Floats, k: int) -> Floats:
        return dynamics.f(self.streets, self.habits, X, Drive.of(u, self.streets), self.step_s)

    def Q(self, x: Floats, k: int) -> tuple[Floats, Floats]:
        return dynamics.Q(self.habits)

    def h(self, X: Floats, channel: Ints, k: int) -> Floats:
        return observe.h(self.streets, self.habits, self.detectors, X, self.drive(k), channel)

    def H(self, x: Floats, channel: Ints, k: int) -> Sparse | None:
        return observe.H(self.streets, self.habits, self.detectors, x, self.drive(k), channel)

    def drive(self, k: int) -> Drive:
        take = self.inputs.at
        demand = take("demand", k) * self._daily(k)
        return Drive(demand, take("blocked", k), take("signals_off", k), self.streets.greens)

    def exogenous(self, k: int) -> Floats:
        return self.drive(k).u()

    def steer(self, u: Floats, row: Floats, k: int) -> Floats:
        """A green of 0 or NaN leaves the plan that runs; offsets move no vehicles between links."""
        drive, green = Drive.of(u, self.streets), row[: len(self.streets.stages)]
        greens = np.where(np.nan_to_num(green) > 0, green, drive.greens)
        return Drive(drive.demand, drive.blocked, drive.dark, greens).u()

    def edge_view(self, gateway: str) -> Ints:
        own = np.array([name.startswith(gateway + "/") for name in self.channels], np.bool_)
        return np.unique(self.places[own]) if own.any() else np.zeros(0, np.int64)

    def gives(self, x: Floats, k: int) -> Mapping[str, Floats]:
        n = np.maximum(x[: self.streets.E], 0.0)
        out = dynamics.flows(self.streets, self.habits, n[:, None], self.drive(k))[:, 0]
        km_h = n * self.streets.of_links("length_m") / 1000 * HOUR_S / self.times(n, k)
        slow = risk.stop_and_go(self.times(n, k) / self.streets.free_s)
        given = {"vehicles": n, "travel_time": self.times(n, k, out)}
        return given | {
            f"emission_{name}": km_h * slow * float(self.settings[f"{name}_g_km"]) for name in ("nox", "pm25")
        }

    def times(self, n: Floats, k: int, out: Floats | None = None) -> Floats:
        """(E,) s from end to end with n vehicles on each link: n over what leaves, no less than a free drive."""
        if out is None:
            out = dynamics.flows(self.streets, self.habits, n[:, None], self.drive(k))[:, 0]
        found = np.where(n > 0.5, n / np.maximum(out, 1e-4), self.habits.delay_s)
        return np.clip(found, self.streets.free_s, DAY_S)

    def indicators(self, X: Floats, u: Floats, k: int) -> Mapping[str, Floats]:
        return risk.indicators(self.streets, self.habits, X, Drive.of(u, self.streets), self.step_s)

    def limits(self, x: Floats, k: int) -> Limits:
        return decide.limits(self.streets, len(self.controls), self.n)

    def plan(self, belief: Belief, horizon: int, deadline_s: float) -> Plan:
        drives = [self.drive(belief.k + 1 + i) for i in range(horizon)]
        return decide.plan(self.streets, self.habits, belief, drives, self.step_s, deadline_s)

    def risks(self, series: Series) -> list[Risk]:
        return risk.risks(self.streets, series, float(self.settings["hour"]))

    def contingencies(self, belief: Belief, series: Series) -> list[Risk]:
        return risk.contingencies(self.streets, self.habits, self.drive(belief.k), series, float(self.settings["hour"]))

    def _daily(self, k: int) -> float:
        if self.settings["day"] == "flat":
            return 1.0
        hour = (k * self.step_s / HOUR_S + float(self.settings["utc_offset_h"])) % 24
        return float(np.interp(hour, np.arange(25), CITY))


def build(part: Part) -> Domain:
    """Raises BadModel with all faults, one per line, each naming the asset."""
    streets = streets_of(part)
    links = [one.id for one in streets.links]
    assets = {"link": links, "junction": [one.id for one in streets.junctions]}
    inputs = Inputs(TAKES, {name: assets[flow.kind] for name, flow in TAKES.items()})
    surplus, memory, noise = (float(part.settings[key]) for key in ("surplus", "memory_min", "noise"))
    habits = assumed(streets, float(part.settings["step_s"]), surplus, memory, noise)
    points = {(one.asset, one.quantity): one.point for one in part.actuators}
    return Domain(streets, habits, detectors(streets, part.sensors), inputs, dict(part.settings), points)


def example() -> Domain:
    """An avenue with three signals and a side street at each; two ways from one end to the other."""
    defaults: dict[str, float | str] = {name: key.default for name, key in SETTINGS.items() if key.default is not None}
    return build(Part("traffic", list(_avenue()), list(_counted()), defaults | {"memory_min": 3.0}))


def asset(id_: str, kind: str, ends: tuple[str, ...] = (), **values: float | str) -> Asset:
    """With the defaults of its kind."""
    every = {name: key.default for name, key in KINDS[kind].keys.items() if key.default is not None}
    return Asset(id_, kind, every | values, ends)


def _avenue() -> Iterator[Asset]:
    for name in ("west", "a", "b", "c", "east", *(f"side-{one}" for one in "abc")):
        yield asset(name, "junction", cycle_s=90.0 if name in "abc" else 0.0)
    for name in "abc":
        yield asset(f"{name}-main", "stage", junction=name, green_s=50.0)
        yield asset(f"{name}-side", "stage", junction=name, green_s=32.0)
    road = ("west", "a", "b", "c", "east")
    for first, last in pairwise(road):
        for begin, end in ((first, last), (last, first)):
            lit, outer = end in ("a", "b", "c"), begin in ("west", "east")
            values: dict[str, float | str] = {"length_m": 400.0, "lanes": 2.0, "entering": 700.0 if outer else 0.0}
            yield asset(f"{begin}-{end}", "link", (begin, end), stages=f"{end}-main" if lit else "always", **values)
    for name in "abc":
        side = f"side-{name}"
        yield asset(f"{side}-{name}", "link", (side, name), length_m=200.0, entering=300.0, stages=f"{name}-side")
        yield asset(f"{name}-{side}", "link", (name, side), length_m=200.0)
    yield asset("through", "route", links="west-a a-b b-c c-east", group="eastwards")


def _counted() -> Iterator[Wire]:
    for link in ("west-a", "a-b", "b-c", "east-c", "c-b", "b-a", "side-a-a", "side-b-b", "side-c-c", "c-east"):
        yield Wire(f"gw-{link}/loops/density", link, "vehicle_density", 2.0)
        yield Wire(f"gw-{link}/loops/flow", link, "vehicle_flow", 60.0)
