"""The fastest way through 20,000 crossings when every travel time has just changed; networkx on the same net beside it.

The net is a Delaunay triangulation of random points without its longest edges, as road nets are planar; speeds differ
by road. For each question all times are drawn anew, so that nothing prepared could help; the ways must be equally fast.
"""

import time
from collections.abc import Iterator

import networkx
import numpy as np
from scipy.spatial import Delaunay

from aggregator.domains.safety.roads import Roads
from aggregator.twin import Floats
from tests.bench import Figure

CROSSINGS = 20_000
QUESTIONS = {"ci": 100, "full": 1000}
COMPARED = {"ci": 5, "full": 50}  # also asked of networkx
GOAL = "route recomputed in ≤ 50 ms on a 20k-node net, p99"
SIDE_M = 30_000.0
CUT = 0.95  # share of the triangulation's edges that are roads: the longest, at the rim, are none


def net(seed: int) -> tuple[Roads, Floats]:
    """Roads both ways, and s to drive each when free."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0, SIDE_M, (CROSSINGS, 2))
    corners = Delaunay(xy).simplices
    pairs = np.unique(np.sort(np.vstack([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [0, 2]]]), axis=1), axis=0)
    length = np.hypot(*(xy[pairs[:, 0]] - xy[pairs[:, 1]]).T)
    kept = np.argsort(length)[: int(CUT * len(pairs))]
    speed = rng.choice([8.0, 14.0, 22.0], len(kept), p=[0.6, 0.3, 0.1])
    both = np.vstack([pairs[kept], pairs[kept][:, ::-1]])
    return Roads(CROSSINGS, both[:, 0], both[:, 1]), np.tile(length[kept] / speed, 2)


def run(scale: str) -> Iterator[Figure]:
    roads, free = net(1)
    rng = np.random.default_rng(2)
    took, theirs, off, unreached = [], [], 0.0, 0
    for i in range(QUESTIONS[scale]):
        seconds = free * rng.uniform(1.0, 3.0, len(free))
        a, b = rng.choice(CROSSINGS, 2, replace=False).tolist()
        begun = time.perf_counter()
        way = roads.route(seconds, a, b)
        took.append(1e3 * (time.perf_counter() - begun))
        unreached += not len(way.crossings)
        if i < COMPARED[scale]:
            ms, best = by_networkx(roads, seconds, a, b)
            theirs.append(ms)
            off = max(off, abs(way.seconds - best) if np.isfinite(best) else float(np.isfinite(way.seconds)))
    p99 = float(np.percentile(took, 99))
    beside = {
        "median, ms": float(np.median(took)),
        "most, ms": max(took),
        "networkx with its graph ready, ms": float(np.median(theirs)),
        "off from networkx at most, s": off,
        "roads": float(len(free)),
        "no way, questions": float(unreached),
    }
    yield Figure("route", p99, "ms", GOAL, p99 <= 50 and off < 1e-6, beside)


def by_networkx(roads: Roads, seconds: Floats, a: int, b: int) -> tuple[float, float]:
    """ms, with the building of its graph left out, and the s of its way."""
    graph = networkx.DiGraph()
    graph.add_nodes_from(range(roads.n))
    graph.add_weighted_edges_from(zip(roads.start.tolist(), roads.end.tolist(), seconds.tolist(), strict=True))
    begun = time.perf_counter()
    try:
        best = float(networkx.bidirectional_dijkstra(graph, a, b)[0])
    except networkx.NetworkXNoPath:
        best = float("inf")
    return 1e3 * (time.perf_counter() - begun), best
