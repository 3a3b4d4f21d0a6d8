"""Whatever is wished, in whatever order and at whatever time: what is set stays within what was declared.

Each promise has a negative control: a guard with that one rule cut out, for which a breach must be found.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from edge_agent.control.guard import Guard
from edge_agent.setpoint import Authority, Decision
from tests.edge.control.stage import MS, OUTPUT, PERIOD_NS, Device, S, Stage

PATIENT = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SEARCH = settings(max_examples=4000, deadline=None, phases=[Phase.generate], database=None)
VALVE = replace(OUTPUT, safe=5.0, slew_per_s=40.0, min_on_ns=S // 2, min_off_ns=S // 4, off_below=10.0)

NUMBERS = st.one_of(st.floats(-50, 200), st.sampled_from([0.0, 5.0, 9.9, 10.0, 100.0, math.nan, math.inf, -math.inf]))
SPANS = st.tuples(st.floats(-10, 110), st.floats(0, 60)).map(lambda one: (one[0], one[0] + one[1]))
WHO = st.sampled_from(["hand", "emergency-order", "order", "pid", "twin", "schedule"])
LATER = st.sampled_from([PERIOD_NS] * 6 + [0, 1, 30 * MS, S // 2, 3 * S, 120 * S, -S])


@dataclass(frozen=True)
class Row:
    """`rogue`: a decision that comes past the arbiter, as from a faulty one; None: there is none."""

    wishes: dict[str, Any]
    after_ns: int
    rogue: float | None = None


ROWS = st.builds(
    Row,
    st.dictionaries(WHO, NUMBERS | SPANS, max_size=3),
    LATER,
    st.one_of(st.none(), st.none(), st.none(), NUMBERS),
)
SCRIPTS = st.lists(ROWS, min_size=1, max_size=40)


class Witness:
    """Watches one output from outside, with a clock of its own, and says which promise is broken."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.output = stage, stage.output
        self.value = stage.device.value
        self.on = self.value >= self.output.off_below
        self.changed_ns: int | None = None
        self.now_ns = self.before_ns = 0
        self.moved_before = False  # the first step is a period's
        self.wished_ns: int | None = None

    def breaches(self, decision: Decision, row: Row) -> Iterator[str]:
        self.before_ns, self.now_ns = self.now_ns, max(self.now_ns, self.stage.now_ns)
        self.changed_ns = self.now_ns if self.changed_ns is None else self.changed_ns
        if self.valid(decision, row):
            self.wished_ns = self.now_ns
        safe = decision.value == self.output.safe and decision.authority is Authority.FAILSAFE
        late = self.wished_ns is not None and self.now_ns > self.wished_ns + self.output.ttl_ns + PERIOD_NS
        if late and not safe:
            yield "ttl"
        if not decision.acts and decision.authority is Authority.NOBODY:
            return
        yield from self.moved(decision)

    def moved(self, decision: Decision) -> Iterator[str]:
        value, output = decision.value, self.output
        if not output.low <= value <= output.high:
            yield "bounds" if math.isfinite(value) else "finite"
        jumps = decision.authority is Authority.FAILSAFE and value == output.safe
        passed_ns = self.now_ns - self.before_ns if self.moved_before else PERIOD_NS
        self.moved_before = True
        step = output.slew_per_s * passed_ns / S
        if not jumps and abs(value - self.value) > step + 1e-9:
            yield "slew"
        on = value >= output.off_below
        if on != self.on:
            least_ns = output.min_on_ns if self.on else output.min_off_ns
            if not jumps and self.now_ns - (self.changed_ns or 0) < least_ns:
                yield "minimum times"
            self.on, self.changed_ns = on, self.now_ns
        self.value = value

    def valid(self, decision: Decision, row: Row) -> bool:
        """Whether anybody wished validly in this tick: by what was wished, not by what the guard says of it."""
        if row.rogue is not None:
            return math.isfinite(row.rogue)
        silent = self.stage.arbiter.conduct.disabled(self.stage.now_ns)
        return any(finite(wish) for name, wish in row.wishes.items() if name not in silent)


def finite(wish: Any) -> bool:
    return all(map(math.isfinite, wish if isinstance(wish, tuple) else (wish,)))


def play(script: Sequence[Row], guard: type[Guard] = Guard) -> set[str]:
    """The promises that are broken when `script` is played."""
    stage = Stage(VALVE, Device(50.0), guard=guard)
    witness, broken = Witness(stage), set[str]()
    for row in script:
        stage.rogue = row.rogue
        decision = stage.tick(row.wishes, row.after_ns)
        broken.update(witness.breaches(decision, row))
    return broken


@PATIENT
@given(SCRIPTS)
def test_no_promise_is_broken(script: list[Row]) -> None:
    assert not play(script)


class Unbounded(Guard):
    def judge(self, decisions: Sequence[Decision], now_ns: int) -> list[Decision]:
        return [
            one._replace(value=wanted.value) if one.limited == "bounds" else one
            for one, wanted in zip(super().judge(decisions, now_ns), decisions, strict=True)
        ]


class Hasty(Guard):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        for post in self._posts:
            post.acting._slewed = lambda value, now_ns, rule: (value, rule)  # type: ignore[method-assign]


class Fickle(Guard):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        for post in self._posts:
            post.acting._patient = lambda value, now_ns, rule: (value, rule)  # type: ignore[method-assign]


class Faithful(Guard):
    """Believes the last wish for ever."""

    def judge(self, decisions: Sequence[Decision], now_ns: int) -> list[Decision]:
        for post in self._posts:
            if post.valid is not None:
                post.valid = post.valid._replace(not_after_ns=2**63)
        return super().judge(decisions, now_ns)


class Credulous(Guard):
    """Takes whatever it is given for a number."""

    def judge(self, decisions: Sequence[Decision], now_ns: int) -> list[Decision]:
        return [
            wanted if wanted.by and not wanted.acts else one
            for one, wanted in zip(super().judge(decisions, now_ns), decisions, strict=True)
        ]


@pytest.mark.parametrize(
    ("guard", "promise"),
    [
        (Unbounded, "bounds"),
        (Hasty, "slew"),
        (Fickle, "minimum times"),
        (Faithful, "ttl"),
        (Credulous, "finite"),
    ],
)
def test_a_guard_without_the_rule_is_found_out(guard: type[Guard], promise: str) -> None:
    assert find(SCRIPTS, lambda script: promise in play(script, guard), settings=SEARCH)


FATES = st.sampled_from(["well", "well", "stuck", "dead"])


@PATIENT
@given(st.lists(st.tuples(ROWS, FATES, st.booleans()), min_size=1, max_size=60))
def test_whatever_the_device_does_it_is_told_nothing_forbidden(rows: list[tuple[Row, str, bool]]) -> None:
    """Stuck, dead and moved by others: every write stays in bounds, and silence still ends in the safe value."""
    stage = Stage(VALVE, Device(50.0))
    for row, fate, meddled in rows:
        stage.device.stuck, stage.device.dead = fate == "stuck", fate == "dead"
        if meddled:
            stage.device.value = 77.0
        stage.tick(row.wishes, row.after_ns)
    stage.device.stuck = stage.device.dead = False
    stage.now_ns = max(stage.now_ns, stage.guard._now_ns)
    acted = bool(stage.device.writes)
    for _ in range(14):  # TTL, one period, and the second after which a failed write is tried again
        last = stage.tick()
    stage.ticks(12)
    assert all(VALVE.low <= value <= VALVE.high for value in stage.device.writes)
    if acted:
        assert (last.value, stage.device.value) == (VALVE.safe, VALVE.safe)
