"""How meters see injections: those of an asset directly, voltages and flows through the grid."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from aggregator.domains.energy.dynamics import PUMPS_TANGENT
from aggregator.domains.energy.grid import STATES, Grid
from aggregator.domains.energy.network import Flows, Network, rows_of, slopes
from aggregator.twin import BadModel, Flags, Floats, Ints
from aggregator.twin.model import Sparse
from aggregator.twin.part import Wire

ALWAYS = (("battery", "state_of_charge"), ("charger", "active_energy"), ("source", "voltage"))  # without supply too


@dataclass(frozen=True, eq=False)
class Meters:
    """C channels: either the state that each reads, or the row of `Flows.stacked`; -1 in the other."""

    grid: Grid
    points: Sequence[str]
    state: Ints  # (C,)
    row: Ints  # (C,)
    bus: Ints  # (C,) where it stands

    @cached_property
    def places(self) -> Ints:
        """(C,) the state that is read, or the first of the nearest bus that has one."""
        own = self.grid.at_bus
        first = {int(bus): place for place, bus in reversed(list(enumerate(own)))}
        known = np.array(sorted(first), np.int64)
        near = known[self.grid.ways(self.bus)[:, known].argmin(axis=1)]
        through = np.array([first[int(bus)] for bus in near], np.int64)
        return np.where(self.state >= 0, self.state, through)


def meters(grid: Grid, wires: Sequence[Wire]) -> Meters:
    found = list(seen_by(grid, wires))
    state, row, bus = np.array(found, np.int64).reshape(-1, 3).T
    return Meters(grid, [one.point for one in wires], state, row, bus)


def seen_by(grid: Grid, wires: Sequence[Wire]) -> Iterator[tuple[int, int, int]]:
    """(state, row, bus) of each wire."""
    kinds = {one.id: kind for kind, some in grid.assets.items() for one in some}
    rows = rows_of(grid)
    for wire in wires:
        kind, place = kinds[wire.asset], grid.place[wire.asset]
        key = kind, wire.quantity
        if kind in STATES:
            bus = int(grid.bus_of(kind)[place])
        elif kind == "bus":
            bus = place
        else:
            bus = int(grid.ends(kind)[place, 0 if kind == "line" else 1])
        if key in grid.layout:
            yield grid.layout[key].start + place, -1, bus
        else:
            yield -1, rows[key].start + place, bus


def h(meters: Meters, X: Floats, flows: Flows | None, channel: Ints) -> Floats:
    """(m, N). `flows` of X are needed where a channel reads through the grid, or where something is without supply."""
    state, row = meters.state[channel], meters.row[channel]
    found = np.empty((len(channel), X.shape[1]))
    direct = state >= 0
    found[direct] = X[state[direct]]
    if flows is not None:
        found[direct] *= served(meters.grid, state[direct], flows.supplied)
        found[~direct] = flows.stacked()[row[~direct]]
    return found


def served(grid: Grid, state: Ints, supplied: Flags) -> Floats:
    """(m, N) 0 where what a state takes or gives is without supply; `supplied` (b, N)."""
    always = np.zeros(grid.n, np.bool_)
    for key in ALWAYS:
        always[grid.layout[key]] = True
    return np.where(always[state][:, None], 1.0, supplied[grid.at_bus[state]])


def H(meters: Meters, x: Floats, network: Network, pumping: Floats, channel: Ints) -> Sparse:
    """(m, n). Where x has no power flow, nothing is supplied, and nothing is said of what is taken."""
    grid, m = meters.grid, len(channel)
    state, row = meters.state[channel], meters.row[channel]
    direct, through = np.flatnonzero(state >= 0), np.flatnonzero(row >= 0)
    dark, dense = network.dark, np.zeros((len(through), grid.n))
    if len(through):
        try:
            dense = sensitivities(grid, network, x, pumping, row[through])
        except BadModel:
            dark = np.ones_like(dark)
    ones = served(grid, state[direct], ~dark[:, None])[:, 0]
    found = np.zeros((m, grid.n))
    found[direct, state[direct]] = ones
    found[through] = dense
    return sp.csr_array(found)


def sensitivities(grid: Grid, network: Network, x: Floats, pumping: Floats, rows: Ints | slice) -> Floats:
    """(rows, n) ∂ of rows of `Flows.stacked` by the states."""
    at = grid.layout["source", "voltage"]
    buses = np.unique(np.concatenate([grid.active.nonzero()[0], grid.reactive.nonzero()[0]]))
    P, Q = injected(grid, x[:, None], pumping)
    slope = slopes(network, P[:, 0], Q[:, 0], x[at], buses)[rows]
    count = len(buses)
    found = slope[:, :count] @ grid.active[buses].toarray()
    found += slope[:, count : 2 * count] @ grid.reactive[buses].toarray()
    found[:, at] += slope[:, 2 * count :]
    return np.asarray(found, np.float64)


def injected(grid: Grid, X: Floats, pumping: Floats) -> tuple[Floats, Floats]:
    """W and var taken at each bus (b, N)."""
    return grid.active @ X + pumping[:, None], grid.reactive @ X + PUMPS_TANGENT * pumping[:, None]
