"""A week's timetable: which value holds since when, in local time with its summer time.

An entry is `DAYS HH:MM = VALUE`; days are mon … sun, ranges and lists of them, `daily`, or `holiday` for the dates
that are named as such (on those nothing else holds). Times are local; one that the clocks skip in spring takes effect
when they have passed it, one that comes twice in autumn the first time.
"""

import re
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOLIDAY = 7
PATTERN = re.compile(r"\s*(?P<days>[a-z,\- ]+?)\s+(?P<hour>\d{1,2}):(?P<minute>\d\d)\s*=\s*(?P<value>[-+.\deE]+)\s*")
FORM = 'write as "mon-fri 06:30 = 80", "sat,sun 08:00 = 60", "daily 22:00 = 20" or "holiday 00:00 = 10"'
BACK_DAYS = 8  # the last entry before any moment lies in the week before it; a day more for holidays between
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Entry:
    days: frozenset[int]  # 0 Monday … 6 Sunday, 7 holiday
    at: time
    value: float


def read(text: str) -> Entry:
    """Raises ValueError that says what is wrong with `text`."""
    found = PATTERN.fullmatch(text.lower())
    if found is None:
        raise ValueError("is no entry of a timetable")
    try:
        at, value = time(int(found["hour"]), int(found["minute"])), float(found["value"])
    except ValueError:
        raise ValueError("has no such time or value") from None
    return Entry(frozenset(days_of(found["days"])), at, value)


def days_of(text: str) -> Iterator[int]:
    for part in text.split(","):
        first, dash, last = (word.strip() for word in part.partition("-"))
        if first in ("daily", "holiday") and not dash:
            yield from range(7) if first == "daily" else (HOLIDAY,)
        elif first in DAYS and (last if dash else first) in DAYS:
            start, end = DAYS.index(first), DAYS.index(last if dash else first)
            yield from ((start + step) % 7 for step in range((end - start) % 7 + 1))
        else:
            raise ValueError(f"has a day {part.strip()!r} that there is not")


class Week:
    def __init__(self, entries: Sequence[Entry], zone: ZoneInfo, holidays: Collection[date] = ()) -> None:
        self._entries = sorted(entries, key=lambda entry: entry.at)
        self._zone, self._holidays = zone, frozenset(holidays)
        self._own_holidays = any(HOLIDAY in entry.days for entry in entries)
        self._known: tuple[int, int, Entry | None] = (0, 0, None)  # from, until, what holds between

    def at(self, utc_ns: int) -> Entry | None:
        """The entry that holds; None if no entry lies in the week before, among holidays without entries."""
        since, until, entry = self._known
        if not since <= utc_ns < until:
            since, until, entry = self._known = self._find(utc_ns)
        return entry

    def _find(self, utc_ns: int) -> tuple[int, int, Entry | None]:
        today = (EPOCH + timedelta(microseconds=utc_ns // 1000)).astimezone(self._zone).date()
        marks = [
            mark for day in range(-BACK_DAYS, 3) for mark in self._marks(today + timedelta(days=day))
        ]  # in local order; where the clocks turn, their instants may not be
        due = [number for number, (start, _) in enumerate(marks) if start <= utc_ns]
        if not due:
            return utc_ns, min((start for start, _ in marks), default=utc_ns + 1), None
        begun = marks[due[-1]]
        changes = sorted(start for start, _ in marks)
        following = bisect_right(changes, utc_ns)
        end = changes[following] if following < len(changes) else utc_ns + 1
        return utc_ns, end, begun[1]

    def _marks(self, day: date) -> Iterator[tuple[int, Entry]]:
        kind = HOLIDAY if self._own_holidays and day in self._holidays else day.weekday()
        for entry in self._entries:
            if kind in entry.days:
                start = datetime.combine(day, entry.at, self._zone).astimezone(UTC)
                yield (start - EPOCH) // timedelta(microseconds=1) * 1000, entry
