"""Outside what the quantity can be, or not a number: BAD. Without limits of its own a point has its quantity's."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from edge_agent.cleaning.check import Parameter, Parameters
from edge_agent.cleaning.window import Mask, Part
from protos.quality import Quality, Reason, code


class Range:
    PARAMETERS: ClassVar[Mapping[str, Parameter]] = {
        "min": Parameter("value", -np.inf),
        "max": Parameter("value", np.inf),
    }
    CODE: ClassVar[int] = code(Quality.BAD, Reason.RANGE)
    ALWAYS: ClassVar[bool] = True
    WHOLE_FRAMES: ClassVar[bool] = False
    STAMPED_ONLY: ClassVar[bool] = False

    def __init__(self, count: int, parameters: Parameters) -> None:
        self._low, self._high = parameters["min"], parameters["max"]

    def judge(self, part: Part) -> Mask | None:
        inside = part.values >= self._low[part.places]  # false for NaN
        inside &= part.values <= self._high[part.places]
        return None if np.count_nonzero(inside) == inside.size else ~inside
