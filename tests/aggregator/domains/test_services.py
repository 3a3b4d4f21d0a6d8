"""Services: tours, sites, leaks and hydraulics against brute force and EPANET; pumps that run when power is cheap."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from aggregator.domains import services
from aggregator.domains.services.collection import tours
from aggregator.domains.services.hydraulics import Net, resistance
from aggregator.domains.services.kinds import KINDS, SETTINGS
from aggregator.domains.services.leak import suspects
from aggregator.domains.services.siting import interchange, most_reached, p_median
from aggregator.twin import BadModel
from aggregator.twin.gaussian import Gaussian
from aggregator.twin.part import Asset, Part
from aggregator.twin.series import forecast
from tests.aggregator.domains.battery import experiment

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def far(points: int, seed: int) -> Floats:
    at = np.random.default_rng(seed).uniform(0, 100, (points, 2))
    return np.asarray(np.hypot(*(at[:, None] - at[None]).transpose(2, 0, 1)), np.float64)


@pytest.mark.parametrize("seed", range(4))
def test_no_tour_is_shorter(seed: int) -> None:
    """Five stops, two trucks that take three each: all ways to split and order them."""
    distance, load = np.round(far(6, seed)), np.ones(5)

    def length(stops: tuple[int, ...]) -> float:
        way = [0, *(one + 1 for one in stops), 0]
        return float(sum(distance[a, b] for a, b in itertools.pairwise(way)))

    best = min(
        length(order[:cut]) + length(order[cut:]) for order in itertools.permutations(range(5)) for cut in (2, 3)
    )
    found = tours(distance, load, 3.0, 2, 0.5, seed)
    assert found.feasible
    assert found.cost == best
    assert sorted(stop for stops in found.stops for stop in stops) == list(range(5))


def test_tours_that_cannot_be_driven_are_told() -> None:
    with pytest.raises(BadModel, match="too few"):
        tours(far(4, 0), np.full(3, 2.0), 2.0, 2, 0.1)
    with pytest.raises(BadModel) as told:
        tours(far(3, 0), np.full(3, np.nan), 2.0, 2, 0.1)
    assert len(str(told.value).splitlines()) == 2


@pytest.mark.parametrize("seed", range(6))
def test_no_sites_are_better(seed: int) -> None:
    distance, weight = far(12, seed), np.random.default_rng(seed).uniform(1, 5, 12)
    cost = distance * weight[:, None]
    best = min(cost[:, list(some)].min(axis=1).sum() for some in itertools.combinations(range(12), 3))
    found = p_median(distance, 3, 20.0, weight)
    assert found.optimal
    assert found.cost == pytest.approx(best)
    assert found.bound == pytest.approx(best, rel=1e-4)
    swapped = interchange(cost, 3)
    for out, into in itertools.product(swapped.open, set(range(12)) - set(swapped.open)):
        other = [one for one in swapped.open if one != out] + [into]
        assert cost[:, other].min(axis=1).sum() >= swapped.cost - 1e-9  # no swap gains anything
    reach = (distance < 30).astype(np.float64)
    most = max(weight[reach[:, list(some)].any(axis=1)].sum() for some in itertools.combinations(range(12), 2))
    assert most_reached(reach, weight, 2, 20.0).cost == pytest.approx(most)


def grid(side: int) -> tuple[Net, Floats, Floats]:
    """Streets of a town with one reservoir at a corner; demands m3/s, elevations at 0."""
    at = np.arange(side * side).reshape(side, side)
    pairs = [
        *zip(at[:, :-1].ravel(), at[:, 1:].ravel(), strict=True),
        *zip(at[:-1].ravel(), at[1:].ravel(), strict=True),
    ]
    noise = np.random.default_rng(2)
    start, end = (np.array([one[i] for one in pairs]) for i in (0, 1))
    R = resistance(
        noise.uniform(80, 150, len(pairs)), noise.choice([0.1, 0.15, 0.2], len(pairs)), np.full(len(pairs), 120.0)
    )
    net = Net(side * side, start, end, R, np.zeros(len(pairs)), np.array([0]))
    demand = noise.uniform(0.0002, 0.0008, side * side)
    demand[0] = 0.0
    return net, demand, np.array([60.0])


def test_water_balances_and_bends_as_it_says() -> None:
    """Mass at every node; each demand's effect against a small difference of the full equations."""
    net, demand, head = grid(5)
    flow = net.solved(demand, head)
    assert (net.B.T @ flow.q)[net.free] == pytest.approx(-demand[net.free], abs=1e-6)
    loss, _ = net.loss(flow.q)
    assert net.B @ flow.head == pytest.approx(loss, abs=1e-3)
    nodes = np.array([7, 24])
    slopes = flow.by_demand(nodes)
    for node in (3, 12, 24):
        more = demand.copy()
        more[node] += 1e-5
        assert slopes[:, node] == pytest.approx(
            (net.solved(more, head).head[nodes] - flow.head[nodes]) / 1e-5, rel=0.02
        )
    raised = net.solved(demand, head + 0.1).head - flow.head
    assert flow.by_head()[:, 0] * 0.1 == pytest.approx(raised, abs=1e-4)


def test_it_is_what_epanet_finds(tmp_path: Path) -> None:
    wntr = pytest.importorskip("wntr")
    net, demand, head = grid(4)
    model = wntr.network.WaterNetworkModel()
    model.options.hydraulic.headloss = "H-W"
    model.options.time.duration = 0
    model.add_reservoir("0", base_head=float(head[0]))
    for node in net.free:
        model.add_junction(str(node), base_demand=float(demand[node]), elevation=0.0)
    noise = np.random.default_rng(2)
    lengths = noise.uniform(80, 150, len(net.start))
    diameters = noise.choice([0.1, 0.15, 0.2], len(net.start))
    for i, (start, end) in enumerate(zip(net.start, net.end, strict=True)):
        model.add_pipe(f"p{i}", str(start), str(end), float(lengths[i]), float(diameters[i]), 120.0)
    same = Net(
        net.nodes, net.start, net.end, resistance(lengths, diameters, np.full(len(lengths), 120.0)), net.gain, net.fixed
    )
    found = wntr.sim.EpanetSimulator(model).run_sim(file_prefix=str(tmp_path / "run")).node["head"].iloc[0]
    ours = same.solved(demand, head).head
    assert [ours[int(name)] for name in found.index] == pytest.approx(found.to_numpy(), abs=0.02)


def test_a_leak_is_found_near_where_it_is_and_nowhere_when_there_is_none() -> None:
    net, demand, head = grid(7)
    sensors, flow = np.array([6, 16, 24, 32, 42, 48]), net.solved(demand, head)
    slopes, doubt = np.repeat(flow.by_demand(sensors)[None], 24, axis=0), np.tile(0.1 * demand, (24, 1))
    near = []
    for seed in range(8):
        noise = np.random.default_rng(seed)
        node = int(noise.choice(net.free))
        told = []
        for _ in range(24):
            taken = demand * noise.normal(1, 0.1, len(demand))
            taken[node] += 0.004
            told.append(net.solved(taken, head).head[sensors] + noise.normal(0, 0.05, len(sensors)))
        residual = np.array(told) - flow.head[sensors]
        found = suspects(residual, slopes, doubt, 0.05, net.free)
        near.append(np.abs(np.array(divmod(int(found.nodes[0]), 7)) - np.array(divmod(node, 7))).sum())
        assert found.probability.sum() == pytest.approx(1.0)
        assert node in found.within(0.999)
    assert np.median(near) <= 2  # blocks
    calm = np.random.default_rng(1).normal(0, 0.05, (24, len(sensors)))
    assert len(suspects(calm, slopes, doubt, 0.05, net.free).within(0.9)) > len(net.free) / 4


def test_pumps_run_when_power_is_cheap_and_no_tank_runs_low() -> None:
    """From noon on over a night: the plan costs less than pumps that always run, and the reserve stays."""
    one = services.example()
    k = 1_800_000_000 * 10**9 // one.dt_ns
    plan = one.plan(one.prior(k), 48, 20.0)
    assert plan.status in ("optimal", "feasible")
    assert plan.gain >= 0
    assert set(np.unique(plan.u)) <= {0.0, 1.0}


def test_without_supply_the_pump_stands_and_the_tank_falls() -> None:
    one = services.example()
    k = 1_800_000_000 * 10**9 // one.dt_ns
    running = forecast(one, Gaussian(), one.prior(k), 24)
    one.inputs.put("outage", k, np.ones(1))
    dark = forecast(one, Gaussian(), one.prior(k), 24)
    assert dark.mean[-1, 0] < running.mean[-1, 0] - 0.05
    assert one.gives(one.prior(k).x, k + 1)["pump_power"].tolist() == [0.0]
    worst = one.contingencies(one.prior(k), running)
    assert {risk.asset for risk in worst} == {"works", "p-hill", "p-01", "p-12", "p-20"}


def test_bad_parts_are_told_all_at_once() -> None:
    def filled(kind: str, id_: str, **values: float) -> Asset:
        keys = KINDS[kind].keys
        return Asset(id_, kind, {name: values.get(name, key.default or 0.0) for name, key in keys.items()})

    settings = {name: key.default or 0.0 for name, key in SETTINGS.items()}
    assets = [filled("water_junction", "lonely"), filled("tank", "flat", area_m2=1.0, low_m=3.0, high_m=2.0)]
    with pytest.raises(BadModel) as told:
        services.build(Part("services", assets, [], settings))
    assert len(str(told.value).splitlines()) == 2
    with pytest.raises(BadModel, match="nothing to follow"):
        services.build(Part("services", [], [], settings))


def test_the_table_beside_the_code_is_what_comes_out() -> None:
    """EXPERIMENT.md: RMSE over prior spread of analysis, forecast and climatology."""
    found = experiment(services.example(), Gaussian(gate=np.inf))
    assert services.__file__ is not None
    text = (Path(services.__file__).parent / "EXPERIMENT.md").read_text()
    row = next(line for line in text.splitlines() if line.startswith("| exact"))
    told = [float(cell) for cell in row.split("|")[2:5]]
    assert told == pytest.approx([found.analysis, found.forecast, found.blind], abs=0.006)
