"""The same value with the same source time as before: a message that came twice. UNCERTAIN.

Only where the device says the time itself: a poll that reads the same value twice has read it twice.
"""

from collections.abc import Mapping
from typing import ClassVar

from edge_agent.cleaning.check import Parameter, Parameters, never, nothing
from edge_agent.cleaning.window import Mask, Part
from protos.quality import Quality, Reason, code


class Duplicate:
    PARAMETERS: ClassVar[Mapping[str, Parameter]] = {}
    CODE: ClassVar[int] = code(Quality.UNCERTAIN, Reason.DUPLICATE)
    ALWAYS: ClassVar[bool] = True
    WHOLE_FRAMES: ClassVar[bool] = False
    STAMPED_ONLY: ClassVar[bool] = True

    def __init__(self, count: int, parameters: Parameters) -> None:
        self._last, self._last_ns = nothing(count), never(count)

    def judge(self, part: Part) -> Mask | None:
        part.set_aside(part.source_ns == part.receive_ns)  # what was polled is nobody's twin
        at = part.places
        last, last_ns = self._last[at], self._last_ns[at]
        before, before_ns = part.before(last, last_ns)
        again = (part.source_ns == before_ns) & (part.values == before)
        if part.usable is not None:
            again &= part.usable
        self._last[at], self._last_ns[at] = part.newest(last, last_ns)
        return again if again.any() else None
