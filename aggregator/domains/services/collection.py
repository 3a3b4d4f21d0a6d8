"""Which containers are emptied, by which crew, in which order: a capacitated vehicle routing problem.

Solved by pyvrp (Wouda, Lan & Kool 2024): iterated local search with a population, anytime and seeded. Loads and
distances are whole numbers there; a thousandth of a capacity and a metre are fine enough for crews.
"""

from dataclasses import dataclass

import numpy as np

from aggregator.twin import BadModel, Floats

SCALE = 1000  # parts of a vehicle's capacity that loads are counted in
STOPS_MAX = 2_000  # of one plan: a day of a large city's district


@dataclass(frozen=True, slots=True)
class Tours:
    """`stops` of each vehicle that drives, in order, as places in what was asked for; `cost` is their distance."""

    stops: tuple[tuple[int, ...], ...]
    cost: float
    feasible: bool


def tours(distance: Floats, load: Floats, capacity: float, vehicles: int, seconds: float, seed: int = 0) -> Tours:
    """The least distance that empties all.

    `distance` (n + 1, n + 1), the depot first; `load` (n,) of each stop. Raises BadModel for what cannot be driven.
    """
    check(distance, load, capacity, vehicles)
    try:
        from pyvrp import Model
        from pyvrp.stop import MaxRuntime
    except ImportError as error:
        raise BadModel("collection routes need pyvrp: pip install 'citytwin[domains]'") from error
    model = Model()
    places = [model.add_location(0, 0) for _ in range(len(load) + 1)]
    depot = model.add_depot(places[0])
    room, parts = counted(load, capacity)
    model.add_vehicle_type(vehicles, capacity=room, start_depot=depot, end_depot=depot)
    for place, part in zip(places[1:], parts, strict=True):
        model.add_client(place, delivery=part)
    for i, one in enumerate(places):
        for j, other in enumerate(places):
            model.add_edge(one, other, round(float(distance[i, j])))
    found = model.solve(MaxRuntime(seconds), seed=seed, display=False)
    stops = tuple(tuple(one.idx for one in route if one.is_client()) for route in found.best.routes())
    return Tours(stops, float(found.cost()), bool(found.is_feasible()))


def counted(load: Floats, capacity: float) -> tuple[int, list[int]]:
    """Capacity and loads as whole numbers: as they are where they are whole, else in parts, rounded up."""
    if capacity == int(capacity) and (load == np.round(load)).all():
        return int(capacity), load.astype(int).tolist()
    parts: list[int] = np.ceil(load / capacity * SCALE - 1e-9).astype(int).tolist()
    return SCALE, parts


def check(distance: Floats, load: Floats, capacity: float, vehicles: int) -> None:
    n = len(load)
    faults = []
    if distance.shape != (n + 1, n + 1) or not np.isfinite(distance).all() or (distance < 0).any():
        faults.append(f"distances are {distance.shape}; ({n + 1}, {n + 1}) finite numbers from 0 on, the depot first")
    if not 0 < n <= STOPS_MAX or vehicles < 1 or not capacity > 0:
        faults.append(f"{n} stops, {vehicles} vehicles of {capacity}: 1 to {STOPS_MAX}, at least 1, above 0")
    elif not (np.isfinite(load) & (load >= 0) & (load <= capacity)).all():
        faults.append(f"a load is negative, not finite, or more than a vehicle of {capacity} takes")
    elif load.sum() > vehicles * capacity:
        faults.append(f"{load.sum():g} to be taken by {vehicles} vehicles of {capacity}: too few")
    if faults:
        raise BadModel("\n".join(faults))
