"""The air: kriging against closed forms, pooled covariance, drift found by neighbours, measures that pay; the table."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aggregator.domains import environment
from aggregator.domains.environment import dynamics
from aggregator.domains.environment.dynamics import Drive
from aggregator.domains.environment.field import assumed, growth, paced, pooled
from aggregator.twin import BadModel, Floats
from aggregator.twin.belief import Belief
from aggregator.twin.gaussian import Gaussian
from aggregator.twin.observation import Observation
from aggregator.twin.part import Asset, Part, Wire
from aggregator.twin.series import forecast
from tests.aggregator.domains.trial import table, tried

GROUPS = {"PM2.5 at stations, ug/m3": np.arange(3), "PM2.5 at cells, ug/m3": np.arange(3, 7)}


def history(one: Any, hours: int, seed: int) -> dict[tuple[str, str], Floats]:
    """Of PM2.5 at the stations, drawn from the field of `one`."""
    air, field = one.air, one.field
    noise = np.random.default_rng(seed).standard_normal((hours, field.factor.shape[1]))
    values = field.mean + noise @ field.factor.T
    return {(air.places[i].id, "pm25"): values[:, i] for i in range(3)}


def test_the_table_is_true() -> None:
    one = environment.example()
    found, nis = tried(one, one, GROUPS, seed=3)
    print(
        "\n".join(f"| {n} | {' | '.join(f'{v:.3g}' for v in row)} |" for n, row in zip(GROUPS, found, strict=True)), nis
    )
    assert found == pytest.approx(table(environment), rel=0.02)
    assert (found[:, 1] < found[:, 0]).all()
    assert (found[:, 0] < found[:, 2]).all()
    assert 0.8 < nis < 1.25


def test_a_twin_that_is_too_sure_is_found_out() -> None:
    """Negative control: a field that is told it hardly varies."""
    one, sure = environment.example(), environment.example()
    sure.field = replace(sure.field, C=sure.field.C / 25, factor=sure.field.factor / 5)
    assert tried(one, sure, GROUPS, seed=3)[1] > 1.25


def test_the_virtual_reference_is_kriging_with_each_left_out() -> None:
    """One solve for all gives what leaving out each in turn gives."""
    one = environment.example()
    channel = np.arange(3)
    y = one.field.mean[:3] * np.array([1.2, 0.9, 1.6])
    found = one.reference(channel, y)
    at = one.places[channel]
    s = one.field.level(
        np.concatenate([np.full(7, one.field.mean[:7].mean() * y.mean() / one.field.mean[:3].mean())] * 2)
    )
    K = s[0] ** 2 * one.field.C[np.ix_(at, at)] + 4.0 * np.eye(3)
    for i in range(3):
        rest = [j for j in range(3) if j != i]
        w = np.linalg.solve(K[np.ix_(rest, rest)], K[rest, i])
        assert found.mean[i] == pytest.approx(one.field.mean[i] + w @ (y - one.field.mean[:3])[rest])
        assert found.variance[i] == pytest.approx(K[i, i] - w @ K[rest, i])
    assert np.isnan(one.reference(channel[:1], y[:1]).mean).all()


def test_covariance_is_pooled_from_history() -> None:
    """Long history overrules what was assumed; places without it follow in proportion; the rest stays a covariance."""
    one = environment.example()
    truth = replace(one.field, mean=2 * one.field.mean, C=4 * one.field.C, factor=2 * one.field.factor)
    told = environment.example()
    told.field = truth
    found = pooled(one.air, one.field, history(told, 20_000, seed=1))
    assert np.allclose(found.mean[:7], truth.mean[:7], rtol=0.05)
    assert np.allclose(found.C[:7, :7], truth.C[:7, :7], rtol=0.1, atol=0.05 * truth.C.max())
    assert np.linalg.eigvalsh(found.C)[0] > -1e-6 * found.C.max()
    assert pooled(one.air, one.field, {}) is one.field
    short = pooled(one.air, one.field, history(told, 5, seed=1))
    assert np.linalg.eigvalsh(short.C)[0] > -1e-6 * short.C.max()
    with pytest.raises(BadModel):
        pooled(one.air, one.field, {("station-0", "pm25"): np.ones(9), ("station-1", "pm25"): np.ones(8)})


def test_uncertainty_grows_with_the_level_as_history_says() -> None:
    noise = np.random.default_rng(2)
    mean, C = np.full(4, 50.0), 100.0 * (0.5 + 0.5 * np.eye(4))
    level = noise.lognormal(0, 0.5, (5000, 1))
    grows = mean * level + level * (noise.standard_normal((5000, 4)) @ np.linalg.cholesky(C).T)
    steady = mean * level + noise.standard_normal((5000, 4)) @ np.linalg.cholesky(C).T
    whole = C + level.var() * np.outer(mean, mean)
    assert growth(grows, mean, whole) < 0.2
    assert growth(steady, mean, whole) > 0.8


def test_the_pace_of_the_air_is_learned() -> None:
    """A course that was made with a memory and a flushing gives them back, to the nearest that are tried."""
    one = environment.example()
    noise = np.random.default_rng(3)
    wind = np.abs(np.convolve(noise.standard_normal(6000), np.ones(8) / 3, "same")) * 2
    usual, mean, c = one.air.number("wind_usual"), 50.0, [50.0]
    for v in wind[1:]:
        rate = 1 / (96 * 3600) + v / 200e3
        stays = np.exp(-3600 * rate)
        c.append(
            stays * c[-1] + (1 - stays) / rate * (1 / (96 * 3600) + usual / 200e3) * mean + noise.standard_normal()
        )
    found = paced(one.air, one.field, np.array(c), wind)
    assert 100e3 <= found.flushed_m <= 400e3
    assert 48 * 3600 <= found.memory_s <= 192 * 3600


def test_still_air_returns_to_what_is_usual_and_wind_clears_it() -> None:
    one = environment.example()
    one.inputs.put("source_pm25", 0, np.zeros(4))
    one.inputs.put("source_nox", 0, np.zeros(4))
    usual = np.concatenate([one.field.mean, np.zeros(one.n - one.air.values)])
    assert np.allclose(one.f(usual[:, None], one.exogenous(1), 1)[:, 0], usual)
    one.inputs.put("wind_speed", 1, np.full(2, 12.0))
    assert (one.f(usual[:, None], one.exogenous(1), 1)[: one.air.values, 0] < usual[: one.air.values]).all()


def test_sources_act_down_the_wind() -> None:
    """A source between two cells, wind from the west: the eastern one breathes more of it."""
    one = environment.example()
    for k, degrees in ((1, 270.0), (2, 90.0)):
        one.inputs.put("wind_direction", k, np.full(2, degrees))
    one.inputs.put("source_pm25", 0, np.array([0.0, 1e4, 0.0, 0.0]))
    west, east = (
        dynamics.Weather(one.air, one.field, Drive.of(one.exogenous(k), one.air)).sources()[0] for k in (1, 2)
    )
    assert west[5] > west[3]
    assert east[3] > east[5]


def test_a_drift_is_found_by_the_others() -> None:
    one, scheme = environment.example(), Gaussian()
    belief, channel = one.prior(0), np.arange(4)
    noise = np.random.default_rng(4)
    one.air.part.settings["drift_per_day"] = 3.0  # type: ignore[index]
    field = Belief(0, one.field.mean, np.zeros(one.air.values), one.field.factor)
    x = np.concatenate([field.sample(1, 1)[:, 0], np.zeros(4)])
    for k in range(1, 150):
        _, factor = one.Q(x, k)
        x = one.f(x[:, None], one.exogenous(k), k)[:, 0] + factor @ noise.standard_normal(factor.shape[1])
        x[one.air.values :] = [8.0, 0.0, 0.0, 0.0]
        prior = scheme.forecast(one, belief, k, 1.0)
        y = one.h(x[:, None], channel, k)[:, 0] + 0.5 * noise.standard_normal(4)
        belief, _ = scheme.analyse(one, prior, Observation(k, channel, y, np.full(4, 0.25), one.H(x, channel, k)))
    drifts = belief.x[one.air.values :]
    assert int(np.abs(drifts[:3]).argmax()) == 0
    assert drifts[0] > 0


def crowded(people: float, limit: float) -> Any:
    one = environment.example()
    assets = [
        replace(asset, values={**asset.values, "people": people}) if asset.kind == "cell" else asset
        for asset in one.air.part.assets
    ]
    part = replace(one.air.part, assets=assets, settings={**one.air.part.settings, "limit_pm25": limit})
    made = environment.build(part)
    made.inputs.put("source_pm25", 0, np.full(4, 200.0))
    return made


def test_measures_are_taken_where_they_pay_and_nowhere_else() -> None:
    """Many people above a limit: measures, and the plan costs less; few people, or clean air: none."""
    many = crowded(50_000.0, 25.0)
    plan = many.plan(many.prior(0), 12, 5.0)
    assert plan.gain > 0
    assert plan.bound <= plan.cost
    assert plan.u[:, :2].any()
    assert plan.u[:, 2:4].any()
    assert "restricted" in plan.why
    for one in (crowded(0.0, 25.0), crowded(50_000.0, 1e6)):
        assert not one.plan(one.prior(0), 12, 5.0).u.any()


def test_a_restriction_lowers_what_people_breathe() -> None:
    one = crowded(1000.0, 25.0)
    x, u = one.prior(0).x[:, None], one.exogenous(1)
    row = np.zeros(len(one.controls))
    row[:2] = 100.0
    assert (one.f(x, one.steer(u, row, 1), 1)[3:7] < one.f(x, u, 1)[3:7]).all()


def test_risks_name_people_and_remedies() -> None:
    one = crowded(10_000.0, 20.0)
    series = forecast(one, Gaussian(), one.prior(0), 12)
    worst = one.risks(series)[0]
    assert worst.asset.startswith("cell")
    assert worst.probability > 0.5
    lost = one.contingencies(one.prior(0), series)
    assert {"fan", "station-0"} <= {each.asset for each in lost}


def test_bad_parts_are_told_all_at_once() -> None:
    good = environment.example().air.part
    cells = [asset for asset in good.assets if asset.kind == "actuator"]
    lost = Asset("nowhere", "zone", {})
    wires = [Wire("gw/a/b", "station-0", "no2", 1.0)]
    with pytest.raises(BadModel) as told:
        environment.build(Part("environment", [*cells, lost], wires, {**good.settings, "pollutants": "pm25"}))
    assert len(str(told.value).splitlines()) == 3


def test_what_is_assumed_fades_with_distance() -> None:
    field = assumed(environment.example().air)
    assert field.C[0, 1] > field.C[0, 2] > 0
