"""What the twins of one model see of the process image: which channels are new, which are missing, which input is held.

A channel is measured by a sample that came since the last step, is not stale and not in doubt (GOOD, an estimate, or
only its time is uncertain); one that is BAD, stale, suspected by cleaning, or not there at all is missing. An input is
known unless it is BAD, stale or not finite, whatever cleaning suspects: a pump that runs at one speed all day is no
fault. What is not known is held at its last value, at the operating point before the first one.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from edge_agent.image import TRUSTED, UNCERTAIN_LAST, Floats, Times, View
from edge_agent.setpoint import Port

Bools = npt.NDArray[np.bool_]

NOWHERE = Port(0, -1)  # of a channel that is not measured here: older than it may be, always
TRUSTS: Bools = np.isin(np.arange(256), TRUSTED)
KNOWS: Bools = np.arange(256) <= UNCERTAIN_LAST
ALLOWED: Bools = np.concatenate((TRUSTS, KNOWS))  # by code, of channels, and behind them of inputs


class Sensing:
    """The eyes of the twins of one model, row by row. `look` fills the arrays; nothing is kept but last values.

    y (B, p), `measured` (B, p): came since the last look; `missing` (B, p); u (B, m), `held` (B, m): not known.
    `lacking`: something is missing or held. Channels and inputs stand side by side in the own arrays (B, p + m).
    """

    def __init__(self, channels: Sequence[Sequence[Port]], inputs: Sequence[Sequence[Port]], u0: Floats) -> None:
        rows, p, m = len(channels), len(channels[0]), len(u0)
        ports = [[*row, *others] for row, others in zip(channels, inputs, strict=True)]
        self._places = np.array([[one.place for one in row] for row in ports], np.intp)
        self._stale_ns: Times = np.array([[one.stale_ns for one in row] for row in ports], np.int64)
        self._kind = np.repeat(np.array([0, len(TRUSTS)], np.intp), (p, m))  # where in ALLOWED
        self._values, self._age_ns = np.zeros((rows, p + m)), np.zeros((rows, p + m), np.int64)
        self._codes, self._asked = np.zeros((rows, p + m), np.uint8), np.zeros((rows, p + m), np.intp)
        self._good, self._also = np.zeros((rows, p + m), np.bool_), np.zeros((rows, p + m), np.bool_)
        self._p = p
        self.y: Floats = self._values[:, :p]
        self.measured: Bools = np.zeros((rows, p), np.bool_)
        self.missing: Bools = np.ones((rows, p), np.bool_)
        self.u: Floats = np.tile(u0, (rows, 1))
        self.held: Bools = np.ones((rows, m), np.bool_)
        self.lacking = True
        self._received_ns: Times = np.full((rows, p), np.iinfo(np.int64).min)

    def look(self, view: View) -> None:
        good, p = self._usable(view), self._p
        received = view.now_ns - self._age_ns[:, :p]
        newer = received > self._received_ns
        complete = np.count_nonzero(good) == good.size
        if complete:
            self.measured, self._received_ns = newer, received
            np.copyto(self.u, self._values[:, p:])
            if self.lacking:
                self.missing, self.held = np.zeros_like(self.missing), np.zeros_like(self.held)
        else:
            self.measured = good[:, :p] & newer
            self.missing, self.held = ~good[:, :p], ~good[:, p:]
            np.copyto(self._received_ns, received, where=good[:, :p])
            np.copyto(self.u, self._values[:, p:], where=good[:, p:])
        self.lacking = not complete

    def _usable(self, view: View) -> Bools:
        """Gather values and ages, and say which may be used; all that overwrites what the look before gathered."""
        places, good, also = self._places, self._good, self._also
        view.values.take(places, None, self._values, "clip")
        view.age_ns.take(places, None, self._age_ns, "clip")
        view.codes.take(places, None, self._codes, "clip")
        np.add(self._codes, self._kind, out=self._asked)
        ALLOWED.take(self._asked, None, good, "clip")
        good &= np.less_equal(self._age_ns, self._stale_ns, out=also)
        good &= np.isfinite(self._values, out=also)
        return good

    def take_over(self, row: int, old: "Sensing", old_row: int, inputs: Mapping[int, int]) -> None:
        """Go on with the last known inputs of another one's row; `inputs` says which is which, new → old."""
        for new, before in inputs.items():
            self.u[row, new] = old.u[old_row, before]
