"""A tank and its twin without an agent: an image, a plant, and ticks."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_agent.cell import TwinSpec
from edge_agent.image import Frame, Image, Layout, lay_out
from edge_agent.setpoint import Port
from edge_agent.twin.points import points_of
from edge_agent.twin.twins import Twins
from protos.bundle import Bundle
from protos.quality import Quality, Reason, code
from tests.simulators.bundles import AREA_M2, LIFT_M3H, signing_key, tank_bundle

S, PERIOD_NS = 1_000_000_000, 100_000_000
STALE_NS = 3 * PERIOD_NS
BAD = code(Quality.BAD, Reason.NO_ANSWER)


def opened(path: Path) -> Bundle:
    return Bundle.open(path.read_bytes(), [signing_key().public_key()])


def tank(folder: Path, *, network: bool = False, version: str = "1", period_ms: int = 100) -> Bundle:
    name = f"tank-{version}-{network}-{period_ms}.ctb"
    return opened(tank_bundle(folder / name, network=network, version=version, period_ms=period_ms))


def spec_of(number: int = 0, *, measured: bool = True) -> TwinSpec:
    points = {"speed": f"pump-{number}/speed"} | ({"level": f"tank-{number}/level"} if measured else {})
    return TwinSpec(f"twin-{number}", Path("tank.ctb"), points)


class Site:
    """Tanks, pumps, and their twins. `tick` moves the plants, shows what the sensors say, and steps the twins."""

    def __init__(self, bundles: Sequence[Bundle], *, seed: int = 1, stale_ns: int = STALE_NS) -> None:
        self.random = np.random.default_rng(seed)
        self.specs = [spec_of(number) for number in range(len(bundles))]
        names = [point for number in range(len(bundles)) for point in (f"tank-{number}", f"pump-{number}")]
        sensors = [(name, ("level",) if name.startswith("tank") else ("speed",)) for name in names]
        twins = [(spec.name, tuple(points_of(spec, one))) for spec, one in zip(self.specs, bundles, strict=True)]
        layouts, self.image = lay_out([*sensors, *twins])
        self.layouts: dict[str, Layout] = {one.device: one for one in layouts}
        self.ports = {name: Port(place, stale_ns) for place, name in enumerate(self.image.names)}
        self.twins = self.build(bundles)
        self.level, self.inflow = np.full(len(bundles), 1.7), np.full(len(bundles), 25.0)
        self.speed = np.full(len(bundles), 50.0)
        self.now_ns = 10**12
        self.silent: set[str] = set()  # devices that do not answer
        self.said: dict[str, tuple[float, int]] = {}  # device → what it says instead, and its code

    def build(self, bundles: Sequence[Bundle]) -> Twins:
        models = list(zip(self.specs, bundles, strict=True))
        return Twins(models, self.ports, {spec.name: self.layouts[spec.name] for spec in self.specs})

    def tick(self, count: int = 1, period_ns: int = PERIOD_NS) -> list[Frame]:
        frames: list[Frame] = []
        for _ in range(count):
            self.now_ns += period_ns
            self.level += period_ns / S / 3600 / AREA_M2 * (self.inflow - LIFT_M3H * self.speed)
            for number in range(len(self.specs)):
                self.show(f"tank-{number}", self.level[number] + self.random.normal(0, 1e-3))
                self.show(f"pump-{number}", self.speed[number])
            frames = list(self.twins.step(self.image.freeze(self.now_ns), self.now_ns))
            for frame in frames:
                self.image.take(frame)
        return frames

    def show(self, device: str, value: float) -> None:
        if device in self.silent:
            return
        told, why = self.said.get(device, (value, 0))
        codes = np.array([why], np.uint8)
        self.image.take(Frame(self.layouts[device], self.now_ns, self.now_ns, np.array([told]), codes))

    def value(self, point: str) -> float:
        return float(self.image.values[self.image.names.index(point)])

    def code(self, point: str) -> int:
        return int(self.image.codes[self.image.names.index(point)])


def images_differ(one: Image, other: Image) -> float:
    """The largest difference of values that both have."""
    return float(np.nanmax(np.abs(one.values - other.values)))
