"""The linear twin of what was measured: lagged least squares, and subspace identification.

    lagged(L)       x = (y, y₋₁ … y₋L, u₋₁ … u₋L), the first rows of A and B by least squares
    subspace(n)     PO-MOESP: Verhaegen, "Identification of the deterministic part of MIMO state space models given in
                    innovations form from input-output data", Automatica 30 (1994) 61–74; B and what it begins with
                    by least squares on the simulated output (Van Overschee and De Moor, 1996, section 4.4)

In both the first p states are the channels, so that estimates keep their names; what is behind them is hidden.

    TooLittle       fewer steps than the model has numbers, or inputs that never move
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.linalg import null_space

from aggregator.learning.bundling import Linear
from aggregator.learning.steady import NoSteadyState, steady
from aggregator.learning.stretch import Stretch

Floats = npt.NDArray[np.float64]

RIDGE = 1e-6  # of normalised data: decides only where the data say nothing
FASTEST = 1.0 - 1e-9  # the largest eigenvalue that is let stand: a twin may remember, it may not explode
SENSOR_SHARE = 0.1  # of the one-step error that is taken for the sensor's, where nobody says what it is
SHARES = (0.03, 0.3, 1.0)  # of it that are tried
NIS_TRIES = 12  # halvings of the interval in which the noise is sought
NOISE_DECADES = (-9.0, 3.0)
NOISE_STEPS = 1_500  # of the training part: more tell no more of the noise
PER_NUMBER = 2  # steps that there must be for each number of a row


class TooLittle(ValueError):
    """The message says how much there is and how much is needed."""


@dataclass(frozen=True, eq=False, slots=True)
class Scaling:
    """Mean and standard deviation of the training part, and nothing else's."""

    y_mean: Floats
    y_sd: Floats
    u_mean: Floats
    u_sd: Floats

    @classmethod
    def of(cls, stretches: Sequence[Stretch]) -> "Scaling":
        y, u = (np.concatenate([getattr(one, name) for one in stretches]) for name in ("y", "u"))
        sds = [np.where(one.std(axis=0) > 0, one.std(axis=0), 1.0) for one in (y, u)]
        return cls(y.mean(axis=0), sds[0], u.mean(axis=0), sds[1])

    def of_stretch(self, one: Stretch) -> tuple[Floats, Floats]:
        return (one.y - self.y_mean) / self.y_sd, (one.u - self.u_mean) / self.u_sd


@dataclass(frozen=True, eq=False, slots=True)
class Plant:
    """A linear twin and how it was found. The first p states are the channels."""

    kind: str
    linear: Linear
    lags: int = 0  # how often (y, u) is repeated in the state

    @property
    def numbers(self) -> int:
        """How many of A, B, f0 are free."""
        p, n, m = len(self.linear.y0), len(self.linear.x0), len(self.linear.u0)
        free = p if self.kind.startswith("lagged") else n
        return free * (n + m + 1)


def lagged(stretches: Sequence[Stretch], lags: int, scaling: Scaling) -> Plant:
    """Raises TooLittle."""
    p, m = stretches[0].y.shape[1], stretches[0].u.shape[1]
    n = p * (lags + 1) + m * lags
    rows, wanted = [], []
    for one in stretches:
        y, u = scaling.of_stretch(one)
        if len(y) > lags + 1:
            x = window(y, u, lags)
            rows.append(np.hstack((x[:-1], u[lags:-1], np.ones((len(x) - 1, 1)))))
            wanted.append(y[lags + 1 :])
    _enough(sum(len(one) for one in rows), n + m + 1)
    X, Y = np.concatenate(rows), np.concatenate(wanted)
    theta = np.linalg.solve(X.T @ X + RIDGE * len(X) * np.eye(X.shape[1]), X.T @ Y).T
    A, B, f = np.zeros((n, n)), np.zeros((n, m)), np.zeros(n)
    A[:p], B[:p], f[:p] = theta[:, :n], theta[:, n : n + m], theta[:, -1]
    for lag in range(1, lags + 1):
        A[p * lag : p * (lag + 1), p * (lag - 1) : p * lag] = np.eye(p)
        at = p * (lags + 1) + m * (lag - 1)
        if lag == 1:
            B[at : at + m] = np.eye(m)
        else:
            A[at : at + m, at - m : at] = np.eye(m)
    missed = (Y - X @ theta.T).var(axis=0)
    Q = np.diag(np.concatenate((missed, np.zeros(n - p))))
    sds = np.concatenate((np.tile(scaling.y_sd, lags + 1), np.tile(scaling.u_sd, lags)))
    means = np.concatenate((np.tile(scaling.y_mean, lags + 1), np.tile(scaling.u_mean, lags)))
    return Plant(f"lagged {lags}", _linear(A, B, f, Q, scaling, sds, means, stretches), lags)


def window(y: Floats, u: Floats, lags: int) -> Floats:
    """(N − lags, n): y and u of now and before, the newest first, as `lagged` orders them."""
    N = len(y)
    parts = [y[lags - lag : N - lag] for lag in range(lags + 1)]
    parts += [u[lags - lag : N - lag] for lag in range(1, lags + 1)]
    return np.hstack(parts)


def subspace(stretches: Sequence[Stretch], order: int, scaling: Scaling, ahead: int = 0) -> Plant:
    """Raises TooLittle. `order` ≥ p; `ahead` block rows of past and of future (2 · order + 2 unless told)."""
    p, m = stretches[0].y.shape[1], stretches[0].u.shape[1]
    i = ahead or 2 * order + 2
    data = [scaling.of_stretch(one) for one in stretches if len(one) > 4 * i]
    _enough(sum(len(y) - 2 * i for y, _ in data), 4 * i * (p + m))
    blocks = [_hankel(y, u, i) for y, u in data]
    H = np.concatenate(blocks, axis=1)  # (Uf, Up, Yp, Yf) by columns of time
    L = np.asarray(np.linalg.qr(H.T, mode="r")).T
    a, b = i * m, i * m + i * (m + p)
    left, sizes, _ = np.linalg.svd(L[b:, a:b], full_matrices=False)
    gamma = left[:, :order] * np.sqrt(sizes[:order])
    C = gamma[:p]
    A = np.linalg.lstsq(gamma[:-p], gamma[p:], rcond=None)[0]
    A *= min(1.0, FASTEST / max(np.abs(np.linalg.eigvals(A)).max(), 1e-12))
    B, f = _driven(A, C, data)
    T = np.vstack((C, null_space(C).T)) if order > p else C
    back = np.linalg.inv(T)
    A, B, f = T @ A @ back, T @ B, T @ f
    spread = _spread(A, B, f, data)
    sds = np.concatenate((scaling.y_sd, np.ones(order - p)))
    means = np.concatenate((scaling.y_mean, np.zeros(order - p)))
    sensor = np.diag(lagged(stretches, 2, scaling).linear.R)
    linear = _linear(A, B, f, np.diag(spread**2), scaling, sds, means, stretches, spread)
    return Plant(f"subspace {order}", replace(linear, R=np.diag(sensor)))


def _hankel(y: Floats, u: Floats, i: int) -> Floats:
    columns = len(y) - 2 * i + 1
    rows = [u[k : k + columns].T for k in range(i, 2 * i)]
    rows += [u[k : k + columns].T for k in range(i)] + [y[k : k + columns].T for k in range(i)]
    return np.concatenate([*rows, *(y[k : k + columns].T for k in range(i, 2 * i))])


def _driven(A: Floats, C: Floats, data: Sequence[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """B and the constant f: y = C (Aᵏ x(0) + Σ …) is linear in them and in x(0) of each stretch."""
    n, m = len(A), data[0][1].shape[1]
    width = n * (m + 1)
    rows, wanted = [], []
    for place, (y, u) in enumerate(data):
        driven, free = np.zeros((n, width)), np.eye(n)
        part = np.zeros((len(y), len(C), width + n * len(data)))
        for k in range(len(y)):
            part[k, :, :width], part[k, :, width + n * place : width + n * (place + 1)] = C @ driven, C @ free
            driven = A @ driven + np.kron(np.append(u[k], 1.0), np.eye(n))
            free = A @ free
        rows.append(part.reshape(-1, part.shape[2]))
        wanted.append(y.ravel())
    theta = np.linalg.lstsq(np.concatenate(rows), np.concatenate(wanted), rcond=None)[0][:width]
    both = theta.reshape(m + 1, n).T
    return np.asarray(both[:, :m]), np.asarray(both[:, m])


def _spread(A: Floats, B: Floats, f: Floats, data: Sequence[tuple[Floats, Floats]]) -> Floats:
    """How far each state goes when the plant is driven as it was."""
    seen = []
    for _, u in data:
        x = np.zeros(len(A))
        for one in u:
            x = A @ x + B @ one + f
            seen.append(x)
    return np.asarray(np.maximum(np.asarray(seen).std(axis=0), 1e-6))


def _linear(
    A: Floats,
    B: Floats,
    f: Floats,
    Q: Floats,
    scaling: Scaling,
    sds: Floats,
    means: Floats,
    stretches: Sequence[Stretch],
    spread: Floats | None = None,
) -> Linear:
    """From normalised numbers to internal units, linearised at the means of the training."""
    n, p = len(A), len(scaling.y_mean)
    y = np.concatenate([one.y for one in stretches])
    span = np.maximum(np.ptp(y, axis=0), scaling.y_sd)
    low, high = y.min(axis=0) - span, y.max(axis=0) + span
    reach = 20 * (sds if spread is None else sds * spread)
    x_low, x_high = means - reach, means + reach
    x_low[:p], x_high[:p] = low, high
    R = np.diag(SENSOR_SHARE * np.diag(Q)[:p] * sds[:p] ** 2 + 1e-12 * scaling.y_sd**2)
    return Linear(
        A=sds[:, None] * A / sds,
        B=sds[:, None] * B / scaling.u_sd,
        H=np.eye(p, n),
        Q=sds[:, None] * Q * sds,
        R=R,
        x0=means,
        u0=scaling.u_mean,
        f0=means + sds * f,
        y0=scaling.y_mean,
        x_low=x_low,
        x_high=x_high,
        u_sd=scaling.u_sd,
    )


def calibrated(plant: Plant, stretches: Sequence[Stretch], sensor_sd: Floats | None = None) -> Plant:
    """Q scaled so that the normalised innovation squared is 1 on the training part; R is the sensors', where known.

    Where it is not, the share of the one-step error that is the sensor's is the one whose filter foresees best. Where
    the sensors alone explain more than is seen, R is lowered too. Raises NoSteadyState.
    """
    linear = plant.linear
    if sensor_sd is not None:
        return replace(plant, linear=_scaled(replace(linear, R=np.diag(sensor_sd**2)), stretches))
    missed, stretches = np.diag(linear.R) / SENSOR_SHARE, _enough_of(stretches)
    tries = [_scaled(replace(linear, R=np.diag(missed * share)), stretches) for share in SHARES]

    def unforeseen(one: Linear) -> float:
        d = np.concatenate([filtered(one, each)[1] for each in stretches])
        return float(np.mean(d**2 / missed))

    return replace(plant, linear=min(tries, key=unforeseen))


def _enough_of(stretches: Sequence[Stretch]) -> list[Stretch]:
    """Beginnings of all stretches, as many steps as noise is learned from."""
    share = min(1.0, NOISE_STEPS / sum(len(one) for one in stretches))
    return [one.cut(one.k0, one.k0 + max(round(share * len(one)), 2)) for one in stretches]


def _scaled(linear: Linear, stretches: Sequence[Stretch]) -> Linear:
    low, high = NOISE_DECADES
    for _ in range(NIS_TRIES):
        middle = (low + high) / 2
        try:
            nis = mean_nis(replace(linear, Q=linear.Q * 10**middle), stretches)
        except NoSteadyState:
            nis = np.inf
        low, high = (middle, high) if nis > 1 else (low, middle)
    linear = replace(linear, Q=linear.Q * 10**high)
    scale = min(1.0, mean_nis(linear, stretches))
    return replace(linear, R=linear.R * scale, Q=linear.Q * scale)


def mean_nis(linear: Linear, stretches: Sequence[Stretch]) -> float:
    """Per channel, of the filter at steady state; 1 is expected. Raises NoSteadyState."""
    S = innovation_covariance(linear)
    d = np.concatenate([filtered(linear, one)[1] for one in stretches])
    return float(np.einsum("kp,pq,kq->k", d, np.linalg.inv(S), d).mean() / d.shape[1])


def innovation_covariance(linear: Linear) -> Floats:
    P = linear.A @ steady(linear.A, linear.H, linear.Q, linear.R).P @ linear.A.T + linear.Q
    return np.asarray(linear.H @ P @ linear.H.T + linear.R)


def filtered(linear: Linear, one: Stretch) -> tuple[Floats, Floats]:
    """x(k|k) (N, n) and innovations (N − 1, p) of the filter at steady state. Raises NoSteadyState."""
    A, H = linear.A, linear.H
    K = steady(A, H, linear.Q, linear.R).K
    kept = np.eye(len(A)) - K @ H
    pushed = (one.u[:-1] - linear.u0) @ linear.B.T + (linear.f0 - linear.x0)  # (N − 1, n)
    dy = one.y - linear.y0
    moved, M = pushed @ kept.T + dy[1:] @ K.T, kept @ A
    e = np.zeros((len(one), len(A)))  # x − x0
    e[0, : len(dy[0])] = one.y[0] - linear.x0[: len(dy[0])]
    for k, row in enumerate(moved):
        e[k + 1] = M @ e[k] + row
    d = dy[1:] - (e[:-1] @ A.T + pushed) @ H.T
    return np.clip(linear.x0 + e, linear.x_low, linear.x_high), d


def _enough(have: int, numbers: int) -> None:
    if have < PER_NUMBER * numbers:
        raise TooLittle(f"{have} steps for {numbers} numbers: at least {PER_NUMBER * numbers}; take a longer time")
