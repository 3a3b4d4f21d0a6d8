"""A change from one sample to the next that is faster than the quantity can change: UNCERTAIN.

The way back from an outlier is as fast as the way there, so both samples are marked.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from edge_agent.cleaning.check import Parameter, Parameters, never, nothing
from edge_agent.cleaning.window import Mask, Part
from protos.quality import Quality, Reason, code


class Rate:
    PARAMETERS: ClassVar[Mapping[str, Parameter]] = {"max_per_s": Parameter("change", least=0.0)}
    CODE: ClassVar[int] = code(Quality.UNCERTAIN, Reason.RATE)
    ALWAYS: ClassVar[bool] = False
    WHOLE_FRAMES: ClassVar[bool] = False
    STAMPED_ONLY: ClassVar[bool] = False

    def __init__(self, count: int, parameters: Parameters) -> None:
        self._per_ns = parameters["max_per_s"] / 1e9
        self._last, self._last_ns = nothing(count), never(count)

    def judge(self, part: Part) -> Mask | None:
        at = part.places
        last, last_ns = self._last[at], self._last_ns[at]
        before, before_ns = part.before(last, last_ns)
        elapsed = part.source_ns - before_ns
        with np.errstate(invalid="ignore"):  # inf - inf
            fast = np.abs(part.values - before) > self._per_ns[at] * elapsed
        fast &= elapsed > 0  # a time that stands or runs backwards is the timing check's
        if part.usable is not None:
            fast &= part.usable
        self._last[at], self._last_ns[at] = part.newest(last, last_ns)
        return fast if fast.any() else None
