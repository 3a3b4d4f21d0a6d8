"""How vehicles move from link to link: store and forward, with the time that a link takes and the room beyond it.

n(t + h) = n + h · (entering + surplus + Σ turns · out - out),   out = c · (1 - exp(-n / (τ c))) · room beyond

in substeps of a few seconds. With few vehicles a link passes on n / τ (Little's law: τ is the usual time on it), with
many its capacity c: discharge with green times the share of green (Gazis & Potts 1963; Aboudolas, Papageorgiou &
Kosmatopoulos, Transportation Research C 17, 2009). A link without room takes nobody in: those wait before it, so queues
spill back. The surplus is a slow state: what enters or ends that nobody knows of, and what turns otherwise than usual.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from aggregator.domains.traffic.streets import Streets
from aggregator.twin import Floats
from aggregator.twin.model import Sparse

SUBSTEP_S = 5.0
ROOM = 2.0  # vehicles a lane: with less room left a link begins to refuse
DARK = 0.5  # of its capacity a junction keeps when its signals are dark: all must stop (HCM 2016, ch. 20)
CLOSED = 1e-3  # of capacity that even a blocked link keeps: numbers stay finite


@dataclass(frozen=True, eq=False, slots=True)
class Learned:
    """What links far from usual do next, and discharge meanwhile, as history had it."""

    returns: Floats  # (E, E) of how far they were, how far they are a step later
    leaving: Floats  # (E,) veh/s that usually leave
    goes_with: Floats  # (E, E) veh/s more for each vehicle more
    doubt: Floats  # (E,) veh/s, standard deviation of what these do not tell


@dataclass(frozen=True, eq=False, slots=True)
class Habits:
    """What is usual on E links. Learned from history (history.py), or assumed from the plans."""

    delay_s: Floats  # τ (E,)
    capacity: Floats  # c (E,) veh/s with the signals' usual greens
    turns: Sparse  # (E, E)
    entering: Floats  # (E,) veh/s from outside
    memory: float  # of the surplus from step to step, 0 … 1
    surplus: Floats  # (E, q) factor of its covariance in the long run, veh/s
    surplus_rest: Floats  # (E,) variance besides
    noise: Floats  # (E, q) factor of what a step adds to vehicles
    noise_rest: Floats  # (E,) variance besides
    vehicles: Floats  # (E,) that are usual
    spread: Floats  # (E, q) factor of their covariance
    spread_rest: Floats  # (E,) variance besides
    learned: Learned | None = None  # once history is known


@dataclass(frozen=True, eq=False, slots=True)
class Drive:
    """One step's inputs, as `exogenous` lays them out."""

    demand: Floats  # (E,) factor
    blocked: Floats  # (E,)
    dark: Floats  # (J,)
    greens: Floats  # (S,) s

    def u(self) -> Floats:
        return np.concatenate([self.demand, self.blocked, self.dark, self.greens])

    @classmethod
    def of(cls, u: Floats, streets: Streets) -> "Drive":
        E, J = streets.E, len(streets.junctions)
        demand, blocked, dark, greens = np.split(u, [E, 2 * E, 2 * E + J])
        return cls(demand, blocked, dark, greens)


def capacity(streets: Streets, habits: Habits, drive: Drive) -> Floats:
    """(E,) veh/s that leave at most, with these greens, dark signals and obstacles."""
    usual = np.maximum(streets.share(streets.greens), 1e-3)
    lit = streets.share(drive.greens) / usual * habits.capacity
    dark = np.clip(drive.dark[streets.ends[1]], 0.0, 1.0) * streets.held
    return lit * np.maximum(1 - (1 - DARK) * dark, CLOSED) * np.maximum(1 - np.clip(drive.blocked, 0.0, 1.0), CLOSED)


def wanting(n: Floats, delay_s: Floats, most: Floats) -> Floats:
    """(E, N) veh/s that would leave if there were room. Below 0, where only a filter goes, it is straight."""
    c, pace = most[:, None], n / np.maximum(delay_s, SUBSTEP_S)[:, None]
    return np.where(n > 0, -c * np.expm1(-np.maximum(pace, 0.0) / c), pace)


def f(streets: Streets, habits: Habits, X: Floats, drive: Drive, step_s: float) -> Floats:
    """X (2 E, N): vehicles, then surplus in veh/h.

    Once history is learned, it says how the city returns to what is usual, and the flow model what anything unusual in
    the inputs (demand, blocked links, dark signals, other greens) changes about that.
    """
    E, one = streets.E, habits.learned
    surplus = habits.memory * X[E:]
    if one is None:
        return np.vstack([stored(streets, habits, X[:E], X[E:] / 3600, drive, step_s), surplus])
    n = habits.vehicles[:, None] + one.returns @ (X[:E] - habits.vehicles[:, None])
    usual = Drive(np.ones(E), np.zeros(E), np.zeros(len(streets.junctions)), streets.greens)
    if not np.array_equal(usual.u(), drive.u()):
        none = np.zeros((E, 1))
        n += stored(streets, habits, X[:E], none, drive, step_s) - stored(streets, habits, X[:E], none, usual, step_s)
    return np.vstack([n + step_s * X[E:] / 3600, surplus])


def stored(streets: Streets, habits: Habits, n: Floats, surplus: Floats, drive: Drive, step_s: float) -> Floats:
    """(E, N) vehicles a step later by the flow model; `surplus` in veh/s."""
    n, most = n.copy(), capacity(streets, habits, drive)
    comes = habits.entering[:, None] * drive.demand[:, None] + surplus
    count = max(1, round(step_s / SUBSTEP_S))
    gap = ROOM * streets.of_links("lanes")[:, None]
    for _ in range(count):
        n += step_s / count * (comes + moving(streets, habits, n, most, gap))
    return n


def moving(streets: Streets, habits: Habits, n: Floats, most: Floats, gap: Floats) -> Floats:
    """(E, N) veh/s that each link gains by those who go on. Nobody is lost or made but at the ends of trips."""
    room = np.clip((streets.storage[:, None] - n) / gap, 0.0, 1.0)
    want = wanting(n, habits.delay_s, most)
    into = habits.turns @ want
    refused = habits.turns.T @ (1 - room)  # share of a link's vehicles that find no room beyond
    gained: Floats = room * into - want * (1 - refused)
    return gained


def flows(streets: Streets, habits: Habits, n: Floats, drive: Drive) -> Floats:
    """(E, N) veh/s that leave each link."""
    if (one := habits.learned) is not None:
        share = capacity(streets, habits, drive) / habits.capacity
        left: Floats = share[:, None] * (one.leaving[:, None] + one.goes_with @ (n - habits.vehicles[:, None]))
        return left
    room = np.clip((streets.storage[:, None] - n) / (ROOM * streets.of_links("lanes")[:, None]), 0.0, 1.0)
    free: Floats = wanting(n, habits.delay_s, capacity(streets, habits, drive)) * (1 - habits.turns.T @ (1 - room))
    return free


def Q(habits: Habits) -> tuple[Floats, Floats]:
    """Of vehicles, and of the surplus so that it stays as wide as it is in the long run; in the state's units."""
    fresh = 1 - habits.memory**2
    E, q = len(habits.vehicles), habits.noise.shape[1]
    factor = np.zeros((2 * E, q + habits.surplus.shape[1]))
    factor[:E, :q] = habits.noise
    factor[E:, q:] = np.sqrt(fresh) * 3600 * habits.surplus
    return np.concatenate([habits.noise_rest, fresh * 3600**2 * habits.surplus_rest]), factor


def distances(streets: Streets) -> Sparse:
    """(2 E, 2 E) m between the middles of links that follow one another; a link's surplus lies at the link."""
    E, length = streets.E, streets.of_links("length_m")
    begin, end = streets.ends
    pairs = sp.coo_array((np.ones(E), (np.arange(E), end)), shape=(E, len(streets.junctions))).tocsr()
    starts = sp.coo_array((np.ones(E), (begin, np.arange(E))), shape=(len(streets.junctions), E)).tocsr()
    joined = (pairs @ starts).tocoo()
    apart = (length[joined.row] + length[joined.col]) / 2
    one_way = sp.coo_array((apart, (joined.row, joined.col)), shape=(E, E)).tocsr()
    between = one_way.maximum(one_way.T)
    between.setdiag(0)
    between.eliminate_zeros()
    at = sp.eye_array(E)  # 1 m: as good as the same place
    found: Sparse = sp.block_array([[between, at], [at, None]], format="csr")
    return found


def assumed(streets: Streets, step_s: float, surplus: float, memory_min: float, noise: float) -> Habits:
    """From plans alone: what usually enters goes its way, and settles where as many leave as come."""
    most = streets.saturation * np.maximum(streets.share(streets.greens), 0.05)
    entering = streets.of_links("entering") / 3600
    E = streets.E
    flow = sp.linalg.spsolve(sp.csc_array(sp.eye_array(E) - 0.999 * streets.turns), entering)
    load = np.clip(np.asarray(flow) / most, 0.0, 0.9)
    usual = np.minimum(-np.log1p(-load) * streets.delay_s * most, 0.8 * streets.storage)
    none = np.zeros((E, 0))
    sd = np.minimum(1.0 + 0.5 * usual, streets.storage / 4)
    memory = float(np.exp(-step_s / (60 * memory_min)))
    return Habits(
        delay_s=streets.delay_s,
        capacity=most,
        turns=streets.turns,
        entering=entering,
        memory=memory,
        surplus=none,
        surplus_rest=np.full(E, (surplus / 3600) ** 2),
        noise=none,
        noise_rest=np.full(E, noise**2),
        vehicles=usual,
        spread=none,
        spread_rest=sd**2,
    )
