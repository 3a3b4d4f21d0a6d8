"""The life of an alarm, told by values and times."""

import pytest

from aggregator.twin.alarms import MINUTE_NS, NS, Alarms, BadAlarm, Name, Priority, Rule, State

PUMP = Name("pump-1", "pressure high")
RULE = Rule(PUMP, limit=10.0, action="close valve 3", deadband=1.0, on_delay_ns=5 * NS, off_delay_ns=10 * NS)


def desk(*rules: Rule) -> Alarms:
    return Alarms(rules or (RULE,))


def test_a_whole_life() -> None:
    alarms = desk()
    assert alarms.observe(PUMP, 11.0, 0) == []  # the delay runs
    (raised,) = alarms.tick(5 * NS)
    assert (raised.before, raised.after, raised.at_ns) == (State.NORMAL, State.UNACKNOWLEDGED, 5 * NS)
    assert raised.announced
    assert [one.rule.name for one in alarms.standing] == [PUMP]
    (known,) = alarms.acknowledge(PUMP, "ada", 6 * NS)
    assert (known.after, known.why) == (State.ACKNOWLEDGED, "acknowledged by ada")
    assert alarms.observe(PUMP, 9.5, 7 * NS) == []  # within the deadband
    assert alarms.observe(PUMP, 8.9, 8 * NS) == []
    (over,) = alarms.tick(60 * NS)
    assert (over.at_ns, over.after) == (18 * NS, State.NORMAL)
    assert alarms.standing == []


def test_back_to_normal_before_anybody_knew() -> None:
    alarms = desk()
    alarms.observe(PUMP, 11.0, 0)
    alarms.observe(PUMP, 8.0, 6 * NS)
    assert [one.after for one in alarms.tick(20 * NS)] == [State.RETURNED]
    assert [one.after for one in alarms.acknowledge(PUMP, "ada", 21 * NS)] == [State.NORMAL]
    with pytest.raises(BadAlarm, match="nothing to acknowledge"):
        alarms.acknowledge(PUMP, "ada", 22 * NS)


def test_a_short_excursion_is_none_and_nan_says_nothing() -> None:
    alarms = desk()
    alarms.observe(PUMP, 11.0, 0)
    alarms.observe(PUMP, 8.0, 4 * NS)
    assert alarms.tick(100 * NS) == []
    alarms.observe(PUMP, 11.0, 101 * NS)
    assert [one.after for one in alarms.observe(PUMP, float("nan"), 107 * NS)] == [State.UNACKNOWLEDGED]


def test_again_while_it_stands_is_the_same_alarm() -> None:
    alarms = desk()
    for second in range(0, 100, 10):
        alarms.observe(PUMP, 12.0, second * NS)
    assert alarms[PUMP].raised == 1
    assert len(alarms.standing) == 1


def test_shelved_until_the_shelf_ends() -> None:
    alarms = desk()
    (shelved,) = alarms.shelve(PUMP, "ada", "sensor is being changed", until_ns=100 * NS, now_ns=0)
    assert shelved.after is State.SHELVED
    assert alarms.observe(PUMP, 11.0, 1 * NS) == []
    assert alarms.standing == []
    (back,) = alarms.tick(200 * NS)
    assert (back.at_ns, back.before, back.after, back.announced) == (
        100 * NS,
        State.SHELVED,
        State.UNACKNOWLEDGED,
        True,
    )
    for why, until in (("", 300 * NS), ("why", 200 * NS), ("why", 10**18)):
        with pytest.raises(BadAlarm, match="within the next 24 h"):
            alarms.shelve(PUMP, "ada", why, until, 200 * NS)
    with pytest.raises(BadAlarm, match="is not shelved"):
        alarms.unshelve(PUMP, "ada", 200 * NS)


def test_out_of_service_until_put_back() -> None:
    alarms = desk()
    alarms.serve(PUMP, False, "ada", "maintenance", 0)
    alarms.observe(PUMP, 11.0, 0)
    assert alarms.tick(1000 * NS) == []
    assert alarms[PUMP].state is State.OUT_OF_SERVICE
    (back,) = alarms.serve(PUMP, True, "ada", "done", 1001 * NS)
    assert (back.after, back.announced) == (State.UNACKNOWLEDGED, True)


def test_falling() -> None:
    low = Rule(PUMP, 2.0, "start pump 2", falling=True, deadband=0.5)
    alarms = desk(low)
    assert [one.after for one in alarms.observe(PUMP, 1.9, 0)] == [State.UNACKNOWLEDGED]
    assert alarms.observe(PUMP, 2.4, 1) == []
    assert [one.after for one in alarms.observe(PUMP, 2.6, 2)] == [State.RETURNED]


def test_a_flood_keeps_the_urgent_audible() -> None:
    names = [Name(f"lamp-{n}", "out") for n in range(20)]
    rules = [
        Rule(name, 0.5, "send a crew", Priority.URGENT if n == 15 else Priority.LOW) for n, name in enumerate(names)
    ]
    alarms = desk(*rules)
    told = [one for n, name in enumerate(names) for one in alarms.observe(name, 1.0, n * NS)]
    assert [n for n, one in enumerate(told) if one.announced] == [*range(10), 15]
    assert alarms.flood
    assert len(alarms.standing) == 20
    assert alarms.standing[0].rule.name == names[15]
    alarms.observe(names[12], 0.0, 30 * NS)
    later = alarms.tick(20 * MINUTE_NS)
    assert not alarms.flood
    held = [one.name for one in later if one.announced]
    assert held == [names[n] for n in (10, 11, 13, 14, 16, 17, 18, 19)]


def test_rules_that_cannot_work() -> None:
    with pytest.raises(BadAlarm) as told:
        Rule(PUMP, float("nan"), " ", deadband=-1.0, on_delay_ns=-1)
    assert str(told.value).count(";") == 2
    with pytest.raises(BadAlarm, match="two rules"):
        desk(RULE, RULE)
    with pytest.raises(BadAlarm, match="no rule"):
        desk().observe(Name("pump-2", "x"), 1.0, 0)
