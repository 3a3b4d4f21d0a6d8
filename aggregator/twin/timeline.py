"""The city at a time, as known then and as known now: two times for every number, when it was so and when we knew.

A fuser can say exactly what was known when within its lag (`Fuser.as_known`). A timeline keeps what was shown for
much longer: mean and standard deviation in single precision, a few revisions of each step.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aggregator.twin import BadModel, BeyondLag
from aggregator.twin.belief import Belief

Shown = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False, slots=True)
class Moment:
    """The state of step `k` as it was known from `known_ns` (UTC) until the next revision."""

    k: int
    known_ns: int
    x: Shown  # (n,)
    sd: Shown  # (n,)


@dataclass(frozen=True, slots=True)
class Extent:
    """What a timeline keeps: 10,000 states take 80 kB per revision, so a day of minutes at most 0.5 GB."""

    steps: int = 1440
    revisions: int = 4  # of one step: the first, as people saw it happen, and the newest


class Timeline:
    """Bounded. Not for threads: its owner records, and readers ask on the same loop."""

    def __init__(self, extent: Extent | None = None) -> None:
        self.extent = extent or Extent()
        if self.extent.steps < 1 or self.extent.revisions < 2:
            raise BadModel(f"{self.extent}: at least 1 step of 2 revisions (the first and the newest)")
        self._moments: dict[int, list[Moment]] = {}

    def record(self, beliefs: Iterable[Belief], known_ns: int) -> None:
        """What is believed of some steps from `known_ns` on: the step just done, and those a late batch changed."""
        for belief in beliefs:
            x, sd = belief.x.astype(np.float32), belief.sd.astype(np.float32)
            known = self._moments.setdefault(belief.k, [])
            if known and np.array_equal(known[-1].x, x) and np.array_equal(known[-1].sd, sd):
                continue
            place = bisect_right(known, known_ns, key=lambda one: one.known_ns)
            known.insert(place, Moment(belief.k, known_ns, x, sd))
            if len(known) > self.extent.revisions:
                del known[1]  # the first and the newest are what people ask for
        for old in sorted(self._moments)[: -self.extent.steps]:
            del self._moments[old]

    def at(self, k: int, known_ns: int | None = None) -> Moment:
        """Step k as known now, or as known at `known_ns`. Raises BeyondLag where nothing was known of it."""
        known = self._moments.get(k, [])
        place = len(known) if known_ns is None else bisect_right(known, known_ns, key=lambda one: one.known_ns)
        if not place:
            held = f"steps {min(self._moments)} … {max(self._moments)} are" if self._moments else "nothing is"
            raise BeyondLag(f"nothing was known of step {k} then; {held} kept")
        return known[place - 1]

    def revisions(self, k: int) -> list[Moment]:
        """How the picture of step k has changed, oldest first."""
        return list(self._moments.get(k, []))
