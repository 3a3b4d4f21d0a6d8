"""What may go wrong, how likely, how bad, and what to do about it: the words all domains rank their risks in."""

from collections.abc import Iterable
from dataclasses import dataclass

from aggregator.twin import BadModel


@dataclass(frozen=True, slots=True)
class Risk:
    """One thing at one asset within a forecast's horizon."""

    asset: str
    what: str
    probability: float  # 0 … 1
    consequence: float  # in the city's own unit, the same for all domains; ≥ 0
    action: str  # what lowers it most

    def __post_init__(self) -> None:
        if not (0 <= self.probability <= 1 and 0 <= self.consequence < float("inf")):
            raise BadModel(
                f"risk {self.what} at {self.asset}: probability {self.probability}, consequence {self.consequence}; "
                "0 … 1, and a number from 0 on"
            )

    @property
    def expected(self) -> float:
        return self.probability * self.consequence


def ranked(risks: Iterable[Risk]) -> list[Risk]:
    """The largest expectation first."""
    return sorted(risks, key=lambda one: (-one.expected, one.asset, one.what))
