"""A city's air as arrays: where its places are, what counts as near, what each zone and fan reaches."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aggregator.twin import Flags, Floats, Ints
from aggregator.twin.part import Asset, Part

EARTH_M = 111_194.9  # of a degree on a great circle


@dataclass(frozen=True, eq=False)
class Air:
    """p places: stations, then cells. State: p values of each pollutant in turn, then a drift for each sensor."""

    part: Part
    pollutants: Sequence[str]

    def number(self, key: str) -> float:
        return float(self.part.settings[key])

    @cached_property
    def places(self) -> list[Asset]:
        return self.part.of("station") + self.part.of("cell")

    @cached_property
    def stations(self) -> int:
        return len(self.part.of("station"))

    @cached_property
    def cells(self) -> Ints:
        """Places that are cells."""
        return np.arange(self.stations, len(self.places))

    @cached_property
    def zones(self) -> list[Asset]:
        return self.part.of("zone")

    @cached_property
    def fans(self) -> list[Asset]:
        return self.part.of("actuator")

    @property
    def p(self) -> int:
        return len(self.places)

    @property
    def values(self) -> int:
        """States that are in the air, before the drifts."""
        return self.p * len(self.pollutants)

    @cached_property
    def n(self) -> int:
        return self.values + len(self.part.sensors)

    @cached_property
    def background(self) -> Floats:
        """(values,) ug/m3."""
        return np.array([one.number(f"background_{name}") for name in self.pollutants for one in self.places])

    @cached_property
    def limits(self) -> Floats:
        """(values,) ug/m3."""
        return np.repeat([self.number(f"limit_{name}") for name in self.pollutants], self.p)

    @cached_property
    def people(self) -> Floats:
        return np.array([one.number("people") for one in self.places])

    @cached_property
    def harm(self) -> Floats:
        """(p,) of a step above a limit."""
        return self.people / 1000 * self.number("harm") * self.number("step_s") / 3600

    @cached_property
    def xy(self) -> Floats:
        """(p, 2) m, on a plane that touches the earth in the middle of the places."""
        return self.flat(self.places)

    def flat(self, assets: Sequence[Asset]) -> Floats:
        every = [one.place or (0.0, 0.0) for one in self.places]
        middle = float(np.mean([lat for _, lat in every]))
        here = np.array([one.place or (0.0, 0.0) for one in assets]).reshape(-1, 2)
        found: Floats = here * EARTH_M * np.array([np.cos(np.radians(middle)), 1.0])
        return found

    @cached_property
    def distance(self) -> Floats:
        """(p, p) m."""
        return apart(self.xy, self.xy)

    @cached_property
    def zone_of(self) -> Ints:
        """(p,) the zone that a place is decided for in; -1 for none."""
        if not self.zones:
            return np.full(self.p, -1)
        far = apart(self.xy, self.flat(self.zones))
        nearest = far.argmin(axis=1)
        reach = np.array([one.number("reach_m") for one in self.zones])
        return np.where(far[np.arange(self.p), nearest] <= reach[nearest], nearest, -1)

    @cached_property
    def fanned(self) -> Floats:
        """(p, fans) 1/s that each fan takes from a place in full swing."""
        if not self.fans:
            return np.zeros((self.p, 0))
        reach = np.array([one.number("reach_m") for one in self.fans])
        rate = np.array([one.number("changes_per_h") for one in self.fans]) / 3600
        found: Floats = (apart(self.xy, self.flat(self.fans)) <= reach) * rate
        return found

    @cached_property
    def restrictable(self) -> Floats:
        """(cells, zones) share of a cell's sources that a full restriction in a zone holds back."""
        found = np.zeros((len(self.cells), len(self.zones)))
        for row, zone in enumerate(self.zone_of[self.cells]):
            if zone >= 0:
                found[row, zone] = self.zones[zone].number("restrictable")
        return found

    @cached_property
    def sensed(self) -> Ints:
        """(sensors,) the value that each sensor stands in."""
        place = {one.id: i for i, one in enumerate(self.places)}
        return np.array(
            [place[one.asset] + self.p * self.pollutants.index(one.quantity) for one in self.part.sensors], np.int64
        )

    def within(self, zone: int) -> Flags:
        """(p,)."""
        found: Flags = self.zone_of == zone
        return found


def apart(a: Floats, b: Floats) -> Floats:
    """(len(a), len(b)) m."""
    found: Floats = np.hypot(a[:, None, 0] - b[None, :, 0], a[:, None, 1] - b[None, :, 1])
    return found
