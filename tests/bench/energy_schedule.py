"""What a rolling plan saves: stores and vehicles of SimBench's future 1-LV-urban6, against a rule by the clock.

The grid, its seven stores and its home chargers are the data's own (scenario 2); prices and carbon are the domain's
defaults. The plan sees what the twin believes, 24 hours ahead, anew each hour; the truth goes its own way. The rule
is what timers do: fill stores and vehicles from 22 o'clock, empty stores from 17 o'clock.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from aggregator.domains.energy import asset, decide, dynamics
from aggregator.domains.energy.dynamics import Drive
from aggregator.twin import Floats
from aggregator.twin.belief import Belief
from aggregator.twin.fuser import Fuser, Settings
from aggregator.twin.gaussian import Gaussian
from aggregator.twin.measurement import Meas
from aggregator.twin.part import Asset
from tests.bench import Figure
from tests.bench.energy_year import Year, meters_of, year
from tests.bench.simbench_grids import SimBench, load

GRID = "1-LV-urban6--2-sw"
DAYS = {"full": 7, "ci": 1}
MONTHS = {"full": (1, 7), "ci": (7,)}
HORIZON, AGAIN = 96, 4  # steps: a day ahead, anew each hour
FILL_H, EMPTY_H = 22.0, 17.0
DEADLINE_S = 10.0


@dataclass(eq=False)
class Bill:
    """What a week came to."""

    cost: float = 0.0
    carbon: float = 0.0
    peak: float = 0.0
    over: float = 0.0  # %·steps above rated
    short: float = 0.0  # kWh that vehicles left without


Rule = Callable[[int, Belief], Floats]  # step and belief before it → row of a plan


def with_chargers(grid: SimBench) -> SimBench:
    """Loads of home chargers become chargers: the same rating and the same energy in a day."""
    homes = {f"load-{at}" for at in grid.net.load.index if str(grid.net.load.profile[at]).startswith("HLS")}
    made: list[Asset] = []
    for one in grid.assets:
        if one.id not in homes:
            made.append(one)
            continue
        rated = 1e6 * float(grid.net.load.p_mw[int(one.id.split("-")[1])])
        daily = 24.0 * float(grid.truth[one.id, "active_power"].mean())
        name = one.id.replace("load", "charger")
        made.append(asset(name, "charger", bus=one.text("bus"), rated_w=rated, energy_wh=min(daily, 12 * rated)))
    return replace(grid, assets=made)


def timer(one: Year) -> Rule:
    grid, clock = one.domain.grid, one.domain.habits.clock
    store, charger, pv, _ = decide.columns(grid)

    def row(k: int, belief: Belief) -> Floats:
        hour = float(clock.hours()[int(clock.slot(np.array(k)))])
        found = np.zeros(len(one.domain.controls))
        found[pv] = 100.0
        night = hour >= FILL_H or hour < 6
        sign = 1.0 if night else -1.0 if hour >= EMPTY_H else 0.0
        found[store] = sign * grid.values("battery", "rated_w")
        found[charger] = grid.values("charger", "rated_w") * night
        return found

    return row


def at_once(one: Year) -> Rule:
    """Stores rest, vehicles charge as soon as they come."""
    grid = one.domain.grid
    _, charger, pv, _ = decide.columns(grid)

    def row(k: int, belief: Belief) -> Floats:
        found = np.zeros(len(one.domain.controls))
        found[pv], found[charger] = 100.0, grid.values("charger", "rated_w")
        return found

    return row


@dataclass(eq=False)
class Planner:
    one: Year
    warm: bool = True
    seconds: float = 0.0
    plans: int = 0
    iterations: int = 0
    _rows: Floats | None = None
    _first: int = 0

    def row(self, k: int, belief: Belief) -> Floats:
        if self._rows is None or self.plans == 0 or k % AGAIN == 0:
            self.one.domain.solver.warm = self.warm
            begun = time.process_time()
            plan = self.one.domain.plan(belief, HORIZON, DEADLINE_S)
            self.seconds += time.process_time() - begun
            self.plans += 1
            self.iterations += self.one.domain.solver.iterations
            self._rows, self._first = plan.u, k
        row: Floats = self._rows[k - self._first]
        return row


def driven(one: Year, first: int, steps: int, rule: Rule) -> Bill:
    """The truth with `rule` carried out; vehicles take no more than they need, stores no more than they hold."""
    domain, grid, bill = one.domain, one.domain.grid, Bill()
    at, hours = grid.layout, domain.habits.clock.step_s / 3600
    channel, noise = np.arange(len(one.meters)), np.random.default_rng([8, first])
    begin = int(one.k[first]) - 1
    fuser = Fuser(domain, Gaussian(), begin, Settings(lag=1, ahead=1))
    x = one.truth[first - 1].copy()
    x[at["battery", "state_of_charge"]], x[at["charger", "active_energy"]] = 50.0, grid.values("charger", "energy_wh")
    worth = np.zeros(2)
    profiled = np.r_[at["load", "active_power"], at["load", "reactive_power"], at["pv", "active_power"]]
    need = grid.values("charger", "energy_wh")
    for i in range(steps):
        k = begin + 1 + i
        drive = Drive.of(domain.steer(domain.exogenous(k), rule(k, fuser.belief()), k), grid)
        come = dynamics.arriving(grid, domain.habits.clock, k)
        if come.any():
            bill.short += float(np.maximum(need - x[at["charger", "active_energy"]], 0.0)[come].sum()) / 1e3
        left = np.where(come, need, need - x[at["charger", "active_energy"]])
        there = present(one, k)
        drive.order[at["charger", "active_power"]] = np.minimum(
            drive.order[at["charger", "active_power"]], np.maximum(left, 0.0) / hours * there
        )
        x = dynamics.f(grid, domain.habits, x[:, None], drive, k)[:, 0]
        x[profiled], x[at["source", "voltage"]] = one.truth[first + i][profiled], drive.usual[at["source", "voltage"]]
        judged = domain.indicators(x[:, None], drive.u(), k)
        bill.cost += float(judged["cost"][0])
        bill.carbon += float(judged["CO2, kg"][0])
        bill.over += float(judged["overload, %"][0])
        bill.peak = max(bill.peak, float(judged["drawn, kW"][0]))
        worth += [drive.price.mean() / steps, drive.carbon.mean() / 1e3 / steps]
        y = domain.h(x[:, None], channel, k)[:, 0] + one.sd * noise.standard_normal(len(channel))
        fuser.ingest(
            Meas.of(t_ns=k * domain.dt_ns, gateway=0, epoch=1, sequence=i, channel=channel, y=y, var=one.sd**2)
        )
        fuser.advance(k)
    owed = (
        float(((50.0 - x[at["battery", "state_of_charge"]]) / 100 * grid.values("battery", "capacity_wh")).sum()) / 1e3
    )
    bill.cost += owed * float(worth[0])
    bill.carbon += owed * float(worth[1])
    return bill


def present(one: Year, k: int) -> Floats:
    """(chargers,) 1 while vehicles are there."""
    grid, clock = one.domain.grid, one.domain.habits.clock
    hour = float(clock.hours()[int(clock.slot(np.array(k)))])
    stay = (grid.values("charger", "leaves_h") - grid.values("charger", "arrives_h")) % 24
    return ((hour - grid.values("charger", "arrives_h")) % 24 < stay).astype(np.float64)


def run(scale: str) -> Iterator[Figure]:
    grid = with_chargers(load(GRID))
    kinds = {one.id: one.kind for one in grid.assets}
    meters = [one for one in meters_of(grid) if one[0] in kinds]
    meters += [
        (one, what) for one, kind in kinds.items() if kind == "battery" for what in ("active_power", "state_of_charge")
    ]
    meters += [(one, "active_power") for one, kind in kinds.items() if kind == "charger"]
    one = year(grid, meters)
    steps = DAYS[scale] * 96
    for month in MONTHS[scale]:
        first = one.first(month) + 48  # noon
        planner, cold = Planner(one), Planner(one, warm=False)
        planned, by_clock, resting = (
            driven(one, first, steps, rule) for rule in (planner.row, timer(one), at_once(one))
        )
        driven(one, first, min(steps, 24), cold.row)
        beside = {
            "plan_cpu_ms": round(1e3 * planner.seconds / planner.plans),
            "iterations_warm": round(planner.iterations / planner.plans),
            "iterations_cold": round(cold.iterations / cold.plans),
            "overload_plan": round(planned.over, 1),
            "overload_rule": round(by_clock.over, 1),
            "vehicles_short_kwh": round(planned.short, 2),
        }
        for name in ("cost", "peak", "carbon"):
            mine, theirs, none = (float(getattr(bill, name)) for bill in (planned, by_clock, resting))
            unit = {"cost": "of cost", "peak": "of the highest power drawn", "carbon": "of CO2"}[name]
            yield Figure(
                "energy-estimate",
                round(100 * (1 - mine / theirs), 2),
                f"% {unit} saved by the plan, {GRID}, {DAYS[scale]} days of month {month}",
                "above 0, against a rule by the clock",
                mine < theirs,
                {"plan": round(mine, 2), "rule": round(theirs, 2), "nothing_planned": round(none, 2), **beside},
            )
