"""How often a register may be written: parameters of most devices live in memory that wears out. Rules without IO.

The lifetime is spread over the years that the device shall serve, with a small burst for a busy day. A restart gives
at most one burst again, so that the lifetime holds without keeping count on disk.
"""

from dataclasses import dataclass

from protos.clock import NS

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
