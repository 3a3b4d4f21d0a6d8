"""What does not fit: four detectors from coarse to fine, each with a threshold of its own; any of them is a finding.

    gate     one reading too far off                       |z| > g
    nis      a channel's squared innovations, on average    χ² over its last w readings: noise that has grown
    cusum    a small shift that stays (Page 1954)           S⁺, S⁻ above h: drift, a leak, a stuck sensor
    vector   the pattern over all channels                  T² of joint innovations; Q, what the usual pattern misses
                                                            (Jackson & Mudholkar 1979)

Innovations, unlike readings, have no memory when all is well, so thresholds are those of independent numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import chi2, f

from aggregator.twin import Floats, Ints
from aggregator.twin.observation import Innovation


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Chosen for about one false finding per detector and channel in a year of minutes; a learned pattern has more."""

    gate: float = 5.0  # standard deviations
    window: int = 30  # readings of `nis`
    nis_false: float = 2e-6  # probability, per reading
    slack: float = 0.5  # of `cusum`: half of the shift that is to be found, in standard deviations
    limit: float = 12.0  # … in-control run of about 5·10⁵ readings (Siegmund 1985)
    vector_false: float = 2e-6
    learn: int = 1000  # steps without findings that the usual pattern is learned from
    explained: float = 0.9  # of the variance, by that pattern


@dataclass(frozen=True, slots=True)
class Finding:
    """`channel` None: all of them together."""

    k: int
    detector: str
    channel: int | None
    value: float
    threshold: float


@dataclass(frozen=True, eq=False, slots=True)
class Pattern:
    """Principal components P (C, p) of standardised innovations (T, C), and the limits of what is usual."""

    P: Floats
    variance: Floats  # (p,)
    t2_max: float
    q_max: float

    @classmethod
    def learned(cls, Z: Floats, explained: float, false: float) -> "Pattern":
        _, size, rows = np.linalg.svd(Z, full_matrices=False)
        λ = size**2 / len(Z)
        p = int(np.searchsorted(np.cumsum(λ) / λ.sum(), explained)) + 1
        return cls(rows[:p].T, λ[:p], t2_limit(p, len(Z), false), q_limit(λ[p:], false))

    def statistics(self, z: Floats) -> tuple[float, float]:
        """T² within the pattern, Q beside it."""
        t = z @ self.P
        return float(t**2 @ (1 / self.variance)), float(z @ z - t @ t)


def q_limit(λ: Floats, false: float) -> float:
    """Of the squared residual when the left-out variances are λ: g χ²(h) (Box 1954); inf when nothing is left out."""
    θ1, θ2 = float(np.sum(λ)), float(np.sum(λ**2))
    return float(θ2 / θ1 * chi2.isf(false, θ1**2 / θ2)) if θ1 > 0 else np.inf


def t2_limit(p: int, steps: int, false: float) -> float:
    """Of p scores whose variances were learned from so many steps (Hotelling 1931)."""
    return float(p * (steps**2 - 1) / (steps * (steps - p)) * f.isf(false, p, steps - p)) if steps > p else np.inf


@dataclass(eq=False)
class Detectors:
    """Of one domain, C channels. Fed once per step, in order."""

    channels: int
    thresholds: Thresholds = field(default_factory=Thresholds)
    pattern: Pattern | None = None

    def __post_init__(self) -> None:
        self._above, self._below = np.zeros(self.channels), np.zeros(self.channels)
        self._squares = np.full((self.thresholds.window, self.channels), np.nan)
        self._place = np.zeros(self.channels, np.int64)
        self._usual: list[Floats] = []
        self._nis_max = float(chi2.isf(self.thresholds.nis_false, self.thresholds.window)) / self.thresholds.window

    def look(self, innovation: Innovation) -> list[Finding]:
        """What is wrong with one step's readings. Repeated as long as it stays wrong: alarms.py tells it once."""
        z = np.zeros(self.channels)
        latest = np.unique(innovation.channel[::-1], return_index=True)[1]
        rows = innovation.m - 1 - latest
        here = innovation.channel[rows]
        z[here] = innovation.z[rows]
        found = [
            *self._one_by_one(innovation.k, "gate", here, np.abs(z[here]), self.thresholds.gate),
            *self._one_by_one(innovation.k, "nis", here, self._mean_square(here, z[here]), self._nis_max),
            *self._one_by_one(innovation.k, "cusum", here, self._shift(here, z[here]), self.thresholds.limit),
            *self._together(innovation, z),
        ]
        if self.pattern is None and not found:
            self._learn(z)
        return found

    def reset(self, channel: int) -> None:
        """Forget what was summed up, after a sensor has been changed or a shift explained."""
        self._above[channel] = self._below[channel] = 0.0
        self._squares[:, channel] = np.nan
        self._place[channel] = 0

    def _one_by_one(self, k: int, name: str, here: Ints, value: Floats, limit: float) -> Iterator[Finding]:
        for i in np.flatnonzero(value > limit):
            yield Finding(k, name, int(here[i]), float(value[i]), limit)

    def _mean_square(self, here: Ints, z: Floats) -> Floats:
        """Over each channel's last w readings; 0 until there are so many."""
        w = self.thresholds.window
        self._squares[self._place[here] % w, here] = z**2
        self._place[here] += 1
        mean: Floats = np.nan_to_num(self._squares[:, here]).mean(axis=0)
        return np.where(self._place[here] >= w, mean, 0.0)

    def _shift(self, here: Ints, z: Floats) -> Floats:
        """S⁺ = max(0, S⁺ + z - κ), S⁻ = max(0, S⁻ - z - κ), held at twice the limit so that an end is seen too."""
        κ, most = self.thresholds.slack, 2 * self.thresholds.limit
        for side, sign in ((self._above, 1.0), (self._below, -1.0)):
            side[here] = np.clip(side[here] + sign * z - κ, 0.0, most)
        return np.maximum(self._above[here], self._below[here])

    def _together(self, innovation: Innovation, z: Floats) -> Iterator[Finding]:
        false = self.thresholds.vector_false
        limit = float(chi2.isf(false, innovation.m))
        if innovation.nis > limit:
            yield Finding(innovation.k, "t2", None, innovation.nis, limit)
        if self.pattern is not None:
            t2, q = self.pattern.statistics(z)
            if t2 > self.pattern.t2_max:
                yield Finding(innovation.k, "t2 of the pattern", None, t2, self.pattern.t2_max)
            if q > self.pattern.q_max:
                yield Finding(innovation.k, "q", None, q, self.pattern.q_max)

    def _learn(self, z: Floats) -> None:
        self._usual.append(z)
        if len(self._usual) == self.thresholds.learn:
            Z = np.array(self._usual)
            self.pattern = Pattern.learned(Z, self.thresholds.explained, self.thresholds.vector_false)
            self._usual.clear()
