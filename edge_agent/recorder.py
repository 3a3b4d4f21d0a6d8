"""What of the loop's many ticks is kept: every change, and otherwise one reading in a while.

A loop at 100 Hz reads a hundred times what anybody wants to look at later. A frame is recorded when its quality
changed, when it brings texts, or when the last one recorded is `every_ns` old; the others were used and are counted as
thinned. Every actuation is recorded before it is sent, with a digest of the view that it rests on; who decides, and
why, is told to the audit when it changes.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from math import isnan

import numpy as np

from edge_agent.cell import Output
from edge_agent.cycle import Tick
from edge_agent.image import Floats, Frame, Layout, View
from edge_agent.setpoint import Authority, Decision
from protos.quality import Quality, Reason, code

DEVICE = "control"  # of the points that hold decisions
DIGEST = "view_digest"  # point beside them: 48 bits of the hash of the view, exact in a float64
DIGEST_BYTES = 6
HAND_OVER_NS = 100_000_000  # to the main loop, at most so often: waking it costs
UNDECIDED = code(Quality.BAD, Reason.INVALID)  # an output that is left alone


@dataclass(eq=False)
class Recorder:
    """`keep` is called in every tick; `record` and `audit` get what is to be kept, in the caller's thread."""

    outputs: Sequence[Output]
    every_ns: int
    record: Callable[[Sequence[Frame]], object]
    audit: Callable[[Sequence[Frame]], object]
    recorded: int = 0  # frames
    thinned: int = 0
    _last: dict[Layout, tuple[int, bytes | None]] = field(default_factory=dict)
    _waiting: list[Frame] = field(default_factory=list)
    _told: list[Frame] = field(default_factory=list)
    _handed_ns: int = 0

    def __post_init__(self) -> None:
        self.layout = Layout(DEVICE, (*(one.name for one in self.outputs), DIGEST))
        self._log = Layout(DEVICE, ())
        self._known: list[tuple[str, Authority | None, str]] = [("", None, "")] * len(self.outputs)

    def keep(self, frames: Sequence[Frame], tick: Tick, acted: bool, now_ns: int) -> None:
        """Take the tick's readings, estimates and decisions. `acted`: something is about to be written."""
        for some in (frames, tick.estimates):
            for frame in some:
                codes = None if frame.codes is None else frame.codes.tobytes()
                if self._wanted(frame.layout, codes, frame.receive_ns, must=bool(frame.texts)):
                    self._waiting.append(frame)
        if self.outputs:
            codes = bytes([UNDECIDED if isnan(one.value) else 0 for one in tick.decisions] + [0])
            if self._wanted(self.layout, codes, now_ns, must=acted):
                self._waiting.append(self._decided(tick, codes, now_ns))
            self._tell(tick, now_ns)
        if now_ns - self._handed_ns >= HAND_OVER_NS:
            self._handed_ns = now_ns
            self.flush()

    def flush(self) -> None:
        """Hand over what waits."""
        waiting, self._waiting = self._waiting, []
        told, self._told = self._told, []
        if waiting:
            self.record(waiting)
        if told:
            self.audit(told)

    def _wanted(self, layout: Layout, codes: bytes | None, at_ns: int, *, must: bool) -> bool:
        """Whether a frame with these codes is to be recorded; counted as recorded or thinned."""
        last_ns, last_codes = self._last.get(layout, (-self.every_ns, None))
        if must or codes != last_codes or at_ns - last_ns >= self.every_ns:
            self._last[layout] = at_ns, codes
            self.recorded += 1
            return True
        self.thinned += 1
        return False

    def _decided(self, tick: Tick, codes: bytes, now_ns: int) -> Frame:
        values: Floats = np.array([*(one.value for one in tick.decisions), digest(tick.view)])
        return Frame(self.layout, now_ns, now_ns, values, np.frombuffer(codes, np.uint8))

    def _tell(self, tick: Tick, now_ns: int) -> None:
        for place, (output, decision) in enumerate(zip(self.outputs, tick.decisions, strict=True)):
            state = decision.by, decision.authority, decision.limited
            if state != self._known[place]:
                self._known[place] = state
                text = json.dumps(said(decision), ensure_ascii=False)
                self._told.append(Frame(self._log, now_ns, now_ns, np.empty(0), texts=[(output.name, text)]))

    def gauges(self) -> dict[str, float]:
        return {"recorded_total": self.recorded, "thinned_total": self.thinned}


def digest(view: View) -> float:
    """48 bits of BLAKE2b over the values and codes that a tick rested on."""
    return float(
        int.from_bytes(blake2b(view.values.tobytes() + view.codes.tobytes(), digest_size=DIGEST_BYTES).digest())
    )


def said(decision: Decision) -> dict[str, object]:
    value = decision.value if decision.acts else None
    return {
        "value": value,
        "authority": decision.authority.value,
        "by": decision.by,
        "why": decision.why,
        "model": decision.model,
        "limited": decision.limited,
        "overruled": list(decision.overruled),
    }
