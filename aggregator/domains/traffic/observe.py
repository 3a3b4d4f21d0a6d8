"""How detectors see links: density and queue from the vehicles on it, flow from those who leave, speed from both."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from aggregator.domains.traffic.dynamics import Drive, Habits, flows
from aggregator.domains.traffic.streets import Streets
from aggregator.twin import Floats, Ints
from aggregator.twin.model import Sparse
from aggregator.twin.part import Wire

SEEN_M = 7.0  # of road that a vehicle covers a detector for: its own length and the detector's
STANDS_M = 7.5  # of lane that one takes who stands, with the gap before
STEP = 1e-4  # of a vehicle, for slopes


@dataclass(frozen=True, eq=False)
class Detectors:
    """C channels: which link, which quantity, and how the point's number goes with it."""

    wires: Sequence[Wire]
    link: Ints  # (C,)
    quantity: Sequence[str]

    def which(self, channel: Ints) -> list[str]:
        return [self.quantity[one] for one in channel]


def detectors(streets: Streets, wires: Sequence[Wire]) -> Detectors:
    """Those at links; what cabinets and routes tell is not of the state."""
    own = [one for one in wires if one.asset in streets.place and one.does == "measures"]
    return Detectors(own, np.array([streets.place[one.asset] for one in own], np.int64), [one.quantity for one in own])


def h(streets: Streets, habits: Habits, seen: Detectors, X: Floats, drive: Drive, channel: Ints) -> Floats:
    """(m, N) in the quantities' units."""
    n = X[: streets.E]
    link = seen.link[channel]
    length = streets.of_links("length_m")[link][:, None]
    lanes = streets.of_links("lanes")[link][:, None]
    free = streets.of_links("free_speed")[link][:, None]
    on = n[link]
    flow = flows(streets, habits, n, drive)[link]
    found = np.empty_like(on)
    for row, what in enumerate(seen.which(channel)):
        match what:
            case "vehicle_density":
                found[row] = 1000 * on[row] / length[row]
            case "vehicle_flow":
                found[row] = 3600 * flow[row]
            case "occupancy":
                found[row] = 100 * SEEN_M * on[row] / (length[row] * lanes[row])
            case "vehicle_speed":
                drove = 3.6 * length[row] * flow[row] / np.maximum(on[row], 1e-3)
                found[row] = np.minimum(np.where(on[row] > 1e-3, drove, free[row]), free[row])
            case "queue_length":
                moves = flow[row] * streets.free_s[link[row]]
                found[row] = STANDS_M / lanes[row] * np.maximum(on[row] - moves, 0.0)
            case other:
                raise KeyError(other)
    return found


def H(streets: Streets, habits: Habits, seen: Detectors, x: Floats, drive: Drive, channel: Ints) -> Sparse:
    """(m, 2 E), by central differences; a link's readings go with itself and with the links that it leads into."""
    E = streets.E
    rows = np.arange(len(channel))
    into = sp.csr_array(streets.turns.T)
    joined = sp.csr_array((np.ones(into.nnz), into.indices, into.indptr), shape=into.shape)
    near = sp.csr_array(sp.eye_array(E) + joined)[seen.link[channel]]
    columns = np.arange(E) if habits.learned is not None else np.unique(near.indices)
    shift = STEP * np.eye(2 * E)[:, columns]
    up, down = (h(streets, habits, seen, x[:, None] + sign * shift, drive, channel) for sign in (1.0, -1.0))
    slopes = (up - down) / (2 * STEP)
    found = sp.coo_array(
        (slopes.ravel(), (np.repeat(rows, len(columns)), np.tile(columns, len(rows)))), shape=(len(channel), 2 * E)
    )
    return sp.csr_array(found)
