"""When to try again: full jitter, so that a thousand gateways do not come back in the same second."""

import random
from collections.abc import Callable

BASE_S = 0.5
CAP_S = 30.0  # a link that comes back is used again 15 s later on average
FINAL_CAP_S = 300.0  # after a refusal that only a person can lift


class Backoff:
    """A wait drawn evenly from 0 to a ceiling that doubles with each failure, up to a cap."""

    def __init__(self, base_s: float = BASE_S, cap_s: float = CAP_S, draw: Callable[[], float] | None = None) -> None:
        self._base_s, self._cap_s = base_s, cap_s
        self._draw = draw or random.SystemRandom().random
        self.failures = 0

    def next_s(self, *, final: bool = False) -> float:
        """Count a failure; seconds to wait before the next attempt. `final`: at the widest spread from the start."""
        self.failures += 1
        doublings = min(self.failures - 1, 32)  # beyond that the cap holds in any case; keeps the power small
        ceiling = max(FINAL_CAP_S, self._cap_s) if final else min(self._cap_s, self._base_s * 2**doublings)
        return self._draw() * ceiling

    def reset(self) -> None:
        """After a session that did some work; a mere connection is no success."""
        self.failures = 0
