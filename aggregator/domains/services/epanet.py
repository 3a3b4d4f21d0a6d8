"""A water network as a utility has it: an EPANET file, simulated by EPANET (Rossman 2000) through wntr.

Of every time that was simulated the network is made linear around what EPANET found: what each demand does to the
heads of some nodes. An active pressure-reducing valve holds the head behind it, and what is taken there is drawn
through it from before.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from aggregator.domains.services.hydraulics import EXPONENT, LEAST_SLOPE
from aggregator.twin import BadModel, Floats, Ints

HELD_M = 1e-3  # a valve is active where it lets the head fall by more


@dataclass(frozen=True, eq=False)
class Simulated:
    """Steady states at T times: pressures and demands of N nodes (m, m3/s), head and flow of links."""

    nodes: Sequence[str]
    junctions: Ints  # places of nodes that customers are at
    places: Floats  # (N, 2) coordinates of the file
    pressure: Floats  # (T, N) m
    demand: Floats  # (T, N) m3/s
    head: Floats  # (T, N) m
    links: Sequence[tuple[int, int]]  # pipes and pumps, by places of nodes
    flow: Floats  # (T, L)
    valves: Sequence[tuple[int, int]]
    fixed: Ints  # reservoirs and tanks

    def sensitivities(self, t: int, at: Ints) -> Floats:
        """(a, N) change of pressure at nodes `at` for each m3/s more taken at a node, at time t."""
        n = len(self.nodes)
        start, end = (np.array([one[i] for one in self.links]) for i in (0, 1))
        fall = np.abs(self.head[t, start] - self.head[t, end])
        size = np.abs(self.flow[t])
        P = np.where(size > 1e-7, size / np.maximum(EXPONENT * fall, 1e-12), 1 / LEAST_SLOPE)
        P = np.minimum(P, 1 / LEAST_SLOPE)
        shut = (size <= 1e-7) & (fall > 1.0)
        P[shut] = 1e-9
        ones = np.ones(len(start))
        rows = np.concatenate([np.arange(len(start))] * 2)
        B = sp.csr_array((np.concatenate([ones, -ones]), (rows, np.concatenate([start, end]))), shape=(len(start), n))
        A = sp.csr_array(B.T @ sp.diags_array(P) @ B)
        held = set(self.fixed.tolist())
        for before, behind in self.valves:
            if self.head[t, before] - self.head[t, behind] > HELD_M:
                A = sp.csr_array(A + drawn(n, before, behind) @ A)  # what is drawn behind is drawn from before
                held.add(behind)
            else:  # open: as one node
                A = sp.csr_array(A + joined(n, before, behind))
        free = np.setdiff1d(np.arange(n), np.array(sorted(held)))
        place = np.full(n, -1)
        place[free] = np.arange(len(free))
        carry = np.arange(n)  # the row in which a node's demand is balanced
        for before, behind in self.valves:
            if behind in held:
                carry[behind] = before
        matrix = sp.csc_array(A[free][:, free])
        right = np.zeros((len(free), len(at)))
        for i, node in enumerate(at):
            if place[node] >= 0:
                right[place[node], i] = 1.0
        y = splu(matrix.T.tocsc()).solve(right)
        found = np.zeros((len(at), n))
        rows_of = place[carry]
        known = rows_of >= 0
        found[:, known] = -y[rows_of[known]].T
        return found


def drawn(n: int, before: int, behind: int) -> sp.csr_array:
    """(n, n) that puts the row of `behind` into that of `before`."""
    return sp.csr_array(([1.0], ([before], [behind])), shape=(n, n))


def joined(n: int, before: int, behind: int) -> sp.csr_array:
    """(n, n) of a link without loss."""
    values = np.array([1.0, 1.0, -1.0, -1.0]) / LEAST_SLOPE
    return sp.csr_array((values, ([before, behind, before, behind], [before, behind, behind, before])), shape=(n, n))


def simulated(path: Path | str, hours: int, demand: Floats | None = None) -> Simulated:
    """Every hour of `hours`, with the file's demands or with `demand` (hours, N) m3/s.

    Raises BadModel without wntr, or for a file that EPANET refuses.
    """
    try:
        import wntr
    except ImportError as error:
        raise BadModel("EPANET files need wntr: pip install 'citytwin[domains]'") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pandas, and of patterns that are longer than the day
        try:
            model = wntr.network.WaterNetworkModel(str(path))
            time = model.options.time
            time.duration, time.hydraulic_timestep, time.report_timestep = (hours - 1) * 3600, 3600, 3600
            if demand is not None:
                _ordered(model, demand)
            with TemporaryDirectory() as folder:
                found = wntr.sim.EpanetSimulator(model).run_sim(file_prefix=f"{folder}/run")
        except (wntr.epanet.exceptions.EpanetException, OSError, ValueError, KeyError) as error:
            raise BadModel(f"{path}: EPANET refuses it: {error}") from error
    return _simulated(model, found)


def _ordered(model: Any, demand: Floats) -> None:
    """What customers take each hour, instead of the file's patterns."""
    model.options.time.pattern_timestep = 3600
    for place, name in enumerate(model.node_name_list):
        node = model.get_node(name)
        if node.node_type == "Junction":
            model.add_pattern(f"given-{name}", demand[:, place].tolist())
            node.demand_timeseries_list.clear()
            node.add_demand(1.0, f"given-{name}")


def _simulated(model: Any, found: Any) -> Simulated:
    nodes, links = list(model.node_name_list), [model.get_link(name) for name in model.link_name_list]
    place = {name: i for i, name in enumerate(nodes)}
    kinds = [model.get_node(name).node_type for name in nodes]
    valves = [one for one in links if one.link_type == "Valve"]
    others = [one for one in links if one.link_type != "Valve"]
    columns = {key: found.node[key].loc[:, nodes].to_numpy(np.float64) for key in ("pressure", "demand", "head")}
    return Simulated(
        nodes,
        np.array([i for i, kind in enumerate(kinds) if kind == "Junction"]),
        np.array([model.get_node(name).coordinates for name in nodes], np.float64),
        columns["pressure"],
        columns["demand"],
        columns["head"],
        [(place[one.start_node_name], place[one.end_node_name]) for one in others],
        found.link["flowrate"].loc[:, [one.name for one in others]].to_numpy(np.float64),
        [(place[one.start_node_name], place[one.end_node_name]) for one in valves],
        np.array([i for i, kind in enumerate(kinds) if kind != "Junction"]),
    )
