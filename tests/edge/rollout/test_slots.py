"""Each rule of the slots has its test; the numbers are those of `Terms`, made short."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict

import pytest

from edge_agent.rollout.slots import Slots
from edge_agent.rollout.state import Model, Phase, Run, State
from edge_agent.rollout.watch import Terms, Vitals

NS = 1_000_000_000
TERMS = Terms(shadow_s=60, probation_s=120, patience_s=600)
GOOD = Vitals(steps=100, residual=0.01, nis=1.0)
BOOT = "b" * 32


def model(digest: str) -> Model:
    return Model(digest, f"tank-{digest}", "1", 0, "by hand")


class Played:
    """Slots with time: every call of `second` is one report, one second after the last."""

    def __init__(self, terms: Terms = TERMS) -> None:
        self.slots = Slots(terms=terms)
        self.now_ns = 0
        self.events: list[str] = []

    def offer(self, digest: str, *, again: bool = False) -> None:
        self.events += [one.kind for one in self.slots.offer(model(digest), again=again)]

    def second(self, **vitals: Vitals) -> None:
        self.now_ns += NS
        self.events += [one.kind for one in self.slots.report(vitals, self.now_ns, self.now_ns)]

    def seconds(self, count: int, **vitals: Vitals) -> None:
        for _ in range(count):
            self.second(**vitals)

    def start(self, boot: str = BOOT) -> None:
        """What a restart does: only the state is left, as it is written down."""
        self.slots = Slots(State.read(json.loads(json.dumps(asdict(self.slots.state)))), self.slots.terms)
        self.events += [one.kind for one in self.slots.started(boot, self.now_ns, self.now_ns)]

    @property
    def why(self) -> str:
        return self.slots.state.events[-1].why


def in_service(terms: Terms = TERMS) -> Played:
    """Model `a` is committed, `b` is offered and in shadow."""
    played = Played(terms)
    played.offer("a")
    played.seconds(121, a=GOOD)
    assert played.slots.run == Run("a", None)
    played.offer("b")
    assert played.slots.run == Run("a", "b")
    return played


def on_probation(terms: Terms = TERMS) -> Played:
    played = in_service(terms)
    played.seconds(60, a=GOOD, b=GOOD)
    assert played.slots.run == Run("b", "a")
    return played


def test_the_first_model_begins_on_probation() -> None:
    played = Played()
    assert played.slots.run == Run(None, None)
    played.offer("a")
    assert played.slots.state.phase is Phase.PROBATION
    assert played.slots.run == Run("a", None)


def test_shadow_probation_commit() -> None:
    played = in_service()
    played.seconds(59, a=GOOD, b=GOOD)
    assert played.slots.run == Run("a", "b"), "nothing of a shadow is applied"
    played.second(a=GOOD, b=GOOD)
    assert played.slots.run == Run("b", "a"), "on probation the old one steps beside"
    played.seconds(119, a=GOOD, b=GOOD)
    assert "commit" not in played.events[2:]
    played.second(a=GOOD, b=GOOD)
    assert played.slots.run == Run("b", None)
    assert played.slots.state.previous is not None
    assert played.slots.state.previous.digest == "a"
    assert played.events == ["offered", "commit", "offered", "probation", "commit"]


WRONG = {
    "nan": Vitals(steps=100, nan=1, residual=0.01, nis=1),
    "outside": Vitals(steps=100, outside=50, residual=0.01, nis=1),
    "late": Vitals(steps=100, late=5, residual=0.01, nis=1),
    "drift": Vitals(steps=100, residual=0.1, nis=1),
    "overconfident": Vitals(steps=100, residual=0.01, nis=40),
    "infinite": Vitals(steps=100, residual=math.inf, nis=1),
}


@pytest.mark.parametrize("phase", [in_service, on_probation], ids=["shadow", "probation"])
@pytest.mark.parametrize("wrong", WRONG)
def test_back_on(wrong: str, phase: Callable[[], Played]) -> None:
    played = phase()
    played.seconds(10, a=GOOD, b=GOOD)
    began, taken = str(played.slots.state.phase), 0
    while played.slots.state.candidate is not None:
        played.second(a=GOOD, b=WRONG[wrong])
        taken += 1
    assert taken <= 60, "a bad model is caught within a minute"
    assert played.slots.run == Run("a", None)
    assert played.why.startswith(f"in {began}")
    with pytest.raises(ValueError, match="taken back before"):
        played.offer("b")
    played.offer("b", again=True)
    assert played.slots.run == Run("a", "b")


def test_a_little_worse_is_not_good_enough() -> None:
    played = in_service()
    played.seconds(60, a=GOOD, b=Vitals(100, residual=0.0112, nis=1))
    assert played.slots.run == Run("a", None)
    assert "102 % of what is allowed" in played.why


def test_a_bad_second_now_and_then_is_too_much_in_the_end() -> None:
    played = in_service()
    for at in range(60):
        played.second(a=GOOD, b=WRONG["late"] if at % 20 == 0 else GOOD)
    assert played.slots.run == Run("a", None)
    assert "3 of 60 s" in played.why


def test_a_slow_twin_is_judged_by_its_steps() -> None:
    """One that steps each minute: seconds without a step belong to the next one; 200 steps are the least."""
    played = in_service()
    resting, stepped = Vitals(0), Vitals(1, residual=0.01, nis=1.0)
    for _ in range(199):
        played.seconds(59, a=resting, b=resting)
        played.second(a=stepped, b=stepped)
    assert played.slots.run == Run("a", "b")
    played.seconds(59, a=resting, b=resting)
    played.second(a=stepped, b=stepped)
    assert played.slots.run == Run("b", "a")
    played.seconds(601, a=resting, b=resting)
    assert "it never stepped" in played.why


def test_one_spike_ends_no_trial() -> None:
    """When the sensor jumps, both models are wrong; when only one is, once, it counts as one second."""
    played = on_probation()
    played.second(a=GOOD, b=Vitals(100, residual=1e6, nis=1e6))
    assert played.slots.run == Run("b", "a")


def test_what_cannot_be_judged_does_not_pass() -> None:
    played = in_service()
    blind = Vitals(steps=100)
    played.seconds(500, a=blind, b=blind)
    assert played.slots.run == Run("a", "b")
    played.seconds(101, a=blind, b=GOOD)
    assert played.slots.run == Run("a", None)
    assert "nothing was measured" in played.why


def test_a_candidate_is_not_judged_without_the_one_it_is_compared_with() -> None:
    played = in_service()
    played.seconds(100, b=GOOD)
    assert played.slots.run == Run("a", "b")
    played.second(b=WRONG["nan"])
    assert played.slots.run == Run("a", None), "a NaN needs no comparison"


def test_a_pause_of_the_process_is_not_watching() -> None:
    played = in_service()
    played.now_ns += 3600 * NS
    played.second(a=GOOD, b=GOOD)
    assert played.slots.watched_s <= 5


def test_crash_loop_refuses_the_candidate() -> None:
    played = on_probation()
    for _ in range(2):
        played.now_ns += 60 * NS
        played.start()
        assert played.slots.run == Run("b", "a")
    played.now_ns += 60 * NS
    played.start()
    assert played.slots.run == Run("a", None)
    assert "crash loop: 3 starts in 10 minutes" in played.why


@pytest.mark.parametrize("how", ["slow", "told"])
def test_starts_that_are_no_crash_loop(how: str) -> None:
    played = on_probation()
    for _ in range(6):
        played.now_ns += (350 if how == "slow" else 10) * NS
        played.start()
        if how == "told":
            played.slots.stopped()
    assert played.slots.run == Run("b", "a")


def test_a_start_of_an_earlier_boot_counts_by_the_time_of_this_boot() -> None:
    played = on_probation()
    for boot in ("1", "2", "3"):
        played.now_ns = 30 * NS  # the machine itself reset
        played.start(boot)
    assert played.slots.run == Run("a", None)


def test_safe_start_and_the_way_out_of_it() -> None:
    played = on_probation()
    for _ in range(6):
        played.now_ns += 10 * NS
        played.start()
    assert played.slots.run == Run(None, None)
    assert played.slots.state.current is not None, "nothing is given up for it"
    played.seconds(600)
    assert played.slots.run == Run(None, None)
    played.second()
    assert played.slots.run == Run("a", None)


def committed() -> Played:
    played = on_probation()
    played.seconds(120, a=GOOD, b=GOOD)
    assert played.slots.run == Run("b", None)
    return played


def test_nan_of_a_committed_model_goes_back_to_the_previous_one_then_to_none() -> None:
    played = committed()
    played.seconds(2, b=WRONG["nan"])
    assert played.slots.run == Run("b", None)
    played.second(b=WRONG["nan"])
    assert played.slots.run == Run("a", None)
    played.seconds(3, a=WRONG["nan"])
    assert played.slots.run == Run(None, None)


def test_drift_of_a_committed_model_does_not_take_it_back() -> None:
    played = committed()
    played.seconds(300, b=Vitals(100, residual=9.0, nis=50))
    assert played.slots.run == Run("b", None)


def test_rollback_by_a_person() -> None:
    played = on_probation()
    played.slots.rollback("asked", 0)
    assert played.slots.run == Run("a", None)
    played = committed()
    played.slots.rollback("asked", 0)
    assert played.slots.run == Run("a", None)
    played.slots.rollback("asked", 0)
    assert played.slots.run == Run(None, None)
    with pytest.raises(ValueError, match="no model is installed"):
        played.slots.rollback("asked", 0)


def test_a_lost_bundle_leaves_what_is_whole() -> None:
    played = committed()
    played.offer("c")
    played.slots.lost("b", "a bit flipped", 0)
    assert played.slots.run == Run("a", "c")
    played.slots.lost("a", "a bit flipped", 0)
    assert played.slots.run == Run("c", None)
    assert played.slots.state.phase is Phase.PROBATION
    played.slots.lost("c", "a bit flipped", 0)
    assert played.slots.run == Run(None, None)
    played.offer("c")
    assert played.slots.run == Run("c", None), "what was lost may be brought again"


def test_a_model_that_cannot_be_loaded_here_goes_back() -> None:
    played = on_probation()
    played.slots.failed("b", "does not load", 0)
    assert played.slots.run == Run("a", None)
    played.slots.failed("z", "is none of ours", 0)
    played.slots.failed("a", "does not load", 0)
    assert played.slots.run == Run(None, None)


def test_the_previous_model_offered_again_is_not_in_two_roles() -> None:
    played = committed()
    played.offer("a")
    assert played.slots.run == Run("b", "a")
    played.slots.failed("b", "does not load", 0)
    assert played.slots.run == Run("a", None)
    assert played.slots.state.phase is Phase.REST


def test_a_model_that_is_taken_back_is_no_previous_one_any_more() -> None:
    played = committed()
    played.offer("a")
    played.slots.failed("a", "does not load", 0)
    assert played.slots.state.previous is None
    played.slots.rollback("asked", 0)
    assert played.slots.run == Run(None, None)


def test_the_same_model_is_not_offered_twice() -> None:
    played = in_service()
    with pytest.raises(ValueError, match="in service"):
        played.offer("a")
    with pytest.raises(ValueError, match="on trial"):
        played.offer("b")


@pytest.mark.parametrize("text", ["{}", '{"current": {"digest": 1}}', '{"phase": "asleep"}'])
def test_what_is_no_state_is_refused(text: str) -> None:
    fields = asdict(State()) | json.loads(text) if text != "{}" else {}
    with pytest.raises(ValueError, match=r"no state|asleep"):
        State.read(fields)
