"""Whatever happens to an alarm, in whatever order: what ISA-18.2 promises holds after every step."""

from collections.abc import Callable

from hypothesis import example, given, settings
from hypothesis import strategies as st

from aggregator.twin.alarms import FLOOD_NS, NS, Alarms, BadAlarm, Name, Priority, Rule, State, Transition

NAMES = [Name(f"a{n}", "high") for n in range(14)]
ALLOWED = {
    State.NORMAL: {State.UNACKNOWLEDGED},
    State.UNACKNOWLEDGED: {State.ACKNOWLEDGED, State.RETURNED},
    State.ACKNOWLEDGED: {State.NORMAL},
    State.RETURNED: {State.NORMAL, State.UNACKNOWLEDGED},
}
HIDDEN = {State.SHELVED, State.OUT_OF_SERVICE}

orders = st.lists(
    st.tuples(
        st.sampled_from(["observe", "observe", "observe", "tick", "acknowledge", "shelve", "unshelve", "serve"]),
        st.integers(0, len(NAMES) - 1),
        st.sampled_from([0.0, 0.6, 1.0, 2.0, float("nan")]),
        st.integers(0, 400),  # seconds since the order before
    ),
    max_size=60,
)


def desk(on_s: int, off_s: int) -> Alarms:
    urgent = [Priority.URGENT if n == 3 else Priority.LOW for n in range(len(NAMES))]
    return Alarms(
        [
            Rule(name, 0.5, "go and see", one, deadband=0.2, on_delay_ns=on_s * NS, off_delay_ns=off_s * NS)
            for name, one in zip(NAMES, urgent, strict=True)
        ]
    )


def obey(alarms: Alarms, what: str, name: Name, value: float, now: int) -> list[Transition]:
    """One order; those that make no sense now are refused and change nothing but the time."""
    calls: dict[str, Callable[[], list[Transition]]] = {
        "observe": lambda: alarms.observe(name, value, now),
        "tick": lambda: alarms.tick(now),
        "acknowledge": lambda: alarms.acknowledge(name, "ada", now),
        "shelve": lambda: alarms.shelve(name, "ada", "why", now + int(300 * value + 1) * NS, now),
        "unshelve": lambda: alarms.unshelve(name, "ada", now),
        "serve": lambda: alarms.serve(name, value > 0.5, "ada", "why", now),
    }
    return calls[what]()


@settings(max_examples=80, deadline=None)
@given(orders, st.integers(0, 90), st.integers(0, 90))
@example(
    [("shelve", 0, 0.0, 0), ("serve", 0, 0.0, 0), ("observe", 0, 0.0, 1)], 0, 0
)  # a shelf that ends out of service
def test_promises(orders: list[tuple[str, int, float, int]], on_s: int, off_s: int) -> None:
    alarms = desk(on_s, off_s)
    now, told = 0, list[Transition]()
    for what, place, value, seconds in orders:
        now += seconds * NS
        if what == "shelve" and value != value:
            value = 1.0
        told += alarms.tick(now)  # what time brings, also before an order that is refused
        try:
            told += obey(alarms, what, NAMES[place], value, now)
        except BadAlarm:
            assert what in {"acknowledge", "unshelve"}
        check(alarms, now)
    follow(told)
    heard = [one.at_ns for one in told if one.announced and alarms[one.name].rule.priority > Priority.URGENT]
    again = [one.at_ns for one in told if one.why == "flood is over"]
    for at in heard:
        within = [one for one in heard if at - FLOOD_NS < one <= at and one not in again]
        assert len(within) <= 10


def check(alarms: Alarms, now: int) -> None:
    for alarm in alarms.all.values():
        assert alarm.shelved_until_ns is None or alarm.shelved_until_ns > now  # no shelf outlives its end
        assert alarm.due_ns is None or alarm.due_ns > now
        assert alarm.state in HIDDEN or (alarm in alarms.standing) == (alarm.state is not State.NORMAL)
    due = alarms.due_ns
    own = [one.due_ns for one in alarms.all.values() if one.due_ns is not None]
    assert (due is None and not own) or (due is not None and due > now and due <= min(own, default=due))


def follow(told: list[Transition]) -> None:
    """Each alarm's transitions join up, in time, along the arrows of the standard; hidden ones are never announced."""
    state, last = dict.fromkeys(NAMES, State.NORMAL), 0
    for one in told:
        assert one.at_ns >= last
        assert one.before is state[one.name]
        if one.why != "flood is over" and not {one.before, one.after} & HIDDEN:
            assert one.after in ALLOWED[one.before]
        assert not (one.announced and one.after in HIDDEN)
        state[one.name], last = one.after, one.at_ns


@settings(max_examples=50, deadline=None)
@given(orders, st.integers(0, 90), st.integers(0, 90))
def test_ticking_more_often_changes_nothing(orders: list[tuple[str, int, float, int]], on_s: int, off_s: int) -> None:
    """Delays and shelves end at their own times, however rarely anybody looks."""
    ends = []
    for every in (None, 7):
        alarms, now, told = desk(on_s, off_s), 0, list[Transition]()
        for what, place, value, seconds in orders:
            if what in {"acknowledge", "unshelve", "shelve"}:
                continue
            if every:
                for at in range(now, now + seconds * NS, every * NS):
                    told += alarms.tick(at)
            now += seconds * NS
            told += obey(alarms, what, NAMES[place], value, now)
        ends.append([(one.at_ns, one.name, one.before, one.after, one.announced) for one in told])
    assert sorted(ends[0]) == sorted(ends[1])
