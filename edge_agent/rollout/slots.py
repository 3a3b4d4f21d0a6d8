"""The rules by which a twin changes its model: three slots, two phases, and the way back. No IO, no clock.

    offer ─→ candidate ─ shadow ─→ probation ─→ commit: current becomes previous, candidate becomes current
                            └─────────┴──────→ back: the candidate is refused, current serves as before

 1. A model comes in as candidate only, after its trial (`trial.py`), and never one that was taken back before.
 2. Shadow: the candidate steps beside the model in service on the same views; nothing of it is applied.
 3. Probation: the candidate is applied, and the model that was in service steps beside it.
 4. With nothing in service there is nothing to compare with: the candidate begins on probation.
 5. Only seconds in which both were measured count, and `steps` of the model are the least; a phase that cannot be
    judged for `patience_s` ends in a refusal.
 6. One NaN or infinity ends a trial.
 7. A second is bad when more than `outside` of its steps left the envelope or more than `late` missed the deadline;
    `strikes` of them in a row end a trial, and so does more than `share` of bad seconds when the phase is over.
 8. Residual drift: the candidate's squared residual may be `margin` times that of the model beside it, its NIS per
    channel `nis_max` or `margin` times the other's. Page's cumulative sum of the excess ends a trial at `drift_s`,
    the mean over the phase decides at its end.
 9. `starts` starts of the agent within `starts_s` while a candidate is on trial refuse it: it is what is new.
10. `safe_starts` of them without a candidate: the agent runs without a model until it has lived for `starts_s`.
11. The current slot only ever holds a model that passed its probation, and its shadow where there was one to pass.
12. A committed model that gives NaN for `strikes` seconds goes back to the previous one, or to none. Its drift alone
    does not: when the plant changes, the previous model is no better.
13. A candidate that is held stays in its shadow, judged all the while, until it is let go on. With nothing in service
    there is nothing to step beside, and rule 4 holds.
14. A model that was taken back is in no slot any more. Without a good model the answer is none: the twin then stands
    on what it has without one.

Whatever happens, `run.applied` is the current slot, the candidate on probation with the current slot waiting behind
it, or none. Page, "Continuous inspection schemes", Biometrika 41 (1954) 100–115.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edge_agent.rollout.state import Event, Model, Phase, Run, State
from edge_agent.rollout.watch import Terms, Vitals, Watch

NS = 1_000_000_000
ELAPSED_MAX_S = 5.0  # what one report may count for: a process that was suspended has watched nothing
REFUSED_KEPT, EVENTS_KEPT, STARTS_KEPT = 32, 16, 16  # so that the state stays one small file


class Slots:
    """The slots of one twin. Every method returns what happened, newest last; what to run then is in `run`."""

    def __init__(self, state: State | None = None, terms: Terms | None = None) -> None:
        self.state = state or State()
        self.terms = terms or Terms()
        self._began_ns = 0
        self._safe = False
        self._last_ns: int | None = None
        self._nan_strikes = 0
        self._watch = Watch()
        self._restart_phase()

    @property
    def run(self) -> Run:
        current = None if self.state.current is None else self.state.current.digest
        if self._safe:
            return Run(None, None)
        match self.state.phase, self.state.candidate:
            case Phase.SHADOW, Model(digest=digest):
                return Run(current, digest)
            case Phase.PROBATION, Model(digest=digest):
                return Run(digest, current)
        return Run(current, None)

    @property
    def watched_s(self) -> float:
        """How long the candidate has been judged in its phase."""
        return self._watch.judged_s

    def refusal(self, digest: str) -> str:
        """Why this bundle was taken back before; "" it was not."""
        return dict(self.state.refused).get(digest, "")

    def check(self, digest: str, *, again: bool = False) -> None:
        """Raises ValueError for a bundle in service or on trial, or taken back before and not to be tried `again`."""
        if (why := self.refusal(digest)) and not again:
            raise ValueError(f"was taken back before: {why}")
        for slot, there in (("in service", self.state.current), ("on trial", self.state.candidate)):
            if there is not None and there.digest == digest:
                raise ValueError(f"is {slot} already")

    def started(self, boot: str, now_ns: int, at_ns: int) -> list[Event]:
        """The agent started. Write the state down before a model is loaded: the next start must find this one.

        A start of an earlier boot is at least as old as this boot.
        """
        begun = [
            (b, at) for b, at in self.state.starts if now_ns - (at if b == boot else 0) <= self.terms.starts_s * NS
        ]
        begun = [*begun, (boot, now_ns)][-STARTS_KEPT:]
        self._set(starts=tuple(begun))
        self._began_ns = now_ns
        self._restart_phase()
        if self.state.candidate is not None and len(begun) >= self.terms.starts:
            return [self._back(f"crash loop: {len(begun)} starts in {self.terms.starts_s / 60:g} minutes", at_ns)]
        if self.state.candidate is None and len(begun) >= self.terms.safe_starts:
            self._safe = True
            return [self._note("safe", "", f"{len(begun)} starts: no model until the agent stays up", at_ns)]
        return []

    def stopped(self) -> None:
        """The agent is about to end because it was told to: that start was no crash."""
        self._set(starts=self.state.starts[:-1])

    def offer(self, model: Model, *, again: bool = False, hold: bool = False) -> list[Event]:
        """A bundle that passed its trial becomes the candidate; one that was on trial makes way for it.

        Raises ValueError as `check`.
        """
        self.check(model.digest, again=again)
        phase = Phase.SHADOW if self.state.current is not None else Phase.PROBATION
        refused = tuple(one for one in self.state.refused if one[0] != model.digest)
        self._set(candidate=model, phase=phase, starts=(), refused=refused, held=hold)
        self._restart_phase()
        return [self._note("offered", model.digest, f"{phase}: {model.why}", model.since_ns)]

    def let_go_on(self, digest: str) -> None:
        """A candidate that was held may be applied once its shadow is long enough. Raises ValueError for another."""
        if self.state.candidate is None or self.state.candidate.digest != digest:
            raise ValueError("is not on trial")
        self._set(held=False)

    def report(self, vitals: Mapping[str, Vitals], now_ns: int, at_ns: int) -> list[Event]:
        """How the models, by digest, did since the last report; those that `run` no longer names are passed over."""
        elapsed_s = 0.0 if self._last_ns is None else min(max(0.0, (now_ns - self._last_ns) / NS), ELAPSED_MAX_S)
        self._last_ns = now_ns
        if self._safe:
            return self._survive(now_ns)
        candidate, current = self.state.candidate, self.state.current
        own = vitals.get(candidate.digest) if candidate else None
        other = vitals.get(current.digest) if current else None
        if own is not None and (events := self._judge(own, other, elapsed_s, at_ns)):
            return events
        return [] if other is None else self._mind(other, at_ns)

    def rollback(self, why: str, at_ns: int) -> list[Event]:
        """A person or the rollout takes the newest model back: the candidate, or else the current one.

        Raises ValueError when there is nothing to go back from.
        """
        if self.state.candidate is not None:
            return [self._back(why, at_ns)]
        if self.state.current is None:
            raise ValueError("no model is installed")
        return [self._step_down("rollback", why, at_ns, refuse=True)]

    def failed(self, digest: str, why: str, at_ns: int) -> list[Event]:
        """The agent could not load the model, or its step raised an error."""
        if self.state.candidate is not None and self.state.candidate.digest == digest:
            return [self._back(why, at_ns)]
        if self.state.current is not None and self.state.current.digest == digest:
            return [self._step_down("back", why, at_ns, refuse=True)]
        return []

    def lost(self, digest: str, why: str, at_ns: int) -> list[Event]:
        """The bundle is no longer whole on the shelf. The same bundle may be brought again."""
        events: list[Event] = []
        if self.state.candidate is not None and self.state.candidate.digest == digest:
            self._set(candidate=None, phase=Phase.REST)
            events.append(self._note("lost", digest, why, at_ns))
        if self.state.previous is not None and self.state.previous.digest == digest:
            self._set(previous=None)
            events.append(self._note("lost", digest, why, at_ns))
        if self.state.current is not None and self.state.current.digest == digest:
            events.append(self._step_down("lost", why, at_ns, refuse=False))
        return events

    def _judge(self, own: Vitals, other: Vitals | None, elapsed_s: float, at_ns: int) -> list[Event]:
        ended = self._watch.see(own, other, elapsed_s, self.terms)
        if ended:
            return [self._back(ended, at_ns)]
        shadow = self.state.phase is Phase.SHADOW
        if not self._watch.enough(self.terms.shadow_s if shadow else self.terms.probation_s, self.terms):
            return []
        if forbidden := self._watch.verdict(self.terms):
            return [self._back(forbidden, at_ns)]
        if shadow and self.state.held:
            return []
        return [self._to_probation(at_ns) if shadow else self._commit(at_ns)]

    def _mind(self, current: Vitals, at_ns: int) -> list[Event]:
        self._nan_strikes = self._nan_strikes + 1 if current.nan else 0
        if self._nan_strikes < self.terms.strikes:
            return []
        why = f"outputs were no numbers in {self._nan_strikes} seconds in a row"
        return [self._step_down("back", why, at_ns, refuse=True)]

    def _survive(self, now_ns: int) -> list[Event]:
        """After a safe start: the models come back once this process has outlived the window of a crash loop."""
        if now_ns - self._began_ns > self.terms.starts_s * NS:
            self._safe = False
            self._set(starts=())
            self._restart_phase()
        return []

    def _to_probation(self, at_ns: int) -> Event:
        assert self.state.candidate is not None
        why = f"{self._watch.judged_s:.0f} s in shadow"
        self._set(candidate=replace(self.state.candidate, since_ns=at_ns, why=why), phase=Phase.PROBATION)
        self._restart_phase()
        return self._note("probation", self.state.candidate.digest, why, at_ns)

    def _commit(self, at_ns: int) -> Event:
        assert self.state.candidate is not None
        why = f"{self._watch.judged_s:.0f} s on probation"
        new, old = replace(self.state.candidate, since_ns=at_ns, why=why), self.state.current
        previous = replace(old, since_ns=at_ns, why=f"{new.name} {new.version} came after it") if old else None
        self._set(current=new, previous=previous, candidate=None, phase=Phase.REST)
        self._restart_phase()
        return self._note("commit", new.digest, why, at_ns)

    def _back(self, why: str, at_ns: int) -> Event:
        assert self.state.candidate is not None
        digest, phase = self.state.candidate.digest, self.state.phase
        self._refuse(digest, f"in {phase}: {why}")
        self._set(candidate=None, phase=Phase.REST)
        self._restart_phase()
        return self._note("back", digest, f"in {phase}: {why}", at_ns)

    def _step_down(self, kind: str, why: str, at_ns: int, *, refuse: bool) -> Event:
        """The previous model serves again, or none; a candidate begins its trial anew against what serves now."""
        assert self.state.current is not None
        digest, old = self.state.current.digest, self.state.previous
        if refuse:
            self._refuse(digest, why)
        current = None if old is None else replace(old, since_ns=at_ns, why=f"the one after it went back: {why}")
        candidate = self.state.candidate
        if candidate is not None and current is not None and candidate.digest == current.digest:
            candidate = None
        phase = Phase.REST if candidate is None else Phase.PROBATION if current is None else self.state.phase
        self._set(current=current, candidate=candidate, previous=None, phase=phase)
        self._restart_phase()
        return self._note(kind, digest, why, at_ns)

    def _refuse(self, digest: str, why: str) -> None:
        others = tuple(one for one in self.state.refused if one[0] != digest)
        self._set(refused=(*others, (digest, why))[-REFUSED_KEPT:])
        if self.state.previous is not None and self.state.previous.digest == digest:
            self._set(previous=None)

    def _restart_phase(self) -> None:
        self._watch = Watch(paired=self.state.current is not None)
        self._nan_strikes = 0

    def _note(self, kind: str, digest: str, why: str, at_ns: int) -> Event:
        event = Event(kind, digest, why, at_ns)
        self._set(events=(*self.state.events, event)[-EVENTS_KEPT:])
        return event

    def _set(self, **changes: Any) -> None:
        self.state = replace(self.state, **changes)
