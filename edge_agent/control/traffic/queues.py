"""Queues and arrivals of each lane from its own detectors: what waits, what comes, how fast it leaves.

Vehicles between the advance loop and the stop line are either on their way (they passed the loop less than the free
travel time ago) or wait; a vertical queue at the stop line, as in COP (Sen and Head, Transportation Science 31, 1997).
Beyond the loop, arrivals come as a neighbour counted them, and beyond that at the rate of the last minutes. The
discharge of a lane in a stage starts at the site's saturation flow and follows what is seen while a queue is served,
so that a left turn that waits for gaps, or a lane that somebody blocks, is known by what it did.

What is missing is replaced, in this order: the count of the zone by arrivals less departures, corrected by who stands
at the stop line; an advance loop by the rate of departures; a lane of which neither is known by a queue that grows at
its last rate in red and shrinks in green (`Queues.sighted` says which lanes are really seen).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edge_agent.control.traffic.junction import Junction

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

RATE_TAU_S = 180.0  # memory of arrivals: a platoon does not change the rate, a peak hour does
DISCHARGE_TAU_S = 60.0  # memory of discharge, in seconds of served queue
USUAL_VEH_S = 0.06  # before anything was counted: 216 vehicles an hour and lane
DISCHARGE_LOW, DISCHARGE_HIGH = 0.05, 0.65  # veh/s and lane: what no discharge is below or above
STARTUP_S = 2.0  # after the change to green nothing is learned: it is start-up
BLOCKED_S = 4.0  # green, somebody stands at the line, and nobody leaves for so long: blocked
JAM_M = 7.0  # of lane for each who stands, with the gap before
SPILL_S = 3.0  # a loop that is covered for so long lies under the queue
FREE_S = 3.0  # a stop line free for so long has no queue behind it
EXPECTED_S = 10.0  # after which what the centre expected is no longer believed
GAP_MAX_S = 30.0  # between two observations; after more the counters begin anew
BETWEEN_MAX = 100.0  # vehicles in one lane before the stop line: more is nonsense
COUNTER_JUMP = 50.0  # vehicles in one step: a counter that was reset, not a platoon


class Detections(NamedTuple):
    """What the detectors of all lanes say, arrays (lanes,); NaN where it is not known."""

    arrived: Floats  # passages of the advance loop since the counter began
    departed: Floats  # of the stop line
    between: Floats  # vehicles between the two
    covered: Floats  # 1 while the advance loop is covered
    standing: Floats  # 1 while the loop at the stop line is covered
    forwarded: Floats  # passages that a neighbour counted, upstream of all this


@dataclass(frozen=True, eq=False, slots=True)
class Traffic:
    """What the search starts from. `arrivals` (seconds, lanes) reach the stop line in that second from now."""

    queue: Floats
    arrivals: Floats
    discharge: Floats  # (stages, lanes) veh/s; 0 where the stage does not serve the lane
    waited_s: Floats  # how long somebody has waited at a red light


class Expected(NamedTuple):
    """Whom the centre expects: `beyond` (seconds, lanes) vehicles reach the advance loop in that second from `at_s`."""

    at_s: float
    beyond: Floats


class Queues:
    """Takes one observation after the other; `traffic` is what is believed now."""

    def __init__(self, junction: Junction) -> None:
        count, stages = len(junction.lanes), junction.stages
        self.travel_s = np.array([lane.travel_s for lane in junction.lanes])
        self._room = np.array([lane.distance_m for lane in junction.lanes]) / JAM_M
        saturation = np.array([lane.saturation_veh_s for lane in junction.lanes])
        share = [[s.serves[x.name].value if x.name in s.serves else 0.0 for x in junction.lanes] for s in stages]
        self.discharge = np.array(share) * saturation
        self.serves: Flags = self.discharge > 0
        self.rate = np.full(count, USUAL_VEH_S)
        self.between = np.zeros(count)
        self.waited_s = np.zeros(count)
        self.sighted: Flags = np.zeros(count, np.bool_)
        self._coming: list[list[float]] = [[] for _ in junction.lanes]  # when each reaches the stop line, s
        self._lanes = junction.lanes
        self._promised: list[list[float]] = [[] for _ in junction.lanes]  # likewise, as a neighbour counted them
        self._told: Flags = np.zeros(count, np.bool_)  # whose neighbour is heard
        self._beyond = np.zeros(count)  # queued upstream of a covered advance loop
        self._covered_s = np.zeros(count)
        self._green: int | None = None  # the stage that was green last
        self._idle_s = np.zeros(count)  # green, somebody at the line, nobody leaves
        self._free_s = np.zeros(count)
        self._counters: tuple[Floats, ...] | None = None
        self._now_s = 0.0
        self._expected: Expected | None = None

    def expect(self, expected: Expected | None) -> None:
        """What the centre expects, until it is `EXPECTED_S` old or another is given; None withdraws it.

        It takes the place of the mean rate beyond what is counted here. Raises ValueError for what does not fit.
        """
        if expected is not None:
            fits = expected.beyond.ndim == 2 and expected.beyond.shape[1] == len(self.rate)
            if not fits or not np.isfinite(expected.beyond).all() or (expected.beyond < 0).any():
                raise ValueError(
                    f"expected arrivals {expected.beyond.shape}: give (seconds, {len(self.rate)} lanes), none below 0"
                )
        self._expected = expected

    @property
    def queue(self) -> Floats:
        """Vehicles that wait, or roll in a queue that dissolves."""
        return np.maximum(self.between - [len(one) for one in self._coming], 0.0) + self._beyond

    def observe(self, now_s: float, seen: Detections, stage: int | None, age_s: float) -> None:
        """Take one reading. `stage` is the place of the stage that has green, None while the cabinet clears."""
        step_s = now_s - self._now_s
        self._now_s = now_s
        arrived, departed, forwarded = self._counted(seen)
        if not 0 < step_s <= GAP_MAX_S:
            step_s, arrived, departed, forwarded = 0.0, 0 * arrived, 0 * departed, 0 * forwarded
        green = self.serves[stage] if stage is not None else np.zeros_like(self.sighted)
        if stage not in (None, self._green):
            self._green = stage
            self._idle_s[:] = 0.0  # who was blocked in another stage may be free in this one
        self._locate(now_s, step_s, seen, arrived, departed, green)
        self._hear(now_s, forwarded)
        self._judge(step_s, seen, departed, green)
        self.rate += (np.nan_to_num(departed) - np.where(np.isnan(departed), 0.0, self.rate) * step_s) / RATE_TAU_S
        if stage is not None and age_s > STARTUP_S:
            self._learn(step_s, departed, stage)

    def traffic(self, horizon_s: int, stage: int | None) -> Traffic:
        """What is known now, for a search from `stage`."""
        arrivals = np.zeros((horizon_s, len(self.rate)))
        for lane, it in enumerate(self._lanes):
            arrivals[:, lane] = self._in_each_second(self._coming[lane], horizon_s)
            if self._told[lane]:
                arrivals[:, lane] += it.share * self._in_each_second(self._promised[lane], horizon_s)
            known_s = int(it.forwarded_s if self._told[lane] else it.travel_s)
            arrivals[known_s:, lane] += self._further(lane, known_s - it.travel_s, horizon_s - known_s)
        discharge = self.discharge.copy()
        if stage is not None:
            blocked = self.serves[stage] & (self._idle_s >= BLOCKED_S)
            discharge[stage, blocked] = DISCHARGE_LOW
        return Traffic(self.queue, arrivals, discharge, self.waited_s.copy())

    def _further(self, lane: int, ahead_s: float, seconds: int) -> Floats:
        """Who reaches the loop in each second from `ahead_s` on: as the centre expects, or at the mean rate."""
        found = np.full(max(seconds, 0), self.rate[lane])
        told, age_s = self._expected, self._now_s - (self._expected.at_s if self._expected else 0.0)
        if told is not None and 0 <= age_s <= EXPECTED_S:
            beyond = told.beyond[int(ahead_s + age_s) :, lane][: len(found)]
            found[: len(beyond)] = beyond
        return found

    def _in_each_second(self, times_s: Sequence[float], horizon_s: int) -> Floats:
        seconds = (np.array(times_s) - self._now_s).astype(np.int64)
        return np.bincount(seconds, minlength=horizon_s)[:horizon_s].astype(np.float64)

    def _counted(self, seen: Detections) -> tuple[Floats, Floats, Floats]:
        """Arrivals, departures and a neighbour's count since the observation before; NaN where one is not known."""
        counters = (seen.arrived, seen.departed, seen.forwarded)
        before = self._counters or counters
        self._counters = tuple(np.where(np.isnan(now), then, now) for now, then in zip(counters, before, strict=True))
        arrived, departed, forwarded = (grown(now, then) for now, then in zip(counters, before, strict=True))
        return arrived, departed, forwarded

    def _locate(
        self, now_s: float, step_s: float, seen: Detections, arrived: Floats, departed: Floats, green: Flags
    ) -> None:
        """Who is between the loops, who of them is on the way, and who stands beyond."""
        by_count = ~np.isnan(arrived) & ~np.isnan(departed)
        self.sighted = ~np.isnan(seen.between) | by_count
        counted = self.between + arrived - departed
        left = np.where(np.isnan(departed), green * self.discharge.max(axis=0) * step_s, departed)
        blind = self.between + self.rate * step_s - left
        between = np.where(np.isnan(seen.between), np.where(by_count, counted, blind), seen.between)
        self.between = np.clip(between, 0.0, BETWEEN_MAX)
        self._free_s = np.where(seen.standing == 0, self._free_s + step_s, 0.0)
        self._covered_s = np.where(seen.covered == 1, self._covered_s + step_s, 0.0)
        for lane, coming in enumerate(self._coming):
            new = 0 if np.isnan(arrived[lane]) else int(arrived[lane])
            coming += [now_s + self.travel_s[lane]] * new
            later = [second for second in coming if second > now_s]
            if np.isnan(seen.between[lane]):
                self._correct(lane, len(later), bool(seen.standing[lane] == 1))
            coming[:] = later[max(0, len(later) - round(self.between[lane])) :]
        self._beyond = np.where(self._covered_s >= SPILL_S, self._beyond + self.rate * step_s, 0.0)

    def _correct(self, lane: int, coming: int, standing: bool) -> None:
        """Counters do not see who changes lane: where nobody is at the line nobody waits, and somebody there counts.

        Where the advance loop stays covered the lane is full.
        """
        if self._free_s[lane] >= FREE_S:
            self.between[lane] = coming
        elif self._covered_s[lane] >= SPILL_S:
            self.between[lane] = max(self.between[lane], self._room[lane])
        elif standing:
            self.between[lane] = max(self.between[lane], coming + 1)

    def _hear(self, now_s: float, forwarded: Floats) -> None:
        """Whom the neighbour has counted, until they reach the advance loop and are counted there."""
        for lane, promised in enumerate(self._promised):
            it = self._lanes[lane]
            self._told[lane] = it.forwarded_m > 0 and not np.isnan(forwarded[lane])
            if self._told[lane]:
                promised += [now_s + it.forwarded_s] * int(forwarded[lane])
            promised[:] = [second for second in promised if second > now_s + it.travel_s]

    def _judge(self, step_s: float, seen: Detections, departed: Floats, green: Flags) -> None:
        """Who is blocked though green, and who has waited how long at a red light."""
        stuck = green & (seen.standing == 1) & (departed == 0)
        gone = (departed > 0) | (seen.standing == 0)
        self._idle_s = np.where(stuck, self._idle_s + step_s, np.where(gone, 0.0, self._idle_s))
        waiting = ~green & ((self.queue >= 1) | (seen.standing == 1))
        kept = green & (departed == 0)  # green, but it has not begun to move
        self.waited_s = np.where(waiting, self.waited_s + step_s, np.where(kept, self.waited_s, 0.0))

    def _learn(self, step_s: float, departed: Floats, stage: int) -> None:
        served = self.serves[stage] & ~np.isnan(departed) & (self.queue + np.nan_to_num(departed) >= 1)
        rate = self.discharge[stage]
        moved = rate + (np.nan_to_num(departed) - rate * step_s) / DISCHARGE_TAU_S
        self.discharge[stage] = np.where(served, np.clip(moved, DISCHARGE_LOW, DISCHARGE_HIGH), rate)


def grown(now: Floats, then: Floats) -> Floats:
    """How far counters have moved; 0 where one began anew, NaN where one is not known."""
    step = now - then
    return np.where((step < 0) | (step > COUNTER_JUMP), 0.0, step)
