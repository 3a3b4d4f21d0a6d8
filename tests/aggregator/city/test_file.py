"""A city file: what it says, and every fault of a bad one at once, with its line and what to do."""

from pathlib import Path

import pytest

from aggregator.city import CityError
from aggregator.city.file import load
from tests.aggregator.city.ponds import CITY, two_hills

BAD = """[city]
nam = "Two ponds"
[blueprnt]
[blueprint]
step_s = nan
[[blueprint.pond]]
id = "upper"
at = [213.4, 52.5]
rim_m = "200 W"
pump_m = -0.2
[[blueprint.pond]]
id = "upper"
rim_m = inf
[[blueprint.drain]]
id = "d"
from = "uper"
to = "d"
[[point]]
point = "gw-1/level"
asset = "uppr"
quantity = "voltage"
sd = 0
[[point]]
point = "gw-1/a/level"
asset = "upper"
quantity = "voltage"
sd = 0
[[coupling]]
gives = "blueprint.overflow"
takes = "blueprint.rain"
map = "to nearest"
[[coupling]]
gives = "blueprint.overflw"
takes = "rain"
late = 3
pairs = [["a", 1]]
[[feed]]
point = "gw/b/c"
takes = "blueprint.rain"
asset = "uper"
"""
BACK = """[[coupling]]
gives = "below.overflow"
takes = "blueprint.rain"
map = "to nearest"
"""
FAULTS = {  # line → words of what is said
    1: "city.name: write a text",
    2: "did you mean name?",
    3: "did you mean blueprint?",
    5: "no finite number",
    8: "[longitude, latitude]",
    9: 'not in m: write a number in m, or "5 m"',
    10: "from 0 on",
    12: "another on line 6",
    13: "no finite number",
    16: "did you mean upper?",
    17: "is a drain; write the id of a pond",
    19: "gateway/device/point",
    20: "no such asset; did you mean upper?",
    26: "what can be measured there: water_level",
    27: "does not exist",
    31: "without a place",
    33: "did you mean blueprint.overflow?",
    34: "no such flow",
    35: "true or false",
    40: "did you mean upper?",
}


def test_every_fault_is_told_with_its_line_and_nothing_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "city.toml"
    path.write_text(BAD)
    with pytest.raises(CityError) as told:
        load(path)
    lines = {int(line.split(":")[1]): line for line in str(told.value).splitlines()}
    assert {number: words for number, words in FAULTS.items() if words not in lines.get(number, "")} == {}
    assert set(lines) - set(FAULTS) == set()


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('rim_m = "100 cm"', "rim_m = true", ""),
        ("factor = 0.5", "", ""),
        ('map = "to nearest"', "", "write either pairs"),
        ('map = "to nearest"', 'pairs = [["upper", "lowr"]]', "did you mean lower?"),
        (
            "[[coupling]]",
            BACK + "[[coupling]]",
            "is a circle",
        ),
        (
            "[[coupling]]",
            BACK + "late = true\n[[coupling]]",
            "",
        ),
        ('point = "gw-b/gauge/level"', 'point = "gw-a/gauge/level"', "measures another asset"),
        ('asset = "lower"', 'asset = "upper"', "a second gauge at upper"),
    ],
)
def test_one_change(before: str, after: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with two_hills(tmp_path, monkeypatch) as path:
        path.write_text(CITY.replace(before, after, 1))
        if not said:
            assert load(path).name == "Two hills"
            return
        with pytest.raises(CityError, match=said):
            load(path)


def test_units_are_turned_into_the_internal_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with two_hills(tmp_path, monkeypatch) as path:
        city = load(path)
    assert city.parts["blueprint"].assets[0].number("rim_m") == 1.0
    assert city.parts["blueprint"].wires[0].sd == 0.05
    assert city.couplings[0].W.toarray().tolist() == [[0.5]]


def test_no_file_no_toml(tmp_path: Path) -> None:
    with pytest.raises(CityError, match="No such file"):
        load(tmp_path / "none.toml")
    (tmp_path / "half.toml").write_text("[city\n")
    with pytest.raises(CityError, match="no TOML"):
        load(tmp_path / "half.toml")
