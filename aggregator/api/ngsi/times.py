"""Times as the standard writes them (4.6.3, ISO 8601): DateTime in UTC with Z, Date, Time; durations. ns inside."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

NS = 1_000_000_000
DATE_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d)(:\d\d)?([.,]\d+)?(Z|[+-]\d\d:\d\d)\Z")
DATE = re.compile(r"\d{4}-\d\d-\d\dZ?\Z")
TIME = re.compile(r"\d\d:\d\d(:\d\d([.,]\d+)?)?Z?\Z")
DURATION = re.compile(
    r"P(?=.)(?:(\d+(?:\.\d+)?)W|(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)D)?"
    r"(?:T(?=.)(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?)\Z"
)


class Duration(NamedTuple):
    months: int
    ns: int


def instant(text: object) -> int | None:
    """UTC ns of a DateTime; nothing for whatever is none."""
    if not isinstance(text, str) or not (match := DATE_TIME.match(text)):
        return None
    minute, second, fraction, zone = match.groups()
    try:
        when = datetime.fromisoformat(minute + (second or ":00") + ("+00:00" if zone == "Z" else zone))
    except ValueError:
        return None
    ns = int((fraction or ".0")[1:10].ljust(9, "0"))
    return int((when - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1)) * NS + ns


def text(ns: int) -> str:
    """RFC 3339 with microseconds, shorter where they are zero."""
    whole, rest = divmod(ns, NS)
    try:
        stamp = f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}"
    except (OverflowError, ValueError, OSError):
        stamp = "9999-12-31T23:59:59"
    micros = f"{rest // 1000:06d}".rstrip("0")
    return f"{stamp}.{micros.ljust(3, '0')}Z" if micros else f"{stamp}Z"


def day(text: object) -> int | None:
    """UTC ns of the first moment of a Date."""
    if not isinstance(text, str) or not DATE.match(text):
        return None
    try:
        first = date.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        return None
    return (first - date(1970, 1, 1)).days * 86_400 * NS


def clock(text: object) -> int | None:
    """ns since midnight of a Time."""
    if not isinstance(text, str) or not TIME.match(text):
        return None
    hour, minute, *second = text.removesuffix("Z").replace(",", ".").split(":")
    seconds = float(second[0]) if second else 0.0
    if int(hour) > 23 or int(minute) > 59 or seconds >= 61:
        return None
    return (int(hour) * 3600 + int(minute) * 60) * NS + round(seconds * NS)


def duration(text: object) -> Duration | None:
    if not isinstance(text, str) or not (match := DURATION.match(text)):
        return None
    weeks, years, months, *rest = (float(one or 0) for one in match.groups())
    days, hours, minutes, seconds = rest
    whole = ((weeks * 7 + days) * 24 + hours) * 3600 + minutes * 60 + seconds
    return Duration(int(years * 12 + months), round(whole * NS))


def later(ns: int, span: Duration) -> int:
    """The moment a duration after another; months as the calendar has them, the day cut to the month's length."""
    if span.months:
        when = datetime.fromtimestamp(ns // NS, UTC)
        year, month = divmod(when.year * 12 + when.month - 1 + span.months, 12)
        last = (date(year + (month == 11), (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
        ns = int(when.replace(year=year, month=month + 1, day=min(when.day, last)).timestamp()) * NS + ns % NS
    return ns + span.ns
