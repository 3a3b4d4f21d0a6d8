"""The loss of every line of SimBench's 1-MV-urban, one after the other: a full power flow for each, and what it costs.

No screening by linear factors: all are solved by Newton-Raphson, in one batch. The figure is the processor's time,
which is the batch's own whatever else the machine does, the median of several; beside it wall time, the loss of
transformers as well, and pandapower doing the same one by one.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from aggregator.domains.energy import build
from aggregator.domains.energy.observe import injected
from aggregator.domains.energy.risk import screened
from aggregator.twin import Floats
from tests.bench import Figure
from tests.bench.one_core import alone
from tests.bench.simbench_grids import STEP_S, YEAR_BEGINS_S, available, load

GRID, LINES, GOAL_MS = "1-MV-urban--0-sw", 147, 100.0
TIMES = {"ci": 15, "full": 50}
ONE_BY_ONE = {"ci": 3, "full": 147}  # of the partner
EVENING = 96 * 17 + 72  # of a winter's working day


def figures(scale: str) -> Iterator[Figure]:
    grid = load(GRID)
    domain = build(grid.part([]))
    k = YEAR_BEGINS_S // STEP_S + 1 + EVENING
    x = domain.prior(k).x
    for kind, quantity in (("load", "active_power"), ("load", "reactive_power"), ("pv", "active_power")):
        x[domain.grid.layout[kind, quantity]] = [grid.truth[a.id, quantity][EVENING] for a in domain.grid.assets[kind]]
    network = domain.network(domain.standing(k))
    injections = (one[:, 0] for one in injected(domain.grid, x[:, None], domain.inputs.at("pumping", k)))
    case = (*injections, x[domain.grid.layout["source", "voltage"]])
    flows = network.without("line", *case)  # warms up
    took, wall, whole = [], [], []
    for _ in range(TIMES[scale]):
        begun = time.process_time(), time.perf_counter()
        flows = network.without("line", *case)
        took.append(1e3 * (time.process_time() - begun[0]))
        wall.append(1e3 * (time.perf_counter() - begun[1]))
        again = time.process_time()
        found = screened(domain, x, k)
        whole.append(1e3 * (time.process_time() - again))
    worst, seconds = one_by_one(grid.net, grid.truth, flows.voltage, ONE_BY_ONE[scale])
    median = float(np.median(took))
    yield Figure(
        "n-1",
        round(median, 1),
        f"ms for the loss of each of {domain.grid.count('line')} lines, full power flows",
        f"all {LINES} lines ≤ {GOAL_MS:g} ms",
        median <= GOAL_MS and domain.grid.count("line") == LINES,
        {
            "wall_ms": round(float(np.median(wall)), 1),
            "with_transformers_and_consequences_ms": round(float(np.median(whole)), 1),
            "lines_whose_loss_darkens": int((found.lost_w[:LINES] > 0).sum()),
            "pandapower_one_by_one_ms": round(1e3 * seconds * LINES / ONE_BY_ONE[scale]),
            "largest_difference_pu": worst,
        },
    )


def one_by_one(net: Any, truth: Mapping[tuple[str, str], Floats], voltage: Floats, count: int) -> tuple[float, float]:
    """Largest difference of a voltage from pandapower, per unit, and its seconds."""
    import pandapower

    for table, kind in ((net.load, "load"), (net.sgen, "pv")):
        table["p_mw"] = [truth[f"{kind}-{i}", "active_power"][EVENING] / 1e6 for i in table.index]
    net.load["q_mvar"] = [truth[f"load-{i}", "reactive_power"][EVENING] / 1e6 for i in net.load.index]
    pandapower.runpp(net, trafo_model="pi")  # compiles
    worst, begun = 0.0, time.process_time()
    rated = 1e3 * net.bus.vn_kv.to_numpy()
    for place, line in enumerate(net.line.index[:count]):
        net.line.loc[line, "in_service"] = False
        pandapower.runpp(net, trafo_model="pi", tolerance_mva=1e-9)
        net.line.loc[line, "in_service"] = True
        theirs = np.nan_to_num(net.res_bus.vm_pu.to_numpy())
        worst = max(worst, float(np.abs(voltage[:, place] / rated - theirs).max()))
    return worst, time.process_time() - begun


def run(scale: str) -> Iterator[Figure]:
    if missing := available():
        yield Figure("n-1", float("nan"), missing, "a grid of SimBench", False)
        return
    yield from alone("tests.bench.n_1", scale)
