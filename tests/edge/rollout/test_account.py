"""What a gateway tells about its models: totals, what they are of, and the loops that rest on them."""

import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from edge_agent.cell import ControllerSpec, TwinSpec
from edge_agent.image import View
from edge_agent.rollout.account import Account
from edge_agent.rollout.kpi import loops
from edge_agent.rollout.slots import Slots
from edge_agent.rollout.state import Model, Phase, Run, State
from edge_agent.rollout.watch import Terms, Vitals
from protos import vitals as table
from protos.quality import Quality, code

OLD, NEW = "0" * 64, "1" * 64
GOOD = Vitals(10, residual=0.5, nis=1.0)
BETTER = Vitals(10, residual=0.25, nis=1.1)
LATE = Vitals(10, late=1, residual=0.25, nis=1.1)
NAMES = ("meter/level", "pump/speed", "tank/level", "meter/wanted")


def model(digest: str) -> Model:
    return Model(digest, "tank", "1", 0, "")


def view(*values: float) -> View:
    codes = np.full(len(values), code(Quality.GOOD), np.uint8)
    return View(10**10, np.array(values), codes, np.zeros(len(values), np.int64))


def test_totals_are_of_what_runs_and_survive_the_wire() -> None:
    account = Account()
    for _ in range(3):
        account.add(Run(OLD, None), OLD, {OLD: GOOD}, {"level": 0.1})
    assert account.told(State(current=model(OLD))).error_total == 1.5
    for _ in range(2):
        account.add(Run(OLD, NEW), NEW, {OLD: GOOD, NEW: LATE}, {"level": math.nan})
    state = State(current=model(OLD), candidate=model(NEW), phase=Phase.SHADOW, refused=(("2" * 64, "drifted"),))
    told = account.told(state)
    assert (told.paired_total, told.own_total, told.beside_total, told.error_total) == (2, 0.5, 1.0, 0.5)
    assert (told.late_total, told.steps_total, told.kpi_seconds_total) == (2, 20, 0)
    assert table.read(told.gauges("tank"), told.facts("tank")) == {"tank": told}
    assert told.newest == NEW
    assert told.refused == ("2" * 64,)


def test_what_others_say_is_read_with_care() -> None:
    facts = {"model.a.b.current": OLD, "model.x": "", "district": "north"}
    found = table.read({"model.a.b.phase": 7.0, "model.a.b.kpi.level": 2.0, "unknown": 1.0}, facts)
    assert list(found) == ["a.b"]
    assert (found["a.b"].phase, found["a.b"].kpi, found["a.b"].judged_total) == (0, {"level": 2.0}, 0.0)


def test_a_loop_is_judged_by_what_is_measured_not_by_the_model() -> None:
    twins = [TwinSpec("tank", bundle=Path("t.ctb"), points={"level": "meter/level"})]
    specs = [
        ControllerSpec("keep", "pid", {"input": "tank/level"}, {}, {"setpoint": 2.0, "gain": 1.0}),
        ControllerSpec("follow", "pid", {"input": "tank/level", "setpoint": "meter/wanted"}, {}, {"gain": 1.0}),
        ControllerSpec("look", "mpc", {"level": "tank/level"}, {}, {"twin": "tank", "references": ("level = 4",)}),
        ControllerSpec("fill", "hysteresis", {"input": "tank/level"}, {}, {"on_at": 1.0, "off_at": 1.5}),
        ControllerSpec("else", "pid", {"input": "meter/level"}, {}, {"setpoint": 2.0, "gain": 1.0}),
    ]
    found = {one.name: one.error(view(1.0, 50.0, 2.0, 1.25), NAMES) for one in loops(specs, twins)}
    assert found == pytest.approx({"keep": 0.5, "follow": 0.2, "look.level": 0.75, "fill": 0.0})
    assert math.isnan(loops(specs, twins)[0].error(view(math.nan, 50.0, 2.0, 1.25), NAMES))


def test_a_held_candidate_stays_in_its_shadow_and_is_judged_there() -> None:
    terms = Terms(shadow_s=3, probation_s=3, steps=1, drift_s=5)
    slots = Slots(State(current=model(OLD)), terms)
    slots.offer(model(NEW), hold=True)
    for second in range(20):
        slots.report({OLD: GOOD, NEW: BETTER}, second * 10**9, 0)
    assert slots.run == Run(OLD, NEW)
    assert State.read(asdict(slots.state)) == slots.state
    with pytest.raises(ValueError, match="is not on trial"):
        slots.let_go_on(OLD)
    slots.let_go_on(NEW)
    slots.report({OLD: GOOD, NEW: BETTER}, 20 * 10**9, 0)
    assert slots.run == Run(NEW, OLD)
    slots = Slots(State(current=model(OLD)), terms)
    slots.offer(model(NEW), hold=True)
    for second in range(60):
        slots.report({OLD: BETTER, NEW: Vitals(10, residual=9.0, nis=1.0)}, second * 10**9, 0)
    assert slots.refusal(NEW)
