"""A lone value far from its neighbours: UNCERTAIN. After F. R. Hampel's identifier, with the past only.

Far is more than `sigmas` deviations from the median of the five samples before, and from the sample just before: the
first sample of a true step is marked, those that confirm it are not. The deviation is the median absolute one, as a
normal distribution's, and at least `floor`; where the past rests and no floor is given, it is 1 % of the median.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from edge_agent.cleaning.check import Parameter, Parameters
from edge_agent.cleaning.window import Floats, Mask, Part
from protos.quality import Quality, Reason, code

PAST = 5
NORMAL = 1.4826  # deviation of a normal distribution over its median absolute deviation
RESTING = 0.01  # of the median


def median_of_five(a: Floats, b: Floats, c: Floats, d: Floats, e: Floats) -> Floats:
    """Elementwise; six exchanges do what sorting would. NaN if any is."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    low_two, high_two = np.minimum(c, d), np.maximum(c, d)
    middle, other = np.maximum(low, low_two), np.minimum(high, high_two)  # without the least and the greatest of four
    return np.maximum(np.minimum(middle, other), np.minimum(np.maximum(middle, other), e))


class Spike:
    PARAMETERS: ClassVar[Mapping[str, Parameter]] = {
        "sigmas": Parameter("number", least=1.0),
        "floor": Parameter("change", 0.0, least=0.0),
    }
    CODE: ClassVar[int] = code(Quality.UNCERTAIN, Reason.SPIKE)
    ALWAYS: ClassVar[bool] = False
    WHOLE_FRAMES: ClassVar[bool] = False
    STAMPED_ONLY: ClassVar[bool] = False

    def __init__(self, count: int, parameters: Parameters) -> None:
        self._sigmas, self._floor = parameters["sigmas"], parameters["floor"]
        self._past = np.full((PAST, count), np.nan)  # oldest first

    def judge(self, part: Part) -> Mask | None:
        at, rows = part.places, len(part.values)
        series = np.vstack((self._past[:, at], part.values))
        if part.usable is not None:
            self._fill(series, part.usable)
        past = [series[i : i + rows] for i in range(PAST)]
        with np.errstate(invalid="ignore"):  # inf - inf
            median = median_of_five(*past)
            spread = NORMAL * median_of_five(*(np.abs(one - median) for one in past))
            floor = self._floor[at]
            least = np.where((floor > 0) | (spread > 0), floor, RESTING * np.abs(median))
            far = self._sigmas[at] * np.maximum(spread, least)
            spike = (np.abs(part.values - median) > far) & (np.abs(part.values - past[-1]) > far)
        if part.usable is not None:
            spike &= part.usable
        self._past[:, at] = series[-PAST:]
        return spike if spike.any() else None

    def _fill(self, series: Floats, usable: Mask) -> None:
        """Put the value before in the place of each that is not usable, in order."""
        for row, good in enumerate(usable, start=PAST):
            np.copyto(series[row], series[row - 1], where=~good)
