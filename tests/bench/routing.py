"""Collection routes: X-n101-k25 of CVRPLIB against the best known solution; a nearest-neighbour tour beside it."""

import time
from collections.abc import Iterator

import numpy as np

from aggregator.domains.services.collection import tours
from aggregator.twin import Floats
from tests.bench import Figure
from tests.bench.services_facts import cvrp, lacking

FILE, BEST_KNOWN, VEHICLES = "vrp/X-n101-k25.vrp", 27_591, 30
SECONDS = {"ci": 10.0, "full": 60.0}
SEEDS = {"ci": (1,), "full": (1, 2, 3)}
GOAL = "≤ 0.5 % above the best known"


def nearest_neighbour(distance: Floats, load: Floats, capacity: float) -> float:
    """What a driver does who goes to the nearest that still fits."""
    left, cost, at, room = set(range(1, len(distance))), 0.0, 0, capacity
    while left:
        fits = [one for one in left if load[one - 1] <= room]
        nearest = min(fits, key=lambda one: distance[at, one]) if fits else 0
        cost += distance[at, nearest]
        at, room = nearest, room - load[nearest - 1] if nearest else capacity
        left.discard(nearest)
    return cost + float(distance[at, 0])


def run(scale: str) -> Iterator[Figure]:
    if missing := lacking(FILE):
        yield Figure("routing", 0.0, missing, GOAL, ok=False)
        return
    distance, load, capacity = cvrp(FILE)
    begun = time.perf_counter()
    found = [tours(distance, load, capacity, VEHICLES, SECONDS[scale], seed) for seed in SEEDS[scale]]
    spent = (time.perf_counter() - begun) / len(found)
    worst = max(100 * (one.cost / BEST_KNOWN - 1) for one in found)
    whole = all(
        one.feasible
        and sorted(stop for stops in one.stops for stop in stops) == list(range(len(load)))
        and all(load[np.array(stops)].sum() <= capacity for stops in one.stops)
        for one in found
    )
    plain = nearest_neighbour(distance, load, capacity)
    beside = {
        "seconds_each": round(spent, 1),
        "seeds": len(found),
        "nearest_neighbour": round(100 * (plain / BEST_KNOWN - 1), 1),
    }
    yield Figure("routing", round(worst, 3), "% above 27,591, the worst seed", GOAL, whole and worst <= 0.5, beside)
