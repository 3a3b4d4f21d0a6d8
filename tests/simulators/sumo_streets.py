"""Several intersections of the RESCO set in SUMO, each with its cabinet and the edge's traffic law; a centre above.

python -m tests.simulators.sumo_streets --net cologne3 --seed 1 [--fixed] [--record FILE] [--history FILE ...]

Prints one JSON line with the mean delay as `sumo_road` counts it. Laws and cabinets are called in the process, second
after second: what the wire and the agent do to one of them, the bench `junction` measures. What a law sees are the
loops and the count of at most 100 m before each stop line, as in `sumo_road`. `--record` keeps what all counters said,
second by second; with `--history` the centre has learned from such records (of other seeds), hears the counters at the
entrances of the links upstream, and tells every junction whom to expect in its lanes.
"""

import argparse
import json
import math
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aggregator.domains.traffic.arrivals import Arrivals, learned
from edge_agent.control.traffic.junction import Intervals, Junction, read_junction
from edge_agent.control.traffic.law import NS, Law, Running
from edge_agent.control.traffic.queues import Detections, Expected
from edge_agent.control.traffic.search import HORIZON_S
from tests.simulators.cabinet import Cabinet, Groups, foes_of
from tests.simulators.sumo_road import DETECTED_M, Delay, file_of

BEGINS_S = {"cologne1": 25200, "cologne3": 25200, "ingolstadt1": 57600}
HEARD_S = 30.0  # so far upstream, in free travel time, a counter matters to a lane
SPELLED = {"G": "", "g": " yields", "r": " part"}
Place = tuple[str, float]  # lane, m from its beginning


@dataclass(slots=True)
class Approach:
    """A lane at a stop line. `loops` and `zones` with the share of what they count that is this lane's."""

    lane: str
    speed_m_s: float
    distance_m: float = 0.0
    loops: list[tuple[Place, float]] = field(default_factory=list)
    zones: list[tuple[Place, float]] = field(default_factory=list)
    upstream: dict[str, float] = field(default_factory=dict)  # edge → s from its beginning to the stop line


def approach_of(net: Any, lane: Any) -> Approach:
    """Detectors up to 100 m away, also on the lanes before; every lane before gives its share by its connections."""
    found = Approach(lane.getID(), lane.getSpeed())
    walk: list[tuple[Any, float, float]] = [(lane, 0.0, 1.0)]
    while walk:
        at, before, share = walk.pop()
        left = DETECTED_M - before
        start = max(at.getLength() - left, min(6.0, at.getLength() / 2))
        found.zones.append(((at.getID(), start), share))
        # a lane with a light of its own, or that is long enough, ends the reach of the cabinet's detectors
        sources = (
            [c.getFromLane() for c in at.getIncomingConnections()] if hasattr(at, "getIncomingConnections") else []
        )
        sources = sources or incoming(net, at)
        lit = any(c.getTLSID() for one in sources for c in one.getOutgoing())
        if at.getLength() >= min(left, 45.0) or lit or not sources:
            found.loops.append(((at.getID(), start), share))
            found.distance_m = max(found.distance_m, before + at.getLength() - start)
            continue
        for one in sources:
            mine = [c for c in one.getOutgoing() if c.getToLane() is at]
            walk.append((one, before + at.getLength(), share * len(mine) / len(one.getOutgoing())))
    found.upstream = dict(entrances(net, lane))
    return found


def incoming(net: Any, lane: Any) -> list[Any]:
    edge = lane.getEdge()
    return [c.getFromLane() for several in edge.getIncoming().values() for c in several if c.getToLane() is lane]


def entrances(net: Any, lane: Any) -> Iterator[tuple[str, float]]:
    """Edges upstream to the next light, with the free travel time from their beginning."""
    walk, seen = [(lane.getEdge(), 0.0)], set()
    while walk:
        edge, after_s = walk.pop(0)
        if edge.getID() in seen:
            continue
        seen.add(edge.getID())
        total = after_s + edge.getLength() / edge.getSpeed()
        yield edge.getID(), total
        lit = edge.getFromNode().getType() == "traffic_light"
        if total < HEARD_S and not lit:
            walk += [(one, total) for one in edge.getIncoming()]


@dataclass(eq=False)
class Crossing:
    """A junction with its cabinet, its law and what its detectors have counted."""

    light: str
    approaches: Sequence[Approach]
    junction: Junction
    cabinet: Cabinet
    law: Law
    arrived: Any = None
    departed: Any = None

    def __post_init__(self) -> None:
        self.arrived, self.departed = np.zeros((2, len(self.approaches)))

    def running(self) -> Running:
        c = self.cabinet
        return Running(0 if c.next_stage else c.stage, c.next_stage, float(c.age_s))


class Streets:
    """The running simulation with all its junctions."""

    def __init__(self, net: str, seed: int, seconds: int, fixed: bool = False) -> None:
        import libsumo
        import sumolib

        self.sumo, self.fixed = libsumo, fixed
        self.net = sumolib.net.readNet(str(file_of(net, "net")), withInternal=False)
        lights = {
            t.getID(): list(dict.fromkeys(a for a, _, _ in sorted(t.getConnections(), key=lambda c: c[2])))
            for t in self.net.getTrafficLights()
        }
        found = {light: [approach_of(self.net, lane) for lane in lanes] for light, lanes in lights.items()}
        self.edges = sorted({edge for some in found.values() for one in some for edge in one.upstream})
        self.folder = tempfile.TemporaryDirectory(prefix="sumo-")
        self.trips = Path(self.folder.name) / "trips.xml"
        added = Path(self.folder.name) / "detectors.add.xml"
        added.write_text(self._detectors(found))
        begin = BEGINS_S[net]
        words = ["sumo", "-n", file_of(net, "net"), "-r", file_of(net, "rou"), "-a", added, "-b", begin]
        words += ["-e", begin + seconds, "--seed", seed, "--time-to-teleport", -1, "--no-step-log", "--no-warnings"]
        words += ["--duration-log.disable", "--tripinfo-output", self.trips]
        words += ["--tripinfo-output.write-unfinished", "--tripinfo-output.write-undeparted"]
        libsumo.start([str(word) for word in words])
        self.crossings = [self._crossing(light, some) for light, some in found.items()]
        self.entered = np.zeros(len(self.edges))
        self.second = 0

    def _detectors(self, found: dict[str, list[Approach]]) -> str:
        rest = 'freq="3600" file="/dev/null" friendlyPos="true"'
        lines = []
        for light, some in found.items():
            for k, one in enumerate(some):
                name = f"{light}.{k}"
                lines.append(f'<inductionLoop id="stop.{name}" lane="{one.lane}" pos="-3" {rest}/>')
                for m, ((lane, at), _) in enumerate(one.loops):
                    lines.append(f'<inductionLoop id="loop.{name}.{m}" lane="{lane}" pos="{at:.1f}" {rest}/>')
                for m, ((lane, at), _) in enumerate(one.zones):
                    zone = f'pos="{at:.1f}" endPos="-0.1" {rest}'
                    lines.append(f'<laneAreaDetector id="zone.{name}.{m}" lane="{lane}" {zone}/>')
        for edge in self.edges:
            for lane in self.net.getEdge(edge).getLanes():
                at = min(8.0, lane.getLength() / 2)
                lines.append(f'<inductionLoop id="in.{lane.getID()}" lane="{lane.getID()}" pos="{at:.1f}" {rest}/>')
        return "<additional>\n" + "\n".join(lines) + "\n</additional>\n"

    def _crossing(self, light: str, some: Sequence[Approach]) -> Crossing:
        phases = self.sumo.trafficlight.getAllProgramLogics(light)[0].phases
        greens = [phase for phase in phases if "y" not in phase.state and set("Gg") & set(phase.state)]
        yellow = next(int(phase.duration) for phase in phases if "y" in phase.state)
        links = {
            c.getTLLinkIndex(): c for n in self.net.getNodes() for c in n.getConnections() if c.getTLSID() == light
        }
        foes = [
            (a, b)
            for a, one in links.items()
            for b, other in links.items()
            if a < b and one.getJunction().areFoes(one.getJunctionIndex(), other.getJunctionIndex())
        ]
        # what the net itself lights together it holds compatible
        together = {(a, b) for a, b in foes if any(p.state[a] == p.state[b] == "G" for p in greens)}
        groups = Groups(
            tuple(p.state for p in greens),
            tuple(int(p.duration) for p in greens),
            foes_of(sorted(set(foes) - together)),
        )
        names = [f"lane_{k}" for k in range(len(some))]
        stages = {n: self._words(light, some, names, lamps) for n, lamps in enumerate(groups.stages, 1)}
        junction, flaws = read_junction(
            names, [max(one.distance_m, 1.0) for one in some], [one.speed_m_s for one in some], [1800.0], stages
        )
        if flaws:
            raise ValueError(f"{light}: {flaws}")
        return Crossing(light, some, junction, Cabinet(groups, yellow_s=yellow), Law(junction))

    def _words(self, light: str, some: Sequence[Approach], names: Sequence[str], lamps: str) -> list[str]:
        links = self.sumo.trafficlight.getControlledLinks(light)
        words = []
        for name, one in zip(names, some, strict=True):
            shown = {lamps[k] for k, each in enumerate(links) if each and each[0][0] == one.lane}
            if shown != {"r"}:
                words.append(name + SPELLED["r" if "r" in shown else "g" if "g" in shown else "G"])
        return words

    def step(self, centre: "Centre | None") -> None:
        for crossing in self.crossings:
            if not self.fixed:
                self.sumo.trafficlight.setRedYellowGreenState(crossing.light, crossing.cabinet.lamps())
        self.sumo.simulationStep()
        self.second += 1
        for k, edge in enumerate(self.edges):
            self.entered[k] += sum(self._passed(f"in.{one.getID()}")[0] for one in self.net.getEdge(edge).getLanes())
        for place, crossing in enumerate(self.crossings):
            seen = self._seen(crossing)
            if not self.fixed:
                self._ask(crossing, seen, None if centre is None else centre.expected(self, place))

    def _ask(self, crossing: Crossing, seen: Detections, expected: Expected | None) -> None:
        crossing.cabinet.tick()
        c, now_ns, running = crossing.cabinet, self.second * NS, crossing.running()
        if expected is not None:
            crossing.law.queues.expect(expected)
        crossing.law.observe(now_ns, seen, running)
        intervals = Intervals(float(c.min_green_s), float(c.yellow_s), float(c.all_red_s))
        c.request(crossing.law.step(now_ns, running, intervals).code)

    def _seen(self, crossing: Crossing) -> Detections:
        count = len(crossing.approaches)
        between, covered, standing = np.zeros((3, count))
        for k, one in enumerate(crossing.approaches):
            name = f"{crossing.light}.{k}"
            left, standing[k] = self._passed(f"stop.{name}")
            crossing.departed[k] += left
            for m, (_, share) in enumerate(one.loops):
                passed, on_it = self._passed(f"loop.{name}.{m}")
                crossing.arrived[k] += share * passed
                covered[k] = max(covered[k], on_it)
            for m, (_, share) in enumerate(one.zones):
                between[k] += share * self.sumo.lanearea.getLastStepVehicleNumber(f"zone.{name}.{m}")
        nowhere = np.full(count, math.nan)
        arrived = np.floor(crossing.arrived + 1e-9)
        return Detections(arrived, crossing.departed.copy(), between, covered, standing, nowhere)

    def _passed(self, name: str) -> tuple[int, int]:
        """Vehicles that left the loop in the last second, and whether one is on it."""
        on_it = [left_at < 0 for _, _, _, left_at, _ in self.sumo.inductionloop.getVehicleData(name)]
        return on_it.count(False), int(any(on_it))

    def close(self) -> Delay:
        self.sumo.close()
        lost, entry, unfinished, trips = 0.0, 0.0, 0, 0
        for trip in ET.parse(self.trips).getroot().iter("tripinfo"):
            trips += 1
            entry += float(trip.get("departDelay", 0))
            lost += float(trip.get("timeLoss", 0))
            unfinished += float(trip.get("arrival", -1)) < 0
        self.folder.cleanup()
        return Delay((lost + entry) / trips, entry / trips, trips, unfinished)


class Centre:
    """Hears the counters of all links, and tells each junction whom to expect: arrivals.py with what history taught."""

    def __init__(self, streets: Streets, records: Sequence[Path]) -> None:
        history = [np.load(one) for one in records]
        entered = [one["entered"] for one in history]
        self._arrivals: list[Arrivals] = []
        for place, crossing in enumerate(streets.crossings):
            delays = delays_of(crossing, streets.edges)
            self._arrivals.append(learned(entered, [one[f"arrived{place}"] for one in history], delays))
        self._heard: list[Any] = []
        self._second = -1

    def expected(self, streets: Streets, place: int) -> Expected:
        if streets.second != self._second:
            self._second = streets.second
            self._heard.append(streets.entered.copy())
        beyond = self._arrivals[place].expected(np.array(self._heard[-60:]), HORIZON_S)
        return Expected(float(streets.second), beyond)


def delays_of(crossing: Crossing, edges: Sequence[str]) -> Any:
    """(edges, lanes) s from the beginning of a link to the advance loop; NaN where it does not lead there."""
    found = np.full((len(edges), len(crossing.approaches)), np.nan)
    for k, (one, lane) in enumerate(zip(crossing.approaches, crossing.junction.lanes, strict=True)):
        for edge, seconds in one.upstream.items():
            if seconds > lane.travel_s + 1:
                found[edges.index(edge), k] = seconds - lane.travel_s
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", required=True, choices=BEGINS_S)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--fixed", action="store_true", help="the net's own programs")
    parser.add_argument("--record", type=Path, help="keep the counters here (.npz)")
    parser.add_argument("--history", type=Path, nargs="*", default=[], help="records that the centre learns from")
    args = parser.parse_args()
    streets = Streets(args.net, args.seed, args.seconds, args.fixed)
    centre = Centre(streets, args.history) if args.history else None
    entered, arrived = [], [[] for _ in streets.crossings]  # type: ignore[var-annotated]
    for _ in range(args.seconds):
        streets.step(centre)
        entered.append(streets.entered.copy())
        for rows, crossing in zip(arrived, streets.crossings, strict=True):
            rows.append(crossing.arrived.copy())
    if args.record is not None:
        columns = {f"arrived{k}": np.array(rows) for k, rows in enumerate(arrived)}
        np.savez_compressed(args.record, allow_pickle=False, entered=np.array(entered), **columns)
    refused = sum(one.cabinet.refused for one in streets.crossings)
    print(json.dumps({**asdict(streets.close()), "refused": refused}), flush=True)


if __name__ == "__main__":
    main()
