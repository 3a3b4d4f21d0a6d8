"""Every limit on what a gateway may ask of the aggregator, each with its why, and the bucket that meters them."""

from dataclasses import dataclass

NS = 1_000_000_000
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Defaults fit 1,000 gateways on one machine; `[limits]` in the configuration changes them."""

    gateways: int = 2_000  # streams at once: 90 kB each, and a wall against a flood of connections
    window_batches: int = 64  # unacked per gateway: fills a 1 s round trip at 64 batches/s, bounds what a crash resends
    batch_bytes: int = 4 * MIB  # one message; a batch of 2,000 readings is under 32 kB
    batch_raw_bytes: int = 64 * MIB  # when unpacked: a small blob must not unpack into all memory
    batches_per_s: float = 200.0  # per gateway, on average; a 72 h backlog drains at this pace too
    batches_burst: int = 400
    bytes_per_s: float = 8.0 * MIB  # per gateway, on average
    bytes_burst: int = 32 * MIB
    in_flight_bytes: int = 128 * MIB  # of all gateways together, not yet durable: what a slow disk may pile up
    enrolments_per_minute: float = 10.0  # per peer address: guessing a 256-bit secret is hopeless, load is not
    log_days: int = 14  # rows stay this long after history has them, so that projections can be rebuilt


class Bucket:
    """A token bucket on a clock that is given: `take` says how long to wait for what was asked."""

    __slots__ = ("_at_ns", "_burst", "_left", "_per_s")

    def __init__(self, per_s: float, burst: float, now_ns: int) -> None:
        self._per_s, self._burst, self._left, self._at_ns = per_s, burst, burst, now_ns

    def take(self, amount: float, now_ns: int) -> int:
        """Take it, going into debt if need be; returns the ns until the debt is paid, 0 for at once."""
        self._fill(now_ns)
        self._left -= amount
        return 0 if self._left >= 0 else int(-self._left / self._per_s * NS)

    def try_take(self, amount: float, now_ns: int) -> bool:
        """Take it if it is there; never into debt."""
        self._fill(now_ns)
        if self._left < amount:
            return False
        self._left -= amount
        return True

    def _fill(self, now_ns: int) -> None:
        gone, self._at_ns = max(0, now_ns - self._at_ns), now_ns
        self._left = min(self._burst, self._left + gone / NS * self._per_s)
