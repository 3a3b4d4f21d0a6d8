"""Stage sequences over a rolling horizon, by beam search: the one with the least delay is followed until the next.

Each second of the horizon every candidate either keeps its stage or, once its minimum green has passed, clears for
another one, in any order and skipping any. What all candidates of a second cost is one set of array operations. Of
those in one stage that began in one second only the best is kept, and of all these the best `WIDTH`. The cost is the
number of waiting vehicles, second by second (so, delay in vehicle-seconds), and at the end of the horizon what those
who still wait will wait yet.

The formulation is that of COP (Sen and Head, Controlled Optimization of Phases at an Intersection, Transportation
Science 31, 1997): the dynamic programme over stages and their beginnings, which carries the queue of every lane along.
The work is the same in every search and can be done in slices (`advance`), so no fast loop is held up.
"""

import math
from dataclasses import dataclass

import numpy as np

from edge_agent.control.traffic.junction import Intervals
from edge_agent.control.traffic.queues import Flags, Floats, Traffic

HORIZON_S = 30
WIDTH = 64  # candidates kept
AGES = 256  # seconds of clearance and green that are told apart
FINE_S = 6  # so long a change may come in any second, later in every other: far decisions are taken again anyway
STARTUP = np.array([0.0, 0.5, 1.0])  # share of the discharge in the first seconds of green
YELLOW = np.array([1.0, 0.5, 0.0])  # and of clearance: 1.5 s of the yellow are driven through
RED_S = 10.0  # what each who stands at a red light when the horizon ends will wait at least
PATIENCE_S = 90.0  # after so long at a red light a vehicle counts for more than one
URGENCY_S = 15.0  # for one more with each of these
STAGE, AGE, BEFORE, FIRST, CHANGE = range(5)  # columns of a candidate's marks
NONE = -1


@dataclass(frozen=True, slots=True)
class Plan:
    """The best sequence: `stage` is the first that it changes to, in `change_s`; None: it keeps what runs."""

    stage: int | None  # place among the junction's stages
    change_s: int
    delay_veh_s: float  # of the whole horizon and what is left at its end


class Search:
    """One search from `stage`, which has been green for `age_s`. `plan` is there once `advance` says so.

    A candidate's marks: the stage that runs or is cleared for, seconds of green (negative while clearing), the stage
    before, the first stage that it changed to and when.
    """

    def __init__(self, traffic: Traffic, serves: Flags, stage: int, age_s: float, intervals: Intervals) -> None:
        self._traffic, self._serves = traffic, serves
        self._min_green = math.ceil(intervals.min_green_s)
        self._clearance = math.ceil(intervals.clearance_s)
        self._best = np.maximum(traffic.discharge.max(axis=0), 1e-9)
        self._weight = 1.0 + np.maximum(traffic.waited_s - PATIENCE_S, 0.0) / URGENCY_S
        stages = np.arange(len(serves))
        self._others = np.array([stages[stages != one] for one in stages])
        self._queue = traffic.queue[None, :].copy()
        self._marks = np.array([[stage, int(max(age_s, 0.0)), NONE, NONE, HORIZON_S]])
        self._cost = np.zeros(1)
        self._second = 0
        self.stage = stage

    def advance(self, seconds: int) -> bool:
        """Look so many seconds further; whether the horizon is reached."""
        for second in range(self._second, min(self._second + seconds, HORIZON_S)):
            if second < FINE_S or second % 2 == 0:
                self._branch(second)
            self._serve(self._traffic.arrivals[second])
            self._prune()
            self._second = second + 1
        return self._second >= HORIZON_S

    @property
    def plan(self) -> Plan:
        best = int(np.argmin(self._expected()))
        first, change = int(self._marks[best, FIRST]), int(self._marks[best, CHANGE])
        return Plan(None if first == NONE else first, change, float(self._expected()[best]))

    def _branch(self, second: int) -> None:
        """Beside each candidate whose minimum green has passed: the same, clearing for each other stage."""
        free = np.flatnonzero(self._marks[:, AGE] >= self._min_green)
        if not len(free):
            return
        parents = np.repeat(free, self._others.shape[1])
        marks = self._marks[parents]
        marks[:, BEFORE] = marks[:, STAGE]
        marks[:, STAGE] = self._others[self._marks[free, STAGE]].ravel()
        marks[:, AGE] = -self._clearance
        fresh = marks[:, FIRST] == NONE
        marks[fresh, FIRST], marks[fresh, CHANGE] = marks[fresh, STAGE], second
        self._marks = np.concatenate([self._marks, marks])
        self._queue = np.concatenate([self._queue, self._queue[parents]])
        self._cost = np.concatenate([self._cost, self._cost[parents]])

    def _serve(self, arrivals: Floats) -> None:
        """One second: who arrives, who leaves, who waits. A lane that is green before and after is never cleared."""
        stage, age, before = self._marks[:, STAGE], self._marks[:, AGE], self._marks[:, BEFORE]
        clearing = age < 0
        runs = np.where(clearing, before, stage)
        share = np.where(
            clearing, YELLOW[np.clip(age + self._clearance, 0, 2)], STARTUP[np.clip(age, 0, 2)]
        )  # `before` is NONE only where age is past the start-up
        through = self._serves[stage] & self._serves[before] & (before != NONE)[:, None]
        share = np.where(through, 1.0, share[:, None])
        self._queue = np.maximum(self._queue + arrivals - self._traffic.discharge[runs] * share, 0.0)
        self._cost = self._cost + self._queue @ self._weight
        self._marks[:, AGE] += 1

    def _expected(self) -> Floats:
        """Cost so far, and what those who still wait will wait: the queue's own time, and a red light's."""
        red = ~self._serves[self._marks[:, STAGE]]
        rest = self._queue * self._queue / (2 * self._best) + RED_S * self._queue * red
        left: Floats = rest @ self._weight
        return self._cost + left

    def _prune(self) -> None:
        """The best of each stage and second of its beginning, as in the dynamic programme; of all these the best."""
        expected = self._expected()
        began = self._marks[:, STAGE] * AGES + np.minimum(self._marks[:, AGE] + self._clearance, AGES - 1)
        order = np.lexsort((expected, began))
        first = np.ones(len(order), np.bool_)
        first[1:] = began[order][1:] != began[order][:-1]
        kept = order[first]
        if len(kept) > WIDTH:
            kept = kept[np.argpartition(expected[kept], WIDTH)[:WIDTH]]
        self._queue, self._marks, self._cost = self._queue[kept], self._marks[kept], self._cost[kept]
