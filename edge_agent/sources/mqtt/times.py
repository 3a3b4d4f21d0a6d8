"""The device's own time: unix seconds or milliseconds, ISO 8601, or local time without a zone, all to UTC ns."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo

from edge_agent.sources.mqtt.reading import Mark, PayloadError

NS = 1_000_000_000
EARLIEST_S, LATEST_S = 946_684_800, 4_102_444_800  # 2000 to 2100: a device outside it has no clock
Reader = Callable[[object, tzinfo, int], "int | None"]


def utc_ns(raw: object, form: str, zone: tzinfo, now_ns: int) -> int | None:
    """The time in `raw` (form: unix unix_ms iso local), or None where the device does not know the time.

    `now_ns` (UTC) decides between the two meanings of a local hour that occurs twice. Raises PayloadError.
    """
    if isinstance(raw, Mark):
        return None
    found = from_number(raw, form) if form in ("unix", "unix_ms") else from_text(raw, form, zone, now_ns)
    return found if EARLIEST_S * NS <= found < LATEST_S * NS else None


def from_number(raw: object, form: str) -> int:
    try:
        value = float(raw) if isinstance(raw, int | float | str) else math.nan
    except (ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise PayloadError(f"has no {form} time: {str(raw)[:40]!r}")
    unit = 1_000 if form == "unix_ms" else 1
    if not 0 <= value / unit < LATEST_S:
        return 0  # no clock, and too large to calculate with
    if isinstance(raw, int):
        return raw * (NS // unit)
    return round(value / unit * 1_000_000) * 1_000  # a float of seconds is exact to about 0.2 µs


def from_text(raw: object, form: str, zone: tzinfo, now_ns: int) -> int:
    try:
        if not isinstance(raw, str) or len(raw) > 40:
            raise ValueError("no text")
        moment = datetime.fromisoformat(raw)
        if moment.tzinfo is None:
            moment = nearest(moment, zone if form == "local" else UTC, now_ns)
        seconds = int(moment.replace(microsecond=0).timestamp())
    except (ValueError, OverflowError) as error:
        raise PayloadError(f"has no {form} time: {str(raw)[:40]!r}") from error
    return seconds * NS + moment.microsecond * 1_000


def nearest(moment: datetime, zone: tzinfo, now_ns: int) -> datetime:
    """The local time in its zone; of the two meanings of an hour that occurs twice the one nearer to now."""
    both = [moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1)]
    return min(both, key=lambda one: abs(one.timestamp() - now_ns / NS))
