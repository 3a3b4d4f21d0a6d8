"""The state of two SimBench grids from few meters, beside weighted least squares; and what a plan saves.

The meters are the grid's own where it has any (1-MV-urban: 34), else the transformer and every tenth customer. Habits
are learned from days 1 to 21 of each month; judged are days from 22 on. The truth is the grid's profiles through a
power flow, its meters read it with noise. How far this flatters: SimBench draws its many loads from few profiles, so
that who strays together can be learned better than in a street. Least squares has no place for that knowledge: it
takes what is not metered as independent, and where it is not, may come out worse than the habit alone.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from aggregator.domains.energy import Domain
from aggregator.domains.energy.network import rows_of
from aggregator.twin import Floats
from aggregator.twin.fuser import Fuser, Settings
from aggregator.twin.gaussian import Gaussian
from aggregator.twin.measurement import Meas
from tests.bench import Figure, energy_schedule
from tests.bench.energy_year import Year, meters_of, year
from tests.bench.simbench_grids import available, load
from tests.bench.state_estimation import LeastSquares

GRIDS = ("1-LV-urban6--0-sw", "1-MV-urban--0-sw")
MONTHS = {"full": (1, 4, 7, 10), "ci": (1, 7)}
STEPS = {  # judged in each month
    ("full", GRIDS[0]): 7 * 96,
    ("full", GRIDS[1]): 2 * 96,
    ("ci", GRIDS[0]): 96,
    ("ci", GRIDS[1]): 96,
}
SOURCE_SD = 1e-4  # of rated: the grid above holds one voltage in these data; both estimators are told
EVERY = 4  # steps between intervals that are checked
Z90 = 1.6448536269514722
WORSE = 1.02


@dataclass(eq=False)
class Score:
    """Squared errors of voltages (% of rated) and loadings (%), by estimator."""

    volts: dict[str, list[float]] = field(default_factory=dict)
    loads: dict[str, list[float]] = field(default_factory=dict)
    inside: dict[str, list[float]] = field(default_factory=dict)
    nis: list[float] = field(default_factory=list)
    failed: int = 0  # steps that least squares had no solution for
    seconds: float = 0.0

    def add(self, who: str, volts: Floats, loads: Floats) -> None:
        self.volts.setdefault(who, []).append(float(np.mean(volts**2)))
        self.loads.setdefault(who, []).append(float(np.mean(loads**2)))

    def rmse(self, who: str) -> tuple[float, float]:
        return float(np.sqrt(np.mean(self.volts[who]))), float(np.sqrt(np.mean(self.loads[who])))


def judged(one: Year, first: int, steps: int, score: Score) -> None:
    """Fuse `steps` from `first` on, and least squares beside it."""
    domain, channel = one.domain, np.arange(len(one.meters))
    states = one.truth[first : first + steps].T
    true = domain.flows(states, int(one.k[first]))
    noise = np.random.default_rng([7, first])
    y = domain.h(states, channel, 0) + one.sd[:, None] * noise.standard_normal((len(channel), steps))
    begin = int(one.k[first]) - 1
    fuser = Fuser(domain, Gaussian(), begin, Settings(lag=1, ahead=1))
    other = least_squares(one)
    rated = domain.grid.values("bus", "rated_v") / 100
    for i in range(steps):
        k = begin + 1 + i
        t_ns = k * domain.dt_ns
        meas = Meas.of(t_ns=t_ns, gateway=0, epoch=1, sequence=i, channel=channel, y=y[:, i], var=one.sd**2)
        begun = time.process_time()
        fuser.ingest(meas)
        fuser.advance(k)
        score.seconds += time.process_time() - begun
        belief = fuser.belief()
        score.nis += [each.nis / each.m for each in fuser.innovations(k - 1)]
        volts, loads = true.voltage[:, i], true.line_loading[:, i]
        mine = domain.flows(belief.x[:, None], k)
        errors = (mine.voltage[:, 0] - volts) / rated, mine.line_loading[:, 0] - loads
        score.add("fused", *errors)
        if i % EVERY == 0:
            covered(domain, belief.factor(), belief.x, k, errors, score)
        usual, spread = domain.habits.usual(k), domain.habits.lasting(k)
        blind = domain.flows(usual[:, None], k)
        score.add("habit", (blind.voltage[:, 0] - volts) / rated, blind.line_loading[:, 0] - loads)
        found = other.estimate(y[:, i], usual, spread)
        if found is None:
            score.failed += 1
            continue
        score.add("wls", (found[0] - volts) / rated, found[1] - loads)


def least_squares(one: Year) -> LeastSquares:
    source = float(one.domain.prior(0).x[one.domain.grid.layout["source", "voltage"]][0])
    return LeastSquares(one.domain, one.meters, one.sd, source, SOURCE_SD * source)


def covered(domain: Domain, factor: Floats, x: Floats, k: int, errors: tuple[Floats, Floats], score: Score) -> None:
    """What share of the truth is inside its interval; lines that are open at an end carry nothing and do not count."""
    rows = rows_of(domain.grid)
    slope = domain.sensitivities(x, k)
    joined = domain.standing(k).lines.all(axis=1)
    rated = domain.grid.values("bus", "rated_v") / 100
    for name, at, error, unit in (
        ("voltage", rows["bus", "voltage"], errors[0], rated),
        ("loading", rows["line", "loading"], errors[1], 1.0),
    ):
        sd = np.sqrt(((slope[at] @ factor) ** 2).sum(axis=1)) / unit
        inside = np.abs(error) <= Z90 * sd
        score.inside.setdefault(name, []).append(float(np.mean(inside[joined] if name == "loading" else inside)))


def estimates(code: str, scale: str) -> Iterator[Figure]:
    grid = load(code)
    one, score = year(grid, meters_of(grid)), Score()
    yield conversion(one)
    for month in MONTHS[scale]:
        judged(one, one.first(month), STEPS[scale, code], score)
    fused, wls, habit = (score.rmse(who) for who in ("fused", "wls", "habit"))
    steps = len(score.nis)
    for name, unit, at in (("voltage", "% of rated, RMSE of all buses", 0), ("loading", "%, RMSE of all lines", 1)):
        yield Figure(
            "energy-estimate",
            round(fused[at], 5),
            f"{unit}, {code}, {len(one.meters)} meters, {steps} steps",
            "≤ WLS + 2 %",
            fused[at] <= WORSE * wls[at],
            {"wls": round(wls[at], 5), "habit": round(habit[at], 5), "wls_unsolved": score.failed},
        )
        inside = float(np.mean(score.inside[name]))
        goal = "85-95 % of the truth inside the 90 % interval"
        yield Figure(
            "energy-estimate", round(100 * inside, 1), f"% inside, {name}, {code}", goal, 0.85 <= inside <= 0.95
        )
    nis = float(np.mean(score.nis))
    milliseconds = round(1e3 * score.seconds / steps, 1)
    beside = {"ms_per_step": milliseconds, "states": float(one.domain.n)}
    yield Figure("energy-estimate", round(nis, 3), f"NIS/m, {code}", "in [0.8, 1.25]", 0.8 <= nis <= 1.25, beside)


def conversion(one: Year) -> Figure:
    """The grid as we build it against pandapower, which the data come from, at one noon in summer."""
    import pandapower

    at = one.first(7) + 50
    net, domain = one.grid.net, one.domain
    for table, kind in ((net.load, "load"), (net.sgen, "pv")):
        table["p_mw"] = [one.grid.truth[f"{kind}-{i}", "active_power"][at] / 1e6 for i in table.index]
    net.load["q_mvar"] = [one.grid.truth[f"load-{i}", "reactive_power"][at] / 1e6 for i in net.load.index]
    net.sgen["q_mvar"] = 0.0
    pandapower.runpp(net, trafo_model="pi", tolerance_mva=1e-10)
    mine = domain.flows(one.truth[[at]].T, int(one.k[at]))
    rated = domain.grid.values("bus", "rated_v")
    off = float(np.nanmax(np.abs(mine.voltage[:, 0] / rated - net.res_bus.vm_pu.to_numpy())))
    loads = float(np.nanmax(np.abs(mine.line_loading[:, 0] - net.res_line.loading_percent.to_numpy())))
    return Figure(
        "energy-estimate",
        off,
        f"per unit, largest difference of a voltage from pandapower, {one.grid.name}",
        "≤ 1e-6",
        off <= 1e-6,
        {"loading_percent": loads},
    )


def run(scale: str) -> Iterator[Figure]:
    if missing := available():
        yield Figure("energy-estimate", float("nan"), missing, "two grids of SimBench", False)
        return
    for code in GRIDS:
        yield from estimates(code, scale)
    yield from energy_schedule.run(scale)
