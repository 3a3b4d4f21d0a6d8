"""All readings of a domain in the order of their events, whatever the order in which they came.

A log by step and a ring of checkpoints. Readings of a step that has been passed: the newest checkpoint before the
earliest of them is restored, and every step from there on is done again, once per batch. So the state depends on the
set of readings alone, to the last bit. Readings older than the lag are counted and given back: history has them, and
the nightly smoother.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from aggregator.twin import BadModel, BeyondLag, Floats, Ints
from aggregator.twin.belief import Belief
from aggregator.twin.calibration import Calibration, Trial, Tuning
from aggregator.twin.measurement import Meas
from aggregator.twin.model import Model
from aggregator.twin.observation import Innovation, Observation, observe, predict


class Scheme(Protocol):
    """How a belief moves and learns: Gaussian, Ensemble, MeanOnly. The same for the same, at every call."""

    def begin(self, prior: Belief) -> Belief: ...

    def forecast(self, model: Model, belief: Belief, k: int, q_scale: float) -> Belief: ...

    def analyse(self, model: Model, belief: Belief, seen_now: Observation) -> tuple[Belief, Innovation]: ...


@dataclass(frozen=True, slots=True)
class Settings:
    """The limits of one fuser."""

    lag: int = 60  # steps that late readings may be behind: an hour of minutes; longer is for the smoother
    every: int = 1  # steps between checkpoints: more saves memory and costs up to so many steps more per replay
    ahead: int = 10  # steps that readings may be ahead of the twin; further is a wrong clock

    def __post_init__(self) -> None:
        if self.lag < 1 or self.every < 1 or self.ahead < 0 or self.every > self.lag:
            raise BadModel(f"{self}: lag ≥ every ≥ 1 and ahead ≥ 0 are needed")


@dataclass(frozen=True, eq=False, slots=True)
class Checkpoint:
    """All that the steps after k rest on."""

    belief: Belief
    calibration: Calibration
    known_ns: int = 0  # when the newest reading in it arrived

    @property
    def k(self) -> int:
        return self.belief.k


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where every reading of a batch went: exactly one of new, repeated, too_old, ahead."""

    new: int
    repeated: int  # known already
    late: int  # of the new ones, those of steps that had been passed
    ahead: int  # beyond what clocks may err
    changed: int | None  # the earliest step that was passed and is to be done again
    replayed: int  # steps done again
    too_old: Meas  # for history and the nightly smoother


@dataclass(slots=True)
class Counts:
    """Since the start."""

    new: int = 0
    repeated: int = 0
    late: int = 0
    ahead: int = 0
    too_old: int = 0
    replayed: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class Mark:
    """A fuser as it was."""

    ring: deque[Checkpoint]
    log: dict[int, Meas]
    innovations: dict[int, Innovation]
    counts: Counts


class Fuser:
    """One domain's state and how it came to be.

    A batch for a step that has been passed costs all steps since: let the twin follow the clock at some distance, and
    join what came in between (Meas.joined).
    """

    def __init__(
        self, model: Model, scheme: Scheme, k: int, settings: Settings | None = None, tuning: Tuning | None = None
    ) -> None:
        """Begins with the model's prior at step `k`."""
        self.model, self.scheme, self.settings = model, scheme, settings or Settings()
        self.counts = Counts()
        calibration = Calibration.begin(len(model.channels), tuning)
        self._ring: deque[Checkpoint] = deque([Checkpoint(scheme.begin(model.prior(k)), calibration)])
        self._log: dict[int, Meas] = {}
        self._innovations: dict[int, Innovation] = {}

    @property
    def k(self) -> int:
        return self._ring[-1].k

    @property
    def calibration(self) -> Calibration:
        return self._ring[-1].calibration

    @property
    def oldest(self) -> int:
        """The first step that readings may still come for."""
        return max(self._ring[0].k, self.k - self.settings.lag) + 1

    @property
    def held(self) -> int:
        """The earliest step whose belief can be asked for."""
        return self._ring[0].k

    @property
    def origin(self) -> Checkpoint:
        """The oldest checkpoint: with it and `log` all that is held can be done again."""
        return self._ring[0]

    @property
    def log(self) -> Meas:
        """All readings since the origin, in order."""
        return Meas.joined([self._log[k] for k in sorted(self._log)])

    def resume(self, origin: Checkpoint, log: Meas, k: int, counts: Counts) -> None:
        """Be again what another fuser was that had these (snapshot.py), to the last bit, by doing its steps again."""
        self._ring = deque([origin])
        self._log = dict(log.by_step(self.model.dt_ns))
        self._innovations = {}
        self.counts = counts
        self.advance(k)

    def advance(self, k: int) -> None:
        """Do the steps up to k. Does nothing when it is there already."""
        while self.k < k:
            self._push(self._step(self._ring[-1], self._log.get(self.k + 1)))
            self._forget()

    def ingest(self, meas: Meas) -> Receipt:
        """Take in a batch. The same again changes nothing. Raises BadMeas or BadModel, and then nothing has changed."""
        before = self.mark()
        receipt = self.accept(meas)
        try:
            replayed = self.redo(receipt.changed) if receipt.changed is not None else 0
        except Exception:
            self.back_to(before)
            raise
        return replace(receipt, replayed=replayed)

    def accept(self, meas: Meas) -> Receipt:
        """Take in a batch, and leave it to the caller to `redo` from `changed`. Raises BadMeas."""
        meas.check(len(self.model.channels))
        now, first = self.k, self.oldest
        k = meas.steps(self.model.dt_ns)
        old, ahead = k < first, k > now + self.settings.ahead
        new = late = 0
        changed: int | None = None
        for step, part in meas.take(~(old | ahead)).by_step(self.model.dt_ns):
            known = self._log.get(step, None) or Meas.none()
            merged = Meas.joined([known, part]).ordered()
            self._log[step] = merged
            if merged.same_as(known):
                continue
            new += len(merged) - len(known)
            if step <= now:
                late += len(merged) - len(known)
                changed = step if changed is None else changed
        repeated = len(meas) - new - int(old.sum()) - int(ahead.sum())
        receipt = Receipt(new, repeated, late, int(ahead.sum()), changed, 0, meas.take(old))
        self._count(receipt)
        return receipt

    def rewind(self, k: int) -> None:
        """Back to before step k, or to the oldest that is held: readings stay, `advance` does the steps again."""
        while len(self._ring) > 1 and self._ring[-1].k >= k:
            self._ring.pop()

    def redo(self, k: int) -> int:
        """Do every step from k to now again, as after a changed input; how many were done."""
        until = self.k
        self.rewind(k)
        begun = self.k
        self.advance(until)
        self.counts.replayed += until - begun
        return until - begun

    def mark(self) -> "Mark":
        """What `back_to` needs to undo whatever comes in between."""
        return Mark(self._ring.copy(), self._log.copy(), self._innovations.copy(), replace(self.counts))

    def back_to(self, mark: "Mark") -> None:
        self._ring, self._log, self._innovations = mark.ring.copy(), mark.log.copy(), mark.innovations.copy()
        self.counts = replace(mark.counts)

    def belief(self, k: int | None = None) -> Belief:
        """As filtered at step k with all that is known now; `smoother.py` says what later steps add to it."""
        return self.checkpoint(self.k if k is None else k).belief

    def checkpoint(self, k: int) -> Checkpoint:
        """Raises BeyondLag outside of what the ring holds."""
        for last in reversed(self._ring):
            if last.k <= k <= self.k:
                return self._from(last, k)
        raise self._beyond(k)

    def as_known(self, k: int, arrived_ns: int) -> Belief:
        """What was believed of step k when only readings that had arrived by then were known: the same, to the bit."""
        for last in reversed(self._ring):
            if last.k <= k <= self.k and last.known_ns <= arrived_ns:
                return self._from(last, k, arrived_ns).belief
        raise self._beyond(k)

    def window(self, start: int | None = None) -> list[Checkpoint]:
        """Every step from `start` (the oldest held) to now, for a smoother."""
        first = self.held if start is None else start
        steps = [self.checkpoint(first)]
        while steps[-1].k < self.k:
            steps.append(self._step(steps[-1], self._log.get(steps[-1].k + 1)))
        return steps

    def readings(self, k: int) -> Meas:
        """Of step k, in order."""
        return self._log.get(k, None) or Meas.none()

    def observed(self, before: Checkpoint, prior: Belief, meas: Meas) -> Observation | None:
        """What of `meas` is shown to the analysis of the step after `before`; None where nothing is."""
        used = meas.take(~before.calibration.withheld(prior.k, meas.channel))
        return observe(self.model, prior.x, used, prior.k, before.calibration.r_scale) if used else None

    def innovations(self, after: int) -> Sequence[Innovation]:
        """Of the steps after `after` that the ring holds, ascending: what anomaly detectors live on."""
        return [self._innovations[k] for k in sorted(self._innovations) if k > after]

    def prior_for(self, gateway: str) -> tuple[Ints, Belief]:
        """The states a gateway holds, and what is believed of them: mean and own variance go to its twin, with k.

        The gateway widens it by the Q since k before use, and sends readings back, never its own state: so nothing is
        counted twice.
        """
        rows = self.model.edge_view(gateway)
        return rows, self.belief().rows(rows)

    def health(self) -> dict[str, float]:
        c = self.counts
        return {
            **self.calibration.health(),
            "k": float(self.k),
            "late_share": c.late / max(1, c.new),
            "too_old": float(c.too_old),
            "ahead": float(c.ahead),
            "repeated": float(c.repeated),
            "replayed_steps": float(c.replayed),
        }

    def _forget(self) -> None:
        """Keep one checkpoint before the oldest step that readings may come for."""
        while len(self._ring) > 1 and self._ring[1].k < self.oldest:
            for k in range(self._ring[0].k + 1, self._ring[1].k + 1):
                self._log.pop(k, None)
                self._innovations.pop(k, None)
            self._ring.popleft()

    def _push(self, checkpoint: Checkpoint) -> None:
        """As the newest; the one before stays only where a checkpoint is due."""
        if len(self._ring) > 1 and self._ring[-1].k % self.settings.every:
            self._ring.pop()
        self._ring.append(checkpoint)

    def _from(self, last: Checkpoint, k: int, arrived_ns: int | None = None) -> Checkpoint:
        while last.k < k:
            meas = self._log.get(last.k + 1)
            if meas and arrived_ns is not None:
                meas = meas.take(meas.arrived_ns <= arrived_ns)
            last = self._step(last, meas, keep=False)
        return last

    def _step(self, before: Checkpoint, meas: Meas | None, keep: bool = True) -> Checkpoint:
        """Forecast to the next step; analyse what was read there, but for what is withheld; judge by that."""
        k, calibration = before.k + 1, before.calibration
        prior = self.scheme.forecast(self.model, before.belief, k, calibration.q_scale)
        if not meas:
            return Checkpoint(prior, calibration, before.known_ns)
        held = calibration.withheld(k, meas.channel)
        after = prior
        if seen_now := self.observed(before, prior, meas):
            after, innovation = self.scheme.analyse(self.model, prior, seen_now)
            calibration = calibration.met(innovation)
            if keep:
                self._innovations[k] = innovation
        if not (np.isfinite(after.x).all() and np.isfinite(after.variance).all()):
            raise BadModel(f"domain {self.model.name}: step {k} gives numbers that are not finite; look at f, Q and h")
        if held.any():
            trial = self._trial(prior, after, meas.take(held), before.calibration.r_scale)
            calibration = calibration.tried(trial)
        return Checkpoint(after, calibration, max(before.known_ns, int(meas.arrived_ns.max())))

    def _trial(self, prior: Belief, after: Belief, meas: Meas, r_scale: Floats) -> Trial:
        R = meas.var * r_scale[meas.channel]
        mean, variance = predict(self.model, after, meas.channel)
        before, spread = predict(self.model, prior, meas.channel)
        return Trial(meas.channel, meas.y, mean, variance + R, before, spread + R)

    def _count(self, receipt: Receipt) -> None:
        c = self.counts
        c.new += receipt.new
        c.repeated += receipt.repeated
        c.late += receipt.late
        c.ahead += receipt.ahead
        c.too_old += len(receipt.too_old)

    def _beyond(self, k: int) -> BeyondLag:
        held = f"{self.held} … {self.k}"
        return BeyondLag(f"domain {self.model.name}: step {k} is not held; ask for {held}, or history for older ones")
