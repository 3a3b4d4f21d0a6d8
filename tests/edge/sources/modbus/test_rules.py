"""Breaker, schedule, ghosts, budget and leases: rules without IO, each with its times."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.sources.modbus.breaker import FIRST_NS, LONGEST_NS, Breaker
from edge_agent.sources.modbus.budget import BURST, LIFETIME_WRITES, YEAR_NS, YEARS, Budget, Budgets, place_of
from edge_agent.sources.modbus.ghosts import LIFE_MIN_NS, MS, REPEAT_NS, Ghosts
from edge_agent.sources.modbus.leases import Leases
from edge_agent.sources.modbus.schedule import Schedule
from protos.clock import NS

SHAPE = (1, 3, 20)


def test_the_breaker_opens_after_two_failed_cycles_for_ever_longer() -> None:
    breaker = Breaker(random.Random(1))
    breaker.failed(0)
    assert breaker.may_ask(1)
    assert not breaker.open
    now, pauses = 0, []
    for _ in range(12):
        breaker.failed(now)
        pauses.append(breaker.open_until - now)
        assert not breaker.may_ask(breaker.open_until - 1)
        now = breaker.open_until
        assert breaker.may_ask(now)
    for n, pause in enumerate(pauses):
        assert 0.9 * min(FIRST_NS << n, LONGEST_NS) <= pause <= min(1.1 * (FIRST_NS << n), LONGEST_NS)
    breaker.answered(NS // 100)
    assert not breaker.open
    assert breaker.may_ask(now)


def test_probes_are_short_but_now_and_then_patient() -> None:
    breaker = Breaker(random.Random(1))
    breaker.answered(30 * MS)
    waits = []
    for _ in range(9):
        breaker.failed(0)
        waits.append(breaker.timeout_ns(NS))
    assert waits[0] == NS, "closed: the full timeout"
    assert waits[1:4] == [120 * MS] * 3, "four times the slowest answer seen"
    assert waits[4] == NS, "every fourth probe is patient"


def test_no_jitter_brings_two_units_together() -> None:
    one, other = Breaker(random.Random(1)), Breaker(random.Random(2))
    for breaker in (one, other):
        breaker.failed(0)
        breaker.failed(0)
    assert one.open_until != other.open_until


def test_the_schedule_spreads_phases_and_does_not_drift() -> None:
    schedule = Schedule([NS, NS, NS, NS, NS // 2], 0)
    times: dict[int, list[int]] = {}
    for _ in range(60):
        due, job = schedule.first()
        times.setdefault(job, []).append(due)
        schedule.done(due + 7 * MS)
    phases = sorted(times[job][0] % NS for job in range(4))
    assert phases == [0, NS // 4, NS // 2, 3 * NS // 4]
    for job, period in enumerate((NS, NS, NS, NS, NS // 2)):
        steps = {after - before for before, after in zip(times[job], times[job][1:], strict=False)}
        assert steps == {period}
    assert schedule.overruns == 0


def test_what_is_polled_every_ten_minutes_is_polled_soon_after_the_start() -> None:
    """Each once within two seconds, spread like its slots; then at these, and never twice for one."""
    period = 600 * NS
    schedule = Schedule([period] * 4, 0, "line")
    times: dict[int, list[int]] = {}
    for _ in range(12):
        due, job = schedule.first()
        times.setdefault(job, []).append(due)
        schedule.done(due + 7 * MS)
    assert len({due for due, *_ in times.values()}) == 4
    for first, slot, after in times.values():
        assert first <= 2 * NS
        assert first < slot <= period
        assert after - slot == period
    assert schedule.overruns == 0


def test_an_overrun_is_counted_and_the_slots_stay_where_they_were() -> None:
    schedule = Schedule([NS], 0)
    first, _ = schedule.first()
    assert schedule.done(first + 19 * NS // 10) == 0, "late, but no slot passed whole"
    assert schedule.first()[0] == first + NS
    assert schedule.done(first + NS + 35 * NS // 10) == 2
    assert schedule.overruns == 2
    assert schedule.first()[0] == first + 4 * NS


@given(st.lists(st.integers(1, 20), min_size=1, max_size=30), st.text(max_size=8))
def test_every_first_slot_is_within_one_period(periods: list[int], line: str) -> None:
    schedule = Schedule([period * MS for period in periods], 5, line)
    first: dict[int, int] = {}
    while len(first) < len(periods):
        due, job = schedule.first()
        first.setdefault(job, due)
        schedule.done(due)
    assert all(5 <= due <= 5 + periods[job] * MS for job, due in first.items())


def test_an_unanswered_request_blocks_its_shape_until_its_answer_came_or_cannot_come() -> None:
    ghosts = Ghosts()
    ghosts.unanswered(SHAPE, 100 * MS, 0)
    assert ghosts.blocked_until(SHAPE, 1) == 400 * MS
    assert ghosts.late_of(1, 1)
    assert not ghosts.late_of(2, 1)
    assert ghosts.blocked_until((2, 3, 20), 1) == 0
    assert ghosts.blocked_until((1, 3, 22), 1) == 0
    ghosts.stray(SHAPE, 150 * MS)
    assert ghosts.blocked_until(SHAPE, 151 * MS) == 150 * MS + REPEAT_NS, "a late answer may be repeated too"
    assert ghosts.blocked_until(SHAPE, 171 * MS) == 0


def test_a_repeated_answer_makes_the_line_more_careful() -> None:
    ghosts = Ghosts()
    ghosts.answered(SHAPE, 0)
    assert ghosts.blocked_until(SHAPE, 1) == REPEAT_NS
    ghosts.stray(SHAPE, 50 * MS)
    ghosts.answered(SHAPE, NS)
    assert ghosts.blocked_until(SHAPE, NS) == NS + 200 * MS, "four times what was seen"


def test_an_answer_later_than_thought_possible_stretches_the_time() -> None:
    ghosts = Ghosts()
    ghosts.unanswered(SHAPE, MS, 0)
    assert ghosts.blocked_until(SHAPE, 1) == LIFE_MIN_NS
    ghosts.stray(SHAPE, NS)
    ghosts.unanswered(SHAPE, MS, 2 * NS)
    assert ghosts.blocked_until(SHAPE, 2 * NS) == 2 * NS + 2 * LIFE_MIN_NS


def test_without_guard_nothing_is_blocked() -> None:
    ghosts = Ghosts(enabled=False)
    ghosts.unanswered(SHAPE, NS, 0)
    assert ghosts.blocked_until(SHAPE, 1) == 0


def test_a_budget_spreads_the_lifetime_over_the_years() -> None:
    budget = Budget(lifetime=1000, burst=5)
    assert [budget.spend(0) for _ in range(6)] == [True] * 5 + [False]
    assert not budget.spend(YEAR_NS // 101), "a hundredth of a year gives one of a hundred a year"
    assert budget.spend(YEAR_NS // 99)
    spent = sum(budget.spend(day * YEAR_NS // 365) for day in range(3650) for _ in range(10))
    assert spent + 6 <= 1005
    assert all(Budget(lifetime=0).spend(0) for _ in range(1000))


@pytest.mark.parametrize("remembers", [True, False])
def test_a_crash_loop_spends_no_more_than_one_process(tmp_path: Path, remembers: bool) -> None:
    """A process a minute for a day, each writing all it may; without the file (negative control): half an EEPROM."""
    file = tmp_path / "budget.json" if remembers else None
    day = 86_400 * NS
    written = sum(
        budgets.spend((1, 3, 40), now)
        for now in range(0, day, 60 * NS)
        for budgets in [Budgets(file=file)]
        for _ in range(2 * BURST)
    )
    most = BURST + LIFETIME_WRITES / (YEARS * 365)
    assert (written <= most + 1) is remembers
    assert remembers or written > LIFETIME_WRITES // 2


def test_budgets_are_of_each_register_and_a_damaged_memory_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    file = place_of("tcp://h:502")
    assert file is not None
    assert file != place_of("tcp://g:502")
    first = Budgets(file=file)
    assert [first.spend((1, 3, 40), 0) for _ in range(BURST + 1)] == [True] * BURST + [False]
    again = Budgets(file=file)
    assert not again.spend((1, 3, 40), 1)
    assert again.spend((1, 3, 41), 1)
    file.write_text('{"1/3/40": 7}')
    assert Budgets(file=file).spend((1, 3, 40), 2)
    monkeypatch.delenv("RUNTIME_DIRECTORY")
    assert place_of("tcp://h:502") is None


def test_leases_are_due_at_half_their_timeout() -> None:
    leases = Leases()
    assert leases.next_ns() is None
    leases.hold(("d", "p"), 5.0, 60 * NS, 0)
    leases.hold(("d", "q"), 6.0, 10 * NS, 0)
    assert leases.next_ns() == 5 * NS
    assert leases.take(5 * NS) == [(("d", "q"), 6.0)]
    assert leases.next_ns() == 10 * NS
    leases.release(("d", "q"))
    assert leases.take(30 * NS) == [(("d", "p"), 5.0)]
    assert leases.next_ns() == 60 * NS


@pytest.mark.parametrize("now", [0, NS])
def test_a_fresh_breaker_asks(now: int) -> None:
    assert Breaker().may_ask(now)
