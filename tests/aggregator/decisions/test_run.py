"""Scenarios run: only what was changed differs, the same again from the same seed, coupled, cancelled, kept."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from aggregator.city.file import City
from aggregator.decisions import ScenarioError
from aggregator.decisions.checkpointed import Checkpointed, of_live
from aggregator.decisions.comparison import compare
from aggregator.decisions.imagined import Imagined, pack, unpack
from aggregator.decisions.run import FLOW_MEMBERS, begin, run
from aggregator.decisions.scenario import NS, AssetChange, ControlChange, InputChange, Scenario, Span, Watch
from aggregator.twin.gaussian import Gaussian
from aggregator.twin.series import forecast
from tests.aggregator.decisions.hills import hills, ran, standing, watered

MINUTES_10 = Scenario("as it is", 600 * NS, members=200, watches=[Watch("below", "lower", "water_level", 1.0)])
FLOOD = replace(MINUTES_10, name="flood", inputs=[InputChange("blueprint", "rain", "value", 0.3)])
OVER = "over the rims, m"


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[City]:
    with hills(tmp_path, monkeypatch) as one:
        yield one


@pytest.fixture
def now(city: City) -> Checkpointed:
    return standing(city)


def over(one: Imagined, domain: str = "blueprint") -> float:
    return float(one.tracks[domain].indicators[0].per_member.mean())


def test_nothing_changed_is_the_forecast(now: Checkpointed) -> None:
    """The ensemble against the Gaussian forecast of the same domain, which is exact here."""
    found = ran(now, replace(MINUTES_10, members=2000, times=3)).tracks["blueprint"]
    domain, belief = now.standing["blueprint"]
    series = forecast(domain, Gaussian(), belief, 60, now.q_scale["blueprint"])
    rows = found.kept
    assert rows.tolist() == [0, 29, 59]
    assert found.t_ns.tolist() == series.t_ns.tolist()
    assert found.mean[:, 0] == pytest.approx(series.mean[rows, 0], abs=0.03)
    assert found.sd[:, 0] == pytest.approx(series.sd[rows, 0], rel=0.1)


def test_the_same_seed_gives_the_same_and_the_city_is_left_alone(now: Checkpointed) -> None:
    domain, belief = now.standing["blueprint"]
    before = {key: rows.copy() for key, rows in domain.inputs.arrays().items()}
    one, two = ran(now, FLOOD), ran(now, FLOOD)
    other = ran(now, replace(FLOOD, seed=1))
    numbers = [each.tracks["below"].indicators[0].members for each in (one, two, other)]
    assert np.array_equal(numbers[0], numbers[1])
    assert not np.array_equal(numbers[0], numbers[2])
    assert belief is now.standing["blueprint"][1]
    after = domain.inputs.arrays()
    assert after.keys() == before.keys()
    assert all(np.array_equal(after[key], before[key]) for key in before)


def test_a_flood_above_is_more_water_below(now: Checkpointed) -> None:
    found = compare(ran(now, MINUTES_10), ran(now, FLOOD))
    above, below = found.indicators
    assert (above.domain, above.what) == ("blueprint", OVER)
    assert above.low > 0
    assert above.lower == 0.0
    assert below.difference > 0
    (likely,) = found.exceedances
    assert likely.second > likely.first
    assert found.states[0].asset in ("upper", "lower")
    assert found.states[0].second > found.states[0].first


def test_common_chance_makes_small_differences_sure(now: Checkpointed) -> None:
    """A tenth of a millimetre of rain is certain with one seed, and lost in the noise with two (the control)."""
    more = InputChange("blueprint", "rain", "add", 0.0001)
    wet, wetter = FLOOD, replace(FLOOD, name="wetter", inputs=[*FLOOD.inputs, more])
    plain = ran(now, wet)
    line = compare(plain, ran(now, wetter)).indicators[0]
    assert line.low > 0
    assert line.lower == 0
    other = ran(now, replace(wetter, seed=7))
    with pytest.raises(ScenarioError, match="not the same seed"):
        compare(plain, other)
    unpaired = replace(other, seed=plain.seed)  # as if nobody looked
    assert 0.2 < compare(plain, unpaired).indicators[0].lower < 0.8


def test_a_change_counts_in_its_span_only(now: Checkpointed) -> None:
    span = Span(100 * NS, 200 * NS)
    shower = replace(FLOOD, times=60, inputs=[InputChange("blueprint", "rain", "value", 0.5, ["upper"], span)])
    plain, wet = (ran(now, replace(one, times=60)).tracks["blueprint"].mean[:, 0] for one in (MINUTES_10, shower))
    assert np.array_equal(plain[:10], wet[:10])
    assert wet[10:20] - plain[10:20] == pytest.approx(np.cumsum(0.9 ** np.arange(10)) * (wet[10] - plain[10]), rel=1e-4)
    assert (np.diff(wet[20:] - plain[20:]) < 0).all()


def test_factor_and_value_replace_what_couplings_give(now: Checkpointed) -> None:
    """Whatever comes from above, the input is what the scenario says, and nothing is counted twice."""
    dry = replace(FLOOD, inputs=[*FLOOD.inputs, InputChange("below", "rain", "factor", 0.0)])
    plain = replace(FLOOD, inputs=[InputChange("below", "rain", "value", 0.0)])
    one, two = (ran(now, each).tracks["below"].indicators[0].members for each in (dry, plain))
    assert np.array_equal(one, two)


def test_what_a_domain_gives_can_be_watched(now: Checkpointed) -> None:
    """An overflow is a level above the rim: the same members, as far as flows are looked at."""
    level = Watch("blueprint", "upper", "water_level", 1.0)
    over = Watch("blueprint", "upper", "overflow", 0.0, flow=True)
    wet = replace(FLOOD, watches=[level, over], inputs=[InputChange("blueprint", "rain", "value", 0.1)])
    by_level, by_flow = (one.beyond for one in ran(now, wet).tracks["blueprint"].exceedances)
    assert by_flow.shape == (60, FLOW_MEMBERS)
    assert 0 < by_flow.mean() < 1
    assert np.array_equal(by_level[:, :FLOW_MEMBERS], by_flow)


def test_a_flow_that_nothing_gives(now: Checkpointed) -> None:
    """As usual where nothing is given: a value counts, a factor on nothing is told."""
    taken = now.standing["blueprint"][0].inputs._taken["rain"]
    taken.sources.clear()
    taken.default[:] = np.nan

    def rained(how: Literal["value", "factor"]) -> tuple[list[float], list[str]]:
        one = replace(MINUTES_10, inputs=[InputChange("blueprint", "rain", how, 0.3)])
        lane = begin(now, one)["blueprint"]
        lane.put(lane.k + 1)
        return lane.domain(lane.k + 1).inputs.at("rain", lane.k + 1).tolist(), list(lane.notes)

    assert rained("value") == ([0.3], [])
    values, notes = rained("factor")
    assert np.isnan(values).all()
    assert notes == ["nothing gives blueprint.rain: a factor changes nothing, write a value"]


def test_an_asset_may_be_another_for_a_while(now: Checkpointed) -> None:
    deep = AssetChange("blueprint", "upper", "drains_per_step", 1.0, Span(0, 60 * NS))
    found = ran(now, replace(MINUTES_10, times=60, assets=[deep])).tracks["blueprint"].mean[:, 0]
    assert (found[:6] < 0.3).all()
    assert found[20] > 0.2
    with pytest.raises(ScenarioError, match="fewer members"):
        ran(now, replace(MINUTES_10, members=10**9))


def test_a_plan_is_carried_out_and_rows_and_controls_too(now: Checkpointed) -> None:
    planned = ran(now, replace(FLOOD, planned=["blueprint"]))
    rows = ran(now, replace(FLOOD, rows={"blueprint": np.array([[0.0], [0.2]])}))
    control = ran(now, replace(FLOOD, controls=[ControlChange("blueprint", "upper", "water_flow", 0.2, Span(10 * NS))]))
    wet = ran(now, FLOOD)
    assert over(planned) < over(wet)
    assert "cost" in planned.tracks["blueprint"].plan
    assert over(rows) == over(control) < over(wet)
    assert wet.tracks["blueprint"].plan == ""


def test_progress_is_told_and_a_run_can_be_left(now: Checkpointed) -> None:
    steps = run(now, MINUTES_10)
    first = next(steps)
    assert (first.done, first.total) == (1, 60 + 30)
    steps.close()
    rest = list(run(now, MINUTES_10))
    assert [one.done for one in rest] == list(range(1, 91))
    assert [one.t_ns for one in rest] == sorted(one.t_ns for one in rest)


def test_a_past_moment_is_where_a_scenario_may_begin(city: City) -> None:
    live = watered(city)
    past = of_live(live, live.now_ns - 100 * NS)
    assert past.t_ns == live.now_ns - 100 * NS
    found = ran(past, MINUTES_10)
    assert found.begun_ns == past.t_ns
    assert found.digest != of_live(live).digest()


def test_a_result_is_kept_whole(now: Checkpointed) -> None:
    one = ran(now, replace(FLOOD, planned=["blueprint"]))
    again = unpack(pack(one))
    assert again.pairing == one.pairing
    assert list(again.tracks) == list(one.tracks)
    assert compare(one, again).indicators[0].difference == 0.0
    assert again.tracks["blueprint"].plan == one.tracks["blueprint"].plan
    for damage in (b"", b"PK", pack(one)[:-50]):
        with pytest.raises(ScenarioError, match="run it again"):
            unpack(damage)
