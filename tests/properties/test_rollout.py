"""Whatever gateways report, come, go and break, and whatever persons say between: the promises of a rollout hold."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aggregator.rollout import RolloutError, cohort, course
from aggregator.rollout.course import Course
from aggregator.rollout.plan import Stage, State, begin, packed, unpacked
from aggregator.rollout.policy import Policy
from tests.aggregator.rollout.world import Kind, World

NS = 1_000_000_000
NEW = "b" * 64
KINDS = st.sampled_from(
    [
        Kind(),
        Kind(error=0.5),
        Kind(error=2.0),
        Kind(kpi=2.0),
        Kind(goes_back=0.5),
        Kind(breaches=0.1),
        Kind(refused=0.3),
    ]
)


class Rolling(RuleBasedStateMachine):
    @initialize(gateways=st.integers(1, 25), kind=KINDS, seed=st.integers(0, 99), approve=st.booleans())
    def start(self, gateways: int, kind: Kind, seed: int, approve: bool) -> None:
        self.policy = Policy(
            shadow_s=20, wave_s=20, look_s=5, device_s=60, retries=1, approve=("second",) if approve else ()
        )
        self.world = World(gateways, {NEW: kind}, seed=seed, shadow_s=5, probation_s=5, clusters=3)
        self.course = Course(self.policy)
        self.one = begin("r", "tank", "t", NEW, title="tank 2", person="ada", now_ns=NS, margin=0.05)
        self.waves, self.bad = 0, False

    def said(self, act: Any) -> None:
        try:
            self.one = act()
        except RolloutError:
            return

    @rule(seconds=st.integers(1, 40))
    def live(self, seconds: int) -> None:
        for _ in range(seconds):
            self.world.tick()
            before = self.one
            self.one = self.course.next(before, self.world.reports(), int((self.world.now_s + 60) * NS)).rollout
            assert before.over or self.one.wave - before.wave in (0, 1)
            new = self.one.members.keys() - before.members.keys()
            assert not new or before.state in (State.RUNNING, State.DONE)  # nothing begins while paused or aborting
            for gateway, slot in course.wishes(self.one).items():
                (self.world.desire if slot else lambda g, o, _: self.world.withdraw(g, o))(gateway, self.one, slot)
                self.one = course.confirmed(self.one, gateway)

    @rule(k=st.integers(0, 24))
    def toggle(self, k: int) -> None:
        name = f"gw-{k:03}"
        if name in self.world.fleet:
            self.world.fleet[name].here = not self.world.fleet[name].here

    @rule(k=st.integers(0, 24))
    def revoke(self, k: int) -> None:
        if len(self.world.fleet) > 1:
            self.world.fleet.pop(f"gw-{k:03}", None)

    @rule()
    def forget(self) -> None:
        self.one = unpacked(packed(self.one))

    @rule()
    def pause(self) -> None:
        self.said(lambda: self.one.pause("wait"))

    @rule()
    def resume(self) -> None:
        self.said(lambda: self.one.resume(int((self.world.now_s + 60) * NS)))

    @rule()
    def approve(self) -> None:
        self.said(lambda: self.one.approve("ada", 1))

    @rule()
    def abort(self) -> None:
        self.said(lambda: self.one.abort("enough"))

    @invariant()
    def nobody_acts_on_what_is_in_the_shadow(self) -> None:
        if hasattr(self, "one") and self.one.wave == 0:
            assert not self.world.applied_ever

    @invariant()
    def the_second_wave_was_agreed_to(self) -> None:
        if hasattr(self, "one") and "second" in self.policy.approve and self.one.wave >= 2 and self.one.began_ns:
            assert self.one.approved(2)

    @invariant()
    def no_wave_is_larger_than_it_may_be(self) -> None:
        if hasattr(self, "one"):
            fleet = {name: one.cluster for name, one in self.world.fleet.items()}
            present = [
                n for n, m in self.one.members.items() if n in fleet and not m.away and m.stage is not Stage.CLEARED
            ]
            older = len(self.one.members) - len(present)
            most = (
                25
                if self.one.wave == 3
                else cohort.wanted(self.one.wave, {f"{k}": f"{k % 3}" for k in range(25)}, self.policy)
            )
            assert len(present) <= most + older

    def teardown(self) -> None:
        """Whatever was before: after an abort nobody who is there has it."""
        if not hasattr(self, "one"):
            return
        for one in self.world.fleet.values():
            one.here = True
        self.said(lambda: self.one.abort("the end"))
        self.live(60)
        if self.one.state is not State.SUPERSEDED:
            assert self.one.state is State.ABORTED
            assert not self.world.running(NEW)


Rolling.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestRolling = Rolling.TestCase
