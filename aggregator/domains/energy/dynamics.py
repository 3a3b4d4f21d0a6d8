"""How injections move: back towards their habit, except what is ordered; stores fill and empty by what flows."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import scipy.sparse as sp

from aggregator.domains.energy.grid import BESIDE, Grid
from aggregator.domains.energy.habits import Clock, Habits
from aggregator.twin import Flags, Floats
from aggregator.twin.model import Sparse

HEATS_BELOW_C = 15.0  # of the day's mean: the heating limit that degree days are counted from (VDI 3807)
FULL_SUN = 1000.0  # W/m², standard test conditions (IEC 60904-3)
PERFORMANCE = 0.85  # of a plant: wiring, inverter, dirt (IEC 61724 calls it performance ratio)
HOT_PER_K = -0.004  # power of crystalline silicon, per K above 25 °C
HEATED_K = 25.0  # a cell above the air in full sun
PUMPS_TANGENT = 0.48  # reactive over active power of a motor at a power factor of 0.9


@dataclass(frozen=True, eq=False, slots=True)
class Drive:
    """The exogenous inputs of one step, and how they stand in u. NaN in `order` and `cap`: nobody has ordered."""

    usual: Floats  # (n,)
    before: Floats  # (n,) the step before
    order: Floats  # (n,) what a state is to be
    cap: Floats  # (n,) what it may be at most
    pumping: Floats  # (b,) W
    line_out: Floats
    transformer_out: Floats
    moved: Floats  # (s,) switches
    price: Floats  # (sources,) of a kWh
    carbon: Floats  # (sources,) g per kWh

    @classmethod
    def of(cls, u: Floats, grid: Grid) -> "Drive":
        kinds = ("bus", "line", "transformer", "switch", "source", "source")
        sizes = [*[grid.n] * 4, *(grid.count(kind) for kind in kinds)]
        return cls(*np.split(u, np.cumsum(sizes)[:-1]))

    def u(self) -> Floats:
        return np.concatenate([getattr(self, one.name) for one in fields(self)])


def usual(grid: Grid, habits: Habits, k: int, taken: Mapping[str, Floats]) -> Floats:
    """(n,) the habit, as weather and demand bend it. `taken`: temperature, irradiance, demand (b,), NaN unknown."""
    x = habits.usual(k)
    at = grid.layout
    P, Q = at["load", "active_power"], at["load", "reactive_power"]
    bus = grid.bus_of("load")
    cold = np.nan_to_num(np.maximum(HEATS_BELOW_C - taken["temperature"][bus], 0.0))
    for rows in (P, Q):
        x[rows] *= taken["demand"][bus]
    x[P] += grid.values("load", "heating_w_per_k") * cold
    sun = taken["irradiance"][grid.bus_of("pv")]
    air = np.nan_to_num(taken["temperature"][grid.bus_of("pv")], nan=15.0)
    hot = 1 + HOT_PER_K * (air + HEATED_K * np.nan_to_num(sun) / FULL_SUN - 25.0)
    given = grid.values("pv", "rated_w") * PERFORMANCE * np.maximum(sun, 0.0) / FULL_SUN * hot
    x[at["pv", "active_power"]] = np.where(np.isnan(sun), np.maximum(x[at["pv", "active_power"]], 0.0), given)
    return x


def f(grid: Grid, habits: Habits, X: Floats, drive: Drive, k: int) -> Floats:
    """x = usual + memory · (x - usual before), or what is ordered; then what stores and vehicles have by it."""
    moved = drive.usual[:, None] + habits.memory[:, None] * (X - drive.before[:, None])
    moved = np.where(np.isnan(drive.order)[:, None], moved, drive.order[:, None])
    moved = np.fmin(moved, drive.cap[:, None])
    at, hours = grid.layout, habits.clock.step_s / 3600
    power, charge = at["battery", "active_power"], at["battery", "state_of_charge"]
    moved[power], moved[charge] = stored(grid, moved[power], X[charge], hours)
    vehicles = at["charger", "active_energy"]
    stay = ~arriving(grid, habits.clock, k)
    moved[vehicles] = stay[:, None] * X[vehicles] + moved[at["charger", "active_power"]] * hours
    return moved


def stored(grid: Grid, P: Floats, charge: Floats, hours: float) -> tuple[Floats, Floats]:
    """Power that batteries can take or give, and their charge in % after it; half of the loss on either way."""
    capacity = grid.values("battery", "capacity_wh")[:, None] / 100  # Wh per %
    one_way = np.sqrt(grid.values("battery", "efficiency")[:, None] / 100)
    room, left = np.maximum(100 - charge, 0.0) * capacity, np.maximum(charge, 0.0) * capacity
    P = np.clip(P, -left * one_way / hours, room / one_way / hours)
    into = np.where(P > 0, P * one_way, P / one_way) * hours
    return P, charge + into / capacity


def arriving(grid: Grid, clock: Clock, k: int) -> Flags:
    """(chargers,) whether vehicles come at the beginning of the step that ends at k."""
    slot = int(clock.slot(np.array(k)))
    come = np.round(grid.values("charger", "arrives_h") * 3600 / clock.step_s).astype(np.int64) % clock.slots
    here: Flags = come == slot
    return here


def Q(habits: Habits, k: int) -> tuple[Floats, Floats]:
    spread = habits.strays(k)
    return habits.rest * spread**2, spread[:, None] * habits.factor


def distances(grid: Grid) -> Sparse:
    """(n, n) along lines and transformers, 1 each; through buses without a state of their own as well."""
    n = grid.n
    first = {int(bus): place for place, bus in reversed(list(enumerate(grid.at_bus)))}
    edges = {(first[bus], place): BESIDE for place, bus in enumerate(grid.at_bus) if first[bus] != place}
    for bus, place in first.items():
        for other, way in neighbours(grid.roads, bus, first).items():
            edges[place, first[other]] = way
    rows, columns = np.array(list(edges), np.int64).reshape(-1, 2).T
    one_way = sp.coo_array((np.array(list(edges.values())), (rows, columns)), shape=(n, n)).tocsr()
    found: Sparse = one_way.maximum(one_way.T).tocsr()
    return found


def neighbours(roads: Sparse, bus: int, states: Mapping[int, int]) -> dict[int, float]:
    """Buses with states that are reached from `bus` with none in between, and how far they are."""
    found: dict[int, float] = {}
    seen, open_ = {bus: 0.0}, [bus]
    while open_:
        at = open_.pop()
        for edge in range(roads.indptr[at], roads.indptr[at + 1]):
            to, way = int(roads.indices[edge]), seen[at] + float(roads.data[edge])
            if way >= seen.get(to, np.inf):
                continue
            seen[to] = way
            if to in states:
                found[to] = way
            else:
                open_.append(to)
    return found
