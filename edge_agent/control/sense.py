"""What a controller knows of a point: its newest trusted value, for as long as that is not stale.

One spike, one lost answer or one message that came twice does not blind a controller: until the last value that
could be trusted is older than the port allows (the controller's `stale_s`; three periods of the point where the file
says nothing), it stands. Then there is none, and the controller does what its FALLBACK says. A sensor that froze is
marked by cleaning (STUCK) and goes the same way; one that reports on change only is alive as long as its period (its
heartbeat) says.
"""

import math
from collections.abc import Sequence

import numpy as np

from edge_agent.image import TRUSTED, Floats, View
from edge_agent.setpoint import Port

TRUST = np.isin(np.arange(256), TRUSTED)  # by code


class Sense:
    """Reads one port, once in each tick."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self._value = math.nan
        self.received_ns = -1  # of the value that stands; -1: none ever

    def read(self, view: View) -> float | None:
        """The value that stands, None when there is none."""
        place, stale_ns = self._port
        if view.trusted(place, stale_ns):
            self._value, self.received_ns = float(view.values[place]), view.now_ns - int(view.age_ns[place])
        elif self.received_ns < 0 or view.now_ns - self.received_ns > stale_ns:
            return None
        return self._value


class Senses:
    """Reads several ports at once, for controllers that need all of them."""

    def __init__(self, ports: Sequence[Port]) -> None:
        self._places = np.array([port.place for port in ports], np.intp)
        self._stale_ns = np.array([port.stale_ns for port in ports], np.int64)
        self._values: Floats = np.full(len(ports), math.nan)
        self._until_ns = np.full(len(ports), -1, np.int64)  # how long each value stands

    def read(self, view: View) -> Floats | None:
        """The values that stand (P,), None when one is missing."""
        values, ages = view.values[self._places], view.age_ns[self._places]
        trusted = TRUST[view.codes[self._places]] & (ages <= self._stale_ns) & np.isfinite(values)
        np.copyto(self._values, values, where=trusted)
        np.copyto(self._until_ns, view.now_ns - ages + self._stale_ns, where=trusted)
        return self._values if bool((self._until_ns >= view.now_ns).all()) else None
