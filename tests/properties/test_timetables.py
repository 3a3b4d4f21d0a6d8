"""Timetables and conditions against slow and obvious ways of saying the same."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.control import condition
from edge_agent.control.week import HOLIDAY, Entry, Week

ZONES = ("UTC", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu")
HOUR = timedelta(hours=1)
MINUTES = st.builds(time, st.integers(0, 23), st.sampled_from((0, 15, 30, 45)))
ENTRIES = st.lists(
    st.builds(Entry, st.frozensets(st.integers(0, HOLIDAY), min_size=1), MINUTES, st.floats(-100, 100)),
    min_size=1,
    max_size=6,
    unique_by=lambda entry: entry.at,
)
MOMENTS = st.datetimes(datetime(2026, 1, 10), datetime(2027, 12, 20), timezones=st.just(UTC))
HOLIDAYS = frozenset({date(2026, 4, 3), date(2026, 10, 25), date(2026, 12, 25)})


def slowly(entries: list[Entry], zone: ZoneInfo, moment: datetime) -> float | None:
    """Go back quarter hour by quarter hour of local time until an entry begins."""
    local = moment.astimezone(zone).replace(tzinfo=None)
    local = local.replace(minute=local.minute // 15 * 15, second=0, microsecond=0)
    own = any(HOLIDAY in entry.days for entry in entries)
    for _ in range(4 * 24 * 8):
        kind = HOLIDAY if own and local.date() in HOLIDAYS else local.weekday()
        for entry in entries:
            if entry.at == local.time() and kind in entry.days:
                return entry.value
        local -= timedelta(minutes=15)
    return None


def turns(zone: ZoneInfo, moment: datetime) -> bool:
    """Whether the clocks turn within a day: there the quarter hours are no ruler."""
    around = [moment + step * HOUR for step in range(-26, 3)]
    return len({one.astimezone(zone).utcoffset() for one in around}) > 1


@settings(max_examples=150, deadline=None)
@given(ENTRIES, st.sampled_from(ZONES), MOMENTS)
def test_the_entry_that_holds_is_the_last_that_began(entries: list[Entry], name: str, moment: datetime) -> None:
    zone = ZoneInfo(name)
    if turns(zone, moment):
        return
    found = Week(entries, zone, HOLIDAYS).at(int(moment.timestamp()) * 10**9)
    assert (None if found is None else found.value) == slowly(entries, zone, moment)


@settings(max_examples=60, deadline=None)
@given(ENTRIES, st.sampled_from(ZONES), MOMENTS, st.lists(st.integers(0, 40), max_size=30))
def test_what_is_remembered_between_two_entries_changes_nothing(
    entries: list[Entry], name: str, moment: datetime, hours: list[int]
) -> None:
    """Asked again and again, forwards and, when the clock is set, backwards."""
    zone, one = ZoneInfo(name), Week(entries, ZoneInfo(name), HOLIDAYS)
    for step in hours:
        utc_ns = int((moment + step * HOUR).timestamp()) * 10**9
        assert one.at(utc_ns) == Week(entries, zone, HOLIDAYS).at(utc_ns)


NUMBERS = st.floats(-1e6, 1e6).map(lambda value: float(f"{value:.6g}"))


@given(st.sampled_from((">", ">=", "<", "<=")), NUMBERS, st.floats(0, 100), st.lists(NUMBERS, max_size=30))
def test_hysteresis_never_chatters_between_its_two_numbers(
    sign: str, at: float, gap: float, values: list[float]
) -> None:
    """Within the gap a condition keeps what it was; outside it does not remember."""
    clear = at - gap if sign[0] == ">" else at + gap
    back = "<" if sign[0] == ">" else ">"
    one = condition.read(f"x {sign} {at!r} until {back} {clear!r}")
    held = False
    for value in values:
        now = one.holds(value, held)
        if condition.SIGNS[sign](value, at):
            assert now
        elif condition.SIGNS[back](value, clear):
            assert not now
        else:
            assert now == held
        held = now
