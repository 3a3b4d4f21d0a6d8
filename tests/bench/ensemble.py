"""A load ensemble of SimBench's 1-MV-urban: members drawn from the habits, moved a step, each with its power flow.

The processor's time on one core, the median of several; wall time beside it.
"""

import time
from collections.abc import Iterator

import numpy as np

from aggregator.domains.energy import build
from tests.bench import Figure
from tests.bench.one_core import alone
from tests.bench.simbench_grids import STEP_S, YEAR_BEGINS_S, available, load

GRID, MEMBERS, GOAL_S = "1-MV-urban--0-sw", 1000, 0.5
TIMES = {"ci": 5, "full": 20}


def figures(scale: str) -> Iterator[Figure]:
    domain = build(load(GRID).part([]))
    k = YEAR_BEGINS_S // STEP_S + 96 * 17 + 72
    members = domain.prior(k).sample(MEMBERS, seed=3)
    domain.flows(members[:, :2], k)  # warms up
    took, flows, wall = [], [], []
    for _ in range(TIMES[scale]):
        begun, since = time.process_time(), time.perf_counter()
        moved = domain.f(members, domain.exogenous(k + 1), k + 1)
        middle = time.process_time()
        found = domain.flows(moved, k + 1)
        flows.append(time.process_time() - middle)
        took.append(time.process_time() - begun)
        wall.append(time.perf_counter() - since)
    median = float(np.median(took))
    yield Figure(
        "ensemble",
        round(median, 3),
        f"s for {MEMBERS:,} members of a load ensemble, {domain.grid.count('bus')} buses, {domain.n} states",
        f"≤ {GOAL_S:g} s",
        median <= GOAL_S,
        {
            "wall_s": round(float(np.median(wall)), 3),
            "power_flows_s": round(float(np.median(flows)), 3),
            "spread_of_voltage_percent": round(
                float(100 * (found.voltage.std(axis=1) / found.voltage.mean(axis=1)).max()), 3
            ),
        },
    )


def run(scale: str) -> Iterator[Figure]:
    if missing := available():
        yield Figure("ensemble", float("nan"), missing, "a grid of SimBench", False)
        return
    yield from alone("tests.bench.ensemble", scale)
