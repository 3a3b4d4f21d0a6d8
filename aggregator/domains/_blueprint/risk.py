"""What may go wrong: a pond that overflows."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from aggregator.twin.risk import Risk, ranked
from aggregator.twin.series import Series

HOUR_NS = 3_600_000_000_000
PUMP_HOURS = 10_000.0  # mean time to failure of a small pump
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


def contingencies(ponds: Sequence[Overflows], series: Series) -> list[Risk]:
    """The pump of each pond out of order: what stands above its rim at the horizon's end without it, most likely."""
    over = np.maximum(series.mean[-1] - np.array([one.rim_m for one in ponds]), 0.0)
    hours = series.horizon * series.dt_ns / HOUR_NS
    chance = 1 - np.exp(-hours / PUMP_HOURS)
    return ranked(
        Risk(one.name, "pump out of order", float(chance), DAMAGE_PER_M * float(m), f"keep a pump ready for {one.name}")
        for one, m in zip(ponds, over, strict=True)
    )
