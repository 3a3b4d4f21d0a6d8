"""From a plan for the city as it is to orders; what was imagined can never become one, by type nor at run time."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest

from aggregator.decisions import Refused
from aggregator.decisions.checkpointed import Checkpointed
from aggregator.decisions.comparison import Line
from aggregator.decisions.decision import Decision, State, unpacked
from aggregator.decisions.imagined import Imagined
from aggregator.decisions.policy import Policy
from aggregator.decisions.proposal import changes, propose, spread, stretches
from aggregator.decisions.scenario import NS, Scenario
from aggregator.decisions.sight import STALE_NS, gained, verdict_of
from aggregator.decisions.steward import row_of
from aggregator.stores.city import CityStore
from aggregator.twin.domain import Plan
from tests.aggregator.decisions.hills import hills, ran, standing
from tests.aggregator.decisions.table import decided


@pytest.fixture
def wet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Checkpointed]:
    with hills(tmp_path, monkeypatch) as city:
        found = standing(city)
        domain, belief = found.standing["blueprint"]
        domain.inputs.put("rain", belief.k + 1, np.array([0.25]), "gw-a/weather/rain")
        yield found


def plan_of(city: Checkpointed, steps: int = 30) -> Plan:
    domain, belief = city.standing["blueprint"]
    return domain.plan(belief, steps, 5.0)


def proposed(city: Checkpointed, plan: Any = None, policy: Policy | None = None, late_s: int = 2) -> Decision:
    return propose(city, "blueprint", plan or plan_of(city), policy or Policy(), "planner", city.t_ns + late_s * NS, 2)


def test_a_plan_becomes_orders_that_say_why(wet: Checkpointed) -> None:
    one = proposed(wet)
    assert one.state is State.PROPOSED
    assert {(act.gateway, act.point) for act in one.acts} == {("gw-a", "pump/rate")}
    assert all(act.start_ns < act.end_ns for act in one.acts)
    assert all(a.end_ns == b.start_ns for a, b in zip(one.acts, one.acts[1:], strict=False))
    assert one.end_ns == wet.t_ns + 300 * NS
    assert one.basis.digest == wet.digest("blueprint")
    assert len(one.basis.model) == 64
    assert one.basis.why
    mine = one.basis.expects[0]
    assert mine.domain == "blueprint"
    assert mine.planned < mine.without
    assert mine.low <= mine.without - mine.planned <= mine.high
    assert [each.domain for each in one.basis.expects] == ["blueprint", "below"]
    assert len(one.basis.forecast) == 30
    assert one.needs.persons == 1


def test_values_are_in_the_unit_of_the_wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scaled = (
        '\n[[point]]\npoint = "gw-a/pump/rate"\nasset = "upper"\nquantity = "water_flow"\nsets = true\nscale = 0.01\n'
    )
    with hills(tmp_path, monkeypatch, scaled) as city:
        found = standing(city)
        domain, belief = found.standing["blueprint"]
        plan = Plan(np.full((6, 1), 0.2), 0.0, 0.0, "feasible", "as told")
        domain.inputs.put("rain", belief.k + 1, np.array([0.5]), "gw-a/weather/rain")
        (act,) = proposed(found, plan).acts
    assert act.value == pytest.approx(20.0)


@pytest.mark.parametrize(
    ("plan", "late_s", "said"),
    [
        (Plan(np.zeros((6, 1)), 0.0, 0.0, "fallback", "no solver"), 2, "no solver"),
        (Plan(np.zeros((6, 1)), 0.0, 0.0, "optimal", "nothing"), 2, "not worth it"),
        (Plan(np.full((6, 1), np.nan), 0.0, 0.0, "optimal", "broken"), 2, "no value that can be set"),
        (Plan(np.ones((6, 1)), 0.0, 0.0, "optimal", "late"), 100, "has 0 orders from now on"),
        (Plan(np.ones((600, 1)), 0.0, 0.0, "optimal", "late"), 2000, "too old, by"),
    ],
)
def test_what_is_not_worth_or_fit_to_be_proposed(wet: Checkpointed, plan: Plan, late_s: int, said: str) -> None:
    with pytest.raises(Refused, match=said):
        proposed(wet, plan, late_s=late_s)


def test_what_was_imagined_is_refused_at_run_time(wet: Checkpointed) -> None:
    result = ran(wet, Scenario("storm", 300 * NS, planned=["blueprint"]))
    with pytest.raises(Refused, match="what was imagined is never sent"):
        proposed(wet, result)
    row: Any = row_of
    with pytest.raises(AttributeError):
        row(result)
    assert not {"u", "acts", "rows", "controls"} & {name for name in dir(result) if not name.startswith("_")}
    for track in result.tracks.values():
        assert not {"u", "acts", "rows", "controls"} & set(dir(track))


def test_what_was_imagined_is_refused_by_its_type(wet: Checkpointed) -> None:
    """mypy forbids both calls, and says so of an ignore that it no longer needs: it fails if they are ever allowed."""
    result: Imagined = ran(wet, Scenario("storm", 300 * NS))
    with pytest.raises(Refused):
        propose(wet, "blueprint", result, Policy(), "ada", wet.t_ns, 2)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        row_of(result)  # type: ignore[arg-type]
    assert get_type_hints(propose)["plan"] is Plan
    assert not issubclass(Imagined, Plan | Decision)


def test_a_plan_is_judged_by_the_gravest_that_it_changes(wet: Checkpointed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here a graver one, which no plan changes, stands before it."""
    assert changes(Line("energy", "cost", 5.0, 4.0, -1.0, -1.0, -1.0, 1.0))
    assert not changes(Line("energy", "not served", 5.0, 5.0, 0.0, 0.0, 0.0, 0.5))
    kind: Any = type(wet.standing["blueprint"][0])
    before = kind.indicators
    graver = {"people cut off": 3.0}
    monkeypatch.setattr(
        kind,
        "indicators",
        lambda self, x, u, k: {name: np.full(x.shape[1], v) for name, v in graver.items()} | before(self, x, u, k),
    )
    one = proposed(wet)
    assert [each.name for each in one.basis.expects[:2]] == ["over the rims, m", "people cut off"]
    assert one.basis.forecast[-1] == pytest.approx(one.basis.expects[0].without, rel=0.5)
    assert one.basis.forecast[-1] != 3.0


def test_stretches_and_spread() -> None:
    assert list(stretches([1, 1, 1, 2, 2, 0], 2)) == [(0, 2), (2, 3), (3, 5), (5, 6)]
    acts = decided(20).acts
    one, two = spread(acts, "a"), spread(acts, "b")
    assert set(one) == set(two) == set(acts)
    assert one[0].gateway != two[0].gateway or one[2].gateway != two[2].gateway
    assert [act.start_ns for act in one[:2]] == sorted(act.start_ns for act in one[:2])


def test_what_it_gained_is_measured_against_the_forecast(wet: Checkpointed, tmp_path: Path) -> None:
    one = replace(proposed(wet), begun_ns=wet.t_ns + NS)
    store = CityStore(tmp_path / "city.sqlite")
    assert gained(store, wet, one) is None
    first = one.basis.t_ns // one.basis.dt_ns + 1
    low, tight = np.full(1, 0.5, np.float32), np.full(1, 0.01, np.float32)
    store.record("blueprint", one.basis.dt_ns, wet.t_ns, [(first + i, low, tight) for i in range(30)])
    assert gained(store, wet, one) == pytest.approx(np.mean(one.basis.forecast), abs=1e-6)  # nothing came over the rim
    assert gained(store, wet, replace(one, begun_ns=0)) is None
    assert gained(store, wet, replace(one, basis=replace(one.basis, model="another"))) is None
    kept = unpacked(row_of(one.settle(0.25, wet.t_ns)).content)
    assert (kept.gained, kept.over) == (0.25, True)


def test_calibration_as_the_server_tells_it(tmp_path: Path) -> None:
    store = CityStore(tmp_path / "city.sqlite")
    verdict = verdict_of(store)
    assert not verdict("energy", 0).allowed
    store.show("energy", "health", 10 * NS, {"automatic": ""})
    assert verdict("energy", 11 * NS).allowed
    assert "nothing was heard" in verdict("energy", 11 * NS + STALE_NS).why
    store.show("energy", "health", 10 * NS, {"automatic": "NIS/m is 4.00"})
    assert verdict("energy", 11 * NS) == (type(verdict("energy", 0)))(False, "NIS/m is 4.00")
