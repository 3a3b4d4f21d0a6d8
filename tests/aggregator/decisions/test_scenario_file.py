"""A scenario file: what it says, and every fault of a bad one at once, with its line and what to do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aggregator.city.file import City
from aggregator.decisions import ScenarioError
from aggregator.decisions.scenario import ALWAYS_NS, NS, AssetChange, ControlChange, InputChange, Span, Watch
from aggregator.decisions.scenario_file import FLAGS, load
from tests.aggregator.decisions.hills import hills

GOOD = """
[scenario]
name = "Cloudburst, gauge street closed"
from = 2026-01-31T08:15:00Z
horizon = "2 h"
members = 100
seed = 3

[weather]
rain = { factor = 2 }

[[input]]
flow = "below.rain"
assets = ["lower"]
value = "5 cm"
from = "10 min"
until = "1 h"

[[asset]]
id = "upper"
set = { rim_m = "50 cm" }

[[plan]]
domain = "blueprint"
use = "own"

[[control]]
asset = "lower"
quantity = "water_flow"
value = 0.1
until = 600

[[watch]]
asset = "upper"
quantity = "water_level"
above = "90 cm"

[[watch]]
asset = "lower"
quantity = "overflow"
above = "1 cm"
"""
BAD = """[scenario]
nam = "x"
from = "yesterday"
horizon = "2 kg"
members = 1
[wether]
[weather]
wind_speed = 3
rain = { value = 1, add = 2 }
[demand]
traffic = 1.5
[[input]]
flow = "blueprint.rein"
[[input]]
flow = "blueprint.rain"
assets = ["uper"]
value = "3 kg"
from = 100
until = 50
[[closure]]
assets = ["upper"]
[[asset]]
id = "uper"
set = { rim_m = 1 }
[[asset]]
id = "upper"
set = { rim = 1, pump_m = -1 }
[[asset]]
id = "upper"
[[plan]]
domain = "blueprnt"
[[plan]]
domain = "blueprint"
rows = [[1, 2]]
[[control]]
asset = "upper"
quantity = "water_flw"
[[watch]]
asset = "upper"
quantity = "water_level"
"""
FAULTS = {  # line → words of what is said
    1: "scenario.name: write a text",
    2: "did you mean name?",
    3: 'write "now" or a time',
    4: "units of it",
    5: "from 2 to",
    6: "did you mean weather?",
    8: "no domain of this city takes it",
    9: "one of value, factor, add; there are value, add",
    11: "there are all",
    13: "did you mean blueprint.rain?",
    16: "did you mean upper?",
    17: "not in m",
    19: "is not after `from`",
    21: "no such asset that takes it",
    23: "did you mean upper?",
    27: "did you mean rim_m?",
    28: "write set = { key = value }",
    31: "did you mean blueprint?",
    34: "lists of 1 finite numbers each, for: upper water_flow",
    37: "did you mean water_flow?",
    38: "write either above or below",
}


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[City]:
    with hills(tmp_path, monkeypatch) as one:
        yield one


def written(folder: Path, text: str) -> Path:
    path = folder / "storm.toml"
    path.write_text(text)
    return path


def test_a_file_says_what_is_otherwise(tmp_path: Path, city: City) -> None:
    found = load(written(tmp_path, GOOD), city)
    assert (found.name, found.horizon_ns, found.members, found.seed) == (
        "Cloudburst, gauge street closed",
        7200 * NS,
        100,
        3,
    )
    assert found.at_ns == 1_769_847_300 * NS
    assert found.inputs == [
        InputChange("blueprint", "rain", "factor", 2.0),
        InputChange("below", "rain", "factor", 2.0),
        InputChange("below", "rain", "value", 0.05, ["lower"], Span(600 * NS, 3600 * NS)),
    ]
    assert found.assets == [AssetChange("blueprint", "upper", "rim_m", 0.5, Span(0, ALWAYS_NS))]
    assert found.planned == ["blueprint"]
    assert found.controls == [ControlChange("below", "lower", "water_flow", 0.1, Span(0, 600 * NS))]
    assert found.watches == [
        Watch("blueprint", "upper", "water_level", 0.9),
        Watch("below", "lower", "overflow", 0.01, flow=True),
    ]
    assert found.text == GOOD


def test_every_fault_is_told_with_its_line(tmp_path: Path, city: City) -> None:
    with pytest.raises(ScenarioError) as told:
        load(written(tmp_path, BAD), city)
    lines = {int(line.split(":")[1]): line for line in str(told.value).splitlines()}
    assert {number: words for number, words in FAULTS.items() if words not in lines.get(number, "")} == {}
    assert set(lines) - set(FAULTS) == set()
    assert sum("pump_m" in line for line in str(told.value).splitlines()) == 1


def test_what_is_no_file_is_told(tmp_path: Path, city: City) -> None:
    with pytest.raises(ScenarioError, match="no TOML"):
        load(written(tmp_path, "[scenario"), city)
    with pytest.raises(ScenarioError, match="can be read"):
        load(tmp_path / "none.toml", city)


def test_closures_and_outages_are_for_whoever_takes_them(
    tmp_path: Path, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here rain plays the blocked link, as the ponds know no links."""
    monkeypatch.setitem(FLAGS, "closure", ("blocked", "rain"))
    file = written(tmp_path, '[scenario]\nname = "x"\n[[closure]]\nassets = ["upper", "lower"]\nfrom = 60\n')
    span = Span(60 * NS, ALWAYS_NS)
    assert load(file, city).inputs == [
        InputChange("blueprint", "rain", "value", 1.0, ["upper"], span),
        InputChange("below", "rain", "value", 1.0, ["lower"], span),
    ]
