"""What is wrong with a site is told all at once; what is right becomes a junction."""

import pytest

from edge_agent.control.traffic.junction import LANES_MAX, Intervals, Lane, Service, read_junction
from tests.edge.control.traffic.crossing import crossing


def test_a_site_is_read() -> None:
    junction = crossing()
    assert junction.lanes[2] == Lane("left", 70.0, 14.0, 0.5)
    assert junction.lanes[0].travel_s == 5.0
    assert junction.stages[0].serves == {"north": Service.FULL, "left": Service.YIELDS}
    assert (junction.index(3), junction.index(9)) == (2, None)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"names": []}, "are 0"),
        ({"names": [f"l{k}" for k in range(LANES_MAX + 1)]}, f"are {LANES_MAX + 1}"),
        ({"names": ["a", "a"]}, "has a twice"),
        ({"distances_m": [90.0, 80.0, 70.0]}, "has 3 numbers for 2 lanes"),
        ({"speeds_m_s": [0.0]}, "below 0.1"),
        ({"forwarded_m": [60.0, 300.0]}, "is not above distance_m for a"),
        ({"stages": {1: ["a", "c"], 2: ["b"]}}, "serves c, which is no lane"),
        ({"stages": {1: ["a quickly"], 2: ["b"]}}, "says quickly of a"),
        ({"stages": {1: ["a", "b"]}}, "are 1"),
        ({"stages": {1: ["a"], 2: []}}, "serves no lane"),
        ({"stages": {1: ["a"], 2: ["a"]}}, "has b, which no stage serves"),
    ],
)
def test_a_flaw_is_told(change: dict[str, list[str]], wrong: str) -> None:
    site: dict[str, object] = {
        "names": ["a", "b"],
        "distances_m": [90.0],
        "speeds_m_s": [13.9],
        "saturation_veh_h": [1800.0],
        "stages": {1: ["a"], 2: ["b"]},
    }
    _, flaws = read_junction(**(site | change))  # type: ignore[arg-type]
    assert any(wrong in flaw.wrong for flaw in flaws)
    assert all(flaw.remedy for flaw in flaws)


def test_all_flaws_are_told_at_once() -> None:
    _, flaws = read_junction(["a", "a"], [1.0, 2.0, 3.0], [0.0], [1800.0], {1: ["z"]})
    assert len(flaws) >= 5


@pytest.mark.parametrize(("intervals", "plausible"), [((5, 3, 1), True), ((5, -1, 0), False), ((900, 3, 0), False)])
def test_intervals(intervals: tuple[float, float, float], plausible: bool) -> None:
    assert Intervals(*intervals).plausible == plausible
