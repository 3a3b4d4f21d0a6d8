"""The battery that every kind of controller passes, with its own example from its documentation."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from edge_agent.control import CONTROLLERS, build, resolve
from edge_agent.control.settings import FORMS
from edge_agent.image import Floats, View
from edge_agent.setpoint import Controller, Rank, Standing, Wish
from protos.clock import NS
from tests.edge.control.matrix import NOON, faults_of, misbehaviour
from tests.edge.control.rig import Rig
from tests.edge.control.scenes import SCENES, cases, outputs_of, spec_of_kind
from tests.edge.control.wiring import Wires

README = Path(__file__).parents[3] / "README.md"
EVERY = pytest.mark.parametrize("kind", [kind for kind in CONTROLLERS if kind in SCENES])
MATRIX = [(kind, role, fault) for kind, role in cases() for fault in faults_of(kind, role)]


def rig_of(kind: str, period_ns: int = NS) -> Rig:
    spec = spec_of_kind(kind)
    return Rig(spec, outputs_of(kind, spec), period_ns=period_ns, predictors=SCENES[kind].predictors)


@pytest.mark.parametrize("kind", CONTROLLERS)
def test_it_has_a_scene(kind: str) -> None:
    assert kind in SCENES, f"add the scene of {kind} to tests/edge/control/scenes.py"


@pytest.mark.parametrize("kind", CONTROLLERS)
def test_the_readme_names_it(kind: str) -> None:
    assert f"`{kind}`" in README.read_text()


@EVERY
def test_it_builds_from_its_example_and_says_what_it_is(kind: str) -> None:
    rig, words = rig_of(kind), resolve(kind)
    assert rig.wires.faults == []
    assert rig.controller.name == spec_of_kind(kind).name
    assert kind == words.KIND
    assert words.FALLBACK
    assert (words.RANK == Rank.INTERLOCK) == (kind == "interlock")
    assert all(one.doc and one.kind in FORMS for one in words.SETTINGS.values())


@EVERY
def test_every_fault_is_told_at_once(kind: str) -> None:
    """A wrong form for each setting, a setting and an output that there are not, and no input at all."""
    words, spec = resolve(kind), spec_of_kind(kind)
    wrong = {name: "?" if one.kind != "text" else 1.5 for name, one in words.SETTINGS.items()}
    bad = replace(spec, inputs={}, outputs=dict.fromkeys(spec.outputs, "nowhere"), settings=wrong | {"nonsense": 1})
    wires = Wires([], outputs_of(kind, spec), predictors=SCENES[kind].predictors)
    assert build(bad, wires) is None
    told = "\n".join(wires.faults)
    for name in [*wrong, "nonsense"]:
        assert f"settings.{name}" in told
    for role in spec.outputs:
        assert f"outputs.{role}" in told
    for role, one in words.INPUTS.items():
        assert one.optional or role == "*" or f"inputs.{role.rstrip('*')}" in told
    assert len(wires.faults) == len(set(wires.faults))


@EVERY
def test_points_that_there_are_not_are_told(kind: str) -> None:
    spec = spec_of_kind(kind)
    wires = Wires([], outputs_of(kind, spec), predictors=SCENES[kind].predictors)
    if spec.inputs:
        assert build(spec, wires) is None
        assert len(wires.faults) == len(spec.inputs)


def wild(kind: str, rig: Rig, random: np.random.Generator) -> Sequence[Wish]:
    """One tick of anything: huge, negative, NaN, missing, with any applied value."""
    spec = spec_of_kind(kind)
    arrived = {}
    for role, point in spec.inputs.items():
        scale = random.choice([0.0, 0.5, 1.0, 1.0, 1.2, 2.0, -1.0, 1e6, np.nan])
        if random.random() < 0.9:
            arrived[point] = float(SCENES[kind].values[role] * scale)
    for number, one in enumerate(rig.outputs):
        if random.random() < 0.2:
            rig.applied[number] = float(random.choice([one.low, one.high, (one.low + one.high) / 2, np.nan]))
            rig.by[number] = "somebody"
    return rig.tick(arrived, NOON + rig.now_ns if random.random() < 0.9 else None)


@EVERY
def test_it_never_wishes_outside_an_output(kind: str) -> None:
    rig, random = rig_of(kind), np.random.default_rng(3)
    for _ in range(400):
        for wish in wild(kind, rig, random):
            one = rig.outputs[wish.output]
            assert one.low <= wish.low <= wish.high <= one.high
            assert wish.why


@EVERY
def test_the_same_inputs_give_the_same_wishes(kind: str) -> None:
    one, other = rig_of(kind), rig_of(kind)
    first, second = np.random.default_rng(5), np.random.default_rng(5)
    for _ in range(100):
        assert list(wild(kind, one, first)) == list(wild(kind, other, second))


@pytest.mark.parametrize("kind", [kind for kind in SCENES if resolve(kind).BUMPLESS])
def test_it_takes_over_without_a_bump(kind: str) -> None:
    """From whatever somebody else has applied; a kind that switches says so with BUMPLESS."""
    rig, spec = rig_of(kind, NS // 10), spec_of_kind(kind)
    arrived = {point: SCENES[kind].values[role] for role, point in spec.inputs.items()}
    rig.applied = [one.low + 0.37 * (one.high - one.low) for one in rig.outputs]
    rig.by = ["somebody"] * len(rig.outputs)
    for _ in range(50):
        rig.decide(arrived, NOON)
    wishes = rig.decide(arrived, NOON)
    assert wishes
    for wish in wishes:
        one = rig.outputs[wish.output]
        assert abs(wish.low - rig.applied[wish.output]) <= 0.05 * (one.high - one.low)


@pytest.mark.parametrize(("kind", "role", "fault"), MATRIX, ids=[" · ".join(one) for one in MATRIX])
def test_rule_12_a_failing_sensor_leads_to_the_declared_fallback(kind: str, role: str, fault: str) -> None:
    assert not misbehaviour(kind, role, fault)


class Careless:
    """A controller that looks at values only: the last number that it got is good and new, for ever."""

    KIND: ClassVar[str] = "careless"
    RANK: ClassVar[Rank] = Rank.OPTIMISER
    FALLBACK: ClassVar[str] = "none"

    def __init__(self, inner: Controller) -> None:
        self.inner, self.name = inner, inner.name
        self.last: Floats | None = None

    def decide(self, view: View, standing: Sequence[Standing]) -> Sequence[Wish]:
        if self.last is None:
            self.last = np.zeros_like(view.values)
        self.last = np.where(np.isfinite(view.values), view.values, self.last)
        blind = View(view.now_ns, self.last, np.zeros_like(view.codes), np.zeros_like(view.age_ns), view.utc_ns)
        return self.inner.decide(blind, standing)


@pytest.mark.parametrize("fault", ["dies", "falls silent", "freezes", "NaN", "spikes"])
def test_a_careless_controller_is_caught(fault: str) -> None:
    """Negative control: one that ignores quality and age does not pass the battery."""
    assert misbehaviour("pid", "input", fault, Careless)
    assert misbehaviour("battery", "grid", fault, Careless)
