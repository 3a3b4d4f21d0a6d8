"""How carefully a model is rolled out. `[rollout]` in the aggregator's configuration; every limit with its why."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

WAVES = ("shadow", "first", "second", "all")
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAY = f"({'|'.join(DAYS)})"
WINDOW = re.compile(rf"(?:{DAY}(?:-{DAY})? )?(\d\d):(\d\d)-(\d\d):(\d\d)")
SHARES = ("first_share", "second_share", "commits", "failures", "late_share")
MARGIN_MAX = 0.2  # of a difference that is cut off at 0.25: beyond, nothing could ever be shown
NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Policy:
    """Times in seconds. Waves: shadow (nothing is applied), first, second, all."""

    shadow_gateways: int = 3  # 1 to 3: enough to see what it does, few enough to look at
    first_share: float = 0.05
    first_least: int = 3  # of the first wave that acts; and one of each cluster: clusters differ in their plants
    second_share: float = 0.25
    shadow_s: float = 3600.0  # least time of a wave, whatever the evidence: a plant needs time to show what it is
    wave_s: float = 6 * 3600.0
    wave_max_s: float = 7 * 86_400.0  # what cannot be judged by then waits for a person: it is never waved through
    device_s: float = 86_400.0  # of one try while the gateway is there: download, trial, shadow and probation
    retries: int = 2
    look_s: float = 30.0  # one look at all gateways is one observation: less is mostly the same noise again
    commits: float = 0.95
    late_share: float = 0.01  # of the steps beyond the deadline: then the p99 is beyond it
    margin: float = 0.05  # of (new − old) / (new + old): 10 % in the figure itself
    rollbacks: int = 2
    failures: float = 0.05
    failures_after: int = 3  # one failure of one says nothing
    approve: tuple[str, ...] = ()  # waves that begin only after a person agreed
    windows: tuple[str, ...] = ()  # UTC, as "Mon-Fri 01:00-05:00"; without one at any time
    gates: bool = True  # false: everything is promoted, for trials of what the gates are worth

    def open(self, now_ns: int) -> bool:
        """Whether something may be begun now; what is wrong is taken back at any time."""
        return not self.windows or any(_within(one, now_ns) for one in self.windows)

    def least_s(self, wave: int) -> float:
        return self.shadow_s if wave == 0 else self.wave_s


def _within(window: str, now_ns: int) -> bool:
    """A window that ends before it begins goes past midnight, and belongs to the day on which it began."""
    found = WINDOW.fullmatch(window)
    assert found is not None, window
    first, last, *clock = found.groups()
    hours, minutes, until_h, until_m = (int(one) for one in clock)
    begin, end = 60 * hours + minutes, 60 * until_h + until_m
    now = datetime.fromtimestamp(now_ns / NS, UTC)
    minute, day = 60 * now.hour + now.minute, now.weekday()
    if end <= begin and minute < end:
        minute, day = minute + 1440, (day - 1) % 7
    low = DAYS.index(first) if first else 0
    high = DAYS.index(last) if last else low if first else 6
    on = low <= day <= high if low <= high else day >= low or day <= high
    return on and begin <= minute < (end if end > begin else end + 1440)


KEYS: dict[str, type] = {
    one.name: one.type if isinstance(one.type, type) and one.type in (int, float, bool) else list
    for one in fields(Policy)
}


def of(table: Mapping[str, Any]) -> Policy:
    """From a table whose values have no fault."""
    found: dict[str, Any] = {key: tuple(one) if isinstance(one, list) else one for key, one in table.items()}
    return Policy(**found)


def fault(key: str, value: object) -> str:
    """What is wrong with a value of the right type; nothing when it may be."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if key in SHARES and not 0 <= value <= 1:
            return "write a share from 0 to 1"
        if key == "shadow_gateways" and not 1 <= value <= 3:
            return "write 1, 2 or 3"
        if key == "margin" and not 0 < value <= MARGIN_MAX:
            return f"write a number above 0, at most {MARGIN_MAX}"
        if key.endswith("_s") and not 0 < value <= 366 * 86_400:
            return "write seconds, more than 0 and at most a year"
        if key in ("first_least", "rollbacks", "failures_after") and value < 1:
            return "write 1 or more"
    if isinstance(value, Sequence) and key == "approve" and (unknown := [one for one in value if one not in WAVES]):
        return f"no such wave: {', '.join(unknown)}; there are {', '.join(WAVES)}"
    if isinstance(value, Sequence) and key == "windows" and (wrong := [one for one in value if not _is_window(one)]):
        return f'{", ".join(wrong)}: write UTC times as "Mon-Fri 01:00-05:00" or "22:00-04:00"'
    return ""


def _is_window(text: str) -> bool:
    found = WINDOW.fullmatch(text)
    return found is not None and all(
        int(hour) < 24 and int(minute) < 60 for hour, minute in (found.groups()[2:4], found.groups()[4:6])
    )
