"""UTC of this boot, learned from questions and answers: who asked when, and what time the other side said it was.

A question that left at s and whose answer came at r, with the server's time u in between, proves that UTC lies in
[u - r, u - s] ahead of our monotonic clock (the on-wire rule of RFC 5905, with the server's two times as one). The
narrowest such interval is kept; it widens with age, since our oscillator drifts.
"""

from dataclasses import dataclass

from protos.clock import Anchor

DRIFT_PPM = 100  # crystal oscillators from -40 to +85 °C; the kernel's slewing of up to 500 ppm ends with sync
DISAGREEMENTS = 3  # answers in a row that exclude the estimate: the server's clock was set, follow it
RESOLUTION_NS = 1_000_000  # what rounding and scheduling on both sides may add


@dataclass(frozen=True, slots=True)
class Estimate:
    """UTC = monotonic + offset, within ± error at monotonic time `at_ns`."""

    offset_ns: int
    error_ns: int
    at_ns: int

    def error_at(self, now_ns: int) -> int:
        return self.error_ns + abs(now_ns - self.at_ns) * DRIFT_PPM // 1_000_000

    def agrees(self, other: "Estimate", now_ns: int) -> bool:
        return abs(self.offset_ns - other.offset_ns) <= self.error_at(now_ns) + other.error_at(now_ns)


class Estimator:
    """The best estimate of one boot. `disagreements_total` counts answers that contradicted it."""

    def __init__(self, boot_id: bytes, known: Estimate | None = None) -> None:
        self.boot_id = boot_id
        self.best = known
        self.disagreements_total = 0
        self._in_a_row = 0

    def echo(self, sent_ns: int, utc_ns: int, received_ns: int) -> bool:
        """Take one answer; True when the estimate changed. An answer from before its question is no answer."""
        if sent_ns > received_ns:
            return False
        offset = utc_ns - (sent_ns + received_ns) // 2
        new = Estimate(offset, (received_ns - sent_ns) // 2 + RESOLUTION_NS, received_ns)
        if self.best is None:
            self.best = new
            return True
        if not new.agrees(self.best, received_ns):
            self.disagreements_total += 1
            self._in_a_row += 1
            if self._in_a_row < DISAGREEMENTS:
                return False
        elif new.error_ns > self.best.error_at(received_ns):
            self._in_a_row = 0
            return False
        self._in_a_row = 0
        self.best = new
        return True

    def forget(self) -> None:
        self.best, self._in_a_row = None, 0

    def anchor(self, now_ns: int) -> Anchor | None:
        """None before the first answer."""
        if self.best is None:
            return None
        return Anchor(self.boot_id, self.best.offset_ns, self.best.error_at(now_ns), "aggregator")
