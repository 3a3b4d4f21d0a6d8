"""Small domains to try the core with; no part of any city."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from aggregator.twin import Floats, Ints
from aggregator.twin.belief import Belief
from aggregator.twin.calibration import Tuning
from aggregator.twin.domain import Limits, Plan
from aggregator.twin.measurement import Meas
from aggregator.twin.model import Sparse

NS = 1_000_000_000


def ring(n: int) -> Sparse:
    """Edges of length 1 between neighbours in a circle."""
    here = np.arange(n)
    beside = (here + 1) % n
    half = sp.coo_array((np.ones(n), (here, beside)), shape=(n, n))
    return (half + half.T).tocsr()


def streets(side: int, seed: int = 0, missing: float = 0.25) -> Sparse:
    """side² crossings, a quarter of the grid's blocks without a street, lengths 0.5 … 1.5: degree 3, as cities have."""
    noise = np.random.default_rng(seed)
    at = np.arange(side * side).reshape(side, side)
    a = np.concatenate([at[:, :-1].ravel(), at[:-1].ravel()])
    b = np.concatenate([at[:, 1:].ravel(), at[1:].ravel()])
    there = noise.random(len(a)) >= missing
    half = sp.coo_array((noise.uniform(0.5, 1.5, there.sum()), (a[there], b[there])), shape=(side**2, side**2))
    return (half + half.T).tocsr()


@dataclass(eq=False)
class Seen:
    """What the domains here have in common: every channel reads one state, nothing is decided."""

    n: int
    observed: Ints = field(repr=False)
    dt_ns: int = 60 * NS

    @property
    def channels(self) -> Sequence[str]:
        return [f"g{i % 8}/d/{i}" for i in range(len(self.observed))]

    @property
    def places(self) -> Ints:
        return self.observed

    @cached_property
    def selection(self) -> Sparse:
        rows = len(self.observed)
        return sp.csr_array((np.ones(rows), (np.arange(rows), self.observed)), shape=(rows, self.n))

    def h(self, X: Floats, channel: Ints, k: int) -> Floats:
        return X[self.observed[channel]]

    def H(self, x: Floats, channel: Ints, k: int) -> Sparse | None:
        return self.selection[channel]

    def exogenous(self, k: int) -> Floats:
        return np.zeros(0)

    def edge_view(self, gateway: str) -> Ints:
        return self.observed[[i for i, name in enumerate(self.channels) if name.startswith(gateway + "/")]]

    def limits(self, x: Floats, k: int) -> Limits:
        nothing = sp.csr_array((0, self.n))
        return Limits(nothing, nothing, np.zeros(0), np.zeros(0, np.bool_))

    def plan(self, belief: Belief, horizon: int, deadline_s: float) -> Plan:
        return Plan(np.zeros((horizon, 0)), 0.0, 0.0, "optimal", "nothing to decide")


@dataclass(eq=False)
class Diffusion(Seen):
    """Linear: x(k) = a (I - c L) x(k-1) + w on any graph; on a ring it may also flow round by `shift` places a step."""

    graph: Sparse = field(default_factory=lambda: ring(10), repr=False)
    a: float = 0.95
    c: float = 0.1
    q: float = 0.1
    prior_sd: float = 1.0
    shift: int = 0
    name: str = "diffusion"
    linear: bool = True  # whether H is told

    @cached_property
    def F(self) -> Sparse:
        joined = sp.csr_array((np.ones(self.graph.nnz), self.graph.indices, self.graph.indptr), shape=self.graph.shape)
        degree: Floats = np.asarray(joined.sum(axis=1), np.float64).ravel()
        moved: Sparse = (sp.diags_array(self.a * (1 - self.c * degree)) + joined * (self.a * self.c)).tocsr()
        here = np.arange(self.n)
        return moved if not self.shift else moved[(here - self.shift) % self.n]

    def prior(self, k: int) -> Belief:
        return Belief(k, np.zeros(self.n), np.full(self.n, self.prior_sd**2), np.zeros((self.n, 0)))

    def f(self, X: Floats, u: Floats, k: int) -> Floats:
        return self.F @ X

    def Q(self, x: Floats, k: int) -> tuple[Floats, Floats]:
        return np.full(self.n, self.q**2), np.zeros((self.n, 0))

    def H(self, x: Floats, channel: Ints, k: int) -> Sparse | None:
        return super().H(x, channel, k) if self.linear else None


@dataclass(eq=False)
class Lorenz96(Seen):
    """dx_i/dt = (x_{i+1} - x_{i-2}) x_{i-1} - x_i + 8 on a ring, Runge-Kutta 4, steps of 0.05 (Lorenz 1996)."""

    name: str = "lorenz-96"
    step: float = 0.05
    told: bool = True  # whether H is

    @cached_property
    def graph(self) -> Sparse:
        return ring(self.n)

    def prior(self, k: int) -> Belief:
        """The climatology."""
        return Belief(k, np.full(self.n, 2.34), np.full(self.n, 3.64**2), np.zeros((self.n, 0)))

    def f(self, X: Floats, u: Floats, k: int) -> Floats:
        def slope(x: Floats) -> Floats:
            return (np.roll(x, -1, 0) - np.roll(x, 2, 0)) * np.roll(x, 1, 0) - x + 8.0

        a = slope(X)
        b = slope(X + self.step / 2 * a)
        c = slope(X + self.step / 2 * b)
        d = slope(X + self.step * c)
        return X + self.step / 6 * (a + 2 * b + 2 * c + d)

    def Q(self, x: Floats, k: int) -> tuple[Floats, Floats]:
        return np.zeros(self.n), np.zeros((self.n, 0))

    def H(self, x: Floats, channel: Ints, k: int) -> Sparse | None:
        return super().H(x, channel, k) if self.told else None


@dataclass(frozen=True, eq=False)
class Truth:
    """A run of a domain that nobody is shown, and what its channels read: x (T + 1, n) from step k0."""

    k0: int
    x: Floats
    meas: Meas


def play(model: Diffusion | Lorenz96, steps: int, seed: int, sd: float = 0.5, k0: int = 0, share: float = 1.0) -> Truth:
    """A twin experiment: truth from the model's own f and Q, readings with errors of N(0, sd²), `share` of them."""
    noise = np.random.default_rng(seed)
    prior = model.prior(k0)
    x = [prior.x + prior.factor() @ noise.standard_normal(prior.factor().shape[1])]
    parts, count = [], len(model.observed)
    for k in range(k0 + 1, k0 + steps + 1):
        diag, _ = model.Q(x[-1], k)
        x.append(model.f(x[-1][:, None], model.exogenous(k), k)[:, 0] + np.sqrt(diag) * noise.standard_normal(model.n))
        channel = np.flatnonzero(noise.random(count) < share)
        parts.append(
            Meas.of(
                t_ns=k * model.dt_ns,
                gateway=channel % 8,
                epoch=1,
                sequence=k,
                channel=channel,
                y=x[-1][model.observed[channel]] + sd * noise.standard_normal(len(channel)),
                var=sd**2,
                arrived_ns=k * model.dt_ns,
            )
        )
    return Truth(k0, np.array(x), Meas.joined(parts))


def calm() -> Tuning:
    """Nothing withheld, nothing corrected: the filter of the textbook."""
    return Tuning(turn=0, q_bounds=(1.0, 1.0), r_bounds=(1.0, 1.0))
