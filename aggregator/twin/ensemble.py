"""The ensemble: large or strongly nonlinear domains. N members, serial square root filter, localised on the graph."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse as sp

from aggregator.twin import BadModel, Floats, Ints
from aggregator.twin.belief import Belief
from aggregator.twin.gaussian import GATE
from aggregator.twin.kernel import assimilate, can_compile
from aggregator.twin.localisation import Near, reach
from aggregator.twin.model import Model, Sparse
from aggregator.twin.observation import Innovation, Observation, seen, soften


@dataclass(frozen=True, slots=True)
class Ensemble:
    """A scheme (fuser.py). The belief has no diagonal; its A are anomalies.

    `radius` is the distance along the domain's graph at which an observation no longer counts. `inflation` widens the
    forecast by a factor; `relaxation` α gives the analysis back a part of the spread that it took (RTPS, Whitaker &
    Hamill 2012). `compiled` None takes numba where it is there.
    """

    radius: float
    members: int = 50
    inflation: float = 1.0
    relaxation: float = 0.0
    gate: float = GATE
    seed: int = 0
    compiled: bool | None = None
    _near: dict[int, tuple[Model, Near]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.members < 3 or self.inflation < 1 or not 0 <= self.relaxation <= 1:
            raise BadModel(
                f"ensemble of {self.members} members, inflation {self.inflation}, relaxation {self.relaxation}: "
                "at least 3 members, inflation ≥ 1, relaxation 0 … 1"
            )

    def begin(self, prior: Belief) -> Belief:
        """Members drawn from the prior, whose mean is the prior's."""
        X = prior.sample(self.members, self.seed)
        return Belief.of_members(prior.k, X + (prior.x - X.mean(axis=1))[:, None])

    def forecast(self, model: Model, belief: Belief, k: int, q_scale: float) -> Belief:
        """Every member moves by f, and by noise of its own that is drawn from Q and has no mean."""
        forecast = Belief.of_members(k, model.f(belief.members(), model.exogenous(k), k))
        diag, B = model.Q(belief.x, k)
        noise = np.random.Generator(np.random.SFC64([self.seed, k]))
        A = drawn(noise, np.sqrt(q_scale * diag), np.sqrt(q_scale) * B, belief.rank)
        A += forecast.A
        return Belief(k, forecast.x, forecast.diag, A)

    def analyse(self, model: Model, belief: Belief, seen_now: Observation) -> tuple[Belief, Innovation]:
        """One reading after the other takes its share (kernel.py)."""
        (after,), innovation = self.analyse_all(model, [belief], seen_now)
        return after, innovation

    def analyse_all(
        self, model: Model, beliefs: Sequence[Belief], seen_now: Observation
    ) -> tuple[list[Belief], Innovation]:
        """The same for the forecast, which comes first, and for earlier states that its members came from.

        What a reading says of the past it says through the members, within the same reach (ensemble Kalman smoother,
        Evensen & van Leeuwen 2000). The first is what `analyse` gives.
        """
        k, n = beliefs[0].k, model.n
        x = np.concatenate([one.x for one in beliefs])
        A = np.concatenate([one.A for one in beliefs])
        A[:n] *= self.inflation
        mean, Y = seen(model, Belief(k, x[:n], beliefs[0].diag, A[:n]), seen_now.channel, seen_now.H)
        d, S = seen_now.y - mean, np.einsum("ij,ij->i", Y, Y) + seen_now.R
        R, softened = soften(d, S, seen_now.R, self.gate)
        before = np.sqrt(np.einsum("ij,ij->i", A[:n], A[:n])) if self.relaxation else None
        near = self.near(model) if len(beliefs) == 1 else self.near(model).repeated(len(beliefs), n)
        compiled = can_compile() if self.compiled is None else self.compiled
        if seen_now.H is not None:
            H = sp.csr_array((seen_now.H.data, seen_now.H.indices, seen_now.H.indptr), shape=(len(d), len(x)))
            nis = assimilate(x, A, d, R, H, seen_now.channel, near, compiled)
        else:
            x, A, nis = beside(x, A, mean, Y, d, R, seen_now.channel, near, model.places, compiled)
        if before is not None:
            A[:n] *= relaxed(A[:n], before, self.relaxation)[:, None]
        left = seen_now.y - model.h(x[:n, None], seen_now.channel, k)[:, 0]
        innovation = Innovation(k, seen_now.channel, seen_now.y, d, S, left, seen_now.R, nis, softened)
        parts = [slice(n * i, n * (i + 1)) for i in range(len(beliefs))]
        return [replace(one, x=x[at], A=A[at]) for one, at in zip(beliefs, parts, strict=True)], innovation

    def near(self, model: Model) -> Near:
        """Found once per model: a city's graph does not change while it runs."""
        if id(model) not in self._near:  # the model is kept beside, so that no other ever has its id
            self._near[id(model)] = model, reach(model.graph, model.places, self.radius)
        return self._near[id(model)][1]


def drawn(noise: np.random.Generator, sd: Floats, B: Floats, members: int) -> Floats:
    """Anomalies (n, N) of a sample from mean 0 and covariance sd² + B Bᵀ, every row with mean 0.

    The states' own noise is uniform, as in weak schemes for stochastic equations (Kloeden & Platen 1992, §14.1): the
    filter uses mean and covariance alone, and a uniform number costs a fourth of a normal one.
    """
    A = noise.random((len(sd), members))
    A -= A.mean(axis=1, keepdims=True)
    A *= (sd * np.sqrt(12 / (members - 1)))[:, None]
    if B.shape[1]:
        common = noise.standard_normal((B.shape[1], members))
        A += B @ (common - common.mean(axis=1, keepdims=True)) / np.sqrt(members - 1)
    return A


def relaxed(A: Floats, before: Floats, alpha: float) -> Floats:
    """1 + α (σ_b - σ_a) / σ_a for each state (n,)."""
    after = np.sqrt(np.einsum("ij,ij->i", A, A))
    factor: Floats = 1 + alpha * np.divide(before - after, after, out=np.zeros_like(after), where=after > 0)
    return factor


def beside(
    x: Floats,
    A: Floats,
    mean: Floats,
    Y: Floats,
    d: Floats,
    R: Floats,
    channel: Ints,
    near: Near,
    places: Ints,
    compiled: bool,
) -> tuple[Floats, Floats, float]:
    """The update where h has no H: predicted readings stand below the states and are updated with them."""
    n, m = len(x), len(d)
    stacked, spread = np.concatenate([x, mean]), np.vstack([A, Y])
    H = sp.csr_array((np.ones(m), (np.arange(m), n + np.arange(m))), shape=(m, n + m))
    nis = assimilate(stacked, spread, d, R, H, np.arange(m), with_readings(near, places, channel, n), compiled)
    return stacked[:n], spread[:n], nis


def with_readings(near: Near, places: Ints, channel: Ints, n: int) -> Near:
    """For each reading (m,) the states in its channel's reach, and the readings that stand at any of these."""
    count = len(near.start) - 1
    reach_of = sp.csr_array((near.weight, near.state, near.start), shape=(count, n))[channel]
    m = len(channel)
    at: Sparse = sp.csr_array((np.ones(m), (places[channel], np.arange(m))), shape=(n, m))
    both = sp.hstack([reach_of, reach_of @ at], format="csr")
    return Near(both.indptr.astype(np.int64), both.indices.astype(np.int64), both.data)
