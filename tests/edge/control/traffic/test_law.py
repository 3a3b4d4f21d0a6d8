"""What is asked for, second by second: calls, holds, force-offs, and nothing when too little is seen."""

import pytest

from edge_agent.control.traffic.junction import Intervals
from edge_agent.control.traffic.law import NS, Ask, Law, Request, Running
from edge_agent.control.traffic.queues import Detections
from tests.edge.control.traffic.crossing import INTERVALS, NOTHING, crossing, detections

NORTH, EAST = Running(1, 0, 20.0), Running(2, 0, 20.0)
WAITING_EAST = detections(between=(0, 6, 0))


def asked(law: Law, second: int, seen: Detections, running: Running, intervals: Intervals = INTERVALS) -> Request:
    law.observe(second * NS, seen, running)
    return law.step(second * NS, running, intervals)


@pytest.mark.parametrize(
    ("why", "seen", "running", "expected"),
    [
        ("who waits elsewhere", WAITING_EAST, NORTH, (Ask.FORCE_OFF, 2)),
        ("before the minimum green it is only called", WAITING_EAST, Running(1, 0, 2.0), (Ask.CALL, 2)),
        ("who runs and waits is held", WAITING_EAST, EAST, (Ask.HOLD, 2)),
        ("what comes next is held while it clears", WAITING_EAST, Running(0, 2, 1.0), (Ask.HOLD, 2)),
        ("a stage that is none of ours", WAITING_EAST, Running(9, 0, 20.0), (Ask.NOTHING, 0)),
        ("nothing is seen", NOTHING, NORTH, (Ask.NOTHING, 0)),
    ],
)
def test_table(why: str, seen: Detections, running: Running, expected: tuple[Ask, int]) -> None:
    request = asked(Law(crossing()), 1, seen, running)
    assert (request.ask, request.stage) == expected, why
    assert request.why


@pytest.mark.parametrize(("request_", "code"), [((Ask.FORCE_OFF, 2), 302), ((Ask.CALL, 3), 103), ((Ask.NOTHING, 0), 0)])
def test_codes(request_: tuple[Ask, int], code: int) -> None:
    assert Request(*request_, "").code == code


def test_what_the_cabinet_says_of_its_intervals_counts() -> None:
    """With a minimum green of 25 s what would be forced is only called; nonsense asks for nothing."""
    assert asked(Law(crossing()), 1, WAITING_EAST, NORTH, Intervals(25, 3, 1)).ask is Ask.CALL
    assert asked(Law(crossing()), 1, WAITING_EAST, NORTH, Intervals(5, 3, 999)).ask is Ask.NOTHING


def test_a_search_in_slices_asks_for_the_running_stage_until_it_has_ended() -> None:
    law = Law(crossing(), slice_s=10)
    answers = [asked(law, 1, WAITING_EAST, NORTH)]
    answers += [law.step(NS + k * NS // 10, NORTH, INTERVALS) for k in (1, 2)]
    assert [one.ask for one in answers] == [Ask.HOLD, Ask.HOLD, Ask.FORCE_OFF]


def test_it_comes_back_when_lanes_are_seen_again() -> None:
    law = Law(crossing())
    asks = [asked(law, k, seen, NORTH).ask for k, seen in enumerate([WAITING_EAST, NOTHING, WAITING_EAST], 1)]
    assert asks == [Ask.FORCE_OFF, Ask.NOTHING, Ask.FORCE_OFF]
