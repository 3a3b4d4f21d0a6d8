"""Whatever happens to a twin's slots, a good model or none serves, and a bad one is never committed."""

import json
import math
from dataclasses import asdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edge_agent.rollout.slots import Slots
from edge_agent.rollout.state import Model, Phase, State
from edge_agent.rollout.watch import Terms, Vitals

NS = 1_000_000_000
TERMS = Terms(steps=100, shadow_s=20, probation_s=30, patience_s=90, drift_s=5)
LEVEL = 0.02
NATURES = ("good", "better", "nan", "late", "outside", "worse", "overconfident")
BAD = NATURES[2:]


def vitals(nature: str, measured: bool, level: float) -> Vitals:
    """What a model of this nature shows in one second; nothing is compared when nothing is measured."""
    factor = {"better": 0.8, "worse": 2.0}.get(nature, 1.0)
    return Vitals(
        steps=10,
        nan=int(nature == "nan"),
        outside=4 if nature == "outside" else 0,
        late=4 if nature == "late" else 0,
        residual=factor * level if measured else math.nan,
        nis=(9.0 if nature == "overconfident" else 1.0) if measured else math.nan,
    )


class Life(RuleBasedStateMachine):
    """Bundles come and go, seconds pass, the agent and the machine start again, files are lost, people interfere."""

    @initialize()
    def begin(self) -> None:
        self.slots = Slots(terms=TERMS)
        self.natures: dict[str, str] = {}
        self.now_ns = 0
        self.boot = 0
        self.committed: list[tuple[str, str]] = []  # natures of the one committed and of the one beside it
        self.start()

    @rule(nature=st.sampled_from(NATURES), again=st.booleans())
    def offer(self, nature: str, again: bool) -> None:
        digest = f"{len(self.natures):x}"
        self.natures[digest] = nature
        self.slots.offer(Model(digest, nature, "1", self.now_ns, "drawn"), again=again)

    @rule(data=st.data(), again=st.booleans())
    def offer_an_old_one(self, data: st.DataObject, again: bool) -> None:
        if not self.natures:
            return
        digest = data.draw(st.sampled_from(sorted(self.natures)))
        try:
            self.slots.offer(Model(digest, "old", "1", self.now_ns, "drawn"), again=again)
        except ValueError:
            return

    @rule(
        count=st.integers(1, 60),
        measured=st.booleans(),
        level=st.floats(1e-6, 1e3),
        both=st.booleans(),
        stale=st.booleans(),
    )
    def seconds(self, count: int, measured: bool, level: float, both: bool, stale: bool) -> None:
        for _ in range(count):
            self.now_ns += NS
            run = self.slots.run
            there = [digest for digest in (run.applied, run.beside if both else None) if digest]
            shown = {digest: vitals(self.natures[digest], measured, level) for digest in there}
            if stale:
                shown["gone"] = vitals("nan", measured, level)
            for event in self.slots.report(shown, self.now_ns, self.now_ns):
                if event.kind == "commit":
                    self.committed.append((self.natures[event.digest], self.natures.get(run.beside or "", "none")))

    @rule(after_s=st.integers(0, 900), told=st.booleans(), reset=st.booleans())
    def restart(self, after_s: int, told: bool, reset: bool) -> None:
        if told:
            self.slots.stopped()
        if reset:
            self.boot += 1
            self.now_ns = after_s * NS
        else:
            self.now_ns += after_s * NS
        self.slots = Slots(State.read(json.loads(json.dumps(asdict(self.slots.state)))), TERMS)
        self.start()

    def start(self) -> None:
        self.slots.started(str(self.boot), self.now_ns, self.now_ns)

    @rule(level=st.floats(1e-6, 1e3))
    def a_quiet_minute(self, level: float) -> None:
        """Long enough for a whole trial: what makes commits common among the drawn events."""
        self.seconds(70, measured=True, level=level, both=True, stale=False)

    @rule(data=st.data(), how=st.sampled_from(["lost", "failed"]))
    def damage(self, data: st.DataObject, how: str) -> None:
        if self.slots.state.digests:
            digest = data.draw(st.sampled_from(sorted(self.slots.state.digests)))
            getattr(self.slots, how)(digest, "drawn", self.now_ns)

    @rule()
    def rollback(self) -> None:
        before = self.slots.state
        if before.candidate is None and before.current is None:
            return
        self.slots.rollback("drawn", self.now_ns)
        if before.candidate is not None:
            assert self.slots.state.current == before.current

    @invariant()
    def a_bad_model_is_never_committed(self) -> None:
        """One that is only worse than others passes where there is nothing better that it could be compared with."""
        for nature, beside in getattr(self, "committed", ()):
            assert nature not in BAD or (nature == "worse" and beside in ("none", "worse"))

    @invariant()
    def what_serves_is_whole_and_was_not_taken_back(self) -> None:
        if not hasattr(self, "slots"):
            return
        state, run = self.slots.state, self.slots.run
        for digest in (run.applied, run.beside):
            assert digest is None or (digest in state.digests and not self.slots.refusal(digest))
        assert run.applied != run.beside or run.applied is None
        assert (state.candidate is None) == (state.phase is Phase.REST)
        if state.phase is Phase.SHADOW:
            assert state.current is not None
            assert run.applied in (None, state.current.digest)
        if state.current is not None and run.applied not in (None, state.current.digest):
            assert run.beside == state.current.digest, "on probation the good slot waits behind it"


Life.TestCase.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)
TestLife = Life.TestCase
