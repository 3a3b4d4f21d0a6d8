"""How often a register may be written: parameters of most devices live in memory that wears out. Rules without IO.

The lifetime is spread over the years that the device shall serve, 27 writes a day of 100,000 in ten years, with a
small burst for a busy day. What is left is remembered in the service's folder on memory (`RUNTIME_DIRECTORY`, which
the unit keeps over restarts), so that a process that crashes again and again does not begin with a burst each time,
and nothing of ours wears out for it. Only a new boot gives one again: 100,000 writes are 2,000 boots that use it up.
"""

import json
import logging
import os
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from protos.clock import NS

log = logging.getLogger(__name__)
LIFETIME_WRITES = 100_000  # of an EEPROM cell, as vendors state it
YEARS = 10
BURST = 50
YEAR_NS = 31_557_600 * NS


@dataclass(eq=False)
class Budget:
    """Of one register. `lifetime` writes over ten years; 0: no limit (working memory)."""

    lifetime: int = LIFETIME_WRITES
    burst: int = BURST
    spent: int = 0
    _left: float = -1.0
    _since_ns: int = 0

    @property
    def state(self) -> tuple[float, int]:
        """What was left, and when."""
        return self._left, self._since_ns

    def resume(self, left: float, since_ns: int) -> None:
        self._left, self._since_ns = left, since_ns

    def left(self, now: int) -> float:
        """Writes that may be made now."""
        if not self.lifetime:
            return float("inf")
        if self._left < 0:
            return min(self.burst, self.lifetime)
        gained = (now - self._since_ns) * self.lifetime / (YEARS * YEAR_NS)
        return min(self.burst, self._left + gained)

    def spend(self, now: int) -> bool:
        """Take one write; False when none is left."""
        left = self.left(now)
        if left < 1:
            return False
        self.spent += 1
        self._left, self._since_ns = left - 1, now
        return True


def place_of(line: str) -> Path | None:
    """Where the budgets of a line are remembered; None where the service manager gives no folder on memory."""
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(runtime) / f"budget-{zlib.crc32(line.encode()):08x}.json" if runtime else None


@dataclass(eq=False)
class Budgets:
    """Those of a line's registers, by key. `file` is on memory and of this boot, as the times are."""

    lifetime: int = LIFETIME_WRITES
    file: Path | None = None
    _known: dict[str, Budget] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.file is None or not self.file.exists():
            return
        try:
            for key, (left, since_ns) in json.loads(self.file.read_text()).items():
                self._budget(key).resume(min(float(left), BURST), int(since_ns))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            log.warning("%s: budgets of writes not readable, begun anew: %s", self.file, error)

    def _budget(self, key: str) -> Budget:
        return self._known.setdefault(key, Budget(self.lifetime))

    def spend(self, key: tuple[int, int, int], now: int) -> bool:
        """Take one write of a register (unit, function, address); remembered before it is sent."""
        if not self._budget("/".join(map(str, key))).spend(now):
            return False
        if self.file is not None:
            try:
                fresh = self.file.with_suffix(".new")
                fresh.write_text(json.dumps({name: one.state for name, one in self._known.items()}))
                fresh.replace(self.file)
            except OSError as error:
                log.warning("%s: budgets of writes not remembered: %s", self.file, error)
        return True
