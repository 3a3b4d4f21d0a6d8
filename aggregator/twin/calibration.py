"""Is the uncertainty true? Measured all the time, corrected slowly, and the condition for deciding without a person.

NIS/m is the mean of squared innovations over their variance: 1 when the spread is right, above when it is too small.
Every channel is withheld in turn, one step in a hundred; what the others say of it is compared with what it read:
coverage of the 50 and 90 % intervals, and CRPS beside that of the forecast and of persistence.

Q and R are corrected in small steps within bounds, R per channel from E[residual · d] = R (Desroziers et al. 2005),
Q from the NIS of the whole domain. All of it is a value that goes into checkpoints, so a replay calibrates alike.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from aggregator.twin import Flags, Floats, Ints
from aggregator.twin.observation import Innovation

TURN = 100  # steps in which each channel is withheld once: 1 % of what is measured pays for knowing its worth
Z50, Z90 = 0.6744897501960817, 1.6448536269514722  # half-widths of the central intervals, standard normal


@dataclass(frozen=True, slots=True)
class Tuning:
    """How fast, how far, and what is demanded."""

    window: float = 200.0  # readings that count, of a channel; steps, of a domain
    rate: float = 0.02  # of the logarithm, per step: a factor of two takes half a window of steady evidence
    q_bounds: tuple[float, float] = (0.1, 10.0)
    r_bounds: tuple[float, float] = (0.25, 16.0)  # half to four times what the data sheet says, in standard deviations
    nis_band: tuple[float, float] = (0.8, 1.25)  # no correction inside: it would follow chance
    evidence: int = 30  # readings of a channel, or steps, before anything is corrected; trials before it may decide
    nis_max: float = 3.0  # automatic decisions are refused above
    coverage_min: float = 0.6  # … and below, of the 90 % interval
    scores: int = 500  # withheld readings that the conformal ratio rests on
    turn: int = TURN  # 0 withholds nothing


@dataclass(frozen=True, eq=False, slots=True)
class Trial:
    """Withheld readings (m,), what was expected of them, and when each channel was heard last."""

    channel: Ints
    y: Floats
    mean: Floats  # of the analysis made without them
    variance: Floats  # … and of the sensor's error
    prior_mean: Floats  # of the forecast
    prior_variance: Floats


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether decisions may be taken without a person; if not, why."""

    allowed: bool
    why: str


@dataclass(frozen=True, eq=False, slots=True)
class Calibration:
    """Running means with exponential forgetting; C channels. Every method returns a new one."""

    tuning: Tuning
    count: Floats  # (C,) readings seen, up to the window
    nis: Floats  # (C,) mean d²/S
    error: Floats  # (C,) mean residual · d / R: 1 when R is true
    r_scale: Floats  # (C,)
    last: Floats  # (C,) newest value, NaN before the first: what persistence says
    steps: float = 0.0
    domain_nis: float = 1.0
    q_scale: float = 1.0
    trials: int = 0
    inside50: float = 0.5
    inside90: float = 0.9
    crps: float = 0.0
    crps_prior: float = 0.0
    crps_persistence: float = 0.0
    scores: tuple[float, ...] = ()  # |z| of the newest withheld readings

    @classmethod
    def begin(cls, channels: int, tuning: Tuning | None = None) -> "Calibration":
        one, none = np.ones(channels), np.zeros(channels)
        return cls(tuning or Tuning(), none, one, one, one, np.full(channels, np.nan))

    def withheld(self, k: int, channel: Ints) -> Flags:
        """Which of the readings (m,) of step k are kept out of the analysis: each channel in turn."""
        turn = self.tuning.turn
        return (channel + k) % turn == 0 if turn else np.zeros(len(channel), np.bool_)

    def met(self, innovation: Innovation) -> "Calibration":
        """With what one analysis has shown."""
        if not innovation.m:
            return self
        channel, tuning = innovation.channel, self.tuning
        count, nis, error, last = self.count.copy(), self.nis.copy(), self.error.copy(), self.last.copy()
        here, inverse, times = np.unique(channel, return_inverse=True, return_counts=True)
        count[here] = np.minimum(count[here] + times, tuning.window)
        weight = np.minimum(times / count[here], 1.0)
        for mean, value in (
            (nis, innovation.d**2 / innovation.S),
            (error, innovation.residual * innovation.d / innovation.R),
        ):
            mean[here] += weight * (np.bincount(inverse, value) / times - mean[here])
        last[channel] = innovation.y
        steps = min(self.steps + 1, tuning.window)
        domain = self.domain_nis + (innovation.nis / innovation.m - self.domain_nis) / steps
        met = replace(self, count=count, nis=nis, error=error, last=last, steps=steps, domain_nis=domain)
        return met._corrected(here)

    def _corrected(self, here: Ints) -> "Calibration":
        """R of the channels `here`, then Q, a small step towards what would have been right."""
        t = self.tuning
        ratio = np.maximum(self.error[here], 1e-6)
        off = (ratio < t.nis_band[0]) | (ratio > t.nis_band[1])
        step = np.where(off & (self.count[here] >= t.evidence), np.clip(np.log(ratio), -1, 1), 0.0)
        r_scale = self.r_scale.copy()
        r_scale[here] = np.clip(r_scale[here] * np.exp(t.rate * step), *t.r_bounds)
        low, high = t.nis_band
        q_scale = self.q_scale
        if self.steps >= t.evidence and not low <= self.domain_nis <= high:
            q_scale *= np.exp(t.rate * np.clip(np.log(max(self.domain_nis, 1e-6)), -1, 1))
        return replace(self, r_scale=r_scale, q_scale=float(np.clip(q_scale, *t.q_bounds)))

    def tried(self, trial: Trial) -> "Calibration":
        """With what withheld readings have shown."""
        z = np.abs(trial.y - trial.mean) / np.sqrt(trial.variance)
        before = self.last[trial.channel]
        persistence = np.abs(trial.y - np.where(np.isnan(before), trial.prior_mean, before))
        seen = {
            "inside50": z <= Z50,
            "inside90": z <= Z90,
            "crps": crps(trial.y, trial.mean, trial.variance),
            "crps_prior": crps(trial.y, trial.prior_mean, trial.prior_variance),
            "crps_persistence": persistence,
        }
        means = {name: getattr(self, name) for name in seen}
        trials = self.trials
        for i in range(len(z)):
            trials += 1
            weight = 1 / min(trials, self.tuning.scores)
            for name, values in seen.items():
                means[name] += weight * (float(values[i]) - means[name])
        last = self.last.copy()
        last[trial.channel] = trial.y
        scores = (*self.scores, *z.tolist())[-self.tuning.scores :]
        return replace(self, trials=trials, scores=scores, last=last, **means)

    def ratio(self, level: float = 0.9) -> float:
        """Conformal: what to widen a `level` interval by, so that it held that share of the withheld readings.

        Split conformal prediction with |z| as score (Vovk et al. 2005; Lei et al. 2018); 1 while there is too little.
        """
        count = len(self.scores)
        place = int(np.ceil((count + 1) * level)) - 1
        if count < self.tuning.evidence or place >= count:
            return 1.0
        normal = {0.5: Z50, 0.9: Z90}[level]
        return float(np.sort(self.scores)[place] / normal)

    def automatic(self) -> Verdict:
        """May decisions rest on this domain without a person? Where not, the edge rules go on."""
        t = self.tuning
        if self.steps < t.evidence or (t.turn and self.trials < t.evidence):
            return Verdict(False, f"too little seen: {self.steps:.0f} steps, {self.trials} of {t.evidence} trials")
        if self.domain_nis > t.nis_max:
            return Verdict(False, f"NIS/m is {self.domain_nis:.2f}, above {t.nis_max}: more wrong than it believes")
        if t.turn and self.inside90 < t.coverage_min:
            return Verdict(False, f"{self.inside90:.0%} of withheld readings inside 90 %, below {t.coverage_min:.0%}")
        return Verdict(True, "calibrated")

    def health(self) -> dict[str, float]:
        """For people, alarms and Prometheus."""
        return {
            "nis_per_reading": self.domain_nis,
            "coverage_50": self.inside50,
            "coverage_90": self.inside90,
            "crps": self.crps,
            "crps_forecast": self.crps_prior,
            "crps_persistence": self.crps_persistence,
            "trials": float(self.trials),
            "conformal_ratio": self.ratio(),
            "q_scale": self.q_scale,
        }


def crps(y: Floats, mean: Floats, variance: Floats) -> Floats:
    """Of a normal forecast (Gneiting & Raftery 2007, eq. 21): σ (z (2Φ(z) - 1) + 2φ(z) - 1/√π)."""
    sigma = np.sqrt(variance)
    z = (y - mean) / sigma
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    found: Floats = sigma * (z * (2 * ndtr(z) - 1) + 2 * density - 1 / np.sqrt(np.pi))
    return found
