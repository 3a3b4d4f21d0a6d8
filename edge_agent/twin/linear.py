"""The Kalman filter of twins of one model: forecast and analysis, with whatever was measured.

    forecast    P⁻ = A P Aᵀ + Q
    analysis    d = y − ŷ,  S = H P⁻ Hᵀ + R,  K = P⁻ Hᵀ S⁻¹,  x = x⁻ + K d,  P = (I − K H) P⁻ (I − K H)ᵀ + K R Kᵀ

While every channel is measured in every step, gain and covariance are those of the bundle, at steady state; when one
is missing they are computed in each step, in Joseph's form, until they have settled again. Nothing measured: x coasts
and P grows. An input that is held at its last value adds what it may have become by now: x depends on its unknown
error e ~ N(0, u_sd²) by G, so that the covariance is P + G diag(u_sd²) Gᵀ (Schmidt, "Application of state-space methods
to navigation problems", 1966: consider states). No variance is larger than that of anything within the physical range.
Kalman, J. Basic Eng. 82 (1960) 35–45; Bucy and Joseph, "Filtering for stochastic processes", 1968.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edge_agent.image import Floats
from protos.model import Numbers

Bools = npt.NDArray[np.bool_]

SETTLED = 1e-3  # relative distance of every variance from that at steady state, at which the gain becomes the bundle's


class Analysis(NamedTuple):
    """What was found in one step."""

    d: Floats  # (B, p) innovation y − ŷ; 0 for a channel that was not measured
    measured: Bools  # (B, p)
    nis: Floats  # (B,) normalised innovation squared, per measured channel: 1 is expected; NaN: nothing was measured
    complete: bool  # every channel of every row was measured, and all that came of it are numbers


class Form(NamedTuple):
    """Noise and steady state of a model: as a linear twin, or with its network."""

    Q: Floats
    K: Floats
    P: Floats

    def prior(self, A: Floats) -> Floats:
        return np.asarray(A @ self.P @ A.T + self.Q)


class Filter:
    """States and covariances of `rows` twins of one model. Nothing here raises for what a sensor may send.

    `x` (B, n) is set by the caller to the forecast; `P` (B, n, n) and `G` (B, n, m) belong to the filter. Rows named
    in `settled` (B,) stand at the steady state of their form. While all do and of one form, with every channel
    measured and no input held, the filter is `calm`: one gain and one S⁻¹ for all rows, and P stays as it is.
    """

    def __init__(self, numbers: Numbers, rows: int) -> None:
        self._one = numbers
        n, m = len(numbers.x0), len(numbers.u0)
        self.largest: Floats = (numbers.x_high - numbers.x_low) ** 2 / 12  # variance of anything within the range
        self._u_var: Floats = numbers.u_sd**2
        self._forms = (
            Form(numbers.Q, numbers.K, numbers.P),
            Form(numbers.Q_net, numbers.K_net, numbers.P_net),
        )
        self._HT: Floats = np.ascontiguousarray(numbers.H.T)
        self._y_offset: Floats = numbers.y0 - numbers.H @ numbers.x0
        self._share: Floats = np.full(len(numbers.y0), 1 / len(numbers.y0))  # of each channel in the NIS
        self._eye: Floats = np.eye(n)
        self._identity: Floats = np.eye(len(numbers.y0))
        self.x: Floats = np.tile(np.clip(numbers.x0, numbers.x_low, numbers.x_high), (rows, 1))
        self.P: Floats = np.tile(np.diag(self.largest), (rows, 1, 1))
        self.G: Floats = np.zeros((rows, n, m))
        self.settled: Bools = np.zeros(rows, np.bool_)
        self.with_network: Bools = np.zeros(rows, np.bool_)
        self.calm = False
        self._arrange()

    def use_network(self, wanted: Bools) -> None:
        """Which rows (B,) have a network on their residual now: their noise is another one."""
        if (wanted != self.with_network).any():
            self.settled &= wanted == self.with_network
            self.with_network = wanted.copy()
            self._arrange()

    def restart(self, row: int) -> None:
        """Forget everything about a row."""
        one = self._one
        self.x[row], self.P[row], self.G[row] = np.clip(one.x0, one.x_low, one.x_high), np.diag(self.largest), 0.0
        self.settled[row] = self.calm = False

    def take_over(
        self, row: int, old: "Filter", old_row: int, states: Mapping[int, int], inputs: Mapping[int, int]
    ) -> None:
        """Go on from a row of another filter; `states` and `inputs` say what is the same there, new → old.

        What is new begins at its operating point, knowing nothing.
        """
        self.restart(row)
        new, before = list(states), list(states.values())
        self.x[row, new] = old.x[old_row, before]
        self.P[row][np.ix_(new, new)] = old.P[old_row][np.ix_(before, before)]
        self.G[row][np.ix_(new, list(inputs))] = old.G[old_row][np.ix_(before, list(inputs.values()))]
        self.x[row] = np.clip(self.x[row], self._one.x_low, self._one.x_high)

    def expected(self) -> Floats:
        """ŷ (B, p) of the states as they are."""
        y = np.dot(self.x, self._HT)
        y += self._y_offset
        return np.asarray(y)

    def variance(self) -> Floats:
        """Of each state (B, n)."""
        own = np.diagonal(self.P, axis1=1, axis2=2)
        return np.asarray(np.maximum(own + np.square(self.G) @ self._u_var, 0.0), np.float64)

    def expected_variance(self) -> Floats:
        """Of ŷ (B, p): of what the channel would show without its noise."""
        H = self._one.H
        return np.asarray(np.maximum(np.einsum("pn,bnk,pk->bp", H, self._total(self.P, self.G), H), 0.0))

    def forecast(self, x: Floats, held: Bools) -> None:
        """Take x (B, n), which is the filter's from now on; inputs that are `held` (B, m) are not known any better
        than `u_sd`. An input that is known again leaves in P what its error did to the states.
        """
        self.x = x
        self._clip()
        if self.calm and not np.count_nonzero(held):
            return
        one = self._one
        doubtful: Bools = np.asarray(held.any(axis=1))
        uncertain = self.G.any(axis=(1, 2))
        if (doubtful | uncertain).any():
            self._release(held)
            self.G = np.where(doubtful[:, None, None], one.A @ self.G + one.B * held[:, None, :], one.A @ self.G)
        moved = ~self.settled | doubtful | uncertain
        if moved.any():
            P = self.P[moved]
            self.P[moved] = one.A @ P @ one.A.T + self._Q[moved]
            self.settled[moved] = self.calm = False
            self._limit()

    def analyse(self, y: Floats, measured: Bools) -> Analysis:
        """Correct the forecast by y (B, p) where it was `measured` (B, p)."""
        if self.calm and np.count_nonzero(measured) == measured.size:
            return self._analyse_calmly(y, measured)
        d = np.where(measured, y - self.expected(), 0.0)
        nis: Floats = np.full(len(d), np.nan)
        steady = self.settled & measured.all(axis=1)
        if steady.any():
            self.x[steady] += np.einsum("bnp,bp->bn", self._K[steady], d[steady])
            nis[steady] = np.einsum("bp,bpq,bq->b", d[steady], self._S_inverse[steady], d[steady]) / d.shape[1]
        rest = ~steady
        if rest.any():
            leaving = rest & self.settled
            self.P[leaving] = self._prior[leaving]
            self.settled[leaving] = self.calm = False
            nis[rest] = self._correct(rest, d[rest], measured[rest])
        self._clip()
        self.calm = self._of_one_form and bool(self.settled.all())
        return Analysis(d, measured, nis, complete=False)

    def _analyse_calmly(self, y: Floats, measured: Bools) -> Analysis:
        """The analysis of all rows with one gain."""
        d = self.expected()
        np.subtract(y, d, out=d)
        self.x += np.dot(d, self._KT)
        self._clip()
        weighed = np.dot(d, self._S_inverse[0])
        weighed *= d
        nis = np.dot(weighed, self._share)
        return Analysis(d, measured, nis, np.count_nonzero(np.isfinite(nis)) == len(nis))

    def _correct(self, rows: Bools, d: Floats, measured: Bools) -> Floats:
        """The analysis with the gain of now. A channel that was not measured is as if H had not its row."""
        one, G = self._one, self.G[rows]
        prior = self._total(self.P[rows], G)
        M = measured[:, :, None] * 1.0
        H = one.H * M
        PH = prior @ H.transpose(0, 2, 1)
        noise = one.R * M * M.transpose(0, 2, 1)
        S = H @ PH + noise + self._identity * (1.0 - M)
        K = np.linalg.solve(S, PH.transpose(0, 2, 1)).transpose(0, 2, 1)
        self.x[rows] += np.einsum("bnp,bp->bn", K, d)
        L = self._eye - K @ H
        P = L @ self.P[rows] @ L.transpose(0, 2, 1) + K @ noise @ K.transpose(0, 2, 1)
        self.P[rows] = 0.5 * (P + P.transpose(0, 2, 1))
        self.G[rows] = L @ G
        complete = rows.copy()
        complete[rows] = measured.all(axis=1)
        self._settle(complete & self._near_steady())
        counted = measured.sum(axis=1)
        weighed = np.linalg.solve(S, d[:, :, None])[:, :, 0]
        with np.errstate(invalid="ignore"):
            return np.asarray(np.einsum("bp,bp->b", d, weighed) / np.where(counted, counted, np.nan))

    def _clip(self) -> None:
        """Into the physical range."""
        np.maximum(self.x, self._one.x_low, out=self.x)
        np.minimum(self.x, self._one.x_high, out=self.x)

    def _arrange(self) -> None:
        """The forms of the rows as they are now, so that no step has to look them up."""
        one, forms = self._one, [self._forms[int(net)] for net in self.with_network]
        self._Q = np.array([form.Q for form in forms])
        self._K = np.array([form.K for form in forms])
        self._steady = np.array([form.P for form in forms])
        self._prior = np.array([form.prior(one.A) for form in forms])
        self._S_inverse = np.linalg.inv(one.H @ self._prior @ one.H.T + one.R)
        self._KT = np.ascontiguousarray(forms[0].K.T)
        self._of_one_form = bool((self.with_network == self.with_network[0]).all())
        self.calm = False

    def _near_steady(self) -> Bools:
        wanted = np.diagonal(self._steady, axis1=1, axis2=2)
        near = np.abs(np.diagonal(self.P, axis1=1, axis2=2) - wanted) <= SETTLED * wanted
        return np.asarray(near.all(axis=1) & ~self.G.any(axis=(1, 2)))

    def _settle(self, rows: Bools) -> None:
        self.settled |= rows
        self.P[rows] = self._steady[rows]

    def _total(self, P: Floats, G: Floats) -> Floats:
        return np.asarray(P + (G * self._u_var) @ G.transpose(0, 2, 1))

    def _release(self, held: Bools) -> None:
        """What known inputs did while they were unknown becomes part of P."""
        back = self.G * ~held[:, None, :]
        if back.any():
            self.P = self._total(self.P, back)
            self.G = self.G * held[:, None, :]

    def _limit(self) -> None:
        """Scale rows and columns whose variance is beyond what the physical range allows; P stays a covariance."""
        variance = self.variance()
        beyond = variance > self.largest
        if beyond.any():
            scale = np.where(beyond, np.sqrt(self.largest / np.maximum(variance, self.largest)), 1.0)
            self.P *= scale[:, :, None] * scale[:, None, :]
            self.G *= scale[:, :, None]
