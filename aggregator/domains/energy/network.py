"""Power flow, by power-grid-model: what injections make of voltages and flows, for many members or outages at once.

Every member is a full Newton-Raphson solution of the AC equations (symmetric), so nothing here is linearised but
`slopes`, which are differences of such solutions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from aggregator.domains.energy.grid import Grid, Standing
from aggregator.twin import BadModel, Flags, Floats, Ints

TOLERANCE = 1e-11  # per unit: differences of two solutions are slopes
COARSE = 1e-8  # … of solutions that are looked at alone: a ten-thousandth of what a meter sees
SHORT_CIRCUIT_VA = 1e13  # behind a source: its voltage is a state, so nothing is left to fall behind it
STIFF = 0.1  # R over X there
PROBE = 3e-4  # of a bus's mean power, how far a slope is looked along: curvature and rounding stay below 1e-4
KINDS_OUT = {
    "node": ["u", "u_pu", "energized"],
    "line": ["p_from", "q_from", "i_from", "loading"],
    "transformer": ["p_to", "q_to", "i_to", "loading"],
    "source": ["p", "q"],
}
IDS = {"node": 0, "line": 1_000_000, "transformer": 2_000_000, "source": 4_000_000, "load": 5_000_000}


@dataclass(frozen=True, eq=False, slots=True)
class Flows:
    """Columns are members. Where there is no supply, voltage and flows are 0."""

    voltage: Floats  # (b, N) V between phases
    supplied: Flags  # (b, N)
    line: Mapping[str, Floats]  # quantity → (l, N), where it begins, into it
    line_loading: Floats  # (l, N) %
    transformer: Mapping[str, Floats]  # quantity → (t, N), out of its lower side
    transformer_loading: Floats  # (t, N) %
    source: Mapping[str, Floats]  # quantity → (s, N), given to the grid

    def stacked(self) -> Floats:
        """All that a channel can be, in one order (rows, N): `rows_of` says where what is."""
        parts = [self.voltage]
        for table in (self.line, self.transformer, self.source):
            parts += [table[name] for name in sorted(table)]
        return np.vstack([*parts, self.line_loading, self.transformer_loading])


BRANCH = ("active_power", "current", "reactive_power")


def rows_of(grid: Grid) -> Mapping[tuple[str, str], slice]:
    """(kind, quantity) → rows of `Flows.stacked`."""
    names = [("bus", "voltage")]
    names += [(kind, name) for kind in ("line", "transformer") for name in BRANCH]
    names += [("source", "active_power"), ("source", "reactive_power")]
    names += [("line", "loading"), ("transformer", "loading")]
    found, at = {}, 0
    for kind, name in names:
        found[kind, name] = slice(at, at + grid.count(kind))
        at += grid.count(kind)
    return found


class Network:
    """One grid in one standing. A member is P, Q at every bus and the voltage of every source."""

    def __init__(self, grid: Grid, standing: Standing) -> None:
        """Raises BadModel where power-grid-model is missing."""
        self.grid, self.standing = grid, standing
        self.dark = grid.dark(standing)  # (b,)
        self.node = grid.joined(grid.coupled[standing.couplers])  # (b,): what couplers join is one node
        self._nodes = int(self.node.max()) + 1
        self._gather = sp.coo_array((np.ones(len(self.node)), (self.node, np.arange(len(self.node))))).tocsr()
        self._pgm = library()
        self._model = self._pgm.PowerGridModel(self._input())

    def solve(self, active: Floats, reactive: Floats, source: Floats, collapse: bool = False) -> Flows:
        """W and var taken at each bus (b, N), V of each source (s, N).

        Where nothing can carry that, the voltage collapses: such a member is without supply if `collapse`, else all of
        them raise BadModel.
        """
        count = active.shape[1]
        power = self._pgm.initialize_array("update", "sym_load", (count, self._nodes))
        power["id"] = IDS["load"] + np.arange(self._nodes)
        power["p_specified"], power["q_specified"] = (self._gather @ active).T, (self._gather @ reactive).T
        feed = self._pgm.initialize_array("update", "source", (count, len(source)))
        feed["id"] = IDS["source"] + np.arange(len(source))
        feed["u_ref"] = source.T / self.grid.values("bus", "rated_v")[self.grid.bus_of("source")]
        return self._flows({"sym_load": power, "source": feed}, collapse=collapse)

    def without(self, kind: str, active: Floats, reactive: Floats, source: Floats) -> Flows:
        """Each line, or each transformer, out of order in turn: a column each. Injections (b,), sources (s,).

        Where the rest cannot carry what is taken, nothing is supplied: the voltage has collapsed.
        """
        count = self.grid.count(kind)
        out = self._pgm.initialize_array("update", kind, (count, 1))
        out["id"] = IDS[kind] + np.arange(count)[:, None]
        out["from_status"] = out["to_status"] = 0
        self._inject(active, reactive, source)
        return self._flows({kind: out}, COARSE, collapse=True)

    def _inject(self, active: Floats, reactive: Floats, source: Floats) -> None:
        power = self._pgm.initialize_array("update", "sym_load", self._nodes)
        power["id"] = IDS["load"] + np.arange(self._nodes)
        power["p_specified"], power["q_specified"] = self._gather @ active, self._gather @ reactive
        feed = self._pgm.initialize_array("update", "source", len(source))
        feed["id"] = IDS["source"] + np.arange(len(source))
        feed["u_ref"] = source / self.grid.values("bus", "rated_v")[self.grid.bus_of("source")]
        self._model.update(update_data={"sym_load": power, "source": feed})

    def _flows(self, update: Mapping[str, Any], tolerance: float = TOLERANCE, collapse: bool = False) -> Flows:
        try:
            found = self._model.calculate_power_flow(
                update_data=dict(update),
                error_tolerance=tolerance,
                output_component_types=self._output(),
                continue_on_batch_error=collapse,
            )
        except self._pgm.errors.PowerGridError as error:
            raise BadModel(f"power flow: no solution; more is taken than the grid can carry ({said(error)})") from error
        failed = self._model.batch_error.failed_scenarios if collapse and self._model.batch_error else []
        for table in found.values() if len(failed) else ():
            for column in table.values():
                column[failed] = 0
        return flows_of(found, self.node)

    def _output(self) -> dict[str, list[str]]:
        return {kind: names for kind, names in KINDS_OUT.items() if kind == "node" or self.grid.count(kind)}

    def _input(self) -> dict[str, Any]:
        g, make = self.grid, self._pgm.initialize_array
        every = np.arange(self._nodes)
        node = make("input", "node", len(every))
        node["id"] = every
        node["u_rated"][self.node] = g.values("bus", "rated_v")
        load = make("input", "sym_load", len(every))
        load["id"], load["node"], load["status"] = IDS["load"] + every, every, 1
        load["type"], load["p_specified"], load["q_specified"] = self._pgm.LoadGenType.const_power, 0.0, 0.0
        source = make("input", "source", g.count("source"))
        source["id"], source["node"] = IDS["source"] + np.arange(len(source)), self.node[g.bus_of("source")]
        source["status"], source["u_ref"] = 1, g.values("source", "voltage") / 100
        source["sk"], source["rx_ratio"] = SHORT_CIRCUIT_VA, STIFF
        tables = {"node": node, "sym_load": load, "source": source}
        return tables | {"line": self._lines(make), "transformer": self._transformers(make)}

    def _lines(self, make: Any) -> Any:
        g = self.grid
        line = make("input", "line", g.count("line"))
        ends = g.ends("line")
        line["id"], (line["from_node"], line["to_node"]) = IDS["line"] + np.arange(len(line)), self.node[ends].T
        line["from_status"], line["to_status"] = self.standing.lines.T
        line["r1"], line["x1"] = g.values("line", "r_ohm"), g.values("line", "x_ohm")
        rated = g.values("bus", "rated_v")[ends[:, 0]]
        line["c1"] = g.values("line", "charging_var") / rated**2 / (2 * np.pi * 50.0)
        line["tan1"], line["i_n"] = 0.0, g.values("line", "rated_a")
        return line

    def _transformers(self, make: Any) -> Any:
        g = self.grid
        one = make("input", "transformer", g.count("transformer"))
        one["id"] = IDS["transformer"] + np.arange(len(one))
        one["from_node"], one["to_node"] = self.node[g.ends("transformer")].T
        one["from_status"], one["to_status"] = self.standing.transformers.T
        one["u1"], one["u2"] = g.values("transformer", "from_v"), g.values("transformer", "to_v")
        one["sn"] = g.values("transformer", "rated_va")
        one["uk"], one["pk"] = g.values("transformer", "short_circuit") / 100, g.values("transformer", "copper_w")
        one["i0"], one["p0"] = g.values("transformer", "magnetising") / 100, g.values("transformer", "iron_w")
        one["i0"] = np.maximum(one["i0"], one["p0"] / one["sn"])  # the loss alone needs that much
        wye, delta = (self._pgm.WindingType.wye, self._pgm.WindingType.delta)
        clock = g.values("transformer", "clock").astype(int)
        one["winding_from"], one["winding_to"] = np.where(clock % 2, delta, wye), wye
        one["clock"], one["tap_side"] = clock, self._pgm.BranchSide.from_side
        one["tap_pos"], one["tap_nom"] = g.values("transformer", "tap"), 0
        one["tap_min"], one["tap_max"] = -50, 50
        one["tap_size"] = g.values("transformer", "tap_step") / 100 * one["u1"]
        return one


def flows_of(found: Mapping[str, Any], of: Ints) -> Flows:
    """From the library's tables, each (N, assets); `of` (b,) is the node of each bus."""
    node, line, trafo = found["node"], found.get("line"), found.get("transformer")
    none = np.zeros((0, len(node["u"])))
    source = found["source"]
    return Flows(
        node["u"].T[of],
        node["energized"].T[of] > 0,
        branch(line, "from", 1.0) if line is not None else dict.fromkeys(BRANCH, none),
        100 * line["loading"].T if line is not None else none,
        branch(trafo, "to", -1.0) if trafo is not None else dict.fromkeys(BRANCH, none),
        100 * trafo["loading"].T if trafo is not None else none,
        {"active_power": source["p"].T, "reactive_power": source["q"].T},
    )


def branch(table: Any, end: str, sign: float) -> Mapping[str, Floats]:
    return {
        "active_power": sign * table[f"p_{end}"].T,
        "current": table[f"i_{end}"].T,
        "reactive_power": sign * table[f"q_{end}"].T,
    }


def library() -> Any:
    """Raises BadModel with the remedy."""
    try:
        import power_grid_model
        import power_grid_model.errors
    except ImportError as error:
        raise BadModel(
            "energy: power-grid-model is missing; install it with: pip install 'citytwin[domains]'"
        ) from error
    return power_grid_model


def slopes(network: Network, active: Floats, reactive: Floats, source: Floats, buses: Ints) -> Floats:
    """∂ of all rows of `Flows.stacked` by W and var at `buses` and V of the sources: (rows, 2 buses + s).

    One power flow more for each; the base is the first column.
    """
    count, feeds = len(buses), len(source)
    scale = np.abs(np.hypot(active, reactive))
    step = PROBE * max(float(scale.mean()), 1.0)
    P = np.repeat(active[:, None], 1 + 2 * count + feeds, axis=1)
    Q, V = np.repeat(reactive[:, None], P.shape[1], axis=1), np.repeat(source[:, None], P.shape[1], axis=1)
    at = np.arange(count)
    P[buses, 1 + at] += step
    Q[buses, 1 + count + at] += step
    volt = 1e-4 * source
    V[np.arange(feeds), 1 + 2 * count + np.arange(feeds)] += volt
    found = network.solve(P, Q, V).stacked()
    by = np.concatenate([np.full(2 * count, step), volt])
    slope: Floats = (found[:, 1:] - found[:, :1]) / by
    return slope


def said(error: Exception) -> str:
    """The first of a batch's faults, or the fault."""
    every = getattr(error, "error_messages", None)
    return str(every[0] if every is not None and len(every) else error).strip()
