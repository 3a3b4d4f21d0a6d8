"""What is really the case in the demo city: the devices show it, and nobody tells the twin.

    python deploy/demo/world.py FOLDER --city city.toml

FOLDER holds the gateways' files (gw-*.toml), the actuator logs of their simulators (gw-*-writes.jsonl), and gets the
files that they follow (gw-*.values.json).

The truth of every domain moves by the same laws as its twin, but with chance of its own and with incidents that the
twin knows nothing of. Sensors of simulated devices show it (with their own errors); what is written to actuators acts.
Once a second every file that simulators follow is put in place anew.
"""

import argparse
import json
import signal
import sys
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aggregator.city.coupling import order
from aggregator.city.file import City, load
from aggregator.twin import Floats
from aggregator.twin.domain import Domain
from edge_agent.config import Library
from edge_agent.profile import PointSpec
from protos.units import coefficients

NS = 1_000_000_000
TICK_S = 1.0
WEATHER = {  # flow → mean, swing over a day, hour of the highest
    "temperature": (14.0, 6.0, 15.0),
    "irradiance": (150.0, 500.0, 12.0),
    "wind_speed": (3.5, 1.5, 14.0),
    "wind_direction": (230.0, 20.0, 6.0),
}
SHAKE = 0.5  # of the chance that the twin allows for: its uncertainty is honest, not tight


@dataclass(frozen=True, slots=True)
class Incident:
    """From `at_s` until `until_s` after the start the input `flow` of `asset` is `value`, which no sensor tells."""

    at_s: float
    until_s: float
    domain: str
    flow: str
    asset: str
    value: float
    what: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a point is played: the word of the device in its gateway's simulators, and its point there."""

    gateway: str
    word: str
    spec: PointSpec


@dataclass(eq=False)
class Truth:
    """One domain as it is."""

    domain: Domain
    x: Floats
    k: int
    noise: np.random.Generator
    row: dict[str, float] = field(default_factory=dict)  # point → what was written to it last

    def step(self) -> None:
        k = self.k = self.k + 1
        u = self.domain.exogenous(k)
        if self.row:
            u = self.domain.steer(u, self.commanded(), k)
        diag, factor = self.domain.Q(self.x, k)
        w = np.sqrt(diag) * self.noise.standard_normal(len(diag)) + factor @ self.noise.standard_normal(factor.shape[1])
        self.x = self.domain.f(self.x[:, None], u, k)[:, 0] + SHAKE * w

    def commanded(self) -> Floats:
        return np.array([self.row.get(one.point, np.nan) for one in self.domain.controls])

    def seen(self) -> Iterator[tuple[str, float]]:
        """Every sensor's point with what it would show without error, in the quantity's internal unit."""
        y = self.domain.h(self.x[:, None], np.arange(len(self.domain.channels)), self.k)[:, 0]
        yield from zip(self.domain.channels, y.tolist(), strict=True)


@dataclass(eq=False)
class World:
    city: City
    start_ns: int
    incidents: Sequence[Incident]
    seed: int
    truths: dict[str, Truth] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, (name, domain) in enumerate(self.city.domains().items()):
            k = self.start_ns // domain.dt_ns
            prior = domain.prior(k)
            noise = np.random.default_rng([self.seed, number])
            self.truths[name] = Truth(domain, prior.x.copy(), k, noise)
        self._order = order(list(self.truths), self.city.couplings)
        self._noise = np.random.default_rng([self.seed, 99])

    def advance(self, now_ns: int) -> None:
        """Every step that ends until now, in the order of time and of what takes from what."""
        while True:
            lanes = [self.truths[name] for name in self._order]
            due = min(lanes, key=lambda one: (one.k + 1) * one.domain.dt_ns)
            if (due.k + 1) * due.domain.dt_ns > now_ns:
                return
            self._weather(due)
            self._incidents(due)
            due.step()
            self._give(due)

    def _weather(self, due: Truth) -> None:
        """The same for all who take it, and as smooth as a day."""
        k, inputs = due.k + 1, due.domain.inputs
        hour = k * due.domain.dt_ns / (3600 * NS) % 24
        for flow in inputs.names:
            if flow in WEATHER:
                mean, swing, peak_h = WEATHER[flow]
                value = mean + swing * float(np.cos((hour - peak_h) / 24 * 2 * np.pi))
                inputs.put(flow, k, np.full(len(inputs.assets(flow)), max(value, 0.0)), "weather")

    def _incidents(self, due: Truth) -> None:
        k, inputs = due.k + 1, due.domain.inputs
        since_s = (k * due.domain.dt_ns - self.start_ns) / NS
        for number, one in enumerate(self.incidents):
            if one.domain != due.domain.name:
                continue
            assets = inputs.assets(one.flow)
            active = one.at_s <= since_s < one.until_s
            values = np.array([one.value if active and each == one.asset else np.nan for each in assets])
            inputs.put(one.flow, k, values, f"incident {number}")

    def _give(self, giver: Truth) -> None:
        given = giver.domain.gives(giver.x, giver.k)
        t_ns = giver.k * giver.domain.dt_ns
        for one in self.city.couplings:
            if one.gives.domain == giver.domain.name:
                taker = self.truths[one.takes.domain].domain
                step = t_ns // taker.dt_ns + 1 if one.late else -(-t_ns // taker.dt_ns)
                taker.inputs.put(one.takes.flow, step, one(given[one.gives.flow]), giver.domain.name)

    def shown(self) -> Iterator[tuple[str, float]]:
        """Every point with the value that its sensor shows."""
        for feed in self.city.feeds:
            truth = self.truths[feed.takes.domain]
            assets = truth.domain.inputs.assets(feed.takes.flow)
            place = assets.index(feed.asset) if feed.asset else 0
            value = float(truth.domain.inputs.at(feed.takes.flow, truth.k)[place])
            if np.isfinite(value):
                yield feed.point, (value - feed.offset) / feed.scale
        for name, truth in self.truths.items():
            wires = {one.point: one for one in self.city.parts[name].sensors}
            for point, y in truth.seen():
                one = wires[point]
                yield point, (y + one.sd * float(self._noise.standard_normal()) - one.offset) / one.scale

    def written(self, point: str, value: float) -> None:
        """An actuator was set: by the laws of its domain, and where its position is an input."""
        for feed in self.city.feeds:
            if feed.point == point:
                truth = self.truths[feed.takes.domain]
                assets = truth.domain.inputs.assets(feed.takes.flow)
                values = [value * feed.scale + feed.offset if feed.asset in ("", one) else np.nan for one in assets]
                truth.domain.inputs.put(feed.takes.flow, truth.k + 1, np.array(values), point)
        for truth in self.truths.values():
            if any(one.point == point for one in truth.domain.controls):
                truth.row[point] = value


def places(gateways: Sequence[Path], library: Library) -> dict[str, Place]:
    """Every point of the gateways' devices, and where it is played."""
    found: dict[str, Place] = {}
    for file in gateways:
        content = tomllib.loads(file.read_text())
        gateway = content["gateway"]["id"]
        for device in content["device"]:
            profile = library.get(device["profile"])
            word = f"{profile.id}={device['topic']}" if "topic" in device else f"{profile.id}@{device['unit']}"
            for spec in profile.points:
                found[f"{gateway}/{device['name']}/{spec.name}"] = Place(gateway, word, spec)
    return found


def played(world: World, where: Mapping[str, Place]) -> dict[str, dict[str, dict[str, float]]]:
    """What the simulators of each gateway are to show, in the units of their profiles."""
    values: dict[str, dict[str, dict[str, float]]] = {place.gateway: {} for place in where.values()}
    for point, value in world.shown():
        if (place := where.get(point)) is not None:
            scale, offset = coefficients(place.spec.unit, place.spec.quantity)
            values[place.gateway].setdefault(place.word, {})[place.spec.name] = (value - offset) / scale
    return values


@dataclass(eq=False)
class Writes:
    """The simulators' actuator logs, read on from where they were."""

    folder: Path
    where: Mapping[str, Place]
    _at: dict[Path, int] = field(default_factory=dict)

    @property
    def gateways(self) -> set[str]:
        return {one.gateway for one in self.where.values()}

    def fresh(self) -> Iterator[tuple[str, float]]:
        """(point, value in the internal unit) of every write since the last call."""
        for file in self.folder.glob("gw-*-writes.jsonl"):
            gateway = next(one for one in self.gateways if file.name.startswith(one))
            by_place = {(one.word, one.spec.name): point for point, one in self.where.items() if one.gateway == gateway}
            with file.open() as stream:
                stream.seek(self._at.get(file, 0))
                while (line := stream.readline()).endswith("\n"):
                    self._at[file] = stream.tell()
                    yield from self._points(json.loads(line), by_place)

    def _points(self, write: Mapping[str, Any], by_place: Mapping[tuple[str, str], str]) -> Iterator[tuple[str, float]]:
        for name in write["points"]:
            point = by_place.get((f"{write['profile']}@{write['unit']}", name))
            if point is not None:
                spec = self.where[point].spec
                scale, offset = coefficients(spec.unit, spec.quantity)
                yield point, (raw_of(write, spec) * spec.scale + spec.offset) * scale + offset


def raw_of(write: Mapping[str, Any], spec: PointSpec) -> float:
    """The number that a write puts into a point of one or two registers."""
    assert spec.register is not None
    at = spec.register.address - write["address"]
    if spec.register.type in ("u32", "i32", "f32"):
        high, low = write["values"][at : at + 2]
        data = np.array([high << 16 | low], np.uint32)
        return float(data.view({"u32": np.uint32, "i32": np.int32, "f32": np.float32}[spec.register.type])[0])
    value = int(write["values"][at])
    return float(value - 65536 if spec.register.type == "i16" and value > 32767 else value)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--city", type=Path, required=True)
    parser.add_argument("--incidents", type=Path, help="JSON: at_s, until_s, domain, flow, asset, value, what")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    incidents = [Incident(**one) for one in json.loads(args.incidents.read_text())] if args.incidents else []
    world = World(load(args.city), time.time_ns(), incidents, args.seed)
    where = places(sorted(args.folder.glob("gw-*.toml")), Library(None))
    writes = Writes(args.folder, where)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    while not ended.is_set():
        for point, value in writes.fresh():
            world.written(point, value)
        world.advance(time.time_ns())
        for gateway, values in played(world, where).items():
            fresh = args.folder / f"{gateway}.values.new"
            fresh.write_text(json.dumps(values))
            fresh.replace(args.folder / f"{gateway}.values.json")
        ended.wait(TICK_S)
    return 0


if __name__ == "__main__":
    sys.exit(main())
