"""Answers that may still come although nobody waits for them any more.

An RTU answer carries no transaction id: only unit, function and byte count tell two answers apart. So every request
that was not answered leaves a ghost of that shape for as long as its answer may be under way, and no request of the
same shape is sent meanwhile: its answer could not be told from the ghost's. On a line that has repeated an answer
once, every answered request leaves a short-lived ghost too. Rules without IO; times in ns.
"""

from dataclasses import dataclass, field

from protos.clock import NS

Shape = tuple[int, int, int]  # unit, function, data bytes

MS = NS // 1000
LIFE_TIMEOUTS = 4  # an answer later than so many timeouts after its own is not expected
LIFE_MIN_NS = 250 * MS  # and a converter may hold bytes for this long whatever the timeout is
LIFE_MAX_NS = 60 * NS
REPEAT_NS = 60 * MS  # how long after an answer its repetition is expected, on a line that repeats
REPEAT_MAX_NS = 2 * NS
WARY_NS = 3600 * NS  # a line that repeated an answer is watched for so long


@dataclass(eq=False)
class Ghosts:
    """What may still come on one line."""

    enabled: bool = True  # off only as the negative control of a test
    strays: int = 0  # answers that came and matched nothing that was asked
    _until: dict[Shape, int] = field(default_factory=dict)
    _answered: dict[Shape, int] = field(default_factory=dict)
    _stretch: int = 1  # grows when an answer came later than thought possible
    _repeat_ns: int = REPEAT_NS
    _wary_until: int = -1

    def unanswered(self, shape: Shape, timeout_ns: int, now: int) -> None:
        life = min(max(LIFE_TIMEOUTS * timeout_ns, LIFE_MIN_NS) * self._stretch, LIFE_MAX_NS)
        self._until[shape] = max(self._until.get(shape, 0), now + life)

    def answered(self, shape: Shape, now: int) -> None:
        self._answered[shape] = now
        if now < self._wary_until:
            self._until[shape] = max(self._until.get(shape, 0), now + self._repeat_ns)

    def stray(self, shape: Shape, now: int) -> None:
        """An answer that nobody waited for: late, repeated, or of another master."""
        self.strays += 1
        if shape in self._until and self._until[shape] > now and now >= self._wary_until:
            del self._until[shape]  # the late one has come; on a line that repeats, another may follow
            return
        since = now - self._answered.get(shape, -LIFE_MAX_NS)
        if since < REPEAT_MAX_NS:
            self._repeat_ns = min(max(self._repeat_ns, 4 * since), REPEAT_MAX_NS)
            self._wary_until = now + WARY_NS
        else:
            self._stretch = min(2 * self._stretch, 64)

    def blocked_until(self, shape: Shape, now: int) -> int:
        """When a request of this shape may be sent; 0: now."""
        if not self.enabled:
            return 0
        until = self._until.get(shape, 0)
        if until <= now:
            self._until.pop(shape, None)
            return 0
        return until

    def alive(self, unit: int, now: int) -> bool:
        """Whether any answer of this unit may still come: then an exception is ambiguous too."""
        return self.enabled and any(shape[0] == unit and until > now for shape, until in self._until.items())
