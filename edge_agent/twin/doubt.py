"""When a twin's network is not believed: it was asked, or answered, at its limits too many times in a row. No IO.

The network then stands aside and the twin is the linear one; it comes back after longer within its limits, so that it
cannot flutter. (The envelope of a Simplex architecture: Sha, "Using simplicity to control complexity", IEEE Software
18 (2001) 20–28.)
"""

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]

OUT_MAX = 10  # steps in a row at the limits that end belief: a spike or two do not
IN_MIN = 100  # steps in a row within them that bring it back


class Doubt:
    """Row by row (B,). `believed`: the network is used."""

    def __init__(self, rows: int, *, network: bool) -> None:
        self.believed: Bools = np.full(rows, network)
        self._out, self._in = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        self._network = network
        self._sure = True  # all rows are believed and were within their limits in the last step

    def see(self, outside: Bools) -> Bools:
        """Take what the last step was; which rows use the network in the next: the same array while none changes."""
        if not self._network or (self._sure and not np.count_nonzero(outside)):
            return self.believed
        self._out = np.where(outside, self._out + 1, 0)
        self._in = np.where(outside, 0, self._in + 1)
        believed = (self.believed & (self._out < OUT_MAX)) | (self._in >= IN_MIN)
        if (believed != self.believed).any():
            self.believed = believed
        self._sure = bool(believed.all() and not outside.any())
        return self.believed
