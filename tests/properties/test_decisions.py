"""For any approvals, answers, kills, races, all-stops: no act twice, none late, none without those who must agree."""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from aggregator.decisions import Refused
from aggregator.decisions.course import Course, Seen
from aggregator.decisions.decision import Decision, unpacked
from aggregator.decisions.policy import Needs
from aggregator.decisions.steward import row_of
from aggregator.stores.decisions import DecisionRow, Decisions, Told, Wish
from protos.clock import NS
from tests.aggregator.decisions.table import BAD, GOOD, NOW_NS, POLICY, Table, decided, gateway

SOME = settings(max_examples=40, deadline=None)
SEARCH = settings(max_examples=400, deadline=None, phases=[Phase.generate], database=None)
GATEWAYS = 4
PEOPLE = ["ada", "bo", "ada "]
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("tick"), st.sampled_from([0, 1, 61, 61, 300, 901])),
        st.tuples(st.just("answer"), st.sampled_from(["applied", "applied", "accepted", "rejected", "expired"])),
        st.tuples(st.just("approve"), st.sampled_from(PEOPLE)),
        st.tuples(st.just("race"), st.sampled_from([0, 61])),
        st.tuples(st.just("verdict"), st.booleans()),
        st.tuples(st.sampled_from(["kill", "reject", "stop"]), st.none()),
    ),
    min_size=2,
    max_size=14,
)
CITY_WIDE = {0: 9.0, 1: 9.0, 2: 0.1}  # by the number of persons that it takes


@dataclass
class Watcher:
    """Knows what was done, and judges what was ordered."""

    table: Table
    persons: int
    agreed: set[str] = field(default_factory=set)
    ended: bool = False
    seen: int = 0
    found: set[str] = field(default_factory=set)

    def look(self) -> None:
        """At the orders that are new."""
        rows = [row for row in self.table.orders.newest() if row.issuer == "decision d-1" and not row.stops]
        one, now_ns = unpacked(self.table.decisions.get("d-1").content), self.table.clock.wall_ns()
        for row in rows[: len(rows) - self.seen]:
            if len(self.agreed) < self.persons or (not self.agreed and self.table.verdict is BAD and self.seen == 0):
                self.found.add("not approved")
            if self.ended:
                self.found.add("after its end")
            act = next(each for each in one.acts if (each.gateway, each.value) == (row.gateway, row.value))
            if not act.start_ns <= now_ns < act.end_ns or row.not_after_ns > act.end_ns:
                self.found.add("late")
            if self.seen == 0 and now_ns >= NOW_NS + 900 * NS:
                self.found.add("late")
            if row.gateway != gateway(0) and not any(each.gateway == gateway(0) and each.fate_ns for each in rows):
                self.found.add("not the first gateway first")
        if len({(row.gateway, row.value) for row in rows}) < len(rows):
            self.found.add("twice")
        self.seen = len(rows)


async def play(acts: Sequence[tuple[str, Any]], persons: int, folder: Path, course: Any, decisions: Any) -> set[str]:
    policy = replace(POLICY, automatic=() if persons == 1 else POLICY.automatic, city_wide=CITY_WIDE[persons])
    table = Table(folder, GATEWAYS, policy)
    arm(table, course, decisions)
    one = decided(GATEWAYS, policy)
    table.put(one)
    watcher = Watcher(table, persons)
    for what, value in acts:
        if what == "tick":
            await table.tick(value)
        elif what == "answer":
            table.answer(value)
        elif what == "verdict":
            table.verdict = GOOD if value else BAD
        elif what == "kill":
            table.kill()
            arm(table, course, decisions)
        elif what == "race":
            await race(table, value)
        else:
            by_hand(table, what, value, watcher)
        watcher.look()
    table.catalogue.close()
    return watcher.found | ({"whole"} if watcher.seen >= GATEWAYS else set())


def arm(table: Table, course: Any, decisions: Any) -> None:
    table.decisions = decisions(table.catalogue)
    table.begin(table.catalogue) if decisions is Decisions else None
    table.steward._decisions = table.decisions
    table.steward.course = course(table.policy)


async def race(table: Table, after_s: int) -> None:
    """Two servers have read the same."""
    await table.clock.advance(after_s * NS)
    for row in table.decisions.open():
        for _ in range(2):
            table.steward.look(row, table.decisions.stops(), GATEWAYS)


def by_hand(table: Table, what: str, value: Any, watcher: Watcher) -> None:
    row, now_ns = table.decisions.get("d-1"), table.clock.wall_ns()
    try:
        if what == "approve":
            one = unpacked(row.content).approve(value, now_ns)
            watcher.agreed.add(value.strip())
            table.decisions.change(row_of(one, row.version), value, what, "")
        elif what == "reject":
            one = unpacked(row.content).reject("kim", "no", now_ns)
            table.decisions.change(row_of(one, row.version), "kim", what, "", withdraw=True)
            watcher.ended = True
        else:
            table.orders.stop([gateway(1)], "kim", now_ns)
            watcher.ended = True
    except Refused:
        pass


def faults(acts: Sequence[tuple[str, Any]], persons: int, course: Any = Course, decisions: Any = Decisions) -> set[str]:
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(play(acts, persons, Path(folder), course, decisions))


@SOME
@given(ACTS, st.sampled_from([0, 1, 2]))
def test_no_act_twice_none_late_none_that_nobody_agreed_to(acts: list[tuple[str, Any]], persons: int) -> None:
    assert faults(acts, persons) <= {"whole"}


@pytest.mark.parametrize("persons", [0, 1, 2])
def test_a_decision_can_go_its_whole_course(persons: int) -> None:
    agree: list[tuple[str, Any]] = [("approve", "ada"), ("approve", "bo")][:persons]
    carried: list[tuple[str, Any]] = [("tick", 1), ("answer", "applied"), ("tick", 61)] * 3
    assert faults([*agree, ("tick", 1), *carried], persons) == {"whole"}


class Obliging(Course):
    """The control: asks nobody."""

    def _needs(self, one: Decision, seen: Seen) -> Needs:
        return Needs(0, "nobody")


class Timeless(Course):
    """The control: has no clock."""

    def _approved(self, one: Decision, seen: Seen) -> Any:
        return super()._approved(replace(one, decide_by_ns=2**62), seen)

    def _proposed(self, one: Decision, seen: Seen) -> Any:
        return super()._proposed(replace(one, decide_by_ns=2**62), seen)


class Forgetful(Decisions):
    """The control: does not remember what it has given, nor who was quicker."""

    def _give(self, row: DecisionRow, one: Wish) -> None:
        self._orders.write(one.gateway, one.point, one.value, one.lasts_ns, f"decision {row.id}", row.changed_ns)

    def _replace(self, row: DecisionRow) -> None:
        version = self.get(row.id).version
        super()._replace(replace(row, version=version))

    def told(self, decision: str) -> dict[int, Told]:
        return {}


def test_a_course_that_asks_nobody_is_found_out() -> None:
    assert find(ACTS, lambda acts: "not approved" in faults(acts, 1, Obliging), settings=SEARCH)


def test_a_course_without_a_clock_is_found_out() -> None:
    assert find(ACTS, lambda acts: "late" in faults(acts, 0, Timeless), settings=SEARCH)


def test_a_store_that_forgets_is_found_out() -> None:
    assert find(ACTS, lambda acts: "twice" in faults(acts, 0, Course, Forgetful), settings=SEARCH)


def test_the_course_alone_says_the_same_again() -> None:
    one, course = decided(3), Course(POLICY)
    seen = Seen(NOW_NS, GOOD, enrolled=40)
    assert course.next(one, seen) == course.next(one, seen)
