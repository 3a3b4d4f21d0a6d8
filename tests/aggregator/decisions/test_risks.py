"""Risks of all domains in one list, re-evaluated with plans; criticality against another implementation."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp

from aggregator.decisions import ScenarioError
from aggregator.decisions.checkpointed import Checkpointed
from aggregator.decisions.criticality import betweenness, criticality
from aggregator.decisions.risks import Assessment, assess
from aggregator.decisions.scenario import NS
from aggregator.domains import module_of
from aggregator.twin.risk import Risk
from tests.aggregator.decisions.hills import hills, standing


@pytest.fixture
def wet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Checkpointed]:
    """It rains for long above, so that both hills are at risk."""
    with hills(tmp_path, monkeypatch) as city:
        found = standing(city)
        domain, belief = found.standing["blueprint"]
        domain.inputs.put("rain", belief.k + 1, np.array([0.25]), "gw-a/weather/rain")
        yield found


def assessed(city: Checkpointed, horizon_s: int = 600) -> Assessment:
    steps = assess(city, horizon_s * NS)
    told = []
    while True:
        try:
            told.append(next(steps))
        except StopIteration as end:
            assert [one.done for one in told] == list(range(1, told[0].total + 1))
            found: Assessment = end.value
            return found


def test_one_list_with_what_lowers_each(wet: Checkpointed) -> None:
    found = assessed(wet)
    assert [one.expected for one in found.risks] == sorted((one.expected for one in found.risks), reverse=True)
    assert {one.domain for one in found.risks} >= {"blueprint", "below"}
    first = next(one for one in found.risks if one.domain == "blueprint" and one.kind == "forecast")
    assert (first.asset, first.what) == ("upper", "overflow")
    assert first.expected == pytest.approx(first.probability * first.consequence)
    assert first.plan == "blueprint"
    assert first.lowered is not None
    assert first.lowered < first.expected
    below = next(one for one in found.risks if one.domain == "below" and one.kind == "forecast")
    assert below.plan == "blueprint"  # which keeps water from it
    (plan,) = (one for one in found.plans if one.domain == "blueprint")
    assert plan.expected < found.expected
    assert found.digest == wet.digest()


def test_what_no_plan_can_lower_keeps_its_action(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: without pumps there is nothing to plan."""
    with hills(tmp_path, monkeypatch, "") as city:
        parts = dict(city.parts)
        part = parts["blueprint"]
        dead = [replace(one, values={**one.values, "pump_m": 0.0}) for one in part.assets]
        found = standing(replace(city, parts={**parts, "blueprint": replace(part, assets=dead)}))
        domain, belief = found.standing["blueprint"]
        domain.inputs.put("rain", belief.k + 1, np.array([0.25]), "gw-a/weather/rain")
        risks = assessed(found).risks
    assert risks
    assert all(one.lowered is None and one.action for one in risks if one.domain == "blueprint")


def test_a_horizon_that_no_step_fits_in(wet: Checkpointed) -> None:
    with pytest.raises(ScenarioError, match="longer horizon"):
        assessed(wet, 5)
    assert assessed(wet, 10).notes == ["below: no step of it ends within the horizon"]


def trees(seed: int, n: int) -> sp.csr_array:
    """With one way between any two, so that there is nothing to choose."""
    noise = np.random.default_rng(seed)
    parents = [int(noise.integers(0, i)) for i in range(1, n)]
    half = sp.coo_array((noise.uniform(1, 9, n - 1), (np.arange(1, n), parents)), shape=(n, n))
    return sp.csr_array(half + half.T)


@pytest.mark.parametrize("seed", range(3))
def test_betweenness_is_that_of_networkx(seed: int) -> None:
    graph = trees(seed, 60)
    other = nx.betweenness_centrality(nx.from_scipy_sparse_array(graph), weight="weight")
    assert betweenness(graph) == pytest.approx([other[i] for i in range(60)])


def test_betweenness_of_many_is_near_with_fewer_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = trees(1, 400)
    exact = betweenness(graph)
    monkeypatch.setattr("aggregator.decisions.criticality.VISITS_MAX", 40_000)  # a hundred sources
    found = betweenness(graph)
    assert not np.array_equal(found, exact)
    assert np.corrcoef(found, exact)[0, 1] > 0.99
    assert np.argmax(found) in np.argsort(-exact)[:3]


def test_the_pond_that_all_others_drain_over_is_critical() -> None:
    example = module_of("blueprint").example()
    found = criticality("blueprint", example, [Risk("pond-1", "pump out of order", 0.1, 50.0, "repair it")])
    assert found[0].asset == "pond-1"
    assert found[0].loss == 50.0
    ways = {one.asset: (one.betweenness, one.cut_off) for one in found}
    assert max(ways, key=lambda asset: ways[asset]) == "pond-2"
    assert ways["pond-0"] == (0.0, 0.0)
    assert ways["pond-2"][1] == pytest.approx(0.4)  # pond 0 and 1 are parted from 3, 4 and 5
