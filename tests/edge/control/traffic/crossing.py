"""A crossing for the tests: two lanes, north and east, each with a stage of its own, and a left turn beside north."""

import math
from collections.abc import Sequence

import numpy as np

from edge_agent.control.traffic.junction import Intervals, Junction, read_junction
from edge_agent.control.traffic.queues import Detections, Traffic
from edge_agent.control.traffic.search import HORIZON_S, Search

INTERVALS = Intervals(min_green_s=5, yellow_s=3, all_red_s=1)
NAMES = ("north", "east", "left")
STAGES = {1: ["north", "left yields"], 2: ["east"], 3: ["north", "left"]}
SERVES = np.array([[True, False, True], [False, True, False], [True, False, True]])
DISCHARGE = np.array([[0.5, 0.0, 0.35], [0.0, 0.5, 0.0], [0.5, 0.0, 0.5]])


def crossing(forwarded_m: Sequence[float] = (), share: Sequence[float] = ()) -> Junction:
    junction, flaws = read_junction(NAMES, [70.0], [14.0], [1800.0], STAGES, forwarded_m, share)
    assert not flaws
    return junction


def detections(
    between: Sequence[float] = (0, 0, 0),
    arrived: Sequence[float] = (0, 0, 0),
    departed: Sequence[float] = (0, 0, 0),
    covered: Sequence[float] = (0, 0, 0),
    standing: Sequence[float] = (0, 0, 0),
    forwarded: Sequence[float] = (math.nan, math.nan, math.nan),
) -> Detections:
    columns = (arrived, departed, between, covered, standing, forwarded)
    return Detections(*(np.array(column, float) for column in columns))


NOTHING = Detections(*(np.full(len(NAMES), math.nan) for _ in range(6)))


def traffic(
    queue: Sequence[float], arrivals: Sequence[float] = (0.05, 0.05, 0.05), waited_s: Sequence[float] = (0, 0, 0)
) -> Traffic:
    """A queue now, and the same arrivals in every second (veh/s)."""
    steady = np.tile(np.array(arrivals, float), (HORIZON_S, 1))
    return Traffic(np.array(queue, float), steady, DISCHARGE.copy(), np.array(waited_s, float))


def search(state: Traffic, stage: int = 0, age_s: float = 20, intervals: Intervals = INTERVALS) -> Search:
    return Search(state, SERVES, stage, age_s, intervals)
