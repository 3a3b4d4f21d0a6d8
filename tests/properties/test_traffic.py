"""The law and a cabinet through hours of made-up traffic: no lamp rule is ever broken, and nobody waits for ever."""

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.control.traffic.junction import Intervals
from edge_agent.control.traffic.law import NS, Law, Running
from tests.edge.control.traffic.crossing import SERVES, crossing, detections
from tests.simulators.cabinet import Cabinet, Groups

LAMPS = ("GrG", "rGr", "GrG")  # of the crossing's lanes
GROUPS = Groups(LAMPS, (20, 15, 10), frozenset({(0, 1), (1, 2)}))
HEADWAY_S = 2
THINK_S = 2
PLAYED_S = 300
LONGEST_WAIT_S = 120


class Road:
    """Vertical queues: whoever arrives waits at the line; in green one leaves in each headway."""

    def __init__(self) -> None:
        self.waiting: list[deque[int]] = [deque() for _ in range(3)]
        self.arrived, self.departed = [0] * 3, [0] * 3
        self.longest = 0

    def second(self, now: int, lamps: str, new: list[bool]) -> None:
        for lane, queue in enumerate(self.waiting):
            if new[lane]:
                self.arrived[lane] += 1
                queue.append(now)
            if queue and lamps[lane] in "Gg" and now % HEADWAY_S == 0:
                self.longest = max(self.longest, now - queue.popleft())
                self.departed[lane] += 1
            if queue:
                self.longest = max(self.longest, now - queue[0])


@settings(max_examples=3, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.floats(0.0, 0.2), st.floats(0.0, 0.15), st.floats(0.0, 0.1)),
    st.integers(4, 12),
    st.integers(2, 5),
    st.integers(0, 2),
    st.integers(0, 3),
)
def test_lamps_are_never_wrong_and_nobody_waits_for_ever(
    seed: int, rates: tuple[float, float, float], min_green: int, yellow: int, all_red: int, lag: int
) -> None:
    longest = play(Cabinet(GROUPS, min_green, yellow, all_red), seed, rates, lag, min_green)
    assert longest <= LONGEST_WAIT_S


def play(cabinet: Cabinet, seed: int, rates: tuple[float, float, float], lag: int, min_green: int) -> int:
    """Some minutes of road, law and cabinet; the longest wait, s. Fails when a lamp is wrong."""
    chance = np.random.default_rng(seed)
    law, road = Law(crossing()), Road()
    late: deque[int] = deque([0] * lag)
    greens: dict[int, int] = {}
    for now in range(PLAYED_S):
        lamps = cabinet.tick()
        road.second(now, lamps, [bool(one) for one in chance.random(3) < rates])
        note(greens, cabinet, lamps, min_green)
        seen = detections([len(one) for one in road.waiting], road.arrived, road.departed)
        running = Running(0 if cabinet.next_stage else cabinet.stage, cabinet.next_stage, cabinet.age_s)
        law.observe(now * NS, seen, running)
        if now % THINK_S == 0:
            intervals = Intervals(cabinet.min_green_s, cabinet.yellow_s, cabinet.all_red_s)
            late.append(law.step(now * NS, running, intervals).code)
            assert cabinet.request(late.popleft())
    return road.longest


def note(greens: dict[int, int], cabinet: Cabinet, lamps: str, min_green: int) -> None:
    """Each lane's green lasts as long as it must, and no two that conflict have it together."""
    assert not GROUPS.conflicts(lamps)
    if cabinet.next_stage:
        after = LAMPS[cabinet.next_stage - 1]
        for lane in range(3):
            if lamps[lane] == "G":
                assert after[lane] == "G"
        return
    for lane in range(3):
        if lamps[lane] == "G":
            greens[lane] = greens.get(lane, 0) + 1
        elif lane in greens:
            assert greens.pop(lane) >= min_green


def test_a_careless_cabinet_is_caught() -> None:
    """Negative control: one that ends a green after 2 s breaks a minimum of 10 s, and the play says so."""
    with pytest.raises(AssertionError):
        play(Cabinet(GROUPS, min_green_s=2), 1, (0.2, 0.15, 0.1), 0, min_green=10)


def test_stages_of_the_crossing_are_those_of_the_lamps() -> None:
    assert (np.array([[lamp == "G" for lamp in one] for one in LAMPS]) == SERVES).all()
