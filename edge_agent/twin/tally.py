"""How a twin did, for those who judge its model: since they last asked, and in all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_agent.image import Floats
from edge_agent.twin.linear import Analysis

Bools = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]

NIS_STEPS = 50  # over about so many analyses the shown NIS is averaged
NIS_MOST = 1e6  # of one analysis in that average: what is wrong beyond all measure must not be shown for hours


@dataclass(frozen=True, slots=True)
class Tally:
    """One twin since the last time. Late steps are counted by whoever has the clock."""

    steps: int
    nan: int  # states or variances that were not finite: the twin began anew
    outside: int  # steps at the limits of the network
    squares: Mapping[str, float]  # channel → mean of (y − ŷ)², one step ahead, internal unit²; only measured ones
    nis: float  # mean per channel, 1 is expected; NaN: nothing was measured

    def residual(self, scales: Mapping[str, float]) -> float:
        """Mean over the measured channels of (y − ŷ)² / scale²; NaN when nothing was measured."""
        terms = [value / scales[name] ** 2 for name, value in self.squares.items() if name in scales]
        return sum(terms) / len(terms) if terms else float("nan")


class Tallies:
    """Of all rows of a fleet, arrays (B,) and (B, p)."""

    def __init__(self, rows: int, channels: Sequence[str]) -> None:
        self._channels = channels
        self.steps: Counts = np.zeros(rows, np.int64)
        self.nan: Counts = np.zeros(rows, np.int64)
        self.outside: Counts = np.zeros(rows, np.int64)
        self.nis: Floats = np.ones(rows)  # rolling
        self._squares: Floats = np.zeros((rows, len(channels)))
        self._measured: Counts = np.zeros((rows, len(channels)), np.int64)
        self._nis_sum: Floats = np.zeros(rows)
        self._nis_count: Counts = np.zeros(rows, np.int64)
        self._before = [np.zeros(rows, np.int64) for _ in range(3)]

    def add(self, analysis: Analysis, outside: Bools) -> None:
        self.steps += 1
        self.outside += outside
        if analysis.complete:
            self._add_complete(analysis)
            return
        measured = analysis.measured & np.isfinite(analysis.d)
        judged = np.isfinite(analysis.nis)
        nis = np.where(judged, analysis.nis, 0.0)
        self._squares += np.where(measured, analysis.d, 0.0) ** 2
        self._measured += measured
        self._nis_sum += nis
        self._nis_count += judged
        self.nis += np.where(judged, (np.minimum(nis, NIS_MOST) - self.nis) / NIS_STEPS, 0.0)

    def _add_complete(self, analysis: Analysis) -> None:
        """As in `add`, where everything was measured and is a number."""
        self._squares += np.square(analysis.d)
        self._measured += 1
        self._nis_sum += analysis.nis
        self._nis_count += 1
        change = np.minimum(analysis.nis, NIS_MOST)
        change -= self.nis
        change /= NIS_STEPS
        self.nis += change

    def fail(self) -> None:
        """A step of all rows that gave nothing."""
        self.steps += 1
        self.nan += 1

    def take(self, row: int) -> Tally:
        """What happened to this row since it was last taken."""
        now = [int(counts[row]) for counts in (self.steps, self.nan, self.outside)]
        steps, nan, outside = (one - int(before[row]) for one, before in zip(now, self._before, strict=True))
        for before, one in zip(self._before, now, strict=True):
            before[row] = one
        squares = {
            name: float(self._squares[row, k] / count)
            for k, (name, count) in enumerate(zip(self._channels, self._measured[row], strict=True))
            if count
        }
        count = int(self._nis_count[row])
        nis = float(self._nis_sum[row] / count) if count else float("nan")
        self._squares[row], self._measured[row], self._nis_sum[row], self._nis_count[row] = 0.0, 0, 0.0, 0
        return Tally(steps, nan, outside, squares, nis)
