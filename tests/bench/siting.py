"""Where depots stand: pmed1 and pmed5 of OR-Library to the proven optimum; the swap heuristic beside, and alone above
500 sites."""

import time
from collections.abc import Iterator

import numpy as np

from aggregator.domains.services.siting import EXACT_MAX, interchange, p_median
from tests.bench import Figure
from tests.bench.services_facts import lacking, pmed

OPTIMA = {"pmed/pmed1.txt": 5819, "pmed/pmed5.txt": 1355}
SECONDS = 300.0
GOAL = "pmed1 and pmed5 optimal"


def large(sites: int) -> tuple[float, float]:
    """Customers at random places: the heuristic's cost over that of sites at random, and its seconds."""
    noise = np.random.default_rng(4)
    at = noise.uniform(0, 1000, (sites, 2))
    distance = np.hypot(*(at[:, None] - at[None]).transpose(2, 0, 1))
    begun = time.perf_counter()
    found = interchange(distance, 20)
    spent = time.perf_counter() - begun
    chance = min(float(distance[:, noise.choice(sites, 20, False)].min(axis=1).sum()) for _ in range(100))
    return found.cost / chance, spent


def run(scale: str) -> Iterator[Figure]:
    if missing := lacking(*OPTIMA):
        yield Figure("siting", 0.0, missing, GOAL, ok=False)
        return
    beside, wrong = dict[str, float](), 0
    for name, optimum in OPTIMA.items():
        distance, p = pmed(name)
        begun = time.perf_counter()
        found = p_median(distance, p, SECONDS)
        spent = time.perf_counter() - begun
        short = name.partition("/")[2].removesuffix(".txt")
        wrong += not (found.optimal and round(found.cost) == optimum)
        beside |= {short: found.cost, f"{short}_s": round(spent, 2), f"{short}_swap": interchange(distance, p).cost}
    ratio, seconds = large(2 * EXACT_MAX)
    beside |= {"of_1000_over_best_of_100_random": round(ratio, 3), "of_1000_s": round(seconds, 2)}
    yield Figure("siting", wrong, "of 2 instances not proven optimal", GOAL, wrong == 0, beside)
