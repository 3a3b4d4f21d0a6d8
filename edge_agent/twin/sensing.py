"""What the twins of one model see of the process image: which channels are new, which are missing, which input is held.

A channel is measured by a sample that came since the last step, is not stale and not in doubt (GOOD, an estimate, or
only its time is uncertain); one that is BAD, stale, suspected by cleaning, or not there at all is missing. An input is
known unless it is BAD, stale or not finite, whatever cleaning suspects: a pump that runs at one speed all day is no
fault. What is not known is held at its last value, at the operating point before the first one.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from edge_agent.image import TRUSTED, UNCERTAIN_LAST, Codes, Floats, Times, View
from edge_agent.setpoint import Port

Bools = npt.NDArray[np.bool_]

NOWHERE = Port(0, -1)  # of a channel that is not measured here: older than it may be, always
TRUSTS: Bools = np.isin(np.arange(256), TRUSTED)
KNOWS: Bools = np.arange(256) <= UNCERTAIN_LAST


class Places:
    """Where one kind of values, channels or inputs, is in the image: arrays (B, k)."""

    def __init__(self, ports: Sequence[Sequence[Port]], width: int) -> None:
        shape = (len(ports), width)
        self.places = np.array([[one.place for one in row] for row in ports], np.intp).reshape(shape)
        self.stale_ns: Times = np.array([[one.stale_ns for one in row] for row in ports], np.int64).reshape(shape)

    def good(self, view: View, allowed: Bools) -> tuple[Floats, Bools, Times]:
        """Values, whether each may be used, and how old it is."""
        values: Floats = view.values[self.places]
        codes: Codes = view.codes[self.places]
        age: Times = view.age_ns[self.places]
        return values, allowed[codes] & (age <= self.stale_ns) & np.isfinite(values), age


class Sensing:
    """The eyes of the twins of one model, row by row. `look` fills the arrays; nothing is kept but last values.

    y (B, p), `measured` (B, p): came since the last look; `missing` (B, p); u (B, m), `held` (B, m): not known.
    """

    def __init__(self, channels: Sequence[Sequence[Port]], inputs: Sequence[Sequence[Port]], u0: Floats) -> None:
        rows, p = len(channels), len(channels[0])
        self._channels, self._inputs = Places(channels, p), Places(inputs, len(u0))
        self.y: Floats = np.zeros((rows, p))
        self.measured: Bools = np.zeros((rows, p), np.bool_)
        self.missing: Bools = np.ones((rows, p), np.bool_)
        self.u: Floats = np.tile(u0, (rows, 1))
        self.held: Bools = np.ones((rows, len(u0)), np.bool_)
        self._received_ns: Times = np.full((rows, p), np.iinfo(np.int64).min)

    def look(self, view: View) -> None:
        self.y, good, age = self._channels.good(view, TRUSTS)
        received = view.now_ns - age
        self.measured = good & (received > self._received_ns)
        self.missing = ~good
        self._received_ns = np.where(good, received, self._received_ns)
        values, known, _ = self._inputs.good(view, KNOWS)
        self.held = ~known
        np.copyto(self.u, values, where=known)

    def take_over(self, row: int, old: "Sensing", old_row: int, inputs: Mapping[int, int]) -> None:
        """Go on with the last known inputs of another one's row; `inputs` says which is which, new → old."""
        for new, before in inputs.items():
            self.u[row, new] = old.u[old_row, before]
