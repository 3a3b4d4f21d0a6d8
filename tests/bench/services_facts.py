"""Public instances that the services domain is measured on: CVRPLIB, OR-Library, L-Town of BattLeDIM."""

import os
from pathlib import Path

import numpy as np
from scipy.sparse.csgraph import floyd_warshall

from aggregator.twin import Floats


def folder() -> Path:
    return Path(os.environ.get("CITYTWIN_DATA", str(Path(__file__).parents[3] / "shared" / "data")))


def lacking(*names: str) -> str:
    """Empty, or what is missing and how to get it."""
    missing = [name for name in names if not (folder() / name).exists()]
    remedy = "set CITYTWIN_DATA to a folder with vrp/ (CVRPLIB), pmed/ (OR-Library), water/ (BattLeDIM)"
    return f"not run: {folder()} has no {', '.join(missing)}; {remedy}" if missing else ""


def cvrp(name: str) -> tuple[Floats, Floats, float]:
    """Distances (n + 1, n + 1) rounded as CVRPLIB does, loads (n,), capacity."""
    section, places, loads, capacity = "", list[tuple[float, float]](), list[float](), 0.0
    for line in (folder() / name).read_text().splitlines():
        words = line.split()
        if len(words) == 3 and words[0] == "CAPACITY":
            capacity = float(words[2])
        elif words and words[0].endswith("SECTION"):
            section = words[0]
        elif section == "NODE_COORD_SECTION" and len(words) == 3:
            places.append((float(words[1]), float(words[2])))
        elif section == "DEMAND_SECTION" and len(words) == 2:
            loads.append(float(words[1]))
    at = np.array(places)
    distance = np.floor(np.hypot(*(at[:, None] - at[None]).transpose(2, 0, 1)) + 0.5)
    return distance, np.array(loads[1:]), capacity


def pmed(name: str) -> tuple[Floats, int]:
    """Shortest ways (n, n) and p; of an edge that is there twice the last counts."""
    lines = (folder() / name).read_text().splitlines()
    n, edges, p = (int(one) for one in lines[0].split())
    length = np.zeros((n, n))
    for line in lines[1 : edges + 1]:
        a, b, cost = (int(one) for one in line.split())
        length[a - 1, b - 1] = length[b - 1, a - 1] = cost
    return np.asarray(floyd_warshall(length), np.float64), p
