"""What the city's twin believes of the states that this gateway holds too: the newest of each domain.

For beginning with where the gateway itself knows less, never for fusing with its own readings: those are in it already.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from protos import sync_pb2 as pb

STATES_MAX = 10_000  # of one domain at one gateway
DOMAINS_MAX = 32
NAME_MAX = 200


class Believed(NamedTuple):
    """One state: mean and variance in the quantity's internal unit, at a moment in UTC."""

    mean: float
    variance: float
    utc_ns: int


@dataclass(eq=False, slots=True)
class Priors:
    """Not for threads: taken and asked on the main loop. What is handed out never changes."""

    _of: dict[str, Mapping[str, Believed]] = field(default_factory=dict)
    _newest: dict[str, int] = field(default_factory=dict)

    def take(self, prior: pb.Prior) -> bool:
        """False for one that makes no sense; one that is older than what is held changes nothing."""
        if not sensible(prior) or (prior.domain not in self._of and len(self._of) >= DOMAINS_MAX):
            return False
        utc_ns = prior.k * prior.dt_ns
        if utc_ns >= self._newest.get(prior.domain, -(1 << 63)):
            self._newest[prior.domain] = utc_ns
            self._of[prior.domain] = {
                name: Believed(mean, variance, utc_ns)
                for name, mean, variance in zip(prior.states, prior.mean, prior.variance, strict=True)
            }
        return True

    def get(self, state: str) -> Believed | None:
        """Of `asset/quantity`."""
        return next((held[state] for held in self._of.values() if state in held), None)

    def __iter__(self) -> Iterator[tuple[str, Believed]]:
        for held in self._of.values():
            yield from held.items()


def sensible(prior: pb.Prior) -> bool:
    count = len(prior.states)
    return (
        0 < count <= STATES_MAX
        and len(prior.mean) == len(prior.variance) == count == len(set(prior.states))
        and prior.dt_ns > 0
        and all(0 < len(name) <= NAME_MAX for name in (prior.domain, *prior.states))
        and all(map(math.isfinite, prior.mean))
        and all(math.isfinite(one) and one > 0 for one in prior.variance)
    )
