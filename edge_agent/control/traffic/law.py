"""The law: one observation in, one request out. No IO, no clock; nothing asked for while too little is seen.

    hold        the running stage is still the best: do not end it
    call        another one is better as soon as the minimum green has passed: be ready to change
    force off   another one is better: end the running stage and change

What may be asked for in which form is after NTCIP 1202 (phase call, hold, force-off). A request that is not renewed
lapses in the cabinet, which then runs its own plan.
"""

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from edge_agent.control.traffic.junction import Intervals, Junction
from edge_agent.control.traffic.queues import Detections, Queues
from edge_agent.control.traffic.search import HORIZON_S, Plan, Search

NS = 1_000_000_000
THINK_NS = NS  # a new search so often
SIGHTED_MIN = 0.5  # share of the lanes that must be seen; with fewer the cabinet's own plan knows better


class Ask(IntEnum):
    """The first digit of a request as a cabinet takes it: 100 · ask + stage; 0 asks for nothing."""

    NOTHING = 0
    CALL = 1
    HOLD = 2
    FORCE_OFF = 3


@dataclass(frozen=True, slots=True)
class Request:
    ask: Ask
    stage: int  # as the cabinet counts them
    why: str

    @property
    def code(self) -> int:
        return 100 * self.ask + self.stage if self.ask else 0


class Running(NamedTuple):
    """What the cabinet says of itself. `stage` 0 while it clears for `next_stage`."""

    stage: int
    next_stage: int
    age_s: float


def nothing(why: str) -> Request:
    return Request(Ask.NOTHING, 0, why)


class Law:
    """`observe` every reading in order of time, `step` in every tick; what it asks stands until the next search."""

    def __init__(self, junction: Junction, slice_s: int = HORIZON_S) -> None:
        """`slice_s`: how many seconds of the horizon one step may look through."""
        self.junction = junction
        self.queues = Queues(junction)
        self._slice_s = slice_s
        self._search: Search | None = None
        self._next_ns = 0  # when to search again
        self._plan: Plan | None = None
        self._planned_in = -1  # the stage that the plan was made in

    def observe(self, at_ns: int, seen: Detections, running: Running) -> None:
        """Take what the detectors said at `at_ns`."""
        self.queues.observe(at_ns / NS, seen, self.junction.index(running.stage), running.age_s)

    def step(self, now_ns: int, running: Running, intervals: Intervals) -> Request:
        """What to ask for now."""
        stage = self.junction.index(running.stage)
        if not intervals.plausible:
            return nothing("the cabinet's intervals make no sense; it runs its own plan")
        if blind := self._blind():
            self._search = self._plan = None
            return nothing(blind)
        if stage is None:
            return self._while_clearing(running)
        self._think(now_ns, stage, running.age_s, intervals)
        if self._plan is None or self._planned_in != stage:
            return Request(Ask.HOLD, running.stage, "no plan yet")
        return self._asked(self._plan, running, intervals)

    def _blind(self) -> str:
        sighted = self.queues.sighted
        if sighted.mean() >= SIGHTED_MIN:
            return ""
        unseen = [lane.name for lane, seen in zip(self.junction.lanes, sighted, strict=True) if not seen]
        return f"not seen: {', '.join(unseen)}; the cabinet runs its own plan"

    def _while_clearing(self, running: Running) -> Request:
        self._search = self._plan = None
        if self.junction.index(running.next_stage) is None:
            return nothing(
                f"stage {running.stage or running.next_stage} is none of this junction's; the cabinet runs its own plan"
            )
        return Request(Ask.HOLD, running.next_stage, "it comes next")

    def _think(self, now_ns: int, stage: int, age_s: float, intervals: Intervals) -> None:
        if self._search is not None and self._search.stage != stage:
            self._search = None
        if self._search is None and (now_ns >= self._next_ns or self._planned_in != stage):
            traffic = self.queues.traffic(HORIZON_S, stage)
            self._search = Search(traffic, self.queues.serves, stage, age_s, intervals)
            self._next_ns = now_ns + THINK_NS
        if self._search is not None and self._search.advance(self._slice_s):
            self._plan, self._planned_in, self._search = self._search.plan, stage, None

    def _asked(self, plan: Plan, running: Running, intervals: Intervals) -> Request:
        if plan.stage is None:
            return Request(Ask.HOLD, running.stage, f"best for {HORIZON_S} s, {plan.delay_veh_s:.0f} veh·s")
        number = self.junction.stages[plan.stage].number
        why = f"stage {number} in {plan.change_s} s, {plan.delay_veh_s:.0f} veh·s"
        until_free_s = math.ceil(max(0.0, intervals.min_green_s - running.age_s))
        if plan.change_s > until_free_s:
            return Request(Ask.HOLD, running.stage, why)
        return Request(Ask.CALL if until_free_s else Ask.FORCE_OFF, number, why)
