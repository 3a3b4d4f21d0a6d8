"""Plans: cheaper than doing nothing, within the grid's limits, in time; and what is switched after a fault."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aggregator.domains.energy import asset, build, decide, dynamics, example, outlook, program, restore
from aggregator.domains.energy.dynamics import Drive
from aggregator.twin import Floats
from aggregator.twin.belief import Belief
from aggregator.twin.gaussian import Gaussian
from aggregator.twin.part import Part
from aggregator.twin.series import forecast
from tests.aggregator.domains.test_energy_grid import SETTINGS, street

NOON = 1_451_606_400 // 900 + 180 * 96 + 48
LONG_S = 30.0


def carried_out(domain: Any, belief: Belief, rows: Floats) -> Floats:
    """States (n, T) along the expected path."""
    x, found = belief.x[:, None], []
    for t, row in enumerate(rows):
        k = belief.k + 1 + t
        drive = Drive.of(domain.steer(domain.exogenous(k), row, k), domain.grid)
        x = dynamics.f(domain.grid, domain.habits, x, drive, k)
        found.append(x[:, 0])
    return np.array(found).T


def test_a_day_is_planned_for_less_than_nothing_costs() -> None:
    domain = example()
    belief = domain.prior(NOON)
    plan = domain.plan(belief, 96, LONG_S)
    assert plan.status == "optimal"
    assert plan.gain > 0.5
    assert "all limits are kept" in plan.why
    store, charger, _, ring = decide.columns(domain.grid)
    assert np.ptp(plan.u[:, store]) > 1000
    assert plan.u[:, charger].sum() * 0.25 == pytest.approx(30_000, rel=1e-6)  # what a day's vehicles need
    assert not plan.u[:, ring].any()
    path = carried_out(domain, belief, plan.u)
    assert np.allclose(path[domain.grid.layout["battery", "active_power"]].T, plan.u[:, store], atol=1e-3)


def test_a_plan_costs_what_its_handles_cost() -> None:
    """The program's own sum against the same told from the handles alone; doing nothing is one of its points."""
    domain = example()
    seen = outlook.seen(domain, domain.prior(NOON), 96)
    built = program.built(domain.grid, domain.settings, seen)
    found = program.Solver().solve(built, LONG_S)
    assert found.v is not None
    handles = np.vstack([*built.handles(found.v)[:2], np.zeros((1, 96))])
    assert program.cost_of(domain.grid, domain.settings, seen, handles) == pytest.approx(found.cost, rel=1e-6)
    handles[:] = 0.0
    handles[1] = seen.charging(1, domain.grid.values("charger", "rated_w"))[0]
    assert program.cost_of(domain.grid, domain.settings, seen, handles) >= found.cost


def tight(amps: float) -> Any:
    """A cable that vehicles alone would overload, and a store behind it."""
    assets = [
        *[one for one in street() if one.id != "cable"],
        asset("cable", "line", ("a", "b"), r_ohm=0.05, x_ohm=0.02, rated_a=amps),
        asset("store", "battery", bus="b", rated_w=5e3, capacity_wh=20e3),
        asset("bays", "charger", bus="b", rated_w=22e3, energy_wh=40e3),
    ]
    return build(Part("energy", assets, [], SETTINGS | {"load_spread": 5.0}))


def test_vehicles_wait_until_the_cable_has_room() -> None:
    """Negative control: charging at once breaks the limit that the plan keeps, seen by full power flows."""
    domain = tight(30.0)
    belief = domain.prior(NOON)
    plan = domain.plan(belief, 96, LONG_S)
    assert plan.status == "optimal"
    assert "all limits are kept" in plan.why
    path = carried_out(domain, belief, plan.u)
    worst = max(domain.flows(path[:, [t]], NOON + 1 + t).line_loading.max() for t in range(96))
    careless = plan.u.copy()
    _, charger, _, _ = decide.columns(domain.grid)
    seen = outlook.seen(domain, belief, 96)
    careless[:, charger] = seen.charging(1, domain.grid.values("charger", "rated_w")).T
    without = carried_out(domain, belief, careless)
    loose = max(domain.flows(without[:, [t]], NOON + 1 + t).line_loading.max() for t in range(96))
    assert worst <= 100.5 < loose


def test_a_plant_is_cut_when_the_voltage_would_be_too_high() -> None:
    assets = [*street(), asset("roof", "pv", bus="b", rated_w=260e3)]
    assets = [replace(one, values={**one.values, "rated_a": 600.0}) if one.id == "cable" else one for one in assets]
    domain = build(Part("energy", assets, [], SETTINGS | {"load_spread": 5.0}))
    domain.inputs.put("irradiance", NOON, np.full(2, 1000.0))
    belief = domain.prior(NOON)
    plan = domain.plan(belief, 8, LONG_S)
    assert plan.u[:, 0].max() < 100.0
    assert "of sun are cut" in plan.why
    free = carried_out(domain, belief, np.full((8, 1), 100.0))
    kept = carried_out(domain, belief, plan.u)
    assert (
        domain.flows(free[:, [7]], NOON + 8).voltage[1, 0] > 440 >= domain.flows(kept[:, [7]], NOON + 8).voltage[1, 0]
    )


def test_a_warm_start_finds_the_same_for_less_work() -> None:
    domain, solver, cold = example(), program.Solver(), program.Solver(warm=False)
    first = program.built(domain.grid, domain.settings, outlook.seen(domain, domain.prior(NOON), 96))
    next_ = program.built(domain.grid, domain.settings, outlook.seen(domain, domain.prior(NOON + 1), 96))
    solver.solve(first, LONG_S)
    warm, alone = solver.solve(next_, LONG_S), cold.solve(next_, LONG_S)
    assert warm.cost == pytest.approx(alone.cost, rel=1e-6)
    assert warm.iterations < alone.iterations / 2


def test_no_time_is_no_plan_but_an_answer() -> None:
    domain = example()
    plan = domain.plan(domain.prior(NOON), 96, 0.0)
    assert plan.status == "fallback"
    assert "vehicles charge at once" in plan.why
    assert plan.cost == plan.without


def test_the_ring_is_closed_after_a_fault() -> None:
    domain = example()
    out = np.zeros(domain.grid.count("line"))
    out[domain.grid.place["cable-12"]] = 1.0
    domain.inputs.put("line_out", NOON, out)
    belief = domain.prior(NOON)
    before, after = domain.gives(belief.x, NOON)["outage"], None
    plan = domain.plan(belief, 4, LONG_S)
    _, _, _, ring = decide.columns(domain.grid)
    assert (plan.u[:, ring] == 1.0).all()
    assert plan.why.startswith("close ring")
    drive = domain.steer(domain.exogenous(NOON + 1), plan.u[0], NOON + 1)
    after = domain.indicators(belief.x[:, None], drive, NOON + 1)["not served, kWh"]
    assert before.sum() == 2
    assert after[0] == 0.0


def test_a_ring_that_cannot_bear_it_stays_open() -> None:
    domain = example()
    out, none = np.zeros(domain.grid.count("line")), np.zeros(1)
    out[domain.grid.place["cable-01"]] = 1.0
    standing = domain.grid.standing(out, none, none)
    x = domain.prior(NOON).x
    assert restore.restored(domain, standing, x, NOON).switches == (0,)
    x[domain.grid.layout["load", "active_power"]] = 80e3
    found = restore.restored(domain, standing, x, NOON)
    assert found.switches == ()
    assert found.left_w == found.dark_w > 0
    assert "no switch can bring it back" in found.told(domain.grid)


def test_the_loss_of_each_branch_is_weighed() -> None:
    domain = example()
    belief = domain.prior(NOON)
    series = forecast(domain, Gaussian(), belief, 4)
    found = {one.asset: one for one in domain.contingencies(belief, series)}
    assert len(found) == domain.grid.count("line") + domain.grid.count("transformer")
    assert found["cable-01"].action.startswith("close ring")
    assert found["substation"].action.startswith("repair substation first")
    assert found["substation"].consequence > found["cable-01"].consequence > found["spare"].consequence == 0.0
    hours = 4 * 0.25
    assert found["cable-01"].probability == pytest.approx(1 - np.exp(-0.05 * hours / 8760))


def test_an_overload_that_is_coming_is_told_with_its_remedy() -> None:
    domain = example()
    calm = forecast(domain, Gaussian(), domain.prior(NOON), 4)
    assert not [one for one in domain.risks(calm) if one.what == "overload" and one.probability > 0.5]
    domain.inputs.put("demand", NOON, np.full(domain.grid.count("bus"), 10.0))
    belief = domain.prior(NOON)
    found = domain.risks(forecast(domain, Gaussian(), belief, 4))
    worst = next(one for one in found if one.what == "overload")
    assert worst.probability > 0.5
    assert worst.consequence > 0
    assert {one.action for one in found if one.what == "overload"} <= {
        "discharge store",
        "hold back bays",
        "nothing here can be steered: strengthen it, or move load away",
    }
    assert any(one.what == "voltage too low" for one in found)


def test_more_than_can_be_carried_is_a_risk_and_no_error() -> None:
    domain = example()
    domain.inputs.put("demand", NOON, np.full(domain.grid.count("bus"), 200.0))
    belief = domain.prior(NOON)
    (worst,) = domain.risks(forecast(domain, Gaussian(), belief, 2))
    assert worst.what == "voltage collapse"
    assert worst.probability == 1.0
    assert domain.plan(belief, 4, LONG_S).status == "fallback"
    assert domain.gives(belief.x, NOON)["outage"].all()
    channel = np.arange(len(domain.channels))
    assert np.isfinite(domain.h(belief.x[:, None], channel, NOON)).all()
    assert domain.H(belief.x, channel, NOON) is not None


def test_what_is_dark_is_a_risk_that_is_certain() -> None:
    domain = example()
    out = np.zeros(domain.grid.count("line"))
    out[domain.grid.place["cable-45"]] = 1.0
    domain.inputs.put("line_out", NOON, out)
    found = [
        one for one in domain.risks(forecast(domain, Gaussian(), domain.prior(NOON), 4)) if one.what == "no supply"
    ]
    assert sorted(one.asset for one in found) == ["box-5", "box-6"]
    assert all(one.probability == 1.0 and one.action.startswith("close ring") for one in found)


def test_readings_of_what_is_dark_are_nothing() -> None:
    domain = example()
    out = np.zeros(domain.grid.count("line"))
    out[domain.grid.place["cable-12"]] = 1.0
    domain.inputs.put("line_out", NOON, out)
    channel = np.arange(len(domain.channels))
    x = domain.prior(NOON).x
    read = dict(zip(domain.channels, domain.h(x[:, None], channel, NOON)[:, 0], strict=True))
    assert read["gw-1/meter/p"] == read["gw-1/meter/u"] == 0.0
    assert read["gw-1/store/soc"] == 50.0
    H = domain.H(x, channel, NOON)
    assert H is not None
    assert not H.toarray()[domain.channels.index("gw-1/meter/p")].any()
