"""A leak in L-Town (BattLeDIM, 782 junctions): EPANET is the truth, 33 pressure sensors tell, for a day.

Customers take other than the model thinks (10 % each hour, and 10 % each customer always), sensors err by 0.1 m. What
is always so is in the pressures of the day before, which had no leak: residuals are against these. Beside it the
sensor whose pressure fell most, and what the same method says of a day without a leak.
"""

from collections.abc import Iterator

import numpy as np

from aggregator.domains.services.epanet import Simulated, simulated
from aggregator.domains.services.leak import suspects
from aggregator.twin import Floats, Ints
from tests.bench import Figure
from tests.bench.services_facts import folder, lacking

FILE, HOURS, WITHIN_M = "water/L-TOWN.inp", 24, 300.0
NUMBERS = (  # of the nodes with sensors in BattLeDIM
    *(1, 4, 31, 54, 105, 114, 163, 188, 215, 229, 288, 296, 332, 342, 410, 415, 429, 458, 469, 495, 506),
    *(516, 519, 549, 613, 636, 644, 679, 722, 726, 740, 752, 769),
)
LEAKS = {"ci": 6, "full": 30}
HOURLY, STANDING, SENSOR_M = 0.1, 0.1, 0.1
GOAL = "located within 300 m by pressure residuals"


def day(base: Simulated, standing: Floats, noise: np.random.Generator, at: Ints, node: int, leak: float) -> Floats:
    """(T, m) pressures that the sensors tell, with a leak of so many m3/s."""
    taken = base.demand * standing * noise.normal(1, HOURLY, base.demand.shape)
    taken[:, base.fixed] = 0.0
    taken[:, node] += leak
    told = simulated(folder() / FILE, HOURS, taken).pressure[:, at]
    return told + noise.normal(0, SENSOR_M, told.shape)


def run(scale: str) -> Iterator[Figure]:
    if missing := lacking(FILE):
        yield Figure("leak", 0.0, missing, GOAL, ok=False)
        return
    base = simulated(folder() / FILE, HOURS)
    at = np.array([base.nodes.index(f"n{name}") for name in NUMBERS])
    slopes = np.array([base.sensitivities(hour, at) for hour in range(HOURS)])
    doubt = np.sqrt(2) * HOURLY * np.abs(base.demand)  # of two days
    doubt[:, base.fixed] = 0.0
    far, naive = list[float](), list[float]()
    for seed in range(LEAKS[scale] + 1):
        noise = np.random.default_rng(1000 + seed)
        node, leak = int(noise.choice(base.junctions)), noise.uniform(8, 30) / 3600
        standing = noise.normal(1, STANDING, (1, base.demand.shape[1]))
        before, now = (day(base, standing, noise, at, node, q) for q in (0.0, leak if seed else 0.0))
        residual = now - before
        found = suspects(residual, slopes, doubt, np.sqrt(2) * SENSOR_M, base.junctions)
        if not seed:  # the day without a leak
            quiet = float(found.flow[0] * 3600)
            continue
        far.append(float(np.linalg.norm(base.places[found.nodes[0]] - base.places[node])))
        lowest = at[int(np.argmin(residual.mean(axis=0)))]
        naive.append(float(np.linalg.norm(base.places[lowest] - base.places[node])))
    share = float(np.mean(np.array(far) <= WITHIN_M))
    beside = {
        "median_m": round(float(np.median(far)), 1),
        "worst_m": round(max(far), 1),
        "leaks": len(far),
        "sensor_that_fell_most_median_m": round(float(np.median(naive)), 1),
        "sensor_that_fell_most_share": round(float(np.mean(np.array(naive) <= WITHIN_M)), 2),
        "m3h_without_a_leak": round(quiet, 2),
    }
    yield Figure("leak", round(share, 3), "share of leaks within 300 m", GOAL, share == 1.0, beside)
