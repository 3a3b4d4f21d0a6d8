"""How controllers behave: who raised, wished nonsense or left its envelope, and who is not asked for a while.

A controller that misbehaves `STRIKES` ticks in a row is disabled (the Simplex architecture: Sha, "Using Simplicity to
Control Complexity", IEEE Software 2001). It is asked again after a pause that doubles each time, so that a gateway
that nobody visits for a year heals by itself; until it has shown one good tick, nothing that it says counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from protos.clock import NS

STRIKES = 5  # ticks in a row: one odd reading is no reason, half a second of them at 10 Hz is
PAUSE_NS, PAUSE_MAX_NS = 60 * NS, 3600 * NS


@dataclass(slots=True)
class Record:
    """Of one controller."""

    in_a_row: int = 0
    faults_total: int = 0
    disabled_total: int = 0
    until_ns: int = 0  # disabled until then; 0: in use
    pause_ns: int = PAUSE_NS
    why: str = ""  # of the last fault


class Conduct:
    """Judges controllers by name. Rules without IO."""

    def __init__(self, strikes: int = STRIKES) -> None:
        self._strikes = strikes
        self.records: dict[str, Record] = {}

    def may(self, name: str, now_ns: int) -> bool:
        """Whether to ask this controller now."""
        record = self.records.get(name)
        return record is None or now_ns >= record.until_ns

    def fault(self, name: str, why: str, now_ns: int) -> bool:
        """It raised, wished nonsense or left its envelope in this tick; True when that disables it."""
        record = self.records.setdefault(name, Record())
        record.in_a_row += 1
        record.faults_total += 1
        record.why = why
        if record.in_a_row < self._strikes:
            return False
        record.disabled_total += 1
        record.until_ns = now_ns + record.pause_ns
        record.pause_ns = min(2 * record.pause_ns, PAUSE_MAX_NS)
        record.in_a_row = self._strikes - 1  # after the pause, one more fault is enough
        return True

    def well(self, name: str, now_ns: int) -> None:
        """It did as it should in this tick. A whole pause of that forgives what was before."""
        record = self.records.get(name)
        if record is not None:
            record.in_a_row = 0
            if now_ns >= record.until_ns + record.pause_ns:
                record.until_ns, record.pause_ns = 0, PAUSE_NS

    def restore(self, name: str) -> None:
        """Somebody changed it (a new bundle, a new configuration): it begins with a clean record."""
        self.records.pop(name, None)

    def disabled(self, now_ns: int) -> Mapping[str, str]:
        """Name → why, of those that are not asked now."""
        return {name: record.why for name, record in self.records.items() if now_ns < record.until_ns}
