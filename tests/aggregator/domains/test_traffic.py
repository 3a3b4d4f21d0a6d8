"""The streets: vehicles are neither lost nor made, what is blocked backs up, and what history says is learned."""

import re
from pathlib import Path

import numpy as np
import pytest

from aggregator.domains import traffic
from aggregator.domains.traffic import dynamics
from aggregator.domains.traffic.arrivals import learned as shares_of
from aggregator.domains.traffic.dynamics import Drive
from aggregator.domains.traffic.guidance import wave, ways
from aggregator.domains.traffic.history import Day
from aggregator.twin import BadModel
from aggregator.twin.gaussian import Gaussian
from aggregator.twin.part import Part
from edge_agent.control.traffic.junction import Junction, Lane, Stage
from edge_agent.control.traffic.queues import Expected, Queues
from tests.aggregator.domains.battery import experiment


def settings() -> dict[str, float | str]:
    return {name: key.default for name, key in traffic.SETTINGS.items() if key.default is not None}


def after(domain: traffic.Domain, drive: Drive, steps: int = 20) -> np.ndarray:
    X = domain.prior(0).x[:, None]
    for k in range(steps):
        X = domain.f(X, drive.u(), k)
    return X[: domain.streets.E, 0]


def test_vehicles_are_neither_lost_nor_made() -> None:
    """What a link loses goes into others, but for the share that ends there."""
    one = traffic.example()
    n = np.linspace(1, 60, one.streets.E)[:, None]
    most = dynamics.capacity(one.streets, one.habits, one.drive(0))
    gap = dynamics.ROOM * one.streets.of_links("lanes")[:, None]
    gained = dynamics.moving(one.streets, one.habits, n, most, gap).sum()
    stays = np.asarray(one.streets.turns.sum(axis=0)).ravel()
    ended = (1 - stays) @ dynamics.wanting(n, one.habits.delay_s, most)[:, 0]
    assert gained == pytest.approx(-ended)


def test_a_blocked_link_fills_and_spills_back() -> None:
    one = traffic.example()
    at = one.streets.place
    free = one.drive(0)
    blocked = np.zeros(one.streets.E)
    blocked[at["b-c"]] = 1.0
    usual = after(one, free, 60)
    jammed = after(one, Drive(free.demand, blocked, free.dark, free.greens), 60)
    assert jammed[at["b-c"]] > 3 * usual[at["b-c"]]
    assert jammed[at["a-b"]] > 3 * usual[at["a-b"]]
    assert (jammed <= one.streets.storage + 1).all()


def test_more_green_empties_a_side_street() -> None:
    one = traffic.example()
    rich = np.where(np.arange(len(one.controls)) == 1, 60.0, 0.0)  # the side street at the first junction
    u = one.exogenous(1)
    place = one.streets.place["side-a-a"]
    assert after(one, Drive.of(one.steer(u, rich, 1), one.streets))[place] < after(one, one.drive(0))[place]


def test_the_plan_gives_green_to_who_needs_it() -> None:
    """With twice as many from one side, its stage gets more than the plan that runs, and less time is lost."""
    one = traffic.example()
    demand = np.ones(one.streets.E)
    demand[one.streets.place["side-b-b"]] = 4.0
    one.inputs.put("demand", 0, demand)
    plan = one.plan(one.prior(0), 10, 5.0)
    column = [control.asset for control in one.controls].index("b-side")
    assert plan.status == "optimal"
    assert plan.gain > 0
    assert plan.u[:, column].mean() > 32.0


def test_history_teaches_turns_and_times() -> None:
    """Days made with other turning shares than assumed: they are found again."""
    one = traffic.example()
    rng, E = np.random.default_rng(3), one.streets.E
    days = []
    for _ in range(4):
        left = rng.poisson(10.0, (60, E)).astype(float)
        entered = left @ one.streets.turns.T.toarray() + 2.0
        days.append(Day(left / 60 * one.streets.delay_s, entered, left))
    one.learn(days)
    assert abs(one.habits.turns - one.streets.turns).max() < 0.05
    assert one.habits.learned is not None
    with pytest.raises(BadModel, match="day 0: vehicles is"):
        one.learn([Day(np.zeros((60, 3)), np.zeros((60, E)), np.zeros((60, E)))])


def test_routes_have_live_times_and_waves_come_in_order() -> None:
    one = traffic.example()
    (way,) = ways(one, one.prior(0))
    assert way.mean_s > one.streets.free_s[one.streets.routed(one.streets.routes[0])].sum()
    assert way.sd_s > 0
    greens = wave(one, one.prior(0), "through")
    assert [each.junction for each in greens] == ["a", "b", "c"]
    assert all(each.from_s < each.until_s for each in greens)
    with pytest.raises(BadModel, match="route nowhere is not in the city"):
        wave(one, one.prior(0), "nowhere")


def test_all_faults_of_a_network_at_once() -> None:
    assets = [
        traffic.asset("a", "junction", cycle_s=60.0),
        traffic.asset("s", "stage", junction="b", green_s=20.0),
        traffic.asset("one", "link", ("a", "a"), length_m=100.0, stages="s"),
        traffic.asset("r", "route", links="one two"),
    ]
    with pytest.raises(BadModel) as told:
        traffic.build(Part("traffic", assets, [], settings()))
    for words in ("s: junction = b", "one: stages has s", "r: links has two"):
        assert words in str(told.value)


def test_arrivals_are_foretold_from_a_counter_upstream() -> None:
    rng = np.random.default_rng(0)
    passed = rng.poisson(0.2, (2000, 1)).astype(float)
    came = np.vstack([np.zeros((20, 1)), passed[:-20]])  # 20 s later
    found = shares_of([passed.cumsum(axis=0)], [came.cumsum(axis=0)], np.array([[20.0]]))
    heard = np.zeros((60, 1))
    heard[-6:] = 1.0  # one passed 6 s ago: 14 s from now it is here
    ahead = found.expected(heard, 20)[:, 0]
    assert 12 <= int(np.argmax(ahead)) <= 16


def test_the_law_takes_what_the_centre_expects_until_it_is_old() -> None:
    lanes = (Lane("x", 50.0, 10.0, 0.5), Lane("y", 50.0, 10.0, 0.5))
    queues = Queues(Junction(lanes, (Stage(1, {}), Stage(2, {}))))
    usual = queues.traffic(30, None).arrivals
    queues.expect(Expected(0.0, np.ones((30, 2))))
    assert queues.traffic(30, None).arrivals[10] == pytest.approx([1.0, 1.0])
    queues.expect(Expected(-60.0, np.ones((30, 2))))
    assert queues.traffic(30, None).arrivals == pytest.approx(usual)
    with pytest.raises(ValueError, match="none below 0"):
        queues.expect(Expected(0.0, -np.ones((30, 2))))


def test_the_experiment_is_as_written() -> None:
    text = (Path(traffic.__file__).parent / "EXPERIMENT.md").read_text()
    written = [float(one) for one in re.findall(r"^\| \w+ \| ([\d.]+) \|$", text, re.MULTILINE)]
    found = experiment(traffic.example(), Gaussian(gate=np.inf))
    assert [found.forecast, found.analysis, found.blind] == pytest.approx(written, abs=0.01)
