"""The water network of a city file, made linear around a usual hour, for each set of pumps that run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from aggregator.domains.services.hydraulics import Flow, Net, resistance
from aggregator.twin import Flags, Floats
from aggregator.twin.part import Part

SECONDS = 3600.0
PA_PER_M = 9806.65  # of water


@dataclass(frozen=True, eq=False)
class Hour:
    """Heads and flows, linear in tank levels (t,) m and demands (j,) m3/h; t tanks, j junctions, l links."""

    head0: Floats  # (j,) m at no demand's deviation and levels of 0
    head_by_level: Floats  # (j, t)
    head_by_demand: Floats  # (j, j) m per m3/h
    flow0: Floats  # (l,) m3/h
    flow_by_level: Floats  # (l, t)
    flow_by_demand: Floats  # (l, j)
    into: Floats  # (t, l) which links fill which tank, over its area

    def heads(self, level: Floats, demand: Floats) -> Floats:
        """(j, N) for (t, N) and (j, N)."""
        found: Floats = self.head0[:, None] + self.head_by_level @ level + self.head_by_demand @ demand
        return found

    def flows(self, level: Floats, demand: Floats) -> Floats:
        """(l, N) m3/h."""
        found: Floats = self.flow0[:, None] + self.flow_by_level @ level + self.flow_by_demand @ demand
        return found

    def rise(self, level: Floats, demand: Floats) -> Floats:
        """(t, N) m an hour."""
        found: Floats = self.into @ self.flows(level, demand)
        return found


@dataclass(eq=False)
class Water:
    """From the assets of a part. Raises BadModel where nothing can flow."""

    part: Part
    _hours: dict[bytes, Hour] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.junctions, self.tanks = self.part.of("water_junction"), self.part.of("tank")
        self.reservoirs, self.links = self.part.of("reservoir"), self.part.of("pipe", "pump")
        nodes = [*self.junctions, *self.tanks, *self.reservoirs]
        self.place: Mapping[str, int] = {one.id: i for i, one in enumerate(nodes)}
        self.pumps = [i for i, one in enumerate(self.links) if one.kind == "pump"]
        self.elevation = np.array([one.number("elevation_m") for one in self.junctions])
        self.floor = np.array([one.number("floor_m") for one in self.tanks])
        self.area = np.array([one.number("area_m2") for one in self.tanks])
        self.usual_level = np.array([one.number("usual_m") for one in self.tanks])
        self.mean = np.array([one.number("demand") for one in self.junctions])
        self.net = self._net(len(nodes))
        if self.links:
            self.hour(np.ones(len(self.pumps), np.bool_))

    def _net(self, nodes: int) -> Net:
        start, end = (np.array([self.place[one.ends[i]] for one in self.links], np.int64) for i in (0, 1))
        R, gain = np.empty(len(self.links)), np.zeros(len(self.links))
        for i, one in enumerate(self.links):
            if one.kind == "pump":
                gain[i] = one.number("lift_m")
                R[i] = 0.25 * gain[i] / (one.number("flow") / SECONDS) ** 2
            else:
                values = (np.array([one.number(key)]) for key in ("length_m", "diameter_m", "roughness"))
                R[i] = resistance(*values)[0]
        fixed = np.arange(len(self.junctions), nodes)
        return Net(nodes, start, end, R, gain, fixed)

    def heads_of(self, level: Floats) -> Floats:
        """Of the nodes whose head is given: tanks, then reservoirs."""
        return np.concatenate([self.floor + level, [one.number("head_m") for one in self.reservoirs]])

    def solved(self, demand: Floats, level: Floats, running: Flags) -> Flow:
        """The full equations: `demand` (j,) m3/h, `level` (t,) m."""
        taken = np.zeros(self.net.nodes)
        taken[: len(self.junctions)] = demand / SECONDS
        on = np.ones(len(self.links), np.bool_)
        on[self.pumps] = running
        return self.net.solved(taken, self.heads_of(level), on)

    def hour(self, running: Flags) -> Hour:
        """Around the mean demand and usual levels with these pumps running; kept."""
        key = running.tobytes()
        if key not in self._hours:
            self._hours[key] = self._made(running)
        return self._hours[key]

    def _made(self, running: Flags) -> Hour:
        t, j = len(self.tanks), len(self.junctions)
        if not self.links:
            nothing = np.zeros
            return Hour(
                nothing(j),
                nothing((j, t)),
                nothing((j, j)),
                nothing(0),
                nothing((0, t)),
                nothing((0, j)),
                nothing((t, 0)),
            )
        flow = self.solved(self.mean, self.usual_level, running)
        by_demand = flow.by_demand(np.arange(j))[:, :j] / SECONDS
        by_head = flow.by_head()[:, :t]
        B = self.net.B
        heads_by_demand = np.zeros((self.net.nodes, j))
        heads_by_demand[:j] = by_demand
        flow_by_demand = flow.P[:, None] * (B @ heads_by_demand) * SECONDS
        flow_by_level = flow.P[:, None] * (B @ by_head) * SECONDS
        q, head = flow.q * SECONDS, flow.head[:j]
        into = np.zeros((t, len(self.links)))
        for i, (start, end) in enumerate(zip(self.net.start, self.net.end, strict=True)):
            for node, sign in ((end, 1.0), (start, -1.0)):
                if j <= node < j + t:
                    into[node - j, i] = sign / self.area[node - j]
        return Hour(
            head - by_head[:j] @ self.usual_level - by_demand @ self.mean,
            by_head[:j],
            by_demand,
            q - flow_by_level @ self.usual_level - flow_by_demand @ self.mean,
            flow_by_level,
            flow_by_demand,
            into,
        )


def faults(part: Part) -> Sequence[str]:
    """What does not hang together."""
    found = []
    junctions, sources = part.of("water_junction"), part.of("tank", "reservoir")
    joined: dict[str, set[str]] = {}
    for one in part.of("pipe", "pump"):
        for a, b in (one.ends, one.ends[::-1]):
            joined.setdefault(a, set()).add(b)
    reached, fringe = {one.id for one in sources}, [one.id for one in sources]
    while fringe:
        for other in joined.get(fringe.pop(), set()) - reached:
            reached.add(other)
            fringe.append(other)
    found += [
        f"{one.id}: no pipe or pump leads to it from a tank or reservoir" for one in junctions if one.id not in reached
    ]
    found += [
        f"{one.id}: low_m {one.number('low_m'):g}, high_m {one.number('high_m'):g}; the lower first"
        for one in part.of("tank")
        if one.number("low_m") >= one.number("high_m")
    ]
    return found
