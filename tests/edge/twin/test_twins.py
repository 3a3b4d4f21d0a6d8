"""Twins on a process image: what they show, how they coast, how they are swapped, how they come to doubt."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_agent.cell import TwinSpec
from edge_agent.image import View
from edge_agent.twin.doubt import IN_MIN, OUT_MAX
from edge_agent.twin.fleet import CATCH_UP_MAX, ESTIMATED, UNKNOWN
from edge_agent.twin.forecast import Forecast
from edge_agent.twin.points import points_of, wrong_with
from edge_agent.twin.predictor import TwinPredictor
from edge_agent.twin.twins import Twins
from protos.bundle import Bundle
from protos.quality import Quality, Reason, code
from tests.edge.twin.setting import BAD, PERIOD_NS, S, Site, opened, spec_of, tank
from tests.simulators.bundles import other_tank, tank_bundle

STUCK, CLOCK = code(Quality.UNCERTAIN, Reason.STUCK), code(Quality.UNCERTAIN, Reason.CLOCK)


@pytest.fixture(params=[False, True], ids=["linear", "int8"])
def bundle(request: pytest.FixtureRequest, tmp_path: Path) -> Bundle:
    return tank(tmp_path, network=request.param)


def test_it_finds_the_level_and_the_inflow_that_nobody_measures(bundle: Bundle) -> None:
    site = Site([bundle])
    site.tick(600)
    assert site.value("twin-0/level") == pytest.approx(site.level[0], abs=2e-3)
    assert site.value("twin-0/inflow") == pytest.approx(25.0, abs=4 * site.value("twin-0/inflow_sd"))
    assert site.value("twin-0/level_sd") < 1e-3, "surer than the sensor"
    assert site.code("twin-0/level") == site.code("twin-0/inflow") == ESTIMATED
    assert 0.5 < site.value("twin-0/nis") < 2.0
    assert site.value("twin-0/coasting") == 0.0
    assert site.value("twin-0/network") == float(bundle.network is not None)


def test_points_are_those_that_were_announced(bundle: Bundle) -> None:
    shown = points_of(spec_of(), bundle)
    assert list(shown) == ["level", "inflow", "level_sd", "inflow_sd", "nis", "coasting", "network"]
    assert shown["inflow_sd"] == "water_flow"


def test_before_anything_was_measured_it_knows_nothing(bundle: Bundle) -> None:
    site = Site([bundle])
    site.silent = {"tank-0", "pump-0"}
    site.tick(3)
    assert site.code("twin-0/level") == site.code("twin-0/inflow") == UNKNOWN
    assert site.value("twin-0/level_sd") == pytest.approx(4 / 12**0.5)
    site.silent = set()
    site.tick(1)
    assert site.code("twin-0/level") == ESTIMATED
    assert site.value("twin-0/level_sd") < 2e-3


@pytest.mark.parametrize("how", ["silent", "BAD", "stuck", "NaN"])
def test_a_sensor_that_fails_is_coasted_over(bundle: Bundle, how: str) -> None:
    """Whatever the sensor says meanwhile; the sd grows, the true level stays within it, and it comes back."""
    site = Site([bundle])
    site.tick(900)
    lost = {"BAD": (9.0, BAD), "stuck": (site.level[0], STUCK), "NaN": (np.nan, 0)}
    if how == "silent":
        site.silent = {"tank-0"}
        site.tick(3)  # until it is stale
    else:
        site.said["tank-0"] = lost[how]
    sd = []
    for _ in range(30):
        site.tick(10)
        sd.append(site.value("twin-0/level_sd"))
    assert (np.diff(sd) > 0).all()
    assert sd[-1] > 5 * sd[0]
    assert abs(site.value("twin-0/level") - site.level[0]) < 4 * sd[-1]
    assert site.value("twin-0/coasting") == pytest.approx(30.0, abs=0.5)
    assert site.code("twin-0/level") == ESTIMATED
    site.silent, site.said = set(), {}
    site.tick(300)
    assert site.value("twin-0/coasting") == 0.0
    assert site.value("twin-0/level_sd") < 1e-3
    assert site.twins.health()["twin-0.settled"] == 1.0


def test_a_clock_in_doubt_is_no_doubt_about_the_level(bundle: Bundle) -> None:
    site = Site([bundle])
    site.said["tank-0"] = (1.7, CLOCK)
    site.tick(10)
    assert site.value("twin-0/coasting") == 0.0


def test_coasting_for_days_ends_in_knowing_nothing(tmp_path: Path) -> None:
    site = Site([tank(tmp_path, period_ms=60_000)], stale_ns=180 * S)
    site.tick(50, 60 * S)
    site.silent = {"tank-0", "pump-0"}
    site.tick(200, 60 * S)
    assert site.code("twin-0/level") == UNKNOWN
    fleet = site.twins.fleets[0]
    assert (fleet.filter.variance() <= fleet.filter.largest * (1 + 1e-9)).all()
    assert np.isfinite(fleet.filter.x).all()


def test_an_input_that_is_lost_is_held_and_widens_the_estimate(bundle: Bundle) -> None:
    site = Site([bundle])
    site.speed[:] = 70.0
    site.tick(900)
    site.silent = {"pump-0", "tank-0"}
    site.tick(4)
    began = site.value("twin-0/level_sd")
    site.tick(300)
    assert site.value("twin-0/level") == pytest.approx(site.level[0], abs=1e-3), "held at 70, where it still is"
    drift = 30 / 3600 / 2 * 0.36 * 20.0  # half a minute of 20 % more or less
    assert site.value("twin-0/level_sd") == pytest.approx(drift, rel=0.5)
    assert site.value("twin-0/level_sd") > 5 * began


def test_a_sample_counts_once(bundle: Bundle) -> None:
    """A level that comes once a second is one measurement, not ten."""
    often, seldom = Site([bundle], stale_ns=3 * S), Site([bundle], stale_ns=3 * S)
    often.tick(200)
    for _ in range(20):
        seldom.silent = {"tank-0"}
        seldom.tick(9)
        seldom.silent = set()
        seldom.tick(1)
    assert seldom.value("twin-0/coasting") == 0.0
    assert seldom.value("twin-0/level_sd") > 1.5 * often.value("twin-0/level_sd")
    assert 0.4 < seldom.value("twin-0/nis") < 2.5


def test_slower_than_the_loop(tmp_path: Path) -> None:
    site = Site([tank(tmp_path, period_ms=1000)])
    given = [len(site.tick(1)) for _ in range(100)]
    assert set(np.diff(np.flatnonzero(given)[1:])) == {10}


def test_faster_than_the_loop(tmp_path: Path) -> None:
    site = Site([tank(tmp_path)], stale_ns=10 * S)
    for _ in range(100):
        assert len(site.tick(1, 5 * PERIOD_NS)) == 1
    assert site.twins.health()["twin-0.steps_total"] == pytest.approx(500, abs=5)
    assert site.value("twin-0/level") == pytest.approx(site.level[0], abs=3e-3)


def test_ticks_that_are_late_lose_no_step(bundle: Bundle) -> None:
    site = Site([bundle])
    random = np.random.default_rng(4)
    start = site.now_ns
    for k in range(1, 200):
        now = start + k * PERIOD_NS + int(random.integers(-PERIOD_NS // 3, PERIOD_NS // 3))
        site.tick(1, now - site.now_ns)
    assert site.twins.health()["twin-0.steps_total"] == pytest.approx(199, abs=1)


def test_after_a_long_pause_it_begins_anew(bundle: Bundle) -> None:
    site = Site([bundle])
    site.tick(300)
    before = site.value("twin-0/level_sd")
    site.tick(1, (CATCH_UP_MAX + 5) * PERIOD_NS)
    assert site.twins.health()["twin-0.steps_total"] == 301
    assert site.value("twin-0/level_sd") > before
    assert site.value("twin-0/level") == pytest.approx(site.level[0], abs=5e-3)


def test_many_of_one_bundle_are_one_fleet_and_each_as_if_alone(tmp_path: Path) -> None:
    bundle, other = tank(tmp_path, network=True), tank(tmp_path, network=False)
    together = Site([bundle, other, bundle, bundle])
    assert sorted(len(fleet.members) for fleet in together.twins.fleets) == [1, 3]
    alone = [Twins([(spec, one)], together.ports, {spec.name: together.layouts[spec.name]})
             for spec, one in zip(together.specs, [bundle, other, bundle, bundle], strict=True)]  # fmt: skip
    together.silent = {"tank-2"}
    for k in range(50):
        together.silent = {"tank-2"} if 20 <= k < 40 else set()
        frames = {frame.layout.device: frame.values for frame in together.tick(1)}
        view = together.image.freeze(together.now_ns)
        for spec, twins in zip(together.specs, alone, strict=True):
            np.testing.assert_allclose(twins.step(view, view.now_ns)[0].values, frames[spec.name], rtol=1e-5, atol=1e-9)


def test_a_channel_that_is_measured_nowhere_is_a_virtual_sensor(tmp_path: Path) -> None:
    """A flow meter that this site does not have: its estimate carries its own standard deviation."""
    bundle = with_flow_meter(tmp_path)
    spec = spec_of()
    shown = points_of(spec, bundle)
    assert "meter" in shown
    assert "meter_sd" in shown
    site = Site([bundle])
    site.tick(600)
    assert site.value("twin-0/meter") == pytest.approx(25.0, abs=4 * site.value("twin-0/meter_sd"))
    assert site.value("twin-0/meter_sd") == pytest.approx(site.value("twin-0/inflow_sd"))
    assert site.code("twin-0/meter") == ESTIMATED
    measured = replace(spec, points=dict(spec.points) | {"meter": "tank-0/meter"})
    assert "meter" not in points_of(measured, bundle)


def with_flow_meter(folder: Path) -> Bundle:
    from aggregator.learning.bundling import make
    from protos.model import Variable
    from tests.simulators.bundles import CARD, signing_key, tank_linear, tank_manifest

    manifest = tank_manifest()
    channels = (*manifest.channels, Variable.of("meter", "water_flow"))
    linear = tank_linear()
    two = replace(linear, H=np.eye(2), R=np.diag([1e-6, 0.04]), y0=linear.x0)
    path = folder / "meter.ctb"
    path.write_bytes(make(replace(manifest, channels=channels), two, card=CARD, keys=[signing_key()]))
    return opened(path)


def test_a_swap_is_no_bump(tmp_path: Path) -> None:
    """From linear to int8 and on: estimate, sd and inflow go on; the old one may step beside."""
    site = Site([tank(tmp_path)])
    site.tick(600)
    level, inflow, sd = (site.value(f"twin-0/{point}") for point in ("level", "inflow", "inflow_sd"))
    new, old = site.build([tank(tmp_path, network=True, version="2")]), site.twins
    predictor = old.predictor("twin-0")
    new.prepare_like(old)
    new.take_over(old)
    new.lead(old)
    site.twins = new
    site.tick(1)
    assert site.value("twin-0/level") == pytest.approx(level, abs=2e-3)
    assert site.value("twin-0/inflow") == pytest.approx(inflow, abs=1.0)
    assert site.value("twin-0/inflow_sd") == pytest.approx(sd, rel=0.1)
    assert new.predictor("twin-0") is predictor, "controllers hold on to it"
    assert predictor is not None
    assert predictor.bundle.manifest.version == "2"
    beside = old.predictor("twin-0")
    assert beside is not None
    assert beside.bundle.manifest.version == "1"
    old.step(site.image.freeze(site.now_ns), site.now_ns)


def test_without_taking_over_there_is_a_bump(tmp_path: Path) -> None:
    """Negative control."""
    site = Site([tank(tmp_path)])
    site.tick(600)
    sd = site.value("twin-0/inflow_sd")
    site.twins = site.build([tank(tmp_path, network=True, version="2")])
    site.tick(1)
    assert site.value("twin-0/inflow_sd") > 5 * sd


def stepped(model: TwinPredictor, x: np.ndarray, u: np.ndarray) -> np.ndarray:
    """What one step of one candidate changes, with these inputs."""
    out = np.zeros_like(x, np.float32)
    model.ahead(len(x), x[0], u[0], [0])(np.zeros((len(x), 1), np.float32), out)
    return out


def test_steps_ahead_are_those_of_the_forecast(bundle: Bundle) -> None:
    """Over ten steps, as far as an int8 network can tell: a sum that rounds the other way is one step of its output."""
    forecast, model = Forecast(bundle, 5), TwinPredictor(bundle)
    network = bundle.manifest.network
    quantum = 0.0 if forecast.network is None else float(np.max(forecast.network.out.scale * bundle.numbers.r_sd))
    assert (network is None) == (quantum == 0.0)
    random = np.random.default_rng(3)
    began, inputs = bundle.numbers.x0 + 0.01, bundle.numbers.u0 + 1.0
    x, out = np.tile(began, (5, 1)), np.zeros((5, forecast.n), np.float32)
    step = model.ahead(5, began, inputs, [0])
    for count in range(1, 11):
        u = random.normal(0, 5.0, (5, 1)).astype(np.float32)
        step(u, out)
        x = forecast(x, inputs + np.pad(u, ((0, 0), (0, forecast.m - 1))))
        np.testing.assert_allclose(out, x - began, rtol=1e-5, atol=1e-6 + 1.01 * count * quantum)


def test_a_network_at_its_limits_is_left_out_and_comes_back(tmp_path: Path) -> None:
    """The pump is driven far beyond what the network has seen: the twin is linear, says so, and still right."""
    site = Site([tank(tmp_path, network=True)])
    site.tick(100)
    assert site.value("twin-0/network") == 1.0
    site.speed[:] = 140.0
    site.tick(OUT_MAX - 1)
    assert site.value("twin-0/network") == 1.0, "a few do not count"
    site.tick(5)
    assert site.value("twin-0/network") == 0.0
    predictor = site.twins.predictor("twin-0")
    assert predictor is not None
    x, u = np.array([[1.0, 20.0]]), np.array([[50.0]])
    linear = Twins([(site.specs[0], tank(tmp_path))], site.ports, site.layouts).predictor("twin-0")
    assert linear is not None
    np.testing.assert_array_equal(stepped(predictor, x, u), stepped(linear, x, u))
    site.tick(100)
    assert site.value("twin-0/level") == pytest.approx(site.level[0], abs=2e-3)
    site.speed[:] = 50.0
    site.tick(IN_MIN - 5)
    assert site.value("twin-0/network") == 0.0, "it does not flutter"
    site.tick(20)
    assert site.value("twin-0/network") == 1.0
    assert np.abs(stepped(predictor, x, u) - stepped(linear, x, u)).max() > 0
    assert site.twins.tally("twin-0").outside > 100


def test_tallies_are_since_the_last_time(bundle: Bundle) -> None:
    site = Site([bundle])
    site.tick(100)
    first = site.twins.tally("twin-0")
    assert (first.steps, first.nan, first.outside) == (100, 0, 0)
    site.tick(200)
    second = site.twins.tally("twin-0")
    assert second.steps == 200
    assert second.squares["level"] == pytest.approx(1e-6, rel=0.5), "what the sensor adds, and a little more"
    assert 0.5 < second.nis < 1.5
    assert second.residual({"level": 1e-3}) == pytest.approx(second.squares["level"] / 1e-6)
    assert site.twins.scales("twin-0") == {"level": pytest.approx(1e-3)}
    empty = site.twins.tally("twin-0")
    assert empty.steps == 0
    assert np.isnan(empty.nis)
    assert np.isnan(empty.residual({"level": 1.0}))


def test_a_wrong_model_shows_in_its_nis(tmp_path: Path) -> None:
    """Negative control of the calibration: a twin of a tank a hundredth as wide."""
    wrong = opened(tank_bundle(tmp_path / "wrong.ctb", area_m2=0.02))
    site = Site([wrong])
    site.speed[:] = 0.0
    site.tick(30)
    for k in range(300):
        site.speed[:] = 100.0 if k % 40 < 20 else 0.0
        site.tick(1)
    assert site.twins.tally("twin-0").nis > 3.0


def test_a_number_beyond_all_reason_is_no_number(bundle: Bundle) -> None:
    """A setting of 1e300 came through: estimates stay finite, and the twin is right again when it is gone."""
    site = Site([bundle])
    site.tick(50)
    site.said["pump-0"] = (1e300, 0)
    site.tick(20)
    assert np.isfinite(site.image.values[site.layouts["twin-0"].span]).all()
    site.said = {}
    site.tick(300)
    assert site.value("twin-0/level") == pytest.approx(site.level[0], abs=3e-3)


def test_one_step_without_numbers_does_not_blind_the_tally(bundle: Bundle) -> None:
    """Neither NaN for ever nor a NIS that takes hours to come down."""
    site = Site([bundle])
    site.tick(50)
    site.twins.fleets[0].filter.x[0] = np.nan
    site.tick(1)
    assert site.twins.tally("twin-0").nan == 1
    site.said["tank-0"] = (1e150, 0)
    site.tick(1)
    site.said = {}
    site.tick(300)
    site.twins.tally("twin-0")
    site.tick(100)
    assert 0.5 < site.twins.tally("twin-0").nis < 2.0
    site.tick(700)
    assert 0.5 < site.value("twin-0/nis") < 2.0
    assert site.value("twin-0/level") == pytest.approx(site.level[0], abs=2e-3)


def test_a_step_that_raises_costs_this_twin_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It counts as steps without numbers, so that the model is taken back."""
    site = Site([tank(tmp_path, version="1"), tank(tmp_path, version="2")])
    site.tick(10)
    site.twins.tally("twin-0")
    broken = site.twins.fleets[0]
    whole = broken.sensing.look

    def invoke(*_: object) -> None:
        raise RuntimeError("failed to invoke")

    broken.sensing.look = invoke  # type: ignore[method-assign, assignment]
    for _ in range(5):
        assert [frame.layout.device for frame in site.tick()] == ["twin-1"]
    tally = site.twins.tally("twin-0")
    assert (tally.steps, tally.nan) == (5, 5)
    assert caplog.text.count("twin twin-0: its step failed: RuntimeError: failed to invoke") == 1
    broken.sensing.look = whole  # type: ignore[method-assign]
    assert len(site.tick()) == 2
    assert site.twins.tally("twin-0").nan == 0


def test_a_view_is_not_changed(bundle: Bundle) -> None:
    site = Site([bundle])
    site.tick(5)
    view = site.image.freeze(site.now_ns + PERIOD_NS)
    copy = View(view.now_ns, view.values.copy(), view.codes.copy(), view.age_ns.copy())
    site.twins.step(view, view.now_ns)
    for name in ("values", "codes", "age_ns"):
        np.testing.assert_array_equal(getattr(view, name), getattr(copy, name))


def test_every_fault_of_a_file_at_once(tmp_path: Path) -> None:
    known = {"tank-0/level": "water_level", "tank-0/flow": "water_flow"}
    bundle = tank(tmp_path)
    assert not list(wrong_with(spec_of(), bundle, known | {"pump-0/speed": "pump_speed"}))
    bad = TwinSpec("t", Path("x"), {"level": "tank-0/flow", "cheese": "tank-0/level", "speed": "pump-9/speed"})
    assert [(one.key, one.wrong) for one in wrong_with(bad, bundle, known)] == [
        ("points.level", "is a water_flow"),
        ("points.cheese", "is nothing of tank 1"),
        ("points.speed", "is no point of this gateway"),
    ]
    nothing = TwinSpec("t", Path("x"), {})
    assert [one.wrong for one in wrong_with(nothing, bundle, known)] == ["is missing", "has no channel of the bundle"]
    other = opened(other_tank(tmp_path / "other.ctb"))
    assert {one.key for one in wrong_with(spec_of(), other, known)} == {"points.speed", "points.lift"}
