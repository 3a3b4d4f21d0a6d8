"""How much hangs on each asset: what its loss costs, how many ways lead over it, what it alone holds together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components, dijkstra

from aggregator.twin import Floats, Ints
from aggregator.twin.domain import Domain
from aggregator.twin.risk import Risk

VISITS_MAX = 2_000_000  # nodes × sources of betweenness: about a second
SOURCES_MIN = 16
CUTS_MAX = 50  # assets, the most visited ones, that are taken out in turn
SHORTEST = 1e-9  # an edge of no length would be no edge


@dataclass(frozen=True, slots=True)
class Critical:
    """`loss`: what the domain says of its loss, in the city's unit; `betweenness` and `cut_off` from 0 to 1."""

    domain: str
    asset: str
    loss: float
    betweenness: float  # share of the shortest ways between other places that lead over it
    cut_off: float  # share of the domain's other states that lose the rest without it


def criticality(name: str, domain: Domain, losses: Sequence[Risk]) -> list[Critical]:
    """Every asset of which something is known, the largest loss first, then the most visited."""
    lost: dict[str, float] = {}
    for one in losses:
        lost[one.asset] = max(lost.get(one.asset, 0.0), one.consequence)
    between = by_asset(domain, betweenness(domain.graph))
    visited = sorted(between, key=lambda asset: (-between[asset], asset))[:CUTS_MAX]
    cut = {asset: cut_off(domain, asset) for asset in visited if between[asset] > 0}
    found = [
        Critical(name, asset, lost.get(asset, 0.0), between.get(asset, 0.0), cut.get(asset, 0.0))
        for asset in dict.fromkeys([*lost, *between])
    ]
    return sorted(found, key=lambda one: (-one.loss, -one.betweenness, -one.cut_off, one.asset))


def by_asset(domain: Domain, values: Floats) -> Mapping[str, float]:
    """The largest of each asset's states."""
    found: dict[str, float] = {}
    for state, value in zip(domain.states, values, strict=True):
        found[state.asset] = max(found.get(state.asset, 0.0), float(value))
    return found


def betweenness(graph: sp.csr_array) -> Floats:
    """(n,) share of the shortest ways between two others that lead over each (Freeman 1977), one way for each pair.

    Exact up to √VISITS_MAX nodes; beyond from as many sources, evenly chosen, as the bound allows (Brandes & Pich
    2007).
    """
    n = graph.shape[0]
    if n < 3:
        return np.zeros(n)
    lengths = sp.csr_array((np.maximum(graph.data, SHORTEST), graph.indices, graph.indptr), shape=graph.shape)
    count = min(n, max(SOURCES_MIN, VISITS_MAX // n))
    total = np.zeros(n)
    for source in np.unique(np.linspace(0, n - 1, count).astype(np.int64)):
        distance, before = dijkstra(lengths, directed=False, indices=source, return_predecessors=True)
        total += _over(int(source), distance, before.astype(np.int64))
    found: Floats = total * n / (count * (n - 1) * (n - 2))
    return found


def _over(source: int, distance: Floats, before: Ints) -> Floats:
    """(n,) how many nodes are reached over each one, along the tree of shortest ways."""
    behind = [0.0] * len(distance)
    parent = before.tolist()
    for node in np.argsort(-distance, kind="stable").tolist():
        if parent[node] >= 0:  # neither the source nor out of reach
            behind[parent[node]] += 1.0 + behind[node]
    behind[source] = 0.0
    return np.array(behind)


def cut_off(domain: Domain, asset: str) -> float:
    """Share of the other states, of those joined with it, that are parted from the largest rest."""
    own = np.array([one.asset == asset for one in domain.states])
    labels = connected_components(domain.graph, directed=False)[1]
    joined = np.isin(labels, labels[own]) & ~own
    if not joined.any():
        return 0.0
    rest = connected_components(domain.graph[joined][:, joined], directed=False)[1]
    return float(1 - np.bincount(rest).max() / joined.sum())
