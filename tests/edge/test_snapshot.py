"""What a snapshot says about time, and how it is made of a configuration and of a twin's frame."""

from dataclasses import replace

import numpy as np

from edge_agent.image import Frame, Layout
from edge_agent.snapshot import Mode, TwinNames, TwinState
from protos.clock import NS
from tests.edge.local.scene import BAD, ESTIMATED, UTC_NS, snapshot

QUANTITIES = {"level": "percentage", "leak": "duration", "level_sd": "percentage", "leak_sd": "duration", "nis": "ratio", "coasting": "duration"}  # fmt: skip  # noqa: E501


def test_a_twin_is_made_of_its_points_and_its_frame() -> None:
    names = TwinNames.of("tank", QUANTITIES, 5 * NS)
    assert names.states == ("level", "leak")
    assert names.units == ("%", "s")
    codes = np.array([ESTIMATED, BAD, ESTIMATED, ESTIMATED, 0, 0], np.uint8)
    frame = Frame(Layout("tank", tuple(QUANTITIES)), 7, 7, np.array([1.9, 0.2, 0.01, 0.1, 1.1, 2.5]), codes)
    twin = TwinState.of(names, frame, "tank 3", "current")
    assert twin.values.tolist() == [1.9, 0.2]
    assert twin.sd.tolist() == [0.01, 0.1]
    assert twin.codes.tolist() == [ESTIMATED, BAD]
    assert (twin.nis, twin.coasting_ns, twin.at_ns, twin.model) == (1.1, 5 * NS // 2, 7, "tank 3")


def test_an_estimate_counts_for_three_steps_of_its_twin() -> None:
    one = snapshot(100 * NS)
    assert one.estimate_until_ns(0, 0) == 101 * NS, "a second at the least"
    slow = one.roster.twins[0]._replace(period_ns=60 * NS)
    made = replace(one.twins[0], at_ns=80 * NS)
    late = replace(one, roster=replace(one.roster, twins=(slow, one.roster.twins[1])), twins=(made, one.twins[1]))
    assert late.estimate_until_ns(0, 0) == 260 * NS
    assert late.estimate_until_ns(1, 0) == 0, "BAD"


def test_nothing_counts_when_the_loop_has_stopped() -> None:
    one = snapshot(100 * NS, mode=Mode.STOPPED)
    assert one.decision_until_ns(0) == one.estimate_until_ns(0, 0) == 0
    assert snapshot(100 * NS).decision_until_ns(0) == 105 * NS
    assert snapshot(100 * NS).decision_until_ns(2) == 0, "not touched yet"


def test_monotonic_times_become_utc_while_that_is_known() -> None:
    assert snapshot(100 * NS).utc(101 * NS) == UTC_NS + NS
    assert snapshot(100 * NS, utc=False).utc(101 * NS) is None
