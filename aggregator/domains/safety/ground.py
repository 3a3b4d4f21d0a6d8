"""A city's safety as arrays: what is watched, where, and what lies near what."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aggregator.domains.safety.kinds import HAZARDS
from aggregator.domains.safety.roads import Roads
from aggregator.twin import Flags, Floats, Ints
from aggregator.twin.part import Asset, Part
from protos.vocabulary import internal_unit

EARTH_M = 111_194.9  # of a degree on a great circle
HOUR_S = 3600.0


@dataclass(frozen=True, eq=False)
class Ground:
    """w watches. State: their levels, then what each rises in a step."""

    part: Part

    def number(self, key: str) -> float:
        return float(self.part.settings[key])

    @property
    def step_h(self) -> float:
        return self.number("step_s") / HOUR_S

    @cached_property
    def watches(self) -> list[Asset]:
        return self.part.of("watch")

    @cached_property
    def wards(self) -> list[Asset]:
        return self.part.of("ward")

    @cached_property
    def crossings(self) -> list[Asset]:
        return self.part.of("crossing")

    @cached_property
    def units(self) -> list[Asset]:
        return self.part.of("unit")

    @property
    def w(self) -> int:
        return len(self.watches)

    def values(self, key: str) -> Floats:
        """(w,) of the watches."""
        return self._values[key]

    @cached_property
    def _values(self) -> dict[str, Floats]:
        numbers = [name for name in (self.watches[0].values if self.watches else {}) if name != "hazard"]
        return {name: np.array([one.number(name) for one in self.watches]) for name in numbers}

    @cached_property
    def hazards(self) -> list[str]:
        return [one.text("hazard") for one in self.watches]

    def unit_of(self, watch: int) -> str:
        return internal_unit(HAZARDS[self.hazards[watch]])

    @cached_property
    def sensed(self) -> Ints:
        """(sensors,) the watch that each stands at."""
        place = {one.id: i for i, one in enumerate(self.watches)}
        return np.array([place[one.asset] for one in self.part.sensors], np.int64)

    @cached_property
    def roads(self) -> Roads:
        place = {one.id: i for i, one in enumerate(self.crossings)}
        ends = np.array([[place[end] for end in one.ends] for one in self.part.of("road")], np.int64).reshape(-1, 2)
        return Roads(len(self.crossings), ends[:, 0], ends[:, 1])

    @cached_property
    def free_s(self) -> Floats:
        """(roads,) when nobody is in the way."""
        return np.array([one.number("seconds") for one in self.part.of("road")])

    @cached_property
    def flooding(self) -> Flags:
        """(w, roads) roads that a flood at a watch closes: those with an end within its reach."""
        near = apart(self.watches, self.crossings) <= np.array([one.number("reach_m") for one in self.watches])[:, None]
        floods = np.array([one == "flood" for one in self.hazards], np.bool_)[:, None]
        found: Flags = floods & (near[:, self.roads.start] | near[:, self.roads.end])
        return found

    @cached_property
    def ward_of(self) -> Flags:
        """(wards, w)."""
        reach = np.array([one.number("reach_m") for one in self.wards])[:, None]
        found: Flags = apart(self.wards, self.watches) <= reach
        return found

    @cached_property
    def crossing_of_watch(self) -> Ints:
        """(w,) the nearest."""
        return nearest(self.watches, self.crossings)

    @cached_property
    def crossing_of_unit(self) -> Ints:
        return nearest(self.units, self.crossings)


def apart(some: Sequence[Asset], others: Sequence[Asset]) -> Floats:
    """(some, others) m, on a plane that touches the earth in their middle."""
    a, b = (np.array([one.place or (0.0, 0.0) for one in those]).reshape(-1, 2) for those in (some, others))
    if not len(a) or not len(b):
        return np.zeros((len(a), len(b)))
    metres = EARTH_M * np.array([np.cos(np.radians(np.concatenate([a, b])[:, 1].mean())), 1.0])
    found: Floats = np.hypot(*((a[:, None] - b[None]) * metres).transpose(2, 0, 1))
    return found


def nearest(some: Sequence[Asset], others: Sequence[Asset]) -> Ints:
    """(some,) -1 where there are no others."""
    if not others:
        return np.full(len(some), -1, np.int64)
    return np.array([int(apart([one], others)[0].argmin()) for one in some], np.int64)
