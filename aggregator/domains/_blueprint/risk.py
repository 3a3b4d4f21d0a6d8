"""What may go wrong: a pond that overflows."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from aggregator.twin.risk import Risk, ranked
from aggregator.twin.series import Series

DAMAGE_PER_M = 1000.0  # of rim height: a deep pond stands beside more than a shallow one


class Overflows(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def rim_m(self) -> float: ...


def risks(ponds: Sequence[Overflows], series: Series) -> list[Risk]:
    """Overflow of each pond at its worst step: at least so likely within the horizon."""
    probability = series.exceedance(np.array([one.rim_m for one in ponds])).max(axis=0)
    return ranked(
        Risk(one.name, "overflow", float(p), DAMAGE_PER_M * one.rim_m, f"pump {one.name}")
        for one, p in zip(ponds, probability, strict=True)
    )
