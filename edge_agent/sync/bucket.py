"""A token bucket: how fast bytes may leave."""

from protos.clock import NS


class Bucket:
    """`rate` bytes a second on average, `burst` bytes at once. A taker may overdraw; the next one waits for it."""

    def __init__(self, rate: float, burst: float, now_ns: int) -> None:
        """Raises ValueError for a rate or burst that lets nothing pass."""
        if rate <= 0 or burst <= 0:
            raise ValueError(f"rate {rate:g} and burst {burst:g} bytes: both must be above 0")
        self.rate, self.burst = rate, burst
        self._level, self._at_ns = float(burst), now_ns

    def level(self, now_ns: int) -> float:
        """Bytes that may leave now; below 0 while an overdraft is paid back."""
        if now_ns > self._at_ns:
            self._level = min(self.burst, self._level + (now_ns - self._at_ns) * self.rate / NS)
            self._at_ns = now_ns
        return self._level

    def take(self, count: int, now_ns: int) -> int:
        """Take `count` bytes; returns the time (monotonic ns) at which the level is not below 0 any more."""
        self._level = self.level(now_ns) - count
        return now_ns if self._level >= 0 else now_ns + int(-self._level / self.rate * NS)
