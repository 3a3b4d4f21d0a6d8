"""Queues and arrivals from detectors, second by second."""

import math

import numpy as np
import pytest

from edge_agent.control.traffic.queues import BLOCKED_S, DISCHARGE_LOW, Detections, Queues
from tests.edge.control.traffic.crossing import NOTHING, crossing, detections

NORTH_GREEN, EAST_GREEN = 0, 1


def observed(*rows: Detections, stage: int | None = EAST_GREEN, age_s: float = 20.0) -> Queues:
    """These readings, a second apart."""
    queues = Queues(crossing())
    for second, row in enumerate(rows):
        queues.observe(float(second), row, stage, age_s + second)
    return queues


def test_who_has_just_passed_the_loop_is_on_the_way() -> None:
    queues = observed(detections(between=(4, 0, 0)), detections(between=(6, 0, 0), arrived=(2, 0, 0)))
    assert queues.queue[0] == 4
    arrivals = queues.traffic(30, EAST_GREEN).arrivals[:, 0]
    assert arrivals[5] == pytest.approx(2 + queues.rate[0])  # 70 m at 14 m/s
    assert arrivals[:5].sum() == 0


def test_who_is_past_the_free_travel_time_waits() -> None:
    rows = [detections(), *[detections(between=(2, 0, 0), arrived=(2, 0, 0))] * 6]
    assert observed(*rows[:5]).queue[0] == 0
    assert observed(*rows).queue[0] == 2


def test_more_on_the_way_than_there_are_changed_lane() -> None:
    queues = observed(detections(), detections(between=(1, 0, 0), arrived=(3, 0, 0)))
    assert queues.queue[0] == 0
    assert queues.traffic(30, EAST_GREEN).arrivals[5, 0] == pytest.approx(1 + queues.rate[0])


def test_a_covered_loop_hides_a_queue_beyond() -> None:
    full = detections(between=(8, 0, 0), covered=(1, 0, 0))
    queues = observed(detections(between=(8, 0, 0)), *[full] * 20)
    assert queues.queue[0] > 8
    queues.observe(21.0, detections(between=(8, 0, 0)), EAST_GREEN, 41.0)
    assert queues.queue[0] == 8


def test_a_lane_that_somebody_blocks_discharges_nothing() -> None:
    stuck = detections(between=(0, 0, 5), standing=(0, 0, 1))
    queues = observed(*[stuck] * (int(BLOCKED_S) + 2), stage=NORTH_GREEN)
    discharge = queues.traffic(30, NORTH_GREEN).discharge
    assert discharge[0, 2] == DISCHARGE_LOW
    assert discharge[2, 2] == 0.5  # where it goes protected it is free


def test_who_waits_is_remembered_until_it_moves() -> None:
    waiting = detections(between=(2, 0, 0), standing=(1, 0, 0))
    queues = observed(*[waiting] * 11)
    assert queues.waited_s.tolist() == [10, 0, 0]
    queues.observe(11.0, waiting, NORTH_GREEN, 1.0)
    assert queues.waited_s[0] == 10
    queues.observe(12.0, detections(between=(1, 0, 0), departed=(1, 0, 0)), NORTH_GREEN, 2.0)
    assert queues.waited_s[0] == 0


def test_discharge_follows_what_is_seen() -> None:
    rows = [detections(between=(10, 0, 0), departed=(0.25 * second, 0, 0)) for second in range(400)]
    queues = observed(*rows, stage=NORTH_GREEN)
    assert queues.discharge[0, 0] == pytest.approx(0.25, abs=0.03)
    assert queues.discharge[2, 0] == 0.5  # another stage has not been seen


def test_rates_follow_departures() -> None:
    rows = [detections(departed=(0, 0.2 * second, 0)) for second in range(600)]
    assert observed(*rows).rate[1] == pytest.approx(0.2, abs=0.02)


def test_without_a_count_of_the_zone_arrivals_less_departures_count() -> None:
    unknown = (math.nan,) * 3
    rows = [detections(unknown, (second, 0, 0), standing=(1, 0, 1)) for second in range(10)]
    queues = observed(*rows)
    assert queues.sighted.all()
    assert queues.between.tolist() == [10, 0, 1]  # somebody at the line counts, however it came there
    for second in range(10, 16):  # nobody there: whatever was counted, it is gone
        queues.observe(second, detections(unknown, (9, 0, 0)), NORTH_GREEN, second)
    assert queues.between.tolist() == [0, 0, 0]


def test_a_blind_lane_grows_in_red_and_shrinks_in_green() -> None:
    rows = [NOTHING] * 60
    queues = observed(*rows)
    assert not queues.sighted.any()
    grown = queues.between[0]
    assert grown > 1
    for second in range(60, 80):
        queues.observe(second, NOTHING, NORTH_GREEN, second - 60)
    assert queues.between[0] < grown


def test_whom_a_neighbour_counted_is_expected_until_the_own_loop_counts_them() -> None:
    """280 m at 14 m/s are 20 s; the own loop lies 5 s before the line."""
    queues = Queues(crossing([280, 0, 0], [0.5, 1, 1]))
    for second in range(3):
        queues.observe(second, detections(forwarded=(10 + 2 * (second > 0), 7, math.nan)), EAST_GREEN, 20.0)
    arrivals = queues.traffic(30, EAST_GREEN).arrivals
    assert arrivals[:20, 0].tolist() == [0] * 19 + [1.0]  # two counted a second ago, half of them for this lane
    assert arrivals[20:, 0] == pytest.approx(queues.rate[0])
    assert arrivals[5:, 1] == pytest.approx(queues.rate[1])  # nobody counts for the others
    for second in range(3, 17):
        queues.observe(second, detections(forwarded=(12, 7, math.nan)), EAST_GREEN, 20.0)
    assert queues.traffic(30, EAST_GREEN).arrivals[:19, 0].sum() == 0


def test_a_neighbour_that_falls_silent_leaves_the_rate() -> None:
    queues = Queues(crossing([280, 0, 0]))
    for second, count in enumerate([10.0, 12.0, math.nan]):
        queues.observe(second, detections(forwarded=(count, math.nan, math.nan)), EAST_GREEN, 20.0)
    assert queues.traffic(30, EAST_GREEN).arrivals[5:, 0] == pytest.approx(queues.rate[0])


def test_counters_that_begin_anew_bring_nobody() -> None:
    queues = observed(detections(arrived=(60_000, 0, 0)), detections(arrived=(3, 0, 0)))
    assert queues.traffic(30, EAST_GREEN).arrivals[:, 0].max() < 1


def test_a_long_pause_brings_no_flood() -> None:
    queues = observed(detections())
    queues.observe(3600.0, detections(arrived=(40, 40, 40), departed=(40, 40, 40)), EAST_GREEN, 20.0)
    assert (queues.queue == 0).all()


def test_nonsense_stays_finite() -> None:
    wild = Detections(*(np.array([-1e9, 1e300, 7.5]) for _ in range(6)))
    queues = observed(wild, NOTHING, wild, detections())
    found = queues.traffic(30, NORTH_GREEN)
    assert all(np.isfinite(one).all() for one in (found.queue, found.arrivals, found.discharge, found.waited_s))
