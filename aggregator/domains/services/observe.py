"""What sensors read: levels and fills as they are, pressures and flows from the network made linear."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from aggregator.domains.services.dynamics import Sizes
from aggregator.domains.services.water import PA_PER_M, Hour
from aggregator.twin import Floats, Ints
from aggregator.twin.model import Sparse


class Sensor(NamedTuple):
    """`what`: level, fill, pressure or flow; `at`: its place among tanks, containers, junctions or links."""

    point: str
    what: str
    at: int


def rows(sensors: Sequence[Sensor], sizes: Sizes, hour: Hour, elevation: Floats) -> tuple[Floats, Floats]:
    """H (c, n) and constant (c,) at no usual demand: `usual` is added by `constant`."""
    H, base = np.zeros((len(sensors), sizes.n)), np.zeros(len(sensors))
    for i, one in enumerate(sensors):
        if one.what == "level":
            H[i, sizes.level.start + one.at] = 1.0
        elif one.what == "fill":
            H[i, sizes.fill.start + one.at] = 1.0
        elif one.what == "pressure":
            H[i, sizes.level] = PA_PER_M * hour.head_by_level[one.at]
            H[i, sizes.unusual] = PA_PER_M * hour.head_by_demand[one.at]
            base[i] = PA_PER_M * (hour.head0[one.at] - elevation[one.at])
        elif one.what == "flow":
            H[i, sizes.level] = hour.flow_by_level[one.at]
            H[i, sizes.unusual] = hour.flow_by_demand[one.at]
            base[i] = hour.flow0[one.at]
    return H, base


def read(H: Floats, base: Floats, sizes: Sizes, X: Floats, usual: Floats, channel: Ints) -> Floats:
    """(m, N): H x + base, with the usual demand where demand counts."""
    some = H[channel]
    found: Floats = some @ X + (base[channel] + some[:, sizes.unusual] @ usual)[:, None]
    return found


def slope(H: Floats, channel: Ints) -> Sparse:
    return sp.csr_array(H[channel])
