"""The grid as arrays: who is joined to whom, by what, and which state is whose. Made from a city's part, once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components, dijkstra

from aggregator.domains.energy.kinds import KINDS
from aggregator.twin import BadModel, Flags, Floats, Ints
from aggregator.twin.domain import Stated
from aggregator.twin.model import Sparse
from aggregator.twin.part import Asset, Part

BRANCHES = ("line", "transformer")
INJECTORS = ("load", "pv", "battery", "charger")
BESIDE = 0.1  # distance between two states of one bus, or two buses that a coupler can join; a line is 1
STATES = {  # kind → its states, in order; every kind's states stand together, all of one quantity after the other
    "load": (("active_power", "W"), ("reactive_power", "var")),
    "pv": (("active_power", "W"),),
    "battery": (("active_power", "W"), ("state_of_charge", "%")),
    "charger": (("active_power", "W"), ("active_energy", "Wh")),
    "source": (("voltage", "V"),),
}


@dataclass(frozen=True, eq=False, slots=True)
class Standing:
    """What is in service and closed: lines (l, 2) at either end, transformers (t, 2), couplers (c,)."""

    lines: Flags
    transformers: Flags
    couplers: Flags

    def digest(self) -> bytes:
        return b"|".join(np.packbits(one).tobytes() for one in (self.lines, self.transformers, self.couplers))


@dataclass(frozen=True, eq=False)
class Grid:
    """Of each kind its assets in the part's order. Places are positions in that order."""

    assets: Mapping[str, Sequence[Asset]]

    def count(self, kind: str) -> int:
        return len(self.assets[kind])

    def values(self, kind: str, key: str) -> Floats:
        """Not to be changed."""
        return self._numbers[kind, key]

    @cached_property
    def _numbers(self) -> Mapping[tuple[str, str], Floats]:
        return {
            (kind, key): np.array([one.number(key) for one in self.assets[kind]])
            for kind, of in KINDS.items()
            for key, told in of.keys.items()
            if not told.words
        }

    @cached_property
    def place(self) -> Mapping[str, int]:
        """Of every asset among its kind."""
        return {one.id: place for some in self.assets.values() for place, one in enumerate(some)}

    def bus_of(self, kind: str) -> Ints:
        """Of each asset of a kind that stands at a bus."""
        return self._standing_at[kind]

    @cached_property
    def _standing_at(self) -> Mapping[str, Ints]:
        return {
            kind: np.array([self.place[one.text("bus")] for one in self.assets[kind]], np.int64)
            for kind in (*INJECTORS, "source")
        }

    def ends(self, kind: str) -> Ints:
        """(e, 2) buses at both ends of lines or transformers."""
        return self._ends[kind]

    @cached_property
    def _ends(self) -> Mapping[str, Ints]:
        found = {kind: [[self.place[end] for end in one.ends] for one in self.assets[kind]] for kind in BRANCHES}
        return {kind: np.array(both, np.int64).reshape(-1, 2) for kind, both in found.items()}

    @cached_property
    def rated_va(self) -> Floats:
        """(l + t,) apparent power that lines, then transformers, carry for ever."""
        volts = self.values("bus", "rated_v")[self.ends("line")[:, 0]]
        of_lines: Floats = np.sqrt(3.0) * volts * self.values("line", "rated_a")
        return np.concatenate([of_lines, self.values("transformer", "rated_va")])

    @cached_property
    def couplers(self) -> Ints:
        """Switches that join two buses."""
        joins = [all(end in self.buses for end in one.ends) for one in self.assets["switch"]]
        return np.flatnonzero(np.array(joins, np.bool_))

    @cached_property
    def buses(self) -> frozenset[str]:
        return frozenset(one.id for one in self.assets["bus"])

    @cached_property
    def coupled(self) -> Ints:
        """(c, 2) buses that the couplers join."""
        found = [[self.place[end] for end in self.assets["switch"][at].ends] for at in self.couplers]
        return np.array(found, np.int64).reshape(-1, 2)

    @cached_property
    def breakers(self) -> Sequence[tuple[int, str, int, int]]:
        """(switch, kind, place, end) of each switch at an end of a line or transformer."""
        found = []
        for at in sorted(set(range(self.count("switch"))) - set(self.couplers.tolist())):
            bus, branch = sorted(self.assets["switch"][at].ends, key=lambda one: one not in self.buses)
            kind = "line" if branch in self.kinds["line"] else "transformer"
            place = self.place[branch]
            found.append((at, kind, place, self.assets[kind][place].ends.index(bus)))
        return found

    @cached_property
    def kinds(self) -> Mapping[str, frozenset[str]]:
        return {kind: frozenset(one.id for one in some) for kind, some in self.assets.items()}

    @cached_property
    def normal(self) -> Flags:
        """(s,) as switches normally stand: closed."""
        return self.values("switch", "closed") > 0.5

    def standing(self, line_out: Floats, transformer_out: Floats, moved: Floats) -> Standing:
        """From what is out of order, and which switches stand other than normally."""
        closed = self.normal ^ (moved > 0.5)
        at = {
            "line": np.repeat((line_out <= 0.5)[:, None], 2, axis=1),
            "transformer": np.repeat((transformer_out <= 0.5)[:, None], 2, axis=1),
        }
        for switch, kind, place, end in self.breakers:
            at[kind][place, end] &= closed[switch]
        return Standing(at["line"], at["transformer"], closed[self.couplers])

    @cached_property
    def as_built(self) -> Standing:
        return self.standing(*(np.zeros(self.count(kind)) for kind in ("line", "transformer", "switch")))

    def islands(self, standing: Standing) -> Ints:
        """(b,) a number for all buses that are joined."""
        both = [
            self.ends("line")[standing.lines.all(axis=1)],
            self.ends("transformer")[standing.transformers.all(axis=1)],
            self.coupled[standing.couplers],
        ]
        return self.joined(np.vstack(both))

    def joined(self, pairs: Ints) -> Ints:
        """(b,) a number for all buses that pairs (p, 2) join, however many are in between."""
        n = self.count("bus")
        graph = sp.coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
        label: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
        return label

    def dark(self, standing: Standing) -> Flags:
        """(b,) buses that no source feeds."""
        island = self.islands(standing)
        return ~np.isin(island, island[self.bus_of("source")])

    @cached_property
    def roads(self) -> Sparse:
        """(b, b) 1 for each branch, BESIDE for each coupler, all switches closed; symmetric."""
        pairs = np.vstack([self.ends("line"), self.ends("transformer"), self.coupled])
        length = np.ones(len(pairs))
        length[len(pairs) - len(self.coupled) :] = BESIDE
        n = self.count("bus")
        half = sp.coo_array((length, (pairs[:, 0], pairs[:, 1])), shape=(n, n)).tocsr()
        found: Sparse = half.maximum(half.T).tocsr()
        return found

    def ways(self, buses: Ints) -> Floats:
        """(m, b) lengths of the shortest ways from some buses."""
        found: Floats = np.atleast_2d(dijkstra(self.roads, directed=False, indices=buses))
        return found

    # states

    @cached_property
    def layout(self) -> Mapping[tuple[str, str], slice]:
        """(kind, quantity) → the states of all assets of that kind."""
        found, at = {}, 0
        for kind, quantities in STATES.items():
            for quantity, _ in quantities:
                found[kind, quantity] = slice(at, at + self.count(kind))
                at += self.count(kind)
        return found

    @cached_property
    def states(self) -> Sequence[Stated]:
        return [
            Stated(one.id, quantity, unit)
            for kind, quantities in STATES.items()
            for quantity, unit in quantities
            for one in self.assets[kind]
        ]

    @property
    def n(self) -> int:
        return len(self.states)

    @cached_property
    def at_bus(self) -> Ints:
        """(n,) the bus that each state belongs to."""
        return np.concatenate([self.bus_of(kind) for kind, quantities in STATES.items() for _ in quantities])

    @cached_property
    def active(self) -> Sparse:
        """(b, n) what states take from each bus, W."""
        signs = {("load", "active_power"): 1.0, ("pv", "active_power"): -1.0}
        signs |= {("battery", "active_power"): 1.0, ("charger", "active_power"): 1.0}
        return self._taken(signs)

    @cached_property
    def reactive(self) -> Sparse:
        """(b, n) what states take from each bus, var."""
        return self._taken({("load", "reactive_power"): 1.0})

    def _taken(self, signs: Mapping[tuple[str, str], float]) -> Sparse:
        sign = np.zeros(self.n)
        for key, one in signs.items():
            sign[self.layout[key]] = one
        every = np.arange(self.n)
        found: Sparse = sp.coo_array((sign, (self.at_bus, every)), shape=(self.count("bus"), self.n)).tocsr()
        found.eliminate_zeros()
        return found


def grid_of(part: Part) -> Grid:
    """Raises BadModel with all faults, one per line, each beginning with the asset."""
    grid = Grid({kind: part.of(kind) for kind in KINDS})
    if faults := list(_ends_faults(grid)) or list(_faults(grid)):
        raise BadModel("\n".join(faults))
    return grid


def _ends_faults(grid: Grid) -> Iterator[str]:
    if not grid.assets["source"]:
        yield f"{grid.assets['bus'][0].id if grid.assets['bus'] else 'energy'}: no source feeds the grid; write one"
    for kind in (*INJECTORS, "source"):
        for one in grid.assets[kind]:
            if one.text("bus") not in grid.buses:
                yield f"{one.id}: bus = {one.text('bus')!r} is no bus; write the id of one"
    for kind in ("line", "transformer"):
        for one in grid.assets[kind]:
            if len(set(one.ends)) == 1:
                yield f"{one.id}: begins and ends at {one.ends[0]}"
    branches = {one.id: one for kind in ("line", "transformer") for one in grid.assets[kind]}
    for one in grid.assets["switch"]:
        sorts = [end in grid.buses for end in one.ends]
        branch = next((branches[end] for end in one.ends if end in branches), None)
        if not any(sorts) or (branch and next(end for end in one.ends if end in grid.buses) not in branch.ends):
            yield f"{one.id}: joins {' and '.join(one.ends)}; two buses, or a branch and one of its own buses"


def _faults(grid: Grid) -> Iterator[str]:
    rated = grid.values("bus", "rated_v")
    for line, ends in zip(grid.assets["line"], grid.ends("line"), strict=True):
        if rated[ends[0]] != rated[ends[1]]:
            yield f"{line.id}: joins {rated[ends[0]]:g} V and {rated[ends[1]]:g} V; a transformer is needed there"
        if line.number("x_ohm") == 0 and line.number("r_ohm") == 0:
            yield f"{line.id}: r_ohm = x_ohm = 0; a closed switch joins without resistance"
    for one, ends in zip(grid.assets["transformer"], grid.ends("transformer"), strict=True):
        for key, end in zip(("from_v", "to_v"), ends, strict=True):
            if not 0.7 < one.number(key) / rated[end] < 1.4:
                yield f"{one.id}: {key} = {one.number(key):g} at a bus of {rated[end]:g} V; turn it, or correct one"
        if one.number("copper_w") > one.number("short_circuit") / 100 * one.number("rated_va"):
            yield f"{one.id}: copper_w is more than its short circuit voltage allows"
    closed = np.where(grid.normal, 0.0, 1.0)
    everything = grid.standing(np.zeros(grid.count("line")), np.zeros(grid.count("transformer")), closed)
    for at in np.flatnonzero(grid.dark(everything)).tolist():
        yield f"{grid.assets['bus'][at].id}: no source feeds it, even with all switches closed"
