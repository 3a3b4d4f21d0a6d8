"""When a unit that does not answer is asked again, so that it delays nobody else on its line. Rules without IO.

Closed: asked every cycle. After two failed cycles open: not asked for 2 s × 2ⁿ (with jitter, at most 300 s); then one
short probe. A probe that is answered closes the breaker, one that is not opens it for longer.
"""

import random
from dataclasses import dataclass, field

from protos.clock import NS

FAILURES = 2
FIRST_NS = 2 * NS
LONGEST_NS = 300 * NS
JITTER = 0.1  # of each pause, so that units that died together are not probed together
PROBE_MIN_NS = NS // 10
PROBE_ANSWERS = 4  # a probe waits for so many times the slowest answer seen
PATIENT_PROBE = 4  # every so many probes wait the full timeout: the unit may have become slower


@dataclass(eq=False)
class Breaker:
    """Of one unit."""

    chance: random.Random = field(default_factory=random.Random)
    failures: int = 0
    openings: int = 0  # in a row
    open_until: int = 0
    slowest_ns: int = 0  # answer seen, decaying

    @property
    def open(self) -> bool:
        return self.openings > 0

    def may_ask(self, now: int) -> bool:
        return now >= self.open_until

    def timeout_ns(self, full_ns: int) -> int:
        """How long to wait for the next answer: the full timeout, or less for a probe."""
        if not self.open or self.openings % PATIENT_PROBE == 0:
            return full_ns
        return min(full_ns, max(PROBE_MIN_NS, PROBE_ANSWERS * self.slowest_ns))

    def answered(self, took_ns: int = 0) -> None:
        self.failures = self.openings = self.open_until = 0
        self.slowest_ns = max(took_ns, self.slowest_ns - self.slowest_ns // 64)

    def failed(self, now: int) -> None:
        """One failed cycle, or one failed probe."""
        self.failures += 1
        if self.failures < FAILURES and not self.open:
            return
        pause = min(FIRST_NS << min(self.openings, 16), LONGEST_NS)
        self.open_until = now + int(min(pause * self.chance.uniform(1 - JITTER, 1 + JITTER), LONGEST_NS))
        self.openings += 1
