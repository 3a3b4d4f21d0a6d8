"""Every rule about outputs that a reviewer from the field looks for, each with a test named after it.

The numbers are those of the list of control safety rules that the design was made from.
"""

import math
from dataclasses import MISSING, fields, replace
from itertools import pairwise

import numpy as np
import pytest

from edge_agent.cell import Output
from edge_agent.config.gateway import SITE
from edge_agent.control.arbiter import Arbiter
from edge_agent.control.guard import Guard
from edge_agent.control.hand import LONGEST_NS, Hand
from edge_agent.control.order import CentralOrder, EmergencyOrder, Instruction
from edge_agent.image import View
from edge_agent.loop import Loop
from edge_agent.setpoint import Authority, Decision, Rank
from tests.edge.control.stage import OUTPUT, PERIOD_NS, VOICES, Device, S, Span, Stage, wish_of

SLOW = replace(OUTPUT, slew_per_s=10.0)  # 1 per tick
PUMP = replace(OUTPUT, high=1.0, min_on_ns=S // 2, min_off_ns=S // 2)


def view_at(now_ns: int) -> View:
    nothing = np.zeros(0)
    return View(now_ns, nothing, nothing.astype(np.uint8), nothing.astype(np.int64))


# ---- 1: every output declares how it may be used


def test_rule_01_an_output_cannot_be_made_without_its_declarations() -> None:
    needed = {"safe", "ttl_ns", "low", "high", "slew_per_s", "min_on_ns", "min_off_ns", "lifetime_writes"}
    has_default = {one.name for one in fields(Output) if one.default is not MISSING}
    assert not needed & has_default
    with pytest.raises(TypeError, match="ttl_ns"):
        Output(name="valve", point="pump/valve", safe=0.0)  # type: ignore[call-arg]


@pytest.mark.parametrize(("wanted", "given"), [(150.0, 100.0), (-5.0, 0.0), (42.0, 42.0)])
def test_rule_01_bounds(wanted: float, given: float) -> None:
    assert Stage().tick({"pid": wanted}).value == given


def test_rule_01_slew_limit_counts_from_what_is_really_applied() -> None:
    stage = Stage(SLOW, Device(40.0))
    assert [one.value for one in stage.ticks(3, {"pid": 80.0})] == pytest.approx([41.0, 42.0, 43.0])
    assert [one.value for one in stage.ticks(2, {"pid": 0.0})] == pytest.approx([42.0, 41.0])


def test_rule_01_slew_limit_earns_nothing_from_a_late_tick() -> None:
    stage = Stage(replace(SLOW, ttl_ns=3600 * S, readback_ns=3600 * S), Device(40.0))
    stage.tick({"pid": 80.0})
    assert stage.tick({"pid": 80.0}, after_ns=60 * S).value == pytest.approx(44.0)  # three periods' worth


@pytest.mark.parametrize(("first", "second", "rule"), [(1.0, 0.0, "minimum on time"), (0.0, 1.0, "minimum off time")])
def test_rule_01_minimum_times(first: float, second: float, rule: str) -> None:
    stage = Stage(PUMP, Device(1.0 - first))
    stage.ticks(6, {"pid": 1.0 - first})
    assert stage.tick({"pid": first}).value == first
    held = stage.ticks(4, {"pid": second})
    assert [(one.value, one.limited) for one in held] == [(first, rule)] * 4
    assert stage.tick({"pid": second}).value == second


def test_rule_01_a_wish_lapses_after_the_ttl_and_then_it_is_safe() -> None:
    stage = Stage()
    stage.tick({"pid": 70.0})
    silent = stage.ticks(10)
    assert [one.value for one in silent[:9]] == [70.0] * 9
    assert (silent[9].value, silent[9].authority, silent[9].limited) == (0.0, Authority.FAILSAFE, "lapsed")
    assert "pid has not renewed" in silent[9].why
    assert stage.device.value == 0.0


@pytest.mark.parametrize("jump", [True, False])
def test_rule_01_the_safe_value_is_reached_at_once_unless_declared_otherwise(jump: bool) -> None:
    stage = Stage(replace(SLOW, safe_jump=jump), Device(40.0))
    stage.tick({"pid": 40.0})
    stage.ticks(9)
    assert stage.tick().value == pytest.approx(0.0 if jump else 39.0)


# ---- 3: the priority is fixed

ORDERED = [
    # who wishes what                                      value  who decides       authority         overruled
    ({"schedule": 10.0}, 10.0, "schedule", Authority.LOCAL, ()),
    ({"pid": 20.0, "schedule": 10.0}, 20.0, "pid", Authority.LOCAL, ("schedule",)),
    ({"order": 30.0, "pid": 20.0}, 30.0, "order", Authority.CENTRAL, ("pid",)),
    ({"emergency-order": 40.0, "order": 30.0}, 40.0, "emergency-order", Authority.CENTRAL, ("order",)),
    ({"hand": 50.0, "emergency-order": 40.0}, 50.0, "hand", Authority.HAND, ("emergency-order",)),
    ({"interlock": 60.0, "hand": 50.0}, 60.0, "interlock", Authority.LOCAL, ("hand",)),
    ({"interlock": (0.0, 25.0), "hand": 50.0}, 25.0, "hand", Authority.HAND, ("hand",)),
    ({"interlock": (0.0, 25.0), "order": 20.0}, 20.0, "order", Authority.CENTRAL, ()),
    ({"interlock": (0.0, 25.0), "pid": (10.0, 90.0)}, 10.0, "pid", Authority.LOCAL, ()),
    ({"pid": (30.0, 60.0), "schedule": 90.0}, 60.0, "schedule", Authority.LOCAL, ("schedule",)),
    ({"pid": 20.0, "twin": 30.0}, 20.0, "pid", Authority.LOCAL, ("twin",)),  # the file's order within a rank
]


@pytest.mark.parametrize(("wishes", "value", "by", "authority", "overruled"), ORDERED)
def test_rule_03_priority(
    wishes: dict[str, float | Span], value: float, by: str, authority: Authority, overruled: tuple[str, ...]
) -> None:
    decision = Stage().tick(wishes)
    assert (decision.value, decision.by, decision.authority, decision.overruled) == (value, by, authority, overruled)


def test_rule_03_nobody_is_heard_out_of_order() -> None:
    arbiter = Arbiter([OUTPUT])
    arbiter.begin(Guard([OUTPUT], PERIOD_NS).standing())
    arbiter.narrow(VOICES[4], [], 1)
    with pytest.raises(ValueError, match="is heard after OPTIMISER"):
        arbiter.narrow(VOICES[1], [wish_of(5.0)], 1)


def test_rule_03_the_guard_comes_after_all_and_nothing_takes_it_out() -> None:
    """Neither a controller of any rank, nor what is given to a loop, nor a key of a gateway's file."""
    for voice in VOICES:
        stage = Stage(SLOW, Device(40.0))
        assert stage.tick({voice.name: 80.0}).limited == "slew", voice.name
    assert not {one.name for one in fields(Loop)} & {"guard", "arbiter", "safe", "outputs"}, "each loop makes its own"
    tables = {key.name: key.section for key in SITE.keys if key.name in ("control", "output", "controller")}
    known = {key.name for section in tables.values() if section is not None for key in section.keys}
    assert {"safe", "ttl_s", "period_ms", "kind"} <= known
    assert not {name for name in known for word in ("guard", "bypass", "disable", "enable", "unsafe") if word in name}


def test_rule_03_an_interlock_limits_even_the_safe_value() -> None:
    stage = Stage()
    stage.tick({"pid": 70.0})
    stage.ticks(9, {"interlock": (50.0, 100.0)})
    decision = stage.tick({"interlock": (50.0, 100.0)})
    assert (decision.value, decision.authority, decision.limited) == (50.0, Authority.FAILSAFE, "interlock")


def test_rule_03_a_hand_is_timed_and_visible_and_ends_by_itself() -> None:
    hand = Hand([OUTPUT])
    hand.set("valve", 30.0, 2 * S, "kim", "flushing", now_ns=S)
    (wish,) = hand.decide(view_at(S), [])
    assert (wish.low, wish.high, wish.not_after_ns, wish.why) == (30.0, 30.0, 3 * S, "kim: flushing")
    assert [(one.who, one.until_ns) for one in hand.active] == [("kim", 3 * S)]
    assert not hand.decide(view_at(3 * S), [])
    hand.set("valve", 30.0, 2 * S, "kim", "", now_ns=4 * S)
    assert hand.decide(view_at(4 * S), [])
    hand.release("valve")
    assert not hand.decide(view_at(4 * S), [])


@pytest.mark.parametrize(
    ("output", "value", "lasts_ns", "told"),
    [
        ("door", 1.0, S, "there are valve"),
        ("valve", 101.0, S, "give 0 to 100"),
        ("valve", math.nan, S, "give 0 to 100"),
        ("valve", 1.0, LONGEST_NS + 1, "86400 s"),
        ("valve", 1.0, 0, "1 s to"),
    ],
)
def test_rule_03_a_hand_that_is_not_allowed_is_told_what_is(
    output: str, value: float, lasts_ns: int, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        Hand([OUTPUT]).set(output, value, lasts_ns, "kim", "", 0)


def test_rule_03_a_hand_goes_on_after_a_reload_where_its_output_is_left() -> None:
    """Or is told; what waits in the letter box counts as what is in force."""
    other, gone = replace(OUTPUT, name="fan", point="fan/speed"), replace(OUTPUT, name="lamp", point="lamp/level")
    tighter = replace(OUTPUT, high=30.0)
    hand = Hand([OUTPUT, gone, other])
    for name, value in (("valve", 20.0), ("lamp", 30.0)):
        hand.set(name, value, 60 * S, "ann", "", 0)
    hand.decide(view_at(S), ())
    hand.set("fan", 40.0, 60 * S, "bob", "noise", 2 * S)  # nobody has heard of it yet
    hand.release("valve")
    hand.set("valve", 25.0, 90 * S, "ann", "", 2 * S)
    moved, lost = hand.moved_to([other, tighter])
    assert {(one.output, one.value, one.who, one.until_ns) for one in moved.active} == {
        (0, 40.0, "bob", 62 * S),
        (1, 25.0, "ann", 92 * S),
    }
    assert lost == ["lamp (lamp/level) is no output any more; ann held it at 30"]
    assert {wish.output for wish in moved.decide(view_at(61 * S), ())} == {0, 1}
    assert not moved.decide(view_at(93 * S), ())
    again, lost = moved.moved_to([replace(tighter, point="other/valve")])
    assert (again.active, lost) == ((), [])  # their time was up

    hand.set("valve", 35.0, 60 * S, "ann", "", 0)
    moved, lost = hand.moved_to([tighter])
    assert moved.active == ()
    assert "valve may now be 0 to 30 only; ann held it at 35" in lost


def test_rule_03_what_a_hand_or_an_order_takes_back_is_not_ridden_out() -> None:
    for who in ("hand", "order", "emergency-order"):
        stage = Stage()
        stage.tick({who: 70.0})
        assert stage.tick().authority is Authority.FAILSAFE  # not after the TTL: now


# ---- 2, 4, 5, 23: orders are wishes with an end (what is accepted: test_orders.py)


def test_rule_02_an_order_is_a_controller_with_a_place_in_the_priority() -> None:
    assert (CentralOrder.RANK, EmergencyOrder.RANK) == (Rank.CENTRAL, Rank.EMERGENCY)
    orders = CentralOrder()
    orders.give(Instruction("a", 0, 30.0, 5 * S, 1, "peak"))
    (wish,) = orders.decide(view_at(S), [])
    assert (wish.low, wish.high, wish.not_after_ns, wish.why) == (30.0, 30.0, 5 * S, "order a: peak")
    orders.give(Instruction("b", 0, 40.0, 5 * S, 2, ""))
    assert [one.low for one in orders.decide(view_at(2 * S), [])] == [40.0]
    assert not orders.decide(view_at(5 * S), [])


def test_rule_05_an_order_is_over_at_the_first_tick_after_its_end() -> None:
    """At most one period late, though nothing comes from outside any more; it is not ridden out on the TTL."""
    stage, orders, begun_ns = Stage(replace(OUTPUT, ttl_ns=60 * S)), CentralOrder(), 1000 * S
    orders.give(Instruction("a", 0, 30.0, begun_ns + 10 * PERIOD_NS + 1, 1, ""))
    for number in range(1, 13):
        view = view_at(begun_ns + number * PERIOD_NS)
        decision = stage.tick_of(orders.name, orders.decide(view, ()))
        over = view.now_ns > begun_ns + 10 * PERIOD_NS
        assert (decision.value, decision.authority) == (
            (0.0, Authority.FAILSAFE) if over else (30.0, Authority.CENTRAL)
        )


def test_rule_05_an_order_ends_by_the_monotonic_clock_whatever_the_wall_says() -> None:
    orders = CentralOrder()
    orders.give(Instruction("a", 0, 30.0, 5 * S, 1, ""))
    for utc_ns in (None, 0, 10**18, -(10**18)):
        view = view_at(4 * S)
        assert orders.decide(View(view.now_ns, view.values, view.codes, view.age_ns, utc_ns), [])
    assert not orders.decide(view_at(5 * S), [])


def test_rule_23_all_stop_revokes_every_order_at_or_below_its_fence() -> None:
    orders = CentralOrder()
    for fence in (1, 2, 3):
        orders.give(Instruction(str(fence), fence, 30.0, 5 * S, fence, ""))
    assert len(orders.decide(view_at(S), [])) == 3
    orders.revoke(2)
    assert [one.output for one in orders.decide(view_at(S), [])] == [3]


def test_rule_23_all_stop_is_heard_even_when_the_letter_box_is_full() -> None:
    orders = CentralOrder()
    while orders.give(Instruction("flood", 0, 30.0, 5 * S, 1, "")):
        pass
    orders.revoke(1)
    assert not orders.decide(view_at(S), [])


# ---- 6: the device's own dead-man


def test_rule_06_a_devices_own_timeout_is_fed_whatever_the_budget_says() -> None:
    lease = replace(OUTPUT, refresh_ns=S, device_timeout_ns=2 * S, lifetime_writes=1_000)
    stage = Stage(lease)
    stage.ticks(2_001, {"pid": 60.0})
    assert len(stage.device.writes) == 201  # once a second, though ten years would allow 50 now


def test_rule_06_an_output_that_nobody_has_set_is_not_fed() -> None:
    stage = Stage(replace(OUTPUT, refresh_ns=S, device_timeout_ns=2 * S))
    stage.ticks(100)
    assert not stage.device.writes


LEASE = replace(OUTPUT, slew_per_s=10.0, refresh_ns=S // 2, device_timeout_ns=S)


@pytest.mark.parametrize("ttl_s", [1, 60])
def test_rule_06_a_device_that_its_own_timeout_has_made_safe_is_taken_over_from_there(ttl_s: int) -> None:
    """The agent was stopped for 35 s and goes on: no fault of the device's, no pause, and no jump."""
    stage = Stage(replace(LEASE, ttl_ns=ttl_s * S), Device(40.0))
    assert stage.ticks(30, {"pid": 42.0})[-1].value == 42.0
    stage.device.value = 0.0
    first = stage.tick({"pid": 42.0}, after_ns=35 * S)
    assert 0.0 <= first.value <= 10.0 * 3 * PERIOD_NS / S
    values = [first.value, *(one.value for one in stage.ticks(60, {"pid": 42.0}))]
    assert max(b - a for a, b in pairwise(values)) <= 1.0 + 1e-9
    assert values[-1] == stage.device.value == 42.0
    assert not stage.guard.alarms()
    assert stage.guard.failsafes_total == 0


def test_rule_06_a_device_that_takes_no_writes_is_not_excused_by_its_timeout() -> None:
    stage = Stage(LEASE, Device(0.0))
    stage.ticks(30, {"pid": 42.0})
    stage.device.stuck, stage.device.value = True, 0.0
    assert stage.tick({"pid": 42.0}, after_ns=35 * S).authority is Authority.LOCAL
    assert stage.ticks(7, {"pid": 42.0})[-1].limited == "read-back"


# ---- 9, 10: accepted is not actuated; writes are counted


def test_rule_09_accepted_is_not_actuated() -> None:
    stage = Stage(device=Device(10.0, stuck=True))
    first = stage.tick({"pid": 60.0})
    assert first.value == 60.0
    later = stage.ticks(6, {"pid": 60.0})
    assert [one.authority for one in later[:5]] == [Authority.LOCAL] * 5
    assert (later[5].value, later[5].limited) == (0.0, "read-back")
    assert "told 60, shows 10 after 0.6 s" in later[5].why
    assert stage.guard.alarms() == {"valve": later[5].why}


def test_rule_09_a_device_that_moves_by_itself_is_noticed() -> None:
    stage = Stage(device=Device(10.0))
    stage.ticks(10, {"pid": 60.0})
    stage.device.value = 75.0  # somebody at its panel
    decision = stage.tick({"pid": 60.0})
    assert (decision.value, decision.limited, decision.why) == (0.0, "read-back", "shows 75, was told 60")


def test_rule_09_a_write_that_nobody_answers_ends_in_the_safe_state() -> None:
    stage = Stage(device=Device(10.0))
    stage.ticks(2, {"pid": 10.0})
    stage.device.dead = True
    last = stage.ticks(8, {"pid": 60.0})[-1]
    assert (last.value, last.limited) == (0.0, "read-back")
    assert "no answer" in last.why
    stage.device.dead = False
    stage.ticks(12, {"pid": 60.0})
    assert stage.device.value == 0.0  # it is written as soon as it can be
    assert stage.tick({"pid": 60.0}).authority is Authority.FAILSAFE
    stage.tick(after_ns=61 * S)
    assert stage.tick({"pid": 60.0}).value == 60.0  # a minute later it may again


def test_rule_09_a_register_that_rounds_is_believed() -> None:
    stage = Stage(SLOW, Device(40.0, rounds=0.3))
    last = stage.ticks(100, {"pid": 77.7})[-1]
    assert last.authority is Authority.LOCAL
    assert not stage.guard.alarms()


def test_rule_09_what_the_register_cannot_hold_is_obeyed_as_it_is() -> None:
    stage = Stage(replace(SLOW, step=2.5), Device(40.0, rounds=2.5))
    assert stage.ticks(60, {"pid": 76.0})[-1].value == 76.0
    assert stage.guard.obeyed() == [True]
    assert len(stage.device.writes) < 20  # one for each step, not for each tick


def test_rule_09_time_in_which_the_agent_stood_still_is_not_the_devices() -> None:
    """Between a write and its read-back the agent was stopped, longer than the device may take."""
    guard, now = Guard([replace(OUTPUT, ttl_ns=60 * S)], PERIOD_NS), 1000 * S
    guard.seen(0, 40.0, now - 1)

    def tick(at_ns: int) -> Decision:
        (judged,) = guard.judge([Decision(60.0, Authority.LOCAL, "pid", "", at_ns + 60 * S)], at_ns)
        return judged

    tick(now)
    assert guard.due(now)
    now += 35 * S
    assert tick(now).authority is Authority.LOCAL
    guard.written(0, 60.0, now + 1, applied=True)
    assert tick(now + PERIOD_NS).authority is Authority.LOCAL
    assert guard.obeyed() == [True]


def test_rule_09_a_moving_wish_does_not_hide_a_stuck_device() -> None:
    stage = Stage(SLOW, Device(40.0, stuck=True))
    assert stage.ticks(8, {"pid": 80.0})[-1].limited == "read-back"


def test_rule_10_writes_are_on_change_and_refreshed() -> None:
    stage = Stage(replace(OUTPUT, refresh_ns=S))
    stage.ticks(31, {"pid": 60.0})
    assert stage.device.writes == [60.0] * 4  # at once, and after each second


def test_rule_10_a_register_that_wears_out_keeps_its_writes_for_ten_years() -> None:
    stage = Stage(replace(OUTPUT, lifetime_writes=100_000))
    for number in range(200):
        stage.tick({"pid": 40.0 + number % 2})
    assert len(stage.device.writes) == 50
    assert stage.tick({"pid": 90.0}).limited == "write budget"
    stage.ticks(11)
    assert stage.device.value == 0.0  # the safe value is never refused


def test_rule_10_a_write_in_flight_is_not_taken_back() -> None:
    """A change within the tolerance of what is on its way is none, though the device does not hold it yet."""
    guard = Guard([replace(OUTPUT, lifetime_writes=100_000, tolerance=1.0)], PERIOD_NS)
    guard.seen(0, 40.0, 1)
    for tick, wanted in enumerate((60.0, 60.5, 59.5), 1):
        (judged,) = guard.judge([Decision(wanted, Authority.LOCAL, "pid", "", 9 * S)], tick * PERIOD_NS)
        assert judged.value == 60.0
        assert [write.value for write in guard.due(tick * PERIOD_NS)] == ([60.0] if tick == 1 else [])


def test_rule_10_a_dead_device_does_not_cost_its_life() -> None:
    stage = Stage(replace(OUTPUT, lifetime_writes=100_000), Device(40.0))
    stage.tick({"pid": 40.0})
    stage.device.dead = True
    stage.ticks(6_000, {"pid": 60.0})
    assert stage.guard.saved()["valve"] < 20  # in ten minutes
    stage.device.dead = False
    stage.ticks(2)
    assert stage.device.value == 0.0  # and when it is back it is safe at once


def test_rule_10_a_worn_register_is_not_refreshed() -> None:
    stage = Stage(replace(OUTPUT, lifetime_writes=1_000, refresh_ns=S), writes={"valve": 999})
    stage.ticks(50, {"pid": 40.0})
    assert len(stage.device.writes) == 2  # the last one, and the safe value


def test_rule_10_what_an_earlier_life_wrote_counts() -> None:
    stage = Stage(replace(OUTPUT, lifetime_writes=1_000), writes={"valve": 999})
    stage.tick({"pid": 40.0})
    assert stage.guard.saved() == {"valve": 1000}
    decision = stage.tick({"pid": 41.0})
    assert (decision.value, decision.limited) == (0.0, "write budget")
    assert "replace it" in stage.guard.alarms()["valve"]


# ---- 13: the Simplex rule: nonsense is nobody's wish, and who talks it is not asked for a while


@pytest.mark.parametrize("nonsense", [math.nan, math.inf, -math.inf, (50.0, 40.0)])
def test_rule_13_nonsense_counts_for_nothing(nonsense: float | Span) -> None:
    stage = Stage()
    decision = stage.tick({"twin": nonsense, "schedule": 5.0})
    assert (decision.value, decision.by) == (5.0, "schedule")
    assert stage.arbiter.conduct.records["twin"].faults_total == 1


def test_rule_13_a_decision_that_is_no_number_is_the_safe_value() -> None:
    guard = Guard([OUTPUT], PERIOD_NS)
    guard.seen(0, 40.0, 1)
    for value in (math.nan, math.inf):
        (judged,) = guard.judge([Decision(value, Authority.LOCAL, "twin", "", 5 * S)], S)
        assert (judged.value, judged.limited) == (0.0, "finite")


def test_rule_13_out_of_its_envelope_a_model_is_clamped_counted_and_disabled() -> None:
    stage = Stage()
    values = [stage.tick({"twin": 500.0, "schedule": 5.0}) for _ in range(6)]
    assert [one.by for one in values] == ["twin"] * 4 + ["schedule"] * 2
    assert values[0].value == 100.0
    assert stage.arbiter.excursions_total["twin"] == 5
    assert "tank@1 wishes 500" in stage.arbiter.conduct.disabled(stage.now_ns)["twin"]
    stage.tick({"schedule": 5.0}, after_ns=60 * S)
    assert stage.tick({"twin": 50.0, "schedule": 5.0}).by == "twin"  # healed after a pause
    assert stage.tick({"twin": 500.0, "schedule": 5.0}).by == "twin"
    stage.ticks(4, {"twin": 500.0, "schedule": 5.0})
    assert stage.tick({"twin": 50.0, "schedule": 5.0}).by == "schedule"


def test_rule_13_a_saturated_regulator_has_not_left_its_envelope() -> None:
    stage = Stage()
    assert [one.value for one in stage.ticks(10, {"pid": 500.0})] == [100.0] * 10


# ---- 14, 15: start without a bump, and not before somebody may decide


def test_rule_14_it_begins_from_what_the_device_shows() -> None:
    stage = Stage(SLOW, Device(64.0))
    assert stage.guard.standing()[0].by == ""
    assert stage.tick({"pid": 0.0}).value == pytest.approx(63.0)


def test_rule_14_what_cannot_be_read_begins_from_the_safe_value() -> None:
    stage = Stage(replace(SLOW, safe=20.0), Device(64.0), polled=False)
    waiting = stage.ticks(6, {"pid": 80.0})
    assert not any(one.acts for one in waiting)
    assert stage.tick({"pid": 80.0}).value == 20.0
    assert stage.tick({"pid": 80.0}).value == pytest.approx(21.0)


def test_rule_15_outputs_are_not_touched_until_somebody_may_decide() -> None:
    stage = Stage(device=Device(64.0))
    assert not any(one.acts for one in stage.ticks(100))
    assert stage.tick().authority is Authority.NOBODY
    assert not stage.device.writes


def test_rule_15_or_they_are_set_to_safe_where_that_is_declared() -> None:
    stage = Stage(replace(OUTPUT, start="safe"), Device(64.0))
    assert (stage.tick().value, stage.device.value) == (0.0, 0.0)


def test_rule_15_what_an_earlier_life_has_touched_is_safe_within_the_ttl() -> None:
    stage = Stage(device=Device(64.0), writes={"valve": 3})
    assert not any(one.acts for one in stage.ticks(10))
    assert (stage.tick().value, stage.device.value) == (0.0, 0.0)


# ---- 18, 20: limits and modes


def test_rule_18_limits_only_tighten() -> None:
    stage = Stage()
    assert stage.tick({"interlock": (-50.0, 500.0), "pid": 300.0}).value == 100.0
    assert stage.tick({"order": (0.0, 30.0), "pid": 90.0}).value == 30.0


def test_rule_20_authority_and_its_reason_are_in_every_decision() -> None:
    stage = Stage()
    seen = [
        stage.tick(wishes)
        for wishes in ({}, {"pid": 1.0}, {"order": 2.0}, {"hand": 3.0}, {})  # the hand is withdrawn at the end
    ]
    assert [one.authority.value for one in seen] == ["nobody", "local", "central", "hand", "failsafe"]
    assert all(one.why for one in seen)


def test_a_tick_from_the_past_changes_nothing() -> None:
    stage = Stage(SLOW, Device(40.0))
    stage.ticks(3, {"pid": 80.0})
    assert stage.tick({"pid": 80.0}, after_ns=-5 * S).value == pytest.approx(43.0)
