"""A year of a SimBench grid as the twin sees it: what is true, what is metered, and what was learned from a part."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from aggregator.domains.energy import Domain, build
from aggregator.domains.energy.habits import learned
from aggregator.twin import Floats, Ints
from aggregator.twin.part import Wire
from tests.bench.simbench_grids import STEP_S, YEAR_BEGINS_S, SimBench

LEARNED_DAYS = 21  # of each month; the others are judged
SD = {"voltage": 0.005 / 3, "active_power": 0.02 / 3, "reactive_power": 0.02 / 3}  # classes 0.5 and 2, of full scale
SD_OF = {"state_of_charge": 1.0, "active_energy": 100.0}  # of others, in their unit


@dataclass(frozen=True, eq=False)
class Year:
    """A grid, its truth (T, n) at steps k (T,), habits learned from a part of it."""

    grid: SimBench
    domain: Domain
    meters: list[tuple[str, str]]
    truth: Floats
    k: Ints
    sd: Floats  # (C,)

    def first(self, month: int) -> int:
        """The first step of the part of a month that is judged."""
        return (date(2016, month, LEARNED_DAYS + 1) - date(2016, 1, 1)).days * 96


def meters_of(grid: SimBench) -> list[tuple[str, str]]:
    if grid.readings:
        return grid.readings
    transformer = next(one for one in grid.assets if one.kind == "transformer")
    found = [(transformer.id, "active_power"), (transformer.id, "reactive_power"), (transformer.ends[1], "voltage")]
    for one in [one for one in grid.assets if one.kind == "load"][::10]:
        found += [(one.id, "active_power"), (one.id, "reactive_power"), (one.text("bus"), "voltage")]
    return list(dict.fromkeys(found))


def year(grid: SimBench, meters: list[tuple[str, str]]) -> Year:
    """Habits are learned from LEARNED_DAYS of each month."""
    wires = [Wire(f"gw/{asset}/{quantity}", asset, quantity, 1.0) for asset, quantity in meters]
    domain = build(grid.part(wires))
    layout, assets = domain.grid.layout, domain.grid.assets
    profiled = [("load", "active_power"), ("load", "reactive_power"), ("pv", "active_power")]
    columns = [grid.truth[one.id, quantity] for kind, quantity in profiled for one in assets[kind]]
    states = np.concatenate([np.arange(layout[key].start, layout[key].stop) for key in profiled])
    truth = np.tile(domain.prior(0).x, (len(columns[0]), 1))
    truth[:, states] = np.array(columns).T
    for kind in ("battery", "charger"):  # nobody has learned from them; a plan or a rule moves them
        truth[:, layout[kind, "active_power"]] = 0.0
    k = YEAR_BEGINS_S // STEP_S + 1 + np.arange(len(truth))
    train = learned_days(len(truth))
    domain.habits = learned(domain.habits, truth[train][:, states], k[train], states)
    channel = np.arange(len(meters))
    full = np.abs(domain.h(truth[train][::97].T, channel, 0)).max(axis=1)
    sd = np.array([SD_OF.get(of, SD.get(of, 0.0) * max(most, 1.0)) for (_, of), most in zip(meters, full, strict=True)])
    return Year(grid, domain, meters, truth, k, sd)


def learned_days(steps: int) -> Ints:
    begin = date(2016, 1, 1)
    day = np.array([(begin + timedelta(days=at)).day for at in range(steps // 96 + 1)])
    return np.flatnonzero(day[np.arange(steps) // 96] <= LEARNED_DAYS)
