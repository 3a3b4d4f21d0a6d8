"""The serial update of an ensemble, one observation after the other: the only loop of the twin that has to be fast.

Twice the same mathematics: `plain` in numpy, and `_loops`, which numba compiles where it is installed (the extra
`fast`). Both change `x` and `A` in place and return dᵀ S⁻¹ d.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

from aggregator.twin import Floats, Ints
from aggregator.twin.localisation import Near
from aggregator.twin.model import Sparse


def assimilate(
    x: Floats, A: Floats, d: Floats, R: Floats, H: Sparse, channel: Ints, near: Near, compiled: bool
) -> float:
    """Serial ensemble square root filter (Whitaker & Hamill 2002), localised.

    x (n,) mean, A (n, N) anomalies / √(N - 1), in place; d (m,) = y - h(x) before the first of them; R (m,);
    H (m, n); channel (m,) rows of `near`. For observation i, with weight ρ of state j:

        s = a·a + R_i,  a = H_i A        K_j = ρ_j A_j·a / s
        x_j += K_j d_i                   A_j -= K_j a / (1 + √(R_i / s))
    """
    kernel = compile_loops() if compiled else plain
    base = H @ x
    rows = (H.indptr.astype(np.int64), H.indices.astype(np.int64), H.data.astype(np.float64))
    return float(kernel(x, A, d + base, R, *rows, channel, near.start, near.state, near.weight))


def plain(
    x: Floats,
    A: Floats,
    y: Floats,
    R: Floats,
    row: Ints,
    column: Ints,
    value: Floats,
    channel: Ints,
    start: Ints,
    state: Ints,
    weight: Floats,
) -> float:
    nis = 0.0
    for i in range(len(y)):
        of, h = column[row[i] : row[i + 1]], value[row[i] : row[i + 1]]
        a = h @ A[of]
        s = a @ a + R[i]
        d = y[i] - h @ x[of]
        reach = slice(start[channel[i]], start[channel[i] + 1])
        j = state[reach]
        K = weight[reach] * (A[j] @ a) / s
        x[j] += K * d
        A[j] -= np.outer(K / (1 + np.sqrt(R[i] / s)), a)
        nis += d * d / s
    return nis


def _loops(
    x: Floats,
    A: Floats,
    y: Floats,
    R: Floats,
    row: Ints,
    column: Ints,
    value: Floats,
    channel: Ints,
    start: Ints,
    state: Ints,
    weight: Floats,
) -> float:
    N = A.shape[1]
    a = np.empty(N)
    nis = 0.0
    for i in range(len(y)):
        a[:] = 0.0
        d = y[i]
        for p in range(row[i], row[i + 1]):
            d -= value[p] * x[column[p]]
            for e in range(N):
                a[e] += value[p] * A[column[p], e]
        s = R[i]
        for e in range(N):
            s += a[e] * a[e]
        shrink = 1 / (1 + np.sqrt(R[i] / s))
        nis += d * d / s
        for p in range(start[channel[i]], start[channel[i] + 1]):
            j = state[p]
            K = 0.0
            for e in range(N):
                K += A[j, e] * a[e]
            K *= weight[p] / s
            x[j] += K * d
            K *= shrink
            for e in range(N):
                A[j, e] -= K * a[e]
    return nis


@cache
def compile_loops() -> Callable[..., float]:
    """Raises ImportError without numba. Sums are reordered for speed, the same way at every run."""
    from numba import njit

    compiled: Callable[..., float] = njit(fastmath=True)(_loops)
    return compiled


@cache
def can_compile() -> bool:
    """Not without numba, nor where memory may not be both written and executed (a hardened service)."""
    try:
        compile_loops()
    except (ImportError, OSError):
        return False
    return True
