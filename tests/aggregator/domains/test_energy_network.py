"""Power flows: against the textbook, against each other, and when there is no solution."""

import numpy as np
import pytest

from aggregator.domains.energy import Domain, asset, build, example
from aggregator.domains.energy.network import rows_of
from aggregator.domains.energy.observe import injected
from aggregator.twin import BadModel, Floats
from aggregator.twin.part import Part
from tests.aggregator.domains.test_energy_grid import SETTINGS, street


def test_one_cable_is_the_textbook() -> None:
    """|V₂|⁴ + (2 (P R + Q X) - V₁²) |V₂|² + (P² + Q²)(R² + X²) = 0 for a line without capacitance."""
    domain = build(Part("energy", street(), [], SETTINGS))
    x = domain.prior(0).x
    P, Q, V, R, X = 20_000.0, 6_000.0, 400.0, 0.1, 0.05
    x[:] = P, Q, V
    flows = domain.flows(x[:, None], 0)
    b, c = 2 * (P * R + Q * X) - V**2, (P**2 + Q**2) * (R**2 + X**2)
    expected = np.sqrt((-b + np.sqrt(b**2 - 4 * c)) / 2)
    amps = np.hypot(P, Q) / (np.sqrt(3) * expected)
    assert flows.voltage[1, 0] == pytest.approx(expected, rel=1e-9)
    assert flows.line["current"][0, 0] == pytest.approx(amps, rel=1e-9)
    assert flows.line_loading[0, 0] == pytest.approx(amps, rel=1e-9)  # of 100 A
    assert flows.line["active_power"][0, 0] == pytest.approx(P + 3 * amps**2 * R, rel=1e-9)
    assert flows.source["active_power"][0, 0] == pytest.approx(P + 3 * amps**2 * R, rel=1e-6)


def case(domain: Domain) -> tuple[Floats, tuple[Floats, Floats, Floats]]:
    x = domain.prior(70).x
    P, Q = (one[:, 0] for one in injected(domain.grid, x[:, None], domain.inputs.at("pumping", 70)))
    return x, (P, Q, x[domain.grid.layout["source", "voltage"]])


def test_every_loss_is_the_grid_without_that_line() -> None:
    domain = example()
    x, injections = case(domain)
    lost = domain.network(domain.grid.as_built).without("line", *injections)
    for place in range(domain.grid.count("line")):
        domain.inputs.put("line_out", 70, np.eye(domain.grid.count("line"))[place])
        alone = domain.flows(x[:, None], 70)
        assert np.array_equal(alone.supplied[:, 0], lost.supplied[:, place])
        assert np.allclose(alone.voltage[:, 0], lost.voltage[:, place], atol=1e-5)
        assert np.allclose(alone.line_loading[:, 0], lost.line_loading[:, place], atol=1e-5)


def test_a_member_that_the_grid_cannot_carry_is_told() -> None:
    domain = build(Part("energy", street(), [], SETTINGS))
    x = domain.prior(0).x
    x[0] = 5e6
    both = np.column_stack([domain.prior(0).x, x])
    assert domain.flows(both, 0).supplied.tolist() == [[True, False], [True, False]]
    with pytest.raises(BadModel, match="more is taken than the grid can carry"):
        domain.sensitivities(x, 0)


def test_a_loss_that_nothing_survives_leaves_nothing_supplied() -> None:
    """Two cables carry what one cannot: without the other, the voltage collapses."""
    second = asset("other", "line", ("a", "b"), r_ohm=0.1, x_ohm=0.05, rated_a=100.0)
    domain = build(Part("energy", [*street(), second], [], SETTINGS))
    network = domain.network(domain.grid.as_built)
    injections = np.array([0.0, 500e3]), np.zeros(2), np.array([400.0])
    P, Q, V = (one[:, None] for one in injections)
    assert network.solve(P, Q, V).supplied.all()
    assert not network.without("line", *injections).supplied.any()


def test_rows_are_where_they_are_said_to_be() -> None:
    domain = example()
    flows = domain.flows(domain.prior(70).x[:, None], 70)
    stacked, rows = flows.stacked(), rows_of(domain.grid)
    for key, expected in (
        (("bus", "voltage"), flows.voltage),
        (("line", "current"), flows.line["current"]),
        (("transformer", "active_power"), flows.transformer["active_power"]),
        (("source", "reactive_power"), flows.source["reactive_power"]),
        (("line", "loading"), flows.line_loading),
        (("transformer", "loading"), flows.transformer_loading),
    ):
        assert np.array_equal(stacked[rows[key]], expected)


def test_pumps_are_taken_on_top() -> None:
    domain = example()
    x = domain.prior(70).x
    before = domain.flows(x[:, None], 70).source["active_power"][0, 0]
    pumps = np.zeros(domain.grid.count("bus"))
    pumps[domain.grid.place["box-2"]] = 5000.0
    domain.inputs.put("pumping", 70, pumps)
    after = domain.flows(x[:, None], 70).source["active_power"][0, 0]
    assert 5000 < after - before < 5400
