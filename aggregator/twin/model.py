"""The part of a domain that is estimated: how its state moves and how it is seen."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import scipy.sparse as sp

from aggregator.twin import BadModel, Floats, Ints
from aggregator.twin.belief import Belief

Sparse = sp.csr_array


class Model(Protocol):
    """n states, C channels. Every function gives the same for the same."""

    @property
    def name(self) -> str: ...

    @property
    def n(self) -> int: ...

    @property
    def dt_ns(self) -> int:
        """Of one step."""
        ...

    @property
    def graph(self) -> Sparse:
        """(n, n) lengths of the edges between states, symmetric: how far an observation may reach."""
        ...

    @property
    def channels(self) -> Sequence[str]:
        """C names of points, `gateway/device/point`."""
        ...

    @property
    def places(self) -> Ints:
        """(C,) the state at which a channel stands in the graph."""
        ...

    def prior(self, k: int) -> Belief:
        """What is believed before anything is measured."""
        ...

    def f(self, X: Floats, u: Floats, k: int) -> Floats:
        """(n, N) from step k - 1 to step k; columns are members."""
        ...

    def Q(self, x: Floats, k: int) -> tuple[Floats, Floats]:
        """Covariance of what f does not know from step k - 1 to k: diagonal (n,) and low-rank factor (n, q)."""
        ...

    def h(self, X: Floats, channel: Ints, k: int) -> Floats:
        """(m, N) what the channels (m,) would read."""
        ...

    def H(self, x: Floats, channel: Ints, k: int) -> Sparse | None:
        """∂h/∂x (m, n) where h is linear or nearly; None lets the ensemble find it."""
        ...

    def exogenous(self, k: int) -> Floats:
        """u: inputs known or forecast for the step that ends at k."""
        ...

    def edge_view(self, gateway: str) -> Ints:
        """The states that a gateway's own twin holds."""
        ...


def check(model: Model, k: int = 0) -> None:
    """Ask `model` for everything once. Raises BadModel with all that does not fit."""
    if faults := list(_faults(model, k)):
        raise BadModel("\n".join(f"domain {model.name}: {fault}" for fault in faults))


def _faults(model: Model, k: int) -> Iterator[str]:
    n, count = model.n, len(model.channels)
    if n < 1 or model.dt_ns < 1:
        yield f"{n} states, steps of {model.dt_ns} ns; both must be at least 1"
        return
    prior = model.prior(k)
    shapes = {
        "prior x": (prior.x, (n,)),
        "prior diag": (prior.diag, (n,)),
        "prior A": (prior.A, (n, prior.rank)),
        "places": (model.places, (count,)),
    }
    wrong = [f"{what} is {a.shape}, must be {shape}" for what, (a, shape) in shapes.items() if a.shape != shape]
    if count and not wrong and not 0 <= model.places.min() <= model.places.max() < n:
        wrong.append(f"places must be states 0 … {n - 1}")
    yield from wrong
    if model.graph.shape != (n, n):
        yield f"graph is {model.graph.shape}, must be {(n, n)}"
    elif model.graph.nnz and (not np.isfinite(model.graph.data).all() or model.graph.data.min() < 0):
        yield "graph has lengths that are negative or not finite"
    if len(set(model.channels)) != count:
        yield "a channel is named twice"
    if not wrong:
        yield from _what_moves(model, prior, k)


def _what_moves(model: Model, prior: Belief, k: int) -> Iterator[str]:
    n, channel = model.n, np.arange(len(model.channels))
    diag, factor = model.Q(prior.x, k)
    two = np.column_stack([prior.x, prior.x + prior.sd])
    H = model.H(prior.x, channel, k)
    found: dict[str, tuple[Floats, tuple[int, ...]]] = {
        "prior variance": (prior.variance, (n,)),
        "f": (model.f(two, model.exogenous(k), k), (n, 2)),
        "Q diagonal": (diag, (n,)),
        "Q factor": (factor, (n, factor.shape[-1])),
        "h": (model.h(two, channel, k), (len(channel), 2)),
    }
    if H is not None and H.shape != (len(channel), n):
        yield f"H is {H.shape}, must be {(len(channel), n)}"
    elif H is not None:
        found["H"] = H.data, H.data.shape
    for what, (array, shape) in found.items():
        if array.shape != shape:
            yield f"{what} is {array.shape}, must be {shape}"
        elif not np.isfinite(array).all():
            yield f"{what} has numbers that are not finite"
    if (prior.diag < 0).any() or (diag < 0).any():
        yield "a variance of the prior or of Q is negative"
