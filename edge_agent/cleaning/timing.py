"""A device's own time that runs backwards, is ahead of its arrival, or is far behind it: UNCERTAIN, the whole frame.

What a device sends from its own store is late rightly; its source says so (HISTORICAL) before it comes here.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from edge_agent.cleaning.check import Parameter, Parameters
from edge_agent.cleaning.window import Mask, Part, behind
from protos.quality import Quality, Reason, code

AHEAD_S = 5.0  # more than a device's clock may be ahead when it is kept by NTP or GNSS at all
BEHIND_S = 3600.0  # more than any message is under way through a broker that works
NEVER = np.iinfo(np.int64).min


class Timing:
    PARAMETERS: ClassVar[Mapping[str, Parameter]] = {
        "max_ahead_s": Parameter("number", AHEAD_S, least=0.0),
        "max_behind_s": Parameter("number", BEHIND_S, least=0.0),
    }
    CODE: ClassVar[int] = code(Quality.UNCERTAIN, Reason.TIMING)
    ALWAYS: ClassVar[bool] = True
    WHOLE_FRAMES: ClassVar[bool] = True
    STAMPED_ONLY: ClassVar[bool] = True

    def __init__(self, count: int, parameters: Parameters) -> None:
        self._ahead_ns = (parameters["max_ahead_s"] * 1e9).astype(np.int64)
        self._behind_ns = (parameters["max_behind_s"] * 1e9).astype(np.int64)
        self._last_ns = np.full(count, NEVER)

    def judge(self, part: Part) -> Mask | None:
        at, source = part.places, part.source_ns
        stamped = source != part.receive_ns
        newest = np.maximum.accumulate(behind(self._last_ns[at], np.where(stamped, source, NEVER)), axis=0)
        self._last_ns[at] = newest[-1]
        ahead = source - part.receive_ns
        wrong = source < newest[:-1]
        wrong |= ahead > self._ahead_ns[at]
        wrong |= ahead < -self._behind_ns[at]
        wrong &= stamped
        return wrong if wrong.any() else None
