"""One intersection of the RESCO set in SUMO, with the loops and the radar that its cabinet would have.

The nets cologne1 and ingolstadt1 are the files inside the package sumo-rl, of which nothing is imported. Detectors lie
at most 100 m before the stop line: an advance loop per lane, a loop at the stop line, and a count of the vehicles
between the two, as radars and cameras give it. libsumo is one simulation per process.

Delay is timeLoss + departDelay of the trip output, averaged over every trip of the hour: those that have not arrived
when it ends count with what they lost until then, those that could not even enter with their wait.
"""

import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from tests.simulators.cabinet import Groups, foes_of

DETECTED_M = 100.0


def missing() -> list[str]:
    """Packages that are not installed, by name."""
    return [name for name in ("libsumo", "sumolib", "sumo_rl") if find_spec(name) is None]


@dataclass(frozen=True, slots=True)
class Approach:
    """One lane at the stop line. `loops`: (lane, position) of its advance loops; `zone`: (lane, from) of the count."""

    lane: str
    distance_m: float
    loops: tuple[tuple[str, float], ...]
    zone: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Site:
    light: str
    begin: int
    end: int
    approaches: tuple[Approach, ...]


def plain(lane: str, position: float, distance: float) -> Approach:
    return Approach(lane, distance, ((lane, position),), ((lane, position),))


def joined(lane: str, loops: Sequence[tuple[str, float]], before: tuple[str, float], distance: float) -> Approach:
    """A lane so short that its detectors begin on the one before."""
    return Approach(lane, distance, tuple(loops), ((lane, 0.0), before))


SITES = {
    "cologne1": Site(
        "GS_cluster_357187_359543",
        25200,
        28800,
        (
            *(plain(f"-32038056#3_{k}", 251.23, 100.0) for k in (0, 1)),
            *(plain(f"23429231#1_{k}", 6.0, 90.0) for k in (0, 1)),
            *(plain(f"28198821#3_{k}", 6.0, 51.0) for k in (0, 1)),
            joined("27115123#3_0", [("27115123#2_0", 6.0), ("130165204_0", -35.0)], ("27115123#2_0", 6.0), 84.0),
            joined("27115123#3_1", [("27115123#2_1", 6.0)], ("27115123#2_1", 6.0), 82.0),
        ),
    ),
    "ingolstadt1": Site(
        "gneJ207",
        57600,
        61200,
        (
            *(plain(f"201963537#1_{k}", 43.76, 100.0) for k in (1, 2, 3)),
            joined("164051413_1", [("653473569#5_1", 2.0), ("391891458#0_1", 2.0)], ("653473569#5_1", 2.0), 89.0),
            joined("164051413_2", [("653473569#5_2", 2.0)], ("653473569#5_2", 2.0), 89.0),
            *(plain(f"104010354_{k}", 6.0, 50.0) for k in (1, 2)),
        ),
    ),
}


def file_of(net: str, kind: str) -> Path:
    spec = find_spec("sumo_rl")  # finds the folder without importing it
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "nets" / "RESCO" / net / f"{net}.{kind}.xml"


@dataclass(slots=True)
class Seen:
    """What the detectors of one lane say."""

    arrived: int = 0
    departed: int = 0
    between: int = 0
    covered: int = 0
    standing: int = 0
    occupancy: float = 0.0  # of the loop at the stop line, % of the last second


@dataclass(frozen=True, slots=True)
class Delay:
    mean_s: float
    entry_s: float  # of it, waiting to enter
    trips: int
    unfinished: int


@dataclass(eq=False)
class Road:
    """The running simulation, second by second. Close it to have the delay."""

    net: str
    seed: int
    seconds: int = 3600
    detectors: bool = True
    seen: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        import libsumo

        self.sumo = libsumo
        self.site = SITES[self.net]
        self.folder = tempfile.TemporaryDirectory(prefix="sumo-")
        self.trips = Path(self.folder.name) / "trips.xml"
        added = Path(self.folder.name) / "detectors.add.xml"
        added.write_text(self._detectors() if self.detectors else "<additional/>")
        words = ["sumo", "-n", file_of(self.net, "net"), "-r", file_of(self.net, "rou"), "-a", added]
        words += ["-b", self.site.begin, "-e", self.site.begin + self.seconds, "--seed", self.seed]
        words += ["--time-to-teleport", -1, "--no-step-log", "--no-warnings", "--duration-log.disable"]
        words += ["--tripinfo-output", self.trips]
        words += ["--tripinfo-output.write-unfinished", "--tripinfo-output.write-undeparted"]
        libsumo.start([str(word) for word in words])
        self.seen = [Seen() for _ in self.site.approaches]
        self.light = self.site.light
        self.now = self.site.begin

    def _detectors(self) -> str:
        """Positions from the start of the lane; negative ones from its end."""
        rest = 'freq="3600" file="/dev/null" friendlyPos="true"'
        lines = []
        for k, one in enumerate(self.site.approaches):
            lines.append(f'<inductionLoop id="stop{k}" lane="{one.lane}" pos="-3" {rest}/>')
            for m, (lane, position) in enumerate(one.loops):
                lines.append(f'<inductionLoop id="loop{k}.{m}" lane="{lane}" pos="{position}" {rest}/>')
            for m, (lane, start) in enumerate(one.zone):
                lines.append(f'<laneAreaDetector id="zone{k}.{m}" lane="{lane}" pos="{start}" endPos="-0.1" {rest}/>')
        return "<additional>\n" + "\n".join(lines) + "\n</additional>\n"

    def step(self, lamps: str | None = None) -> None:
        """One second with these lamps (None: as SUMO's own program has them), then the detectors."""
        if lamps is not None:
            self.sumo.trafficlight.setRedYellowGreenState(self.light, lamps)
        self.sumo.simulationStep()
        self.now += 1
        if self.detectors:
            self._detect()

    @property
    def over(self) -> bool:
        return self.now >= self.site.begin + self.seconds

    def _detect(self) -> None:
        for k, (one, seen) in enumerate(zip(self.site.approaches, self.seen, strict=True)):
            left, seen.standing = self._loop(f"stop{k}")
            seen.departed += left
            seen.occupancy = min(100.0, self.sumo.inductionloop.getLastStepOccupancy(f"stop{k}"))
            loops = [self._loop(f"loop{k}.{m}") for m in range(len(one.loops))]
            seen.arrived += sum(passed for passed, _ in loops)
            seen.covered = max(covered for _, covered in loops)
            seen.between = sum(
                self.sumo.lanearea.getLastStepVehicleNumber(f"zone{k}.{m}") for m in range(len(one.zone))
            )

    def _loop(self, name: str) -> tuple[int, int]:
        """Vehicles that left the loop in the last second, and whether one is on it."""
        on_it = [left_at < 0 for _, _, _, left_at, _ in self.sumo.inductionloop.getVehicleData(name)]
        return on_it.count(False), int(any(on_it))

    def groups(self) -> Groups:
        """The stages of the net's own program, and which links conflict by the net."""
        import sumolib

        phases = self.sumo.trafficlight.getAllProgramLogics(self.light)[0].phases
        greens = [phase for phase in phases if "y" not in phase.state]
        net = sumolib.net.readNet(str(file_of(self.net, "net")), withInternal=True)
        links = {
            c.getTLLinkIndex(): c for n in net.getNodes() for c in n.getConnections() if c.getTLSID() == self.light
        }
        foes = [
            (a, b)
            for a, one in links.items()
            for b, other in links.items()
            if a < b and one.getJunction().areFoes(one.getJunctionIndex(), other.getJunctionIndex())
        ]
        return Groups(tuple(p.state for p in greens), tuple(int(p.duration) for p in greens), foes_of(foes))

    def yellow_s(self) -> int:
        """Of the net's own program."""
        phases = self.sumo.trafficlight.getAllProgramLogics(self.light)[0].phases
        return int(next(phase.duration for phase in phases if "y" in phase.state))

    def links_of(self, lane: str) -> list[int]:
        links = self.sumo.trafficlight.getControlledLinks(self.light)
        return [k for k, each in enumerate(links) if each and each[0][0] == lane]

    def speed_m_s(self, lane: str) -> float:
        return float(self.sumo.lane.getMaxSpeed(lane))

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


if __name__ == "__main__":
    sys.exit("missing: " + ", ".join(missing()) if missing() else 0)
