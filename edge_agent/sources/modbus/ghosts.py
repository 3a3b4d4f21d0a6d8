"""Answers that may still come although nobody waits for them any more.

An RTU answer carries no transaction id: only unit, function and byte count tell two answers apart. So every request
that was not answered leaves a ghost of that shape for as long as its answer may be under way, and no request of the
same shape is sent meanwhile: its answer could not be told from the ghost's. An answer may also come twice, so that an
answered request leaves a ghost too, for as short as bytes are held back on their way; longer where repetitions were
seen. Rules without IO; times in ns.
"""

from dataclasses import dataclass, field

from protos.clock import NS

Shape = tuple[int, int, int]  # unit, function, data bytes

MS = NS // 1000
LIFE_TIMEOUTS = 4  # an answer later than so many timeouts after its own is not expected
LIFE_MIN_NS = 250 * MS  # and a converter may hold bytes for this long whatever the timeout is
LIFE_MAX_NS = 60 * NS
REPEAT_NS = 20 * MS  # USB adapters and converters hold bytes for up to 16 ms
REPEAT_SEEN_NS = 60 * MS  # on a line that repeated an answer
REPEAT_MAX_NS = 2 * NS
STRETCH_MAX = 16


@dataclass(eq=False)
class Ghosts:
    """What may still come on one line."""

    enabled: bool = True  # off only as the negative control of a test
    _late: dict[Shape, int] = field(default_factory=dict)  # until when an unanswered request may be answered
    _answered: dict[Shape, int] = field(default_factory=dict)  # when a request was last answered
    _stretch: int = 1  # grows when an answer came later than thought possible
    _repeat_ns: int = REPEAT_NS

    def unanswered(self, shape: Shape, timeout_ns: int, now: int) -> None:
        life = min(max(LIFE_TIMEOUTS * timeout_ns, LIFE_MIN_NS) * self._stretch, LIFE_MAX_NS)
        self._late[shape] = now + life

    def answered(self, shape: Shape, now: int) -> None:
        self._answered[shape] = now

    def stray(self, shape: Shape, now: int) -> None:
        """An answer that nobody waited for: late, repeated, or of another master."""
        if self._late.get(shape, 0) > now:
            del self._late[shape]  # the late one; it may be repeated as any other
            self._answered[shape] = now
            return
        since = now - self._answered.get(shape, -LIFE_MAX_NS)
        if since < REPEAT_MAX_NS:
            self._repeat_ns = min(max(self._repeat_ns, REPEAT_SEEN_NS, 4 * since), REPEAT_MAX_NS)
        else:
            self._stretch = min(2 * self._stretch, STRETCH_MAX)

    def blocked_until(self, shape: Shape, now: int) -> int:
        """When a request of this shape may be sent; 0: now."""
        if not self.enabled:
            return 0
        until = max(self._late.get(shape, 0), self._answered.get(shape, -REPEAT_MAX_NS) + self._repeat_ns)
        return until if until > now else 0

    def late_of(self, unit: int, now: int) -> bool:
        """Whether a late answer of this unit may still come: then an exception could be that one."""
        return self.enabled and any(shape[0] == unit and until > now for shape, until in self._late.items())
