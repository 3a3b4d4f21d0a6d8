"""Pressures and flows of a water network, and what each demand does to them.

Global gradient algorithm (Todini & Pilati 1988) with Hazen-Williams losses, in SI units: heads and losses in m, flows
in m3/s. N nodes of which some have a fixed head (reservoirs, tanks), L links; a pump is a link that adds head.

    B H = f(q),  -B'q = d;   dq = P (B H - f(q)),   P = 1 / f'(q)
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import factorized, splu

from aggregator.twin import BadModel, Flags, Floats, Ints

EXPONENT = 1.852  # Hazen & Williams
STEPS_MAX = 100
SETTLED = 1e-6  # m3/s, mean change of a flow at which it is solved
LEAST_SLOPE = 1e-6  # s/m2: a link without flow has a loss without slope, and P would be infinite
TINY_FLOW = 1e-6


def resistance(length_m: Floats, diameter_m: Floats, roughness: Floats) -> Floats:
    """R of h = R q^1.852, q in m3/s (EPANET 2.2 user manual, table 3.1)."""
    found: Floats = 10.667 * length_m / (roughness**EXPONENT * diameter_m**4.871)
    return found


@dataclass(frozen=True, eq=False)
class Net:
    """Links from `start` to `end` (L,). A pump's `R` is that of h = -gain + R q²; its flow never turns."""

    nodes: int
    start: Ints
    end: Ints
    R: Floats
    gain: Floats  # m at no flow; 0: a pipe
    fixed: Ints  # nodes whose head is given

    @cached_property
    def free(self) -> Ints:
        return np.setdiff1d(np.arange(self.nodes), self.fixed)

    @cached_property
    def B(self) -> sp.csc_array:
        """(L, N): 1 where a link begins, -1 where it ends."""
        links = np.arange(len(self.start))
        ones = np.ones(len(links))
        rows, columns = np.concatenate([links, links]), np.concatenate([self.start, self.end])
        return sp.csc_array((np.concatenate([ones, -ones]), (rows, columns)), shape=(len(links), self.nodes))

    def loss(self, q: Floats) -> tuple[Floats, Floats]:
        """f(q) and its slope (L,)."""
        pump = self.gain > 0
        exponent = np.where(pump, 2.0, EXPONENT)
        size = np.maximum(np.abs(q), TINY_FLOW)
        slope = np.maximum(exponent * self.R * size ** (exponent - 1), LEAST_SLOPE)
        return self.R * q * np.abs(q) ** (exponent - 1) - self.gain, slope

    def solved(self, demand: Floats, head: Floats, on: Flags | None = None) -> "Flow":
        """With `demand` (N,) m3/s taken at free nodes and `head` (fixed,) m; links that are not `on` carry nothing.

        Raises BadModel when it does not settle, or a node hangs on nothing.
        """
        on = np.ones(len(self.start), np.bool_) if on is None else on
        B_free, B_fixed = self.B[:, self.free], self.B[:, self.fixed]
        q = np.where(on, np.where(self.gain > 0, 0.01, 0.001), 0.0)
        given = B_fixed @ head
        for _ in range(STEPS_MAX):
            f, slope = self.loss(q)
            P = np.where(on, 1 / slope, 1e-9)
            f = np.where(on, f, 0.0)
            matrix = sp.csc_array(B_free.T @ sp.diags_array(P) @ B_free)
            right = -demand[self.free] - B_free.T @ q - B_free.T @ (P * (given - f))
            try:
                H = factorized(matrix)(right)
            except RuntimeError as error:
                raise BadModel("the water network has nodes that no reservoir or tank reaches") from error
            step = P * (B_free @ H + given - f)
            q = q + step
            q[(self.gain > 0) & (q < 0)] = 0.0
            if np.abs(step).mean() < SETTLED:
                return Flow(self, self._heads(H, head), q, P)
        raise BadModel(f"the water network does not settle in {STEPS_MAX} steps: look at demands, pipes and pumps")

    def _heads(self, H: Floats, head: Floats) -> Floats:
        heads = np.empty(self.nodes)
        heads[self.free], heads[self.fixed] = H, head
        return heads


@dataclass(frozen=True, eq=False)
class Flow:
    """One steady state, and how it bends: `head` (N,), `q` (L,), `P` (L,) the slopes of q in head."""

    net: Net
    head: Floats
    q: Floats
    P: Floats

    @cached_property
    def _solve(self) -> object:
        B = self.net.B[:, self.net.free]
        return splu(sp.csc_array(B.T @ sp.diags_array(self.P) @ B))

    def by_demand(self, at: Ints) -> Floats:
        """(a, N) change of head at nodes `at` for each m3/s more taken at a node; 0 at fixed heads.

        One solve for each of `at`, however many nodes there are, because the matrix is symmetric.
        """
        place = np.full(self.net.nodes, -1)
        place[self.net.free] = np.arange(len(self.net.free))
        right = np.zeros((len(self.net.free), len(at)))
        for i, node in enumerate(at):
            if place[node] >= 0:
                right[place[node], i] = 1.0
        found = np.zeros((len(at), self.net.nodes))
        found[:, self.net.free] = -self._solve.solve(right).T  # type: ignore[attr-defined]
        return found

    def by_head(self) -> Floats:
        """(N, fixed) change of every head for each m that a fixed head rises."""
        B_free, B_fixed = self.net.B[:, self.net.free], self.net.B[:, self.net.fixed]
        right = -(B_free.T @ sp.diags_array(self.P) @ B_fixed).toarray()
        found = np.zeros((self.net.nodes, len(self.net.fixed)))
        found[self.net.free] = self._solve.solve(right)  # type: ignore[attr-defined]
        found[self.net.fixed] = np.eye(len(self.net.fixed))
        return found
