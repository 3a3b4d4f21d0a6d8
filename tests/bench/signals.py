"""Readings like those of a city, for figures of size and speed: not constants, not noise.

What real devices send is quantised: a meter has tenths of a volt, a counter has pulses, a state changes rarely. One
device here has 20 points, read together once a second:

    8   random walks about a mean, quantised to a tenth (voltage, temperature, level), steps of a few tenths
    4   random walks quantised to whole numbers (power in W, flow), steps of some tens
    3   counters that only grow, by a few pulses (energy, volume, vehicles)
    2   slow ones that change every minute or so (setpoints, tariffs)
    2   states 0/1 that change about every ten minutes
    1   a single-precision float as an analyser sends it: a random walk, never rounded
"""

from collections.abc import Iterator

import numpy as np

from edge_agent.image import Codes, Floats, Frame, Layout

POINTS = 20
SECOND_NS = 1_000_000_000
JITTER_NS = 3_000_000  # of the time at which an answer comes
WRONG = 2_000  # one frame in so many has a point that is not GOOD


class Devices:
    """`count` devices; `seconds(n)` gives the frames of the next n seconds, one frame per device and second."""

    def __init__(self, count: int, seed: int = 1, start_ns: int = 0) -> None:
        self.count = count
        self.layouts = [Layout(f"device-{at:03}", tuple(f"point-{p:02}" for p in range(POINTS))) for at in range(count)]
        self._chance = np.random.default_rng(seed)
        self._now_ns = start_ns
        self._tenths = self._chance.integers(1_000, 4_000, (count, 8)).astype(np.float64)
        self._whole = self._chance.integers(500, 20_000, (count, 4)).astype(np.float64)
        self._counters = self._chance.integers(0, 10**7, (count, 3)).astype(np.float64)
        self._slow = self._chance.integers(0, 100, (count, 2)).astype(np.float64)
        self._states = self._chance.integers(0, 2, (count, 2)).astype(np.float64)
        self._single = self._chance.normal(20, 5, (count, 1))

    @property
    def readings_per_second(self) -> int:
        return self.count * POINTS

    def seconds(self, many: int) -> Iterator[Frame]:
        for _ in range(many):
            self._now_ns += SECOND_NS
            values = self._step()
            late = self._chance.integers(0, JITTER_NS, self.count)
            for at, layout in enumerate(self.layouts):
                when = self._now_ns + at * SECOND_NS // self.count + int(late[at])
                yield Frame(layout, when, when, values[at], self._codes())

    def _step(self) -> Floats:
        chance, count = self._chance, self.count
        self._tenths += np.rint(chance.normal(0, 1.2, (count, 8)))
        self._whole += np.rint(chance.normal(0, 25, (count, 4)))
        self._counters += chance.poisson(2.0, (count, 3))
        self._slow += chance.integers(-2, 3, (count, 2)) * (chance.random((count, 2)) < 1 / 60)
        self._states = np.abs(self._states - (chance.random((count, 2)) < 1 / 600))
        self._single += chance.normal(0, 0.05, (count, 1))
        single = self._single.astype(np.float32).astype(np.float64)
        return np.hstack([self._tenths / 10, self._whole, self._counters, self._slow, self._states, single])

    def _codes(self) -> Codes | None:
        if self._chance.integers(WRONG):
            return None
        codes: Codes = np.zeros(POINTS, np.uint8)
        codes[self._chance.integers(POINTS)] = 0x41
        return codes
