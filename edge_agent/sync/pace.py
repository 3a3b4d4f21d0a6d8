"""How much backlog may be on its way: as much as the link and the aggregator take within half a second.

Live readings wait behind what is already on its way, so that is kept short by its own delay (the idea of LEDBAT,
RFC 6817): quick acks let it grow, slow ones shrink it.
"""

from protos.clock import NS

FAST_NS = NS // 4
SLOW_NS = NS * 3 // 4
FIRST_BYTES = 64 * 1024
LEAST_BYTES = 1  # one batch is always allowed: less than that would be a halt
MOST_BYTES = 8 << 20  # of a batch each in the window; more does not make a group commit cheaper


class Pace:
    """The allowance of unacked backlog bytes."""

    def __init__(self) -> None:
        self.limit = FIRST_BYTES

    def acked(self, size: int, took_ns: int) -> None:
        """A backlog batch of `size` bytes was acked `took_ns` after it was sent."""
        if took_ns < FAST_NS:
            self.limit = min(MOST_BYTES, self.limit + size)  # doubles with each full window
        elif took_ns > SLOW_NS:
            self.limit = max(LEAST_BYTES, self.limit - size // 2 - 1)
