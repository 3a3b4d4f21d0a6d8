"""Habits: assumed from the city file, learned from history; and how injections move by them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.domains.energy import dynamics, example
from aggregator.domains.energy.dynamics import Drive
from aggregator.domains.energy.habits import Clock, Habits, learned
from aggregator.twin import BadModel, Floats

DAY = 96
FIRST = 1_451_606_400 // 900  # 2016-01-01, a Friday


def test_the_clock_of_people() -> None:
    clock = Clock(900)
    assert clock.slot(np.array(FIRST + 1)) == 0
    assert clock.slot(np.array(FIRST + DAY)) == DAY - 1
    assert [int(clock.kind(np.array(FIRST + 1 + DAY * day))) for day in range(4)] == [0, 1, 2, 0]
    assert clock.season(np.array(FIRST + 10)) == 0
    assert clock.season(np.array(FIRST + 182 * DAY)) == 2
    assert Clock(900, 3600).slot(np.array(FIRST + 1)) == 4


def drawn(habits: Habits, states: np.ndarray, steps: int) -> tuple[Floats, np.ndarray]:
    """A history that these habits make."""
    noise, k = np.random.default_rng(3), FIRST + 1 + np.arange(steps)
    e, history = np.zeros(len(habits.memory)), np.empty((steps, len(states)))
    for i, at in enumerate(k):
        w = habits.factor @ noise.standard_normal(habits.factor.shape[1])
        w += np.sqrt(habits.rest) * noise.standard_normal(len(e))
        e = habits.memory * e + habits.strays(int(at)) * w
        history[i] = (habits.usual(int(at)) + e)[states]
    return history, k


def test_what_made_a_history_is_learned_from_it() -> None:
    domain = example()
    states = np.arange(*domain.grid.layout["load", "active_power"].indices(domain.n)[:2])
    history, k = drawn(domain.habits, states, 70 * DAY)
    found = learned(domain.habits, history, k, states)
    assert np.allclose(found.memory[states], 0.9, atol=0.02)
    expected = domain.habits.strays(FIRST + 50)[states]
    assert np.allclose(found.strays(FIRST + 50)[states] / expected, 1.0, atol=0.2)
    together = found.factor[states] @ found.factor[states].T
    assert np.allclose(together[np.triu_indices(len(states), 1)], 0.5, atol=0.1)
    off = found.usual(FIRST + 40)[states] - domain.habits.usual(FIRST + 40)[states]
    assert np.abs(off / domain.habits.lasting(FIRST + 40)[states]).max() < 0.6
    others = np.setdiff1d(np.arange(domain.n), states)
    assert np.array_equal(found.memory[others], domain.habits.memory[others])
    assert np.allclose((found.factor**2).sum(axis=1) + found.rest, 1.0)


def test_too_little_history_is_refused() -> None:
    domain = example()
    states = np.arange(3)
    with pytest.raises(BadModel, match="two weeks"):
        learned(domain.habits, np.zeros((DAY, 3)), FIRST + np.arange(DAY), states)
    with pytest.raises(BadModel, match="finite"):
        learned(domain.habits, np.full((20 * DAY, 3), np.nan), FIRST + np.arange(20 * DAY), states)


def test_what_lasts_is_what_the_steps_add_up_to() -> None:
    habits = example().habits
    sd = habits.lasting(FIRST + 48)
    load = slice(0, 6)
    expected = habits.strays(FIRST + 48)[load] / np.sqrt(1 - habits.memory[load] ** 2)
    assert np.allclose(sd[load], expected, rtol=1e-3)


def test_weather_and_demand_bend_the_habit() -> None:
    domain = example()
    noon, grid = FIRST + 50, domain.grid
    usual = domain.exogenous(noon)[: domain.n]
    buses = grid.count("bus")
    domain.inputs.put("demand", noon, np.full(buses, 1.5))
    domain.inputs.put("irradiance", noon, np.full(buses, 1000.0))
    domain.inputs.put("temperature", noon, np.full(buses, 0.0))
    bent = domain.exogenous(noon)[: domain.n]
    loads, sun = grid.layout["load", "active_power"], grid.layout["pv", "active_power"]
    assert np.allclose(bent[loads], 1.5 * usual[loads])
    assert bent[sun] == pytest.approx(15e3 * 0.85)  # a cell 25 K above air of 0 °C has its rated 25 °C
    domain.inputs.put("irradiance", noon + 1, np.zeros(buses))
    assert domain.exogenous(noon + 1)[: domain.n][sun] == 0.0


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-2e4, 2e4), min_size=1, max_size=12), st.floats(0, 100))
def test_a_store_is_never_more_than_full_nor_less_than_empty(orders: list[float], charge: float) -> None:
    domain = example()
    grid = domain.grid
    x = domain.prior(FIRST).x[:, None]
    held, power = grid.layout["battery", "state_of_charge"], grid.layout["battery", "active_power"]
    x[held] = charge
    for i, order in enumerate(orders):
        drive = Drive.of(domain.exogenous(FIRST + i), grid)
        drive.order[power] = order
        before = x[held].copy()
        x = dynamics.f(grid, domain.habits, x, drive, FIRST + i)
        assert -1e-9 <= x[held][0, 0] <= 100 + 1e-9
        assert abs(x[power][0, 0]) <= abs(order) + 1e-9
        gained = (x[held] - before)[0, 0] / 100 * 20e3
        assert gained <= x[power][0, 0] * 0.25 + 1e-6  # nothing comes from nothing


def test_a_round_through_a_store_costs_its_efficiency() -> None:
    grid = example().grid
    _, up = dynamics.stored(grid, np.array([[4000.0]]), np.array([[50.0]]), 1.0)
    given_back, down = dynamics.stored(grid, np.array([[-3600.0]]), up, 1.0)
    assert down[0, 0] == pytest.approx(50.0)
    assert given_back[0, 0] == -3600.0  # 90 % of 4 kWh


def test_vehicles_begin_anew_when_they_come() -> None:
    domain = example()
    clock, grid = domain.habits.clock, domain.grid
    come = next(k for k in range(FIRST, FIRST + DAY) if dynamics.arriving(grid, clock, k)[0])
    assert clock.hours()[int(clock.slot(np.array(come)))] == pytest.approx(18.125)
    x = domain.prior(come).x[:, None]
    x[grid.layout["charger", "active_energy"]] = 20_000.0
    had = dynamics.f(grid, domain.habits, x, Drive.of(domain.exogenous(come), grid), come)
    power = had[grid.layout["charger", "active_power"]]
    assert had[grid.layout["charger", "active_energy"]] == pytest.approx(power * 0.25)


def test_a_plan_row_is_carried_out() -> None:
    domain = example()
    grid, k = domain.grid, FIRST + 50
    row = np.array([-5000.0, 3000.0, 0.0, 1.0])  # store, charger, plant shut off, ring closed
    drive = Drive.of(domain.steer(domain.exogenous(k), row, k), grid)
    x = dynamics.f(grid, domain.habits, domain.prior(k - 1).x[:, None], drive, k)
    assert x[grid.layout["battery", "active_power"]] == -5000.0
    assert x[grid.layout["charger", "active_power"]] == 3000.0
    assert x[grid.layout["pv", "active_power"]] == 0.0
    assert drive.moved.tolist() == [1.0]
    free = Drive.of(domain.steer(domain.exogenous(k), np.full(4, np.nan), k), grid)
    assert np.array_equal(free.u(), domain.exogenous(k), equal_nan=True)
