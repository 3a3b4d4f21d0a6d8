"""What is believed of a state at one step: x ~ N(x, diag + A Aᵀ)."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.special import ndtri

from aggregator.twin import Floats, Ints


@dataclass(frozen=True, eq=False)
class Belief:
    """Mean and covariance of n states at step `k`. Nothing changes the arrays once they are here.

    A holds the factors of a low-rank covariance, or an ensemble's anomalies: (X - x) / √(N - 1) for N members.
    """

    k: int
    x: Floats  # (n,)
    diag: Floats = field(repr=False)  # (n,), ≥ 0
    A: Floats = field(repr=False)  # (n, r)

    @classmethod
    def of_members(cls, k: int, X: Floats) -> "Belief":
        """From an ensemble (n, N), N ≥ 2."""
        x = X.mean(axis=1)
        A = X - x[:, None]
        A /= np.sqrt(X.shape[1] - 1)
        return cls(k, x, np.zeros(len(x)), A)

    @property
    def n(self) -> int:
        return len(self.x)

    @property
    def rank(self) -> int:
        return int(self.A.shape[1])

    @cached_property
    def variance(self) -> Floats:
        """Of each state alone (n,)."""
        spread: Floats = np.einsum("ij,ij->i", self.A, self.A)
        return self.diag + spread

    @property
    def sd(self) -> Floats:
        return np.sqrt(self.variance)

    def quantiles(self, levels: Floats, widening: float = 1.0) -> Floats:
        """(n, L) of each state alone; `widening` is the conformal ratio (calibration.py) where one is known."""
        z: Floats = ndtri(np.asarray(levels, np.float64))
        return self.x[:, None] + widening * np.outer(self.sd, z)

    def covariance(self) -> Floats:
        """(n, n), dense: for small n and for tests."""
        return np.diag(self.diag) + self.A @ self.A.T

    def factor(self) -> Floats:
        """C (n, c) with C Cᵀ = covariance: a column per state that has a variance of its own, then A."""
        own = np.flatnonzero(self.diag)
        C = np.zeros((self.n, len(own) + self.rank))
        C[own, np.arange(len(own))] = np.sqrt(self.diag[own])
        C[:, len(own) :] = self.A
        return C

    def members(self) -> Floats:
        """The ensemble (n, N) that A came from; meant for a belief without a diagonal."""
        X: Floats = self.x[:, None] + np.sqrt(self.rank - 1) * self.A
        return X

    def sample(self, count: int, seed: int) -> Floats:
        """(n, count) states that this belief holds possible; the same again from the same seed."""
        noise = np.random.Generator(np.random.Philox(key=[seed, self.k]))
        own = np.sqrt(self.diag)[:, None] * noise.standard_normal((self.n, count))
        return self.x[:, None] + own + self.A @ noise.standard_normal((self.rank, count))

    def rows(self, places: slice | Ints) -> "Belief":
        """The belief about some states only: what a gateway is sent."""
        return Belief(self.k, self.x[places], self.diag[places], self.A[places])

    def digest(self) -> str:
        """SHA-256 of the numbers: what a decision names as the state that it was made from."""
        sha = hashlib.sha256(self.k.to_bytes(8, "big", signed=True))
        for array in (self.x, self.diag, self.A):
            sha.update(np.ascontiguousarray(array).tobytes())
        return sha.hexdigest()
