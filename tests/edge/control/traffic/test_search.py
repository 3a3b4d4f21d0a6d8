"""The beam search against tables and against sequences that are played by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.control.traffic.junction import Intervals
from edge_agent.control.traffic.queues import Traffic
from edge_agent.control.traffic.search import FINE_S, HORIZON_S, RED_S, Search
from tests.edge.control.traffic.crossing import DISCHARGE, INTERVALS, SERVES, search, traffic


def planned(one: Search) -> tuple[int | None, int]:
    assert one.advance(HORIZON_S)
    return one.plan.stage, one.plan.change_s


@pytest.mark.parametrize(
    ("why", "queue", "stage", "age_s", "expected"),
    [
        ("who waits elsewhere is served at once", (0, 6, 0), 0, 20, (1, 0)),
        ("not before the minimum green", (0, 6, 0), 0, 2, (1, 3)),
        ("many left turns go protected", (0, 0, 12), 1, 20, (2, 0)),
    ],
)
def test_table(why: str, queue: tuple[int, ...], stage: int, age_s: float, expected: tuple[int, int]) -> None:
    assert planned(search(traffic(queue), stage, age_s)) == expected, why


def test_a_queue_is_served_before_the_stage_ends() -> None:
    stage, change_s = planned(search(traffic((6, 6, 0)), 0, 20))
    assert stage == 1
    assert 10 <= change_s <= 16  # six vehicles at one in two seconds


def test_a_platoon_that_comes_is_let_through() -> None:
    """One waits on the side, eight arrive on the main road in three seconds: they pass first."""
    arrivals = np.full((HORIZON_S, 3), 0.02)
    arrivals[3:11, 0] += 1
    state = Traffic(np.array([0.0, 1.0, 0.0]), arrivals, DISCHARGE.copy(), np.zeros(3))
    assert planned(search(state, 0, 20))[1] >= 10


def test_who_has_waited_very_long_is_served() -> None:
    """Against a saturated main road; nobody else waits for ever."""
    busy = (0.45, 0.0, 0.0)
    assert planned(search(traffic((12, 1, 0), busy), 0, 60))[1] > 5
    assert planned(search(traffic((12, 1, 0), busy, (0, 600, 0)), 0, 60))[1] <= 2


def test_slices_decide_as_the_whole() -> None:
    whole, sliced = search(traffic((5, 4, 3))), search(traffic((5, 4, 3)))
    assert whole.advance(HORIZON_S)
    assert [sliced.advance(7) for _ in range(5)] == [False, False, False, False, True]
    assert sliced.plan == whole.plan


def by_hand(state: Traffic, changes: list[tuple[int, int]], stage: int, intervals: Intervals) -> float:
    """What a sequence of (second, stage) costs, vehicle by vehicle class, without any array of candidates."""
    clearance = round(intervals.clearance_s)
    queue, cost, age, before = list(state.queue), 0.0, 100, stage
    for second in range(HORIZON_S):
        for at, after in changes:
            if at == second:
                before, stage, age = stage, after, -clearance
        for lane in range(len(queue)):
            share = {-clearance: 1.0, -clearance + 1: 0.5}.get(age, 0.0) if age < 0 else {0: 0.0, 1: 0.5}.get(age, 1.0)
            if SERVES[before][lane] and SERVES[stage][lane]:
                share = 1.0
            rate = DISCHARGE[before if age < 0 else stage][lane]
            queue[lane] = max(0.0, queue[lane] + state.arrivals[second][lane] - rate * share)
        cost += sum(queue)
        age += 1
    best = DISCHARGE.max(axis=0)
    red = [RED_S * (not SERVES[stage][lane]) for lane in range(len(queue))]
    return float(cost + sum(q * q / (2 * mu) + q * r for q, mu, r in zip(queue, best, red, strict=True)))


COUNTS = st.integers(0, 15)
RATES = st.floats(0, 0.3)


@settings(max_examples=10, deadline=None)
@given(st.tuples(COUNTS, COUNTS, COUNTS), st.tuples(RATES, RATES, RATES), st.integers(0, 2))
def test_no_simple_sequence_is_much_better(
    queue: tuple[int, int, int], rates: tuple[float, float, float], stage: int
) -> None:
    """Every sequence of at most two changes, played by hand: the beam may lose little against the best of them."""
    state = traffic(queue, rates)
    one = search(state, stage, 20)
    one.advance(HORIZON_S)
    seconds = [s for s in range(HORIZON_S) if s < FINE_S or s % 2 == 0]
    apart = round(INTERVALS.clearance_s + INTERVALS.min_green_s)
    others = [k for k in range(len(SERVES)) if k != stage]
    simple: list[list[tuple[int, int]]] = [[], *([(s, k)] for s in seconds for k in others)]
    simple += [
        [(s, k), (t, m)]
        for s in seconds[::2]
        for k in others
        for t in seconds[::4]
        if t >= s + apart
        for m in {0, 1, 2} - {k}
    ]
    best = min(by_hand(state, sequence, stage, INTERVALS) for sequence in simple)
    assert one.plan.delay_veh_s <= 1.02 * best + 1.0


def test_the_hand_counts_alike() -> None:
    """Negative control: the beam's own cost of doing nothing is the hand's, and a change too early costs more."""
    state = traffic((0, 8, 0), (0.0, 0.2, 0.0))
    one = search(state, 1, 100)
    one.advance(HORIZON_S)
    keeping = by_hand(state, [], 1, INTERVALS)
    changes = [] if one.plan.stage is None else [(one.plan.change_s, one.plan.stage)]
    assert one.plan.change_s > 20
    assert one.plan.delay_veh_s == pytest.approx(by_hand(state, changes, 1, INTERVALS))
    assert one.plan.delay_veh_s <= keeping
    assert all(by_hand(state, [(at, 0)], 1, INTERVALS) > keeping for at in range(4))
