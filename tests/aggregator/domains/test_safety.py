"""Safety: ways against another library, who goes where, warnings that pay and come in time, interlocks; the table."""

import itertools
from dataclasses import replace
from typing import Any

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.domains import safety
from aggregator.domains.safety.dispatch import dispatch
from aggregator.domains.safety.events import either, lead, read_over, threshold
from aggregator.domains.safety.interlock import Interlocks
from aggregator.domains.safety.roads import Roads
from aggregator.twin import BadModel
from aggregator.twin.belief import Belief
from aggregator.twin.gaussian import Gaussian
from aggregator.twin.part import Asset, Part, Wire
from aggregator.twin.series import forecast
from tests.aggregator.domains.trial import table, tried

GROUPS = {"water levels, m": np.array([0, 1]), "crowd on the square, 1/m2": np.array([2]), "gas, %LEL": np.array([3])}


def test_the_table_is_true() -> None:
    one = safety.example()
    found, nis = tried(one, one, GROUPS, seed=3)
    print(
        "\n".join(f"| {n} | {' | '.join(f'{v:.3g}' for v in row)} |" for n, row in zip(GROUPS, found, strict=True)), nis
    )
    assert found == pytest.approx(table(safety), rel=0.02)
    assert (found[:, 1] < found[:, 0]).all()
    assert (found[:, 0] < found[:, 2]).all()
    assert 0.8 < nis < 1.25


@given(st.integers(0, 10_000), st.integers(2, 30))
def test_ways_are_as_fast_as_another_library_finds_them(seed: int, crossings: int) -> None:
    """Parallel and closed roads too."""
    rng = np.random.default_rng(seed)
    start, end = rng.integers(0, crossings, (2, 3 * crossings))
    seconds = np.where(rng.random(3 * crossings) < 0.2, np.inf, rng.uniform(0, 100, 3 * crossings))
    graph = networkx.MultiDiGraph()
    graph.add_nodes_from(range(crossings))
    graph.add_weighted_edges_from(
        (int(a), int(b), float(s)) for a, b, s in zip(start, end, seconds, strict=True) if np.isfinite(s)
    )
    roads = Roads(crossings, start, end)
    way = roads.route(seconds, 0, crossings - 1)
    try:
        best = networkx.dijkstra_path_length(graph, 0, crossings - 1)
    except networkx.NetworkXNoPath:
        assert not len(way.crossings)
        assert way.seconds == float("inf")
        return
    assert way.seconds == pytest.approx(best, abs=1e-6)
    assert (way.crossings[0], way.crossings[-1]) == (0, crossings - 1)
    assert roads.until(seconds, np.array([crossings - 1]))[0, 0] == pytest.approx(best, abs=1e-6)


def test_times_that_are_none_are_refused() -> None:
    roads = Roads(2, np.array([0]), np.array([1]))
    for seconds in (np.array([-1.0]), np.array([np.nan]), np.zeros(2)):
        with pytest.raises(BadModel):
            roads.route(seconds, 0, 1)
    with pytest.raises(BadModel):
        Roads(2, np.array([0]), np.array([2]))


def test_nobody_can_send_better() -> None:
    """Against every way to send three units to two incidents."""
    one = safety.example()
    ground, rng = one.ground, np.random.default_rng(1)
    for _ in range(5):
        need, live = np.zeros(16), rng.uniform(20, 200, len(ground.free_s))
        need[rng.choice(16, 2, replace=False)] = rng.uniform(0.3, 1.0, 2)
        locks = Interlocks.of(ground, np.zeros(4), one.taken(0))
        found = dispatch(ground, need, locks, live)
        incidents = np.flatnonzero(need)
        minutes = ground.roads.until(live, incidents)[:, ground.crossing_of_unit] / 60
        best = min(
            sum(need[incidents[i]] * min(minutes[i, unit], 60.0) * 10.0 for i, unit in enumerate(units))
            for units in itertools.permutations(range(3), 2)
        )
        assert found.cost == pytest.approx(best)
        assert found.cost < found.without


def test_interlocks() -> None:
    """No busy unit, no flooded or closed road, no green asked of dark signals."""
    one = safety.example()
    belief = one.prior(0)
    p = np.zeros(4)
    first = one.dispatched(belief, p)
    (sent,) = np.flatnonzero(first.target >= 0)
    one.inputs.put("busy", 1, (np.arange(3) == sent).astype(float))
    other = one.dispatched(replace(belief, k=1), p)
    assert other.target[sent] == -1
    assert other.cost >= first.cost
    one.inputs.put("closed", 2, np.ones(len(one.ground.free_s)))
    one.inputs.put("call", 2, np.eye(16)[15])
    assert one.dispatched(replace(belief, k=2), p).target.max() == -1
    flooded = belief.x.copy()
    flooded[0] = 9.0
    gives = one.gives(flooded, 0)
    assert gives["blocked"].any()
    assert gives["danger"][0] == pytest.approx(1.0)
    assert not one.gives(belief.x, 0)["blocked"].any()


def test_green_is_asked_for_along_the_way_and_not_of_dark_signals() -> None:
    one = safety.example()
    one.inputs.put("sent", 1, np.array([6.0, 0.0, 0.0]))  # the crossing x-5
    asked = one.gives(one.prior(1).x, 1)["preempt"]
    signals = {i for i in range(16) if i % 2}
    assert asked.any()
    assert set(np.flatnonzero(asked)) <= signals
    one.inputs.put("dark", 2, np.ones(16))
    assert not one.gives(one.prior(2).x, 2)["preempt"].any()


def rising(one: Any, level: float, rise: float) -> Belief:
    prior = one.prior(0)
    x = prior.x.copy()
    x[0], x[4] = level, rise
    return Belief(0, x, prior.diag * 0.01, prior.A)


def test_a_warning_comes_before_its_event_and_only_where_it_pays() -> None:
    one = safety.example()
    plan = one.plan(rising(one, 2.2, 0.16), 12, 1.0)
    river = plan.u[:, 0]
    assert river[-1] == 1
    series = forecast(one, Gaussian(), rising(one, 2.2, 0.16), 12)
    over = int(np.argmax(series.mean[:, 0] > 2.5))
    assert series.mean[over, 0] > 2.5
    assert int(np.argmax(river)) < over
    (event,) = (each for each in one.events(series) if each.place == "river")
    assert 0 < event.lead_s <= over * 300
    assert "river" in plan.why
    assert not one.plan(one.prior(0), 3, 1.0).u[:, :4].any()


def test_the_rule_is_cost_over_loss() -> None:
    """Expected cost at any probability is least with C/L as the threshold."""
    one = safety.example()
    cost, loss = one.ground.values("warning_cost"), one.ground.values("averts") * one.ground.values("harm")
    for p in np.linspace(0.01, 0.99, 25):
        warn = p > threshold(one.ground)
        assert (np.where(warn, cost - p * loss, 0.0) <= np.minimum(0.0, cost - p * loss) + 1e-9).all()


def test_witnesses_add_up() -> None:
    assert either([0.5, 0.5]) == pytest.approx(0.75)
    assert either([]) == 0.0
    one = safety.example()
    one.inputs.put("outage", 0, np.full(4, 0.5))
    one.inputs.put("pm25", 0, np.full(1, 200.0))
    one.inputs.put("flood", 0, np.full(1, 0.9))
    found = {each.kind: each for each in one.events(forecast(one, Gaussian(), one.prior(0), 3)) if each.place == "ward"}
    assert found["flood"].probability >= 0.9
    assert found["air"].probability > 0.9
    assert found["outage"].probability > 0.5


def test_a_level_that_is_read_above_its_limit_twice_is_no_matter_of_belief() -> None:
    ground = safety.example().ground
    over, usual = np.array([0.0, 0.0, 0.0, 30.0]), np.zeros(4)
    assert read_over(ground, over, over)[3] == pytest.approx(1.0)
    assert not read_over(ground, over, usual).any()
    assert not read_over(ground, np.full(4, np.nan), np.full(4, np.nan)).any()


def test_lead() -> None:
    assert lead(np.array([0.1, 0.2, 0.6]), 0.5, 60.0) == 180.0
    assert lead(np.array([0.1]), 0.5, 60.0) == float("inf")


def test_a_lost_unit_costs_what_the_next_one_takes_longer() -> None:
    one = safety.example()
    series = forecast(one, Gaussian(), one.prior(0), 6)
    lost = {each.asset: each.consequence for each in one.contingencies(one.prior(0), series)}
    sent = one.dispatched(one.prior(0), np.zeros(4))
    goes = [one.ground.units[i].id for i in np.flatnonzero(sent.target >= 0)]
    assert all(lost[name] >= 0 for name in goes)
    assert all(lost[unit.id] == 0 for unit in one.ground.units if unit.id not in goes)


def test_bad_parts_are_told_all_at_once() -> None:
    good = safety.example().ground.part
    watch = replace(next(one for one in good.assets if one.id == "river"), lon=None)
    unit = Asset("unit", "unit", {"per_minute": 1.0}, lon=8.0, lat=47.0)
    wires = [Wire("gw/a/b", "river", "smoke", 1.0)]
    with pytest.raises(BadModel) as told:
        safety.build(Part("safety", [watch, unit], wires, good.settings))
    assert len(str(told.value).splitlines()) == 3
    with pytest.raises(BadModel):
        safety.build(Part("safety", [], [], good.settings))
