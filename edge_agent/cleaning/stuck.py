"""No change at all for longer than the quantity can rest: UNCERTAIN.

Only for points that are configured for it: a switch, a counter at night or a device that reports on change rests
rightly. Silence is not rest: after a gap as long as the limit the wait begins anew.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from edge_agent.cleaning.check import Parameter, Parameters, never, nothing
from edge_agent.cleaning.window import Mask, Part, behind
from protos.quality import Quality, Reason, code


class Stuck:
    PARAMETERS: ClassVar[Mapping[str, Parameter]] = {"after_s": Parameter("number", least=1.0)}
    CODE: ClassVar[int] = code(Quality.UNCERTAIN, Reason.STUCK)
    ALWAYS: ClassVar[bool] = False
    WHOLE_FRAMES: ClassVar[bool] = False
    STAMPED_ONLY: ClassVar[bool] = False

    def __init__(self, count: int, parameters: Parameters) -> None:
        self._after_ns = (parameters["after_s"] * 1e9).astype(np.int64)
        self._last, self._last_ns = nothing(count), never(count)
        self._since_ns = never(count)  # when the value last changed

    def judge(self, part: Part) -> Mask | None:
        at = part.places
        last, last_ns, after = self._last[at], self._last_ns[at], self._after_ns[at]
        before, before_ns = part.before(last, last_ns)
        moved = (part.values != before) | (part.source_ns - before_ns >= after)
        if part.usable is not None:
            moved &= part.usable
        changes = np.where(moved, part.source_ns, np.iinfo(np.int64).min)
        since = np.maximum.accumulate(behind(self._since_ns[at], changes), axis=0)[1:]
        stuck = part.source_ns - since >= after
        if part.usable is not None:
            stuck &= part.usable
        self._since_ns[at] = since[-1]
        self._last[at], self._last_ns[at] = part.newest(last, last_ns)
        return stuck if stuck.any() else None
