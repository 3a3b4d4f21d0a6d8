"""A grid is built from a city's part or told off for all its faults at once; what is joined, what is dark."""

import numpy as np
import pytest

from aggregator.domains import energy
from aggregator.domains.energy import asset, build, example
from aggregator.twin import BadModel
from aggregator.twin.part import Asset, Part, Wire

SETTINGS = {name: key.default for name, key in energy.SETTINGS.items() if key.default is not None}


def street() -> list[Asset]:
    """A source, two buses, a cable."""
    return [
        asset("a", "bus", rated_v=400.0),
        asset("b", "bus", rated_v=400.0),
        asset("feed", "source", bus="a"),
        asset("cable", "line", ("a", "b"), r_ohm=0.1, x_ohm=0.05, rated_a=100.0),
        asset("home", "load", bus="b", mean_w=3000.0),
    ]


def told(assets: list[Asset], wires: list[Wire] | None = None, **settings: float) -> list[str]:
    with pytest.raises(BadModel) as fault:
        build(Part("energy", assets, wires or [], SETTINGS | settings))
    return str(fault.value).splitlines()


def test_faults_of_ends_are_told_all_at_once() -> None:
    bad = [
        *[one for one in street() if one.kind != "source"],
        asset("lost", "load", bus="nowhere", mean_w=1.0),
        asset("loop", "line", ("a", "a"), r_ohm=0.1, x_ohm=0.1, rated_a=1.0),
        asset("odd", "switch", ("cable", "cable")),
    ]
    lines = told(bad)
    assert [one.partition(":")[0] for one in lines] == ["a", "lost", "loop", "odd"]
    assert "no source" in lines[0]


def test_faults_of_values_are_told_all_at_once() -> None:
    bad = [
        *street(),
        asset("high", "bus", rated_v=10_000.0),
        asset("alone", "bus", rated_v=400.0),
        asset("mixed", "line", ("b", "high"), r_ohm=0.1, x_ohm=0.1, rated_a=1.0),
        asset("nothing", "line", ("a", "b"), r_ohm=0.0, x_ohm=0.0, rated_a=1.0),
        asset("turned", "transformer", ("b", "high"), rated_va=1e5, from_v=1e4, to_v=400.0, copper_w=1e5),
    ]
    lines = told(bad)
    assert [one.partition(":")[0] for one in lines] == ["mixed", "nothing", "turned", "turned", "turned", "alone"]


def test_faults_of_settings_and_orders() -> None:
    hasty = asset("bays", "charger", bus="b", rated_w=1000.0, energy_wh=20_000.0)
    twice = [Wire(f"gw/bays/{i}", "bays", "active_power", 0.0, does="sets") for i in range(2)]
    lines = told([*street(), hasty], twice, step_s=700.0)
    assert [one.partition(":")[0] for one in lines] == ["energy", "bays", "bays"]
    assert told(street()[:-1]) == ["energy: nothing takes or gives power; write loads"]


def test_what_is_open_is_dark_and_a_ring_brings_it_back() -> None:
    grid = example().grid
    out, none = np.zeros(grid.count("line")), np.zeros(grid.count("transformer"))
    assert not grid.dark(grid.as_built).any()
    out[grid.place["cable-12"]] = 1.0
    still = np.zeros(grid.count("switch"))
    dark = grid.dark(grid.standing(out, none, still))
    assert [one.id for one, is_ in zip(grid.assets["bus"], dark, strict=True) if is_] == ["box-2", "box-3"]
    assert not grid.dark(grid.standing(out, none, still + 1.0)).any()


def test_switches_join_buses_and_cut_branches() -> None:
    joined = [
        *street(),
        asset("c", "bus", rated_v=400.0),
        asset("coupler", "switch", ("b", "c")),
        asset("breaker", "switch", ("b", "cable")),
    ]
    domain = build(Part("energy", joined, [], SETTINGS))
    flows = domain.flows(domain.prior(0).x[:, None], 0)
    assert flows.voltage[1, 0] == flows.voltage[2, 0] > 0
    domain.inputs.put("moved", 0, np.array([0.0, 1.0]))
    assert domain.gives(domain.prior(0).x, 0)["outage"].tolist() == [0.0, 1.0, 1.0]
    domain.inputs.put("moved", 0, np.array([1.0, 0.0]))
    assert domain.gives(domain.prior(0).x, 0)["outage"].tolist() == [0.0, 0.0, 1.0]


def test_meters_stand_at_states() -> None:
    """A bus without a state of its own stands for the nearest that has one; a gateway holds what its meters see."""
    domain = example()
    at = domain.grid.at_bus[domain.places]
    boxes = [domain.grid.assets["bus"][place].id for place in at]
    assert boxes[domain.channels.index("gw-1/meter/u")] == "box-3"
    assert boxes[domain.channels.index("gw-0/trafo/u")] in {"grid", "box-1", "box-4"}
    held = [domain.states[place].asset for place in domain.edge_view("gw-1")]
    assert {"load-3", "store"} <= set(held)
    assert len(domain.edge_view("gw-9")) == 0
