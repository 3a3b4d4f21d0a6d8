"""What is usual of the air: means, how places vary together, how that grows with the level, how fast it forgets.

    C = E[(c - μ)(c - μ)ᵀ],  at a level s:  s² C,  s = steady + (1 - steady) · mean(c) / mean(μ)

Without history C comes from distances: a part that is the whole city's, a part that fades with distance, a part of a
place's own. With history it is pooled over all hours in which two places were measured both, and drawn towards the
first as far as the hours are few (Ledoit & Wolf 2004 in kind). Kriging with it is the best linear guess (Matheron
1963; with estimated covariance: Gandin's optimum interpolation, 1965).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import minimize_scalar

from aggregator.domains.environment.air import Air
from aggregator.twin import BadModel, Floats, Ints

HOURS = 72.0  # that the assumed covariance counts as: a few independent episodes of weather
TINY = 1e-9  # share of the largest variance below which a direction is rounding
CROSS = 0.5  # correlation of two pollutants at one place, while nobody has measured it
AHEAD = 6  # steps that the pace is judged over: weather has come and gone by then
MEMORIES_H, FLUSHES_KM = (12.0, 24.0, 48.0, 96.0, 192.0, 384.0), (50.0, 100.0, 200.0, 400.0, 800.0, 3200.0)
HELD_MIN = 0.05  # of the usual level: the least that uncertainty shrinks to in clean air


@dataclass(frozen=True, eq=False, slots=True)
class Field:
    """v values: p places of each pollutant in turn."""

    mean: Floats  # (v,)
    C: Floats  # (v, v)
    factor: Floats  # (v, r), factor factorᵀ = C
    steady: Floats  # (pollutants,) share of the deviation that does not grow with the level
    memory_s: float  # of deviations, in still air
    flushed_m: float  # of wind that carry it off

    @property
    def sd(self) -> Floats:
        return np.sqrt(np.diag(self.C))

    def level(self, x: Floats) -> Floats:
        """(v,) s: how much wider than usual deviations are when the air is like x (v,)."""
        pollutants = len(self.steady)
        now, usual = (one.reshape(pollutants, -1).mean(axis=1) for one in (x, self.mean))
        s = self.steady + (1 - self.steady) * np.maximum(now / usual, HELD_MIN)
        return np.repeat(s, len(self.mean) // pollutants)


def assumed(air: Air) -> Field:
    """From distances and the settings."""
    sd = air.number("spread") * air.background
    C = sd[:, None] * sd[None, :] * np.kron(across(len(air.pollutants)), correlation(air))
    steady = np.full(len(air.pollutants), air.number("steady"))
    return made(air.background, C, steady, air.number("memory_h") * 3600, air.number("flushed_km") * 1e3)


def correlation(air: Air) -> Floats:
    """(p, p) of one pollutant between places: regional + fading with distance + own."""
    regional, own = air.number("regional"), air.number("local")
    fading = np.exp(-air.distance / (1e3 * air.number("range_km")))
    return regional + (1 - regional) * ((1 - own) * fading + own * np.eye(air.p))


def across(pollutants: int) -> Floats:
    return np.full((pollutants, pollutants), CROSS) + (1 - CROSS) * np.eye(pollutants)


def made(mean: Floats, C: Floats, steady: Floats, memory_s: float, flushed_m: float) -> Field:
    """With the factor of C, without directions that are rounding."""
    size, V = eigh((C + C.T) / 2)
    kept = size > TINY * size[-1]
    factor = V[:, kept] * np.sqrt(size[kept])
    return Field(mean, factor @ factor.T, factor, steady, memory_s, flushed_m)


def pooled(air: Air, field: Field, history: Mapping[tuple[str, str], Floats]) -> Field:
    """`field` with what history says: asset and quantity → (T,) values of the same hours, NaN where there are none.

    Values without history keep what was assumed, scaled to what the others turned out to be. Raises BadModel for
    columns of unequal length.
    """
    names = [(one.id, name) for name in air.pollutants for one in air.places]
    known = [i for i, name in enumerate(names) if name in history and np.isfinite(history[name]).sum() > 1]
    lengths = {len(values) for values in history.values()}
    if len(lengths) > 1:
        raise BadModel(f"history of {len(lengths)} lengths, {sorted(lengths)}; give the same hours for all")
    if not known:
        return field
    Y, own = np.column_stack([history[names[i]] for i in known]), np.array(known, np.int64)
    mean, C = joined(field, own, Y)
    steady = field.steady.copy()
    for q in range(len(steady)):
        columns = np.flatnonzero(own // air.p == q)
        if len(columns) > 1:
            rows = own[columns]
            steady[q] = growth(Y[:, columns], mean[rows], C[np.ix_(rows, rows)])
    return made(mean, C, steady, field.memory_s, field.flushed_m)


def joined(field: Field, own: Ints, Y: Floats) -> tuple[Floats, Floats]:
    """Mean and covariance of all values from those of `own` (T, o), the others by what was assumed of both."""
    seen = np.isfinite(Y)
    mean_own = np.nanmean(Y, axis=0)
    D = np.where(seen, Y - mean_own, 0.0)
    pairs = seen.T.astype(np.float64) @ seen
    before = field.C[np.ix_(own, own)]
    grown = np.sqrt(np.nanvar(Y, axis=0) / np.diag(before))
    C_own = (D.T @ D + HOURS * grown[:, None] * grown * before) / (pairs + HOURS)
    mean, scale = field.mean * np.mean(mean_own / field.mean[own]), np.full(len(field.mean), grown.mean())
    mean[own], scale[own] = mean_own, grown
    C = scale[:, None] * scale * field.C
    # What is known of the others goes through `own`: C_xo C_oo⁻¹ of the assumed, with the measured C_oo in the middle.
    rest = np.setdiff1d(np.arange(len(mean)), own)
    if len(rest):
        A = np.linalg.solve(C[np.ix_(own, own)], C[np.ix_(own, rest)])
        left = C[np.ix_(rest, rest)] - A.T @ C[np.ix_(own, rest)]
        C[np.ix_(own, rest)] = C_own @ A
        C[np.ix_(rest, own)] = C[np.ix_(own, rest)].T
        C[np.ix_(rest, rest)] = left + A.T @ C_own @ A
    C[np.ix_(own, own)] = C_own
    return mean, C


def growth(Y: Floats, mean: Floats, C: Floats) -> float:
    """The steady share under which what each place reads, beside what the others say of it, is likeliest."""
    whole = Y[np.isfinite(Y).all(axis=1)]
    if len(whole) < HOURS:
        return 1.0
    W = np.linalg.inv(C)
    off, own = (whole - mean) @ W / np.diag(W), 1 / np.diag(W)
    said = np.maximum((whole - off).mean(axis=1) / mean.mean(), HELD_MIN)

    def unlikely(share: float) -> float:
        s = (share + (1 - share) * said)[:, None]
        unit = np.mean(off**2 / (own * s**2))
        return float(np.mean(np.log(s)) + np.log(unit) / 2)

    return float(minimize_scalar(unlikely, bounds=(0.0, 1.0), method="bounded").x)


def paced(air: Air, field: Field, course: Floats, wind: Floats) -> Field:
    """`field` with the memory and the flushing under which the city's mean (T,) ug/m3 went on most as it did.

    `wind` (T,) m/s of the same steps. NaN is left out. Judged AHEAD steps ahead, where the two differ.
    """
    usual, mean = air.number("wind_usual"), float(np.nanmean(course))
    speed = np.where(np.isnan(wind), usual, wind)
    begins, ends = course[:-AHEAD], course[AHEAD:]

    def error(memory_s: float, flushed_m: float) -> float:
        c = begins
        back = 1 / memory_s + usual / flushed_m
        for i in range(1, AHEAD + 1):
            λ = 1 / memory_s + speed[i : len(speed) - AHEAD + i] / flushed_m
            φ = np.exp(-λ * air.number("step_s"))
            c = φ * c + (1 - φ) / λ * back * mean
        return float(np.nanmean((c - ends) ** 2))

    tried = [(error(τ * 3600, L * 1e3), τ * 3600, L * 1e3) for τ in MEMORIES_H for L in FLUSHES_KM]
    _, memory_s, flushed_m = min(tried)
    return replace(field, memory_s=memory_s, flushed_m=flushed_m)
