"""The plan as a linear program, and HiGHS, which begins where the last plan ended.

least  what is drawn, at its price and its carbon's  + peak + wear of stores - what is fed in
       + breaches of limits + vehicles that leave without their charge - what is left in stores
so that  the sources give what is taken; stores hold what they were given less their losses
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp

from aggregator.domains.energy.grid import Grid
from aggregator.domains.energy.outlook import Outlook
from aggregator.twin import BadModel, Floats
from aggregator.twin.model import Sparse

BREACH = 20.0  # cost of a per cent of rated, for an hour: above what any saving brings
UNSERVED = 5.0  # cost of a kWh that a vehicle leaves without
TINY_W = 1.0  # of a cut: less is the solver's tolerance

Rows = tuple[Sparse, Floats, Floats]  # A v between two bounds


@dataclass(frozen=True, eq=False, slots=True)
class Columns:
    """What stands where among the variables: name → (first, count, steps)."""

    places: Mapping[str, tuple[int, int, int]]

    @classmethod
    def of(cls, shapes: Mapping[str, tuple[int, int]]) -> "Columns":
        ends = np.cumsum([0, *(count * steps for count, steps in shapes.values())]).tolist()
        return cls({name: (first, *shape) for (name, shape), first in zip(shapes.items(), ends, strict=False)})

    @property
    def n(self) -> int:
        return sum(count * steps for _, count, steps in self.places.values())

    def where(self, name: str) -> slice:
        first, count, steps = self.places[name]
        return slice(first, first + count * steps)

    def shape(self, name: str) -> tuple[int, int]:
        return self.places[name][1:]

    def put(self, height: int, **parts: Any) -> Sparse:
        """(height, n) from matrices for some of them."""
        found = sp.csr_array((height, self.n))
        for name, matrix in parts.items():
            at = self.where(name)
            sides = sp.csr_array((height, at.start)), sp.csr_array((height, self.n - at.stop))
            found = found + sp.hstack([sides[0], matrix, sides[1]], format="csr")
        return found


@dataclass(frozen=True, eq=False, slots=True)
class Program:
    """least cost · v + constant, 0 ≤ v ≤ high, A v within rows."""

    cost: Floats
    constant: float
    high: Floats
    rows: Rows
    columns: Columns

    def of(self, name: str, v: Floats) -> Floats:
        """(count, T)."""
        return v[self.columns.where(name)].reshape(self.columns.shape(name))

    def handles(self, v: Floats) -> tuple[Floats, Floats, Floats]:
        """W that stores take (stores, T), that chargers take, that plants are cut by."""
        return self.of("charge", v) - self.of("discharge", v), self.of("vehicles", v), self.of("cut", v)


def tariff(seen: Outlook, settings: Mapping[str, float | str]) -> tuple[Floats, float, float]:
    """(T,) of a Wh drawn with its carbon; of a Wh fed in, never above it; of a W of peak over this horizon."""
    drawn = (seen.price + seen.carbon * float(settings["carbon_price"])) / 1e3
    peak = float(settings["peak_price"]) * seen.horizon * seen.hours / 24 / 1e3
    return drawn, min(float(settings["feed_in"]) / 1e3, float(drawn.min())), peak


def built(grid: Grid, settings: Mapping[str, float | str], seen: Outlook) -> Program:
    T, r = seen.horizon, len(seen.places.value)
    stores, chargers, plants = (grid.count(kind) for kind in ("battery", "charger", "pv"))
    shapes = {"charge": (stores, T), "discharge": (stores, T), "held": (stores, T), "vehicles": (chargers, T)}
    shapes |= {"cut": (plants if r else 0, T)}  # nobody cuts a plant where no limit can be met
    shapes |= {"drawn": (1, T), "fed": (1, T), "breach": (r, T), "unserved": (len(seen.sessions), 1), "peak": (1, 1)}
    at = Columns.of(shapes)
    high = np.full(at.n, np.inf)
    for name, key in (("charge", "rated_w"), ("discharge", "rated_w"), ("held", "capacity_wh")):
        high[at.where(name)] = np.repeat(grid.values("battery", key), T)
    high[at.where("vehicles")] = present(grid, seen).ravel()
    high[at.where("cut")] = seen.sun.ravel() if r else ()
    worth = float(tariff(seen, settings)[0].mean())
    left = worth * float(np.sqrt(grid.values("battery", "efficiency") / 100) @ seen.charge)
    return Program(costs(grid, settings, seen, at, worth), left, high, rows(grid, seen, at), at)


def costs(grid: Grid, settings: Mapping[str, float | str], seen: Outlook, at: Columns, worth: float) -> Floats:
    """(n,) of each variable. A Wh that is left, or need not be charged later, is `worth` what one costs on average."""
    drawn, fed, peak = tariff(seen, settings)
    cost = np.zeros(at.n)
    cost[at.where("charge")] = cost[at.where("discharge")] = float(settings["wear_price"]) * seen.hours / 1e3
    last = np.zeros(at.shape("held"))
    last[:, -1] = -worth * np.sqrt(grid.values("battery", "efficiency") / 100)
    cost[at.where("held")] = last.ravel()
    cost[at.where("vehicles")] = -credit(grid, seen, worth).ravel()
    cost[at.where("drawn")], cost[at.where("fed")] = drawn * seen.hours, -fed * seen.hours
    cost[at.where("breach")] = np.repeat(BREACH * seen.hours / seen.places.unit, seen.horizon)
    cost[at.where("unserved")], cost[at.where("peak")] = UNSERVED / 1e3, peak
    return cost


def present(grid: Grid, seen: Outlook) -> Floats:
    """(chargers, T) W that each may take."""
    found = np.zeros((grid.count("charger"), seen.horizon))
    for one in seen.sessions:
        found[one.charger, one.steps] = grid.values("charger", "rated_w")[one.charger]
    return found


def credit(grid: Grid, seen: Outlook, worth: float) -> Floats:
    """(chargers, T) of a W: what need not be charged after the horizon."""
    found = np.zeros((grid.count("charger"), seen.horizon))
    for one in seen.sessions:
        if not one.ends:
            found[one.charger, one.steps] = worth * seen.hours
    return found


def rows(grid: Grid, seen: Outlook, at: Columns) -> Rows:
    every = [balance(seen, at), stocks(grid, seen, at), peaks(seen, at), *breaches(seen, at), fills(seen, at)]
    A, low, high = zip(*every, strict=True)
    return sp.vstack(A, format="csr"), np.concatenate(low), np.concatenate(high)


def by_handle(slope: Floats, seen: Outlook, at: Columns) -> Sparse:
    """slope (r, j) on what the variables make of handles, at each step: (r T, n)."""
    T = seen.horizon
    stores, chargers, cuts = (at.shape(name)[0] for name in ("charge", "vehicles", "cut"))
    parts = {"charge": slope[:, :stores], "discharge": -slope[:, :stores]}
    parts |= {"vehicles": slope[:, stores : stores + chargers], "cut": slope[:, stores + chargers :][:, :cuts]}
    spread = {name: sp.kron(one, sp.eye_array(T), format="csr") for name, one in parts.items() if one.shape[1]}
    return at.put(len(slope) * T, **spread)


def balance(seen: Outlook, at: Columns) -> Rows:
    """drawn - fed = what flows with all at rest + what handles add."""
    T = seen.horizon
    both = at.put(T, drawn=sp.eye_array(T), fed=-sp.eye_array(T))
    return both - by_handle(seen.draws[None], seen, at), seen.drawn, seen.drawn


def stocks(grid: Grid, seen: Outlook, at: Columns) -> Rows:
    """held(t) = held(t-1) + hours · (one way · charge - discharge / one way)."""
    stores, T = at.shape("held")
    one_way = np.sqrt(grid.values("battery", "efficiency") / 100)
    step = sp.kron(sp.eye_array(stores), sp.eye_array(T) - sp.eye_array(T, k=-1))
    into = sp.kron(sp.diags_array(-seen.hours * one_way), sp.eye_array(T))
    out = sp.kron(sp.diags_array(seen.hours / one_way), sp.eye_array(T))
    begun = np.zeros((stores, T))
    begun[:, 0] = seen.charge
    parts = {"held": step, "charge": into, "discharge": out} if stores else {}
    return at.put(stores * T, **parts), begun.ravel(), begun.ravel()


def peaks(seen: Outlook, at: Columns) -> Rows:
    """drawn ≤ peak."""
    T = seen.horizon
    below = at.put(T, drawn=sp.eye_array(T), peak=sp.csr_array(-np.ones((T, 1))))
    return below, np.full(T, -np.inf), np.zeros(T)


def breaches(seen: Outlook, at: Columns) -> list[Rows]:
    """value + slope · handles ≤ high + breach, and ≥ low - breach."""
    r, T = at.shape("breach")
    if not r:
        return []
    p, handles = seen.places, by_handle(seen.places.slope, seen, at)
    slack = at.put(r * T, breach=sp.eye_array(r * T))
    far = np.full(r * T, np.inf)
    return [(handles - slack, -far, (p.high - p.value).ravel()), (handles + slack, (p.low - p.value).ravel(), far)]


def fills(seen: Outlook, at: Columns) -> Rows:
    """must ≤ hours · Σ vehicles + unserved ≤ may."""
    count, T = len(seen.sessions), seen.horizon
    taken = sp.lil_array((count, at.shape("vehicles")[0] * T))
    for row, one in enumerate(seen.sessions):
        taken[row, one.charger * T + one.steps.start : one.charger * T + one.steps.stop] = seen.hours
    parts = {"vehicles": taken.tocsr(), "unserved": sp.eye_array(count)} if count else {}
    must, may = (np.array([getattr(one, key) for one in seen.sessions]) for key in ("must_wh", "may_wh"))
    return at.put(count, **parts), must, may


def cost_of(grid: Grid, settings: Mapping[str, float | str], seen: Outlook, handles: Floats) -> float:
    """What handles (j, T) cost by the program's measure, a store's charge at the end as it follows from them."""
    drawn, fed, peak = tariff(seen, settings)
    stores, worth = grid.count("battery"), float(drawn.mean())
    net = seen.drawn + seen.draws @ handles
    taken, one_way = np.maximum(net, 0.0), np.sqrt(grid.values("battery", "efficiency") / 100)
    cost = seen.hours * float(drawn @ taken - fed * np.maximum(-net, 0.0).sum()) + peak * float(taken.max(initial=0.0))
    cost += float(settings["wear_price"]) * seen.hours / 1e3 * float(np.abs(handles[:stores]).sum())
    into, out = np.maximum(handles[:stores], 0).sum(axis=1), np.maximum(-handles[:stores], 0).sum(axis=1)
    cost -= worth * seen.hours * float(one_way @ (into * one_way - out / one_way))
    vehicles = handles[stores : stores + grid.count("charger")]
    cost -= float((credit(grid, seen, worth) * vehicles).sum())
    had = [seen.hours * float(vehicles[one.charger, one.steps].sum()) for one in seen.sessions]
    cost += UNSERVED / 1e3 * sum(max(0.0, one.must_wh - wh) for one, wh in zip(seen.sessions, had, strict=True))
    p = seen.places
    if not len(p.value):
        return cost
    at = p.value + p.slope @ handles
    over = np.maximum(np.maximum(at - p.high, p.low - at), 0.0)
    return cost + float((BREACH * seen.hours / p.unit @ over).sum())


@dataclass(frozen=True, slots=True)
class Found:
    """`v` None where there is no plan; `bound`: no plan can cost less."""

    v: Floats | None
    cost: float
    bound: float
    status: Literal["optimal", "feasible", "fallback"]
    why: str
    iterations: int


@dataclass(eq=False)
class Solver:
    """HiGHS. Where the last program of the same shape ended, the next one begins."""

    warm: bool = True
    iterations: int = 0  # of the last one
    _last: dict[tuple[int, ...], Any] = field(default_factory=dict)

    def solve(self, program: Program, deadline_s: float) -> Found:
        """Raises BadModel where HiGHS is missing."""
        highs = solver(deadline_s)
        highs.passModel(passed(program))
        shape = program.rows[0].shape
        if self.warm and shape in self._last:
            highs.setBasis(self._last[shape])
        highs.run()
        info, said = highs.getInfo(), str(highs.modelStatusToString(highs.getModelStatus()))
        self.iterations = int(info.simplex_iteration_count)
        if info.primal_solution_status != FEASIBLE:
            return Found(None, np.nan, -np.inf, "fallback", f"HiGHS says: {said}", self.iterations)
        self._last = {shape: highs.getBasis()}
        cost = float(info.objective_function_value) + program.constant
        v = np.clip(np.array(highs.getSolution().col_value), 0.0, program.high)
        if said == "Optimal":
            return Found(v, cost, cost, "optimal", said, self.iterations)
        return Found(v, cost, -np.inf, "feasible", said, self.iterations)


FEASIBLE = 2  # HiGHS' SolutionStatus


def solver(deadline_s: float) -> Any:
    try:
        import highspy
    except ImportError as error:
        raise BadModel("energy: highspy is missing; install it with: pip install 'citytwin[domains]'") from error
    highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
    options = {"output_flag": False, "threads": 1, "time_limit": float(deadline_s), "solver": "simplex"}
    for name, value in options.items():
        highs.setOptionValue(name, value)
    return highs


def passed(program: Program) -> Any:
    import highspy

    rows, low, high = program.rows
    lp = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = rows.shape
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = program.cost, np.zeros(len(program.cost)), program.high
    lp.row_lower_, lp.row_upper_ = low, high
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = rows.indptr, rows.indices, rows.data
    return lp
