"""How a candidate is judged, second by second: what a model did, what it may do, and what was seen so far."""

import math
from dataclasses import dataclass, field

STEP_MAX_S = 5.0  # what one report adds to the cumulative sum: one bad hour of an hourly twin is one bad step


@dataclass(frozen=True, slots=True)
class Terms:
    """How long and how strictly a candidate is watched. Defaults suit a plant that changes within minutes."""

    shadow_s: float = 600.0
    probation_s: float = 1800.0
    steps: int = 200  # of the model, and no phase is shorter: a twin may step once an hour
    patience_s: float = 7 * 86_400.0  # for a phase that cannot be judged: no measurements
    margin: float = 1.1  # of squared residuals: 5 % in the residual itself
    nis_max: float = 3.0  # per channel; a calibrated model has 1
    drift_s: float = 30.0  # seconds of residuals far beyond the margin, or proportionally more of a little
    strikes: int = 3  # bad seconds in a row
    outside: float = 0.1  # of the steps of a second: more is a bad second
    late: float = 0.01
    share: float = 0.02  # of the seconds of a phase that may be bad
    starts: int = 3
    starts_s: float = 600.0
    safe_starts: int = 6


@dataclass(frozen=True, slots=True)
class Vitals:
    """How one model did since the last report, one second as a rule.

    `residual` is the mean over steps and channels of ((y − ŷ) / scale)², ŷ one step ahead and `scale` the same for
    both models; `nis` the mean of the normalised innovation squared per channel. NaN: nothing was measured.
    """

    steps: int
    nan: int = 0  # steps with an output that is not finite
    outside: int = 0  # steps with an output beyond the envelope, clamped
    late: int = 0  # steps that took longer than they may
    residual: float = math.nan
    nis: float = math.nan

    def struck(self, terms: Terms) -> str:
        """What was wrong with too many of the steps; "" nothing."""
        if self.outside > terms.outside * self.steps:
            return "left the envelope"
        return "missed the deadline" if self.late > terms.late * self.steps else ""


@dataclass(slots=True)
class Excess:
    """Page's cumulative sum of how far `own` is beyond what is allowed, and the means over the phase."""

    sum_s: float = 0.0
    own: float = 0.0
    allowed: float = 0.0

    def add(self, own: float, allowed: float, elapsed_s: float) -> None:
        """The step is (own − allowed) / (own + allowed), within ±1: one spike counts as one second, not as an hour."""
        step_s = min(elapsed_s, STEP_MAX_S)
        self.sum_s = max(0.0, self.sum_s + step_s * (own - allowed) / max(own + allowed, 1e-300))
        self.own += own * elapsed_s
        self.allowed += allowed * elapsed_s


@dataclass(slots=True)
class Watch:
    """What has been seen of a candidate in the phase it is in. `paired`: there is another model to compare it with."""

    paired: bool = False
    judged_s: float = 0.0
    waited_s: float = 0.0
    pending_s: float = 0.0  # since its last step
    steps: int = 0  # that were judged
    struck_s: float = 0.0
    strikes: int = 0
    residual: Excess = field(default_factory=Excess)
    nis: Excess = field(default_factory=Excess)

    def see(self, own: Vitals, other: Vitals | None, elapsed_s: float, terms: Terms) -> str:
        """Take one report; what ends the trial, "" nothing."""
        if own.nan:
            return f"{own.nan} of {own.steps} outputs were no numbers"
        elapsed_s, self.pending_s = elapsed_s + self.pending_s, 0.0
        if not own.steps:
            self.pending_s = elapsed_s
            return "it never stepped" if elapsed_s > terms.patience_s else ""
        struck = own.struck(terms)
        self.strikes = self.strikes + 1 if struck else 0
        self.struck_s += elapsed_s if struck else 0.0
        if self.strikes >= terms.strikes:
            return f"{struck} in {self.strikes} seconds in a row"
        return self._compare(own, other, elapsed_s, terms)

    def _compare(self, own: Vitals, other: Vitals | None, elapsed_s: float, terms: Terms) -> str:
        if any(math.isinf(value) or value < 0 for value in (own.residual, own.nis)):
            return "its residuals are beyond all numbers"
        measured = [own.residual, own.nis] + ([other.residual, other.nis] if other else [math.nan] * self.paired)
        if not all(math.isfinite(value) for value in measured):
            self.waited_s += elapsed_s
            return "nothing was measured that could judge it" if self.waited_s > terms.patience_s else ""
        self.judged_s += elapsed_s
        self.steps += own.steps
        self.nis.add(own.nis, max(terms.nis_max, terms.margin * other.nis if other else 0.0), elapsed_s)
        if other is not None:
            self.residual.add(own.residual, terms.margin * other.residual, elapsed_s)
        if self.residual.sum_s > terms.drift_s:
            return f"residuals drifted: {self._ratio(self.residual)} of what is allowed"
        if self.nis.sum_s > terms.drift_s:
            return f"NIS drifted: {self._ratio(self.nis)} of what is allowed"
        return ""

    @staticmethod
    def _ratio(excess: Excess) -> str:
        return f"{100 * excess.own / max(excess.allowed, 1e-300):.0f} %"

    def enough(self, least_s: float, terms: Terms) -> bool:
        """Whether the phase has been long enough to decide."""
        return self.judged_s >= least_s and self.steps >= terms.steps

    def verdict(self, terms: Terms) -> str:
        """At the end of the phase: what forbids the next one, "" nothing."""
        watched_s = self.judged_s + self.waited_s
        if self.struck_s > terms.share * watched_s:
            return f"left the envelope or missed deadlines in {self.struck_s:.0f} of {watched_s:.0f} s"
        if self.residual.own > self.residual.allowed:
            return f"residuals are {self._ratio(self.residual)} of what is allowed"
        if self.nis.own > self.nis.allowed:
            return f"NIS is {self._ratio(self.nis)} of what is allowed"
        return ""
