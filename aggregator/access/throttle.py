"""How often somebody may try: rules without IO. After a few free tries each next one waits twice as long.

By name and by address, each alone: one machine that tries many names is slowed, and many machines that try one name.
It is the same for names that there are and that there are not, so it tells nothing (OWASP, Authentication Cheat Sheet).
"""

from collections import OrderedDict
from dataclasses import dataclass

NS = 1_000_000_000
FREE = 5  # tries that cost nothing: people mistype
FIRST_S, LONGEST_S = 2.0, 900.0
FORGET_S = 3_600.0  # without a try
KNOWN_MAX = 10_000  # keys that are remembered; the oldest goes first


@dataclass(slots=True)
class Tries:
    count: int = 0
    last_ns: int = 0
    until_ns: int = 0


class Throttle:
    """`wait_s` before a try, then `failed` or `passed`."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Tries] = OrderedDict()

    def wait_s(self, key: str, now_ns: int) -> float:
        """How long this key has to wait; 0: it may try."""
        tries = self._known.get(key)
        return max(0.0, (tries.until_ns - now_ns) / NS) if tries else 0.0

    def failed(self, key: str, now_ns: int) -> None:
        tries = self._known.setdefault(key, Tries())
        if now_ns - tries.last_ns > FORGET_S * NS:
            tries.count = 0
        tries.count, tries.last_ns = tries.count + 1, now_ns
        over = tries.count - FREE
        if over >= 0:
            tries.until_ns = now_ns + int(min(FIRST_S * 2.0 ** min(over, 32), LONGEST_S) * NS)
        self._known.move_to_end(key)
        while len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)

    def passed(self, key: str) -> None:
        self._known.pop(key, None)
