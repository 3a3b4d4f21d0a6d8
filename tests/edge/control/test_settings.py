"""What is wrong with a `[[controller]]` is told in words that help: key, value, what is wrong, what to write."""

import math
from dataclasses import replace

import pytest

from edge_agent.cell import Setting
from edge_agent.control import build, condition, week
from tests.edge.control.scenes import SCENES, outputs_of, spec_of_kind
from tests.edge.control.wiring import Wires, output, spec_of

SETTINGS: list[tuple[str, dict[str, Setting], list[str]]] = [
    ("pid", {"gian": 2}, ["settings.gian = 2: is not one of the settings of a pid; did you mean gain?"]),
    ("pid", {"gain": "much"}, ["settings.gain = 'much': does not have the right form; a number in output per input"]),
    ("pid", {"gain": True}, ["settings.gain = True: does not have the right form"]),
    ("pid", {"gain": math.inf}, ["settings.gain = inf: is out of bounds; a finite number"]),
    ("pid", {"gain": math.nan}, ["settings.gain = nan: is out of bounds; a finite number"]),
    ("pid", {"gain": 0}, ["settings.gain = 0: moves nothing"]),
    ("pid", {"integral_s": -1}, ["settings.integral_s = -1: is out of bounds; 0 to 1e+06 in s: Ti"]),
    ("fixed", {"value": 120}, ["settings.value = 120.0: is outside the output fan; 0 to 100"]),
    ("hysteresis", {"off_at": 18}, ["settings.on_at = 18: is off_at as well; leave a gap"]),
    ("rule", {"value": 1, "min": 2}, ["settings.value = None: and min, max do not go together"]),
    ("rule", {"when": ("air < 2", "sun > 5")}, ["settings.when[1] = 'sun > 5': speaks of sun; there are"]),
    ("schedule", {"zone": "Berlin"}, ["settings.zone = 'Berlin': is no time zone; a name as Europe/Berlin"]),
    ("schedule", {"times": ("mon 25:00 = 1", "daily 08:00 = 200")}, ["times[0]", "times[1] = 200.0: is outside"]),
    ("schedule", {"holidays": ("25.12.2026",)}, ["settings.holidays[0] = '25.12.2026': is no date"]),
    ("level", {"starts": (2.4, 1.8)}, ["settings.starts = (2.4, 1.8): do not follow each other; stop < starts"]),
    ("level", {"starts": (1.0, 2.0, 3.0)}, ["are more than 2 pumps"]),
    ("level", {"mode": "drain"}, ["settings.mode = 'drain': is not known; one of empty, fill"]),
    ("volt_var", {"corners": (1.02, 0.98)}, ["are no V1 < V2 ≤ V3 < V4; four rising numbers"]),
    ("battery", {"refill_below": 40_000}, ["settings.refill_below = 40000: is above import_limit"]),
    ("ev", {"least": 5}, ["settings.least = 5: is out of bounds; 6 to 80 in A"]),
    ("ventilation", {"co2": (1000,)}, ["settings.co2 = (1000,): is no range; two rising numbers"]),
    ("lighting", {"classes": ("M5", "M3")}, ["are not of one kind, brightest first"]),
    ("lighting", {"classes": ("M1", "P6")}, ["are not of one kind, brightest first; M, C or P throughout"]),
    ("lighting", {"flows": (100, 200)}, ["settings.flows = (100, 200): do not fit the classes"]),
    ("mpc", {"twin": "tonk"}, ["settings.twin = 'tonk': is no twin of this gateway"]),
    ("mpc", {"bounds": ("level = 3..1", "flow = 1..2", "level 3")}, ["bounds[1]", "speaks of flow", "bounds[2]"]),
    ("mpc", {"rule": ("pump = 40 - 20 * (lavel - 2.5)",)}, ["speaks of lavel; there are level"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "given", "told"), SETTINGS, ids=[f"{kind} {list(given)}" for kind, given, _ in SETTINGS]
)
def test_a_wrong_setting_is_told(kind: str, given: dict[str, Setting], told: list[str]) -> None:
    spec = spec_of_kind(kind)
    spec = replace(spec, settings=dict(spec.settings) | given)
    wires = Wires(list(spec.inputs.values()), outputs_of(kind, spec), predictors=SCENES[kind].predictors)
    assert build(spec, wires) is None
    said = "\n".join(wires.faults)
    for part in told:
        assert part in said


def test_a_setting_that_is_missing_is_told_with_its_unit() -> None:
    spec = spec_of_kind("hysteresis")
    spec = replace(spec, settings={key: value for key, value in spec.settings.items() if key != "on_at"})
    wires = Wires(list(spec.inputs.values()), outputs_of("hysteresis", spec))
    assert build(spec, wires) is None
    assert "is missing; add it: switches on here in the unit of the input" in "\n".join(wires.faults)


def test_a_kind_that_there_is_not_is_told_with_the_nearest() -> None:
    wires = Wires([], [])
    assert build(spec_of({"name": "it", "kind": "pit"}), wires) is None
    assert wires.faults == ["it: kind = 'pit': is no kind of controller; did you mean pid?"]


def test_inputs_that_belong_to_no_output_are_told() -> None:
    """A fault of a pump and a car of a charging point must have theirs."""
    table = {
        "name": "it",
        "kind": "ev",
        "inputs": {"grid": "m/p", "connected_9": "m/c"},
        "outputs": {"charger_1": "out"},
    }
    wires = Wires(["m/p", "m/c"], [output(high=32.0)])
    assert build(spec_of(table | {"settings": {"limit": 1}}), wires) is None
    assert wires.faults == [
        "it: inputs.connected_9 = None: has no charger_9 in outputs; there are charger_1",
    ]


NO_CONDITIONS = """\
level
level >
> 5
level > five
level => 5
level > 5 until > 6
level > 5 until < 6
level == 1 until < 0
level > 5 and leak == 1
"""
NO_ENTRIES = """\
08:00 = 5
mon = 5
mon 08:00
mon 24:00 = 1
mon 08:60 = 1
mon 08:00 = x
foo 08:00 = 1
mon- 08:00 = 1
mon-fun 8:00 = 1
daily-fri 08:00 = 1
"""


@pytest.mark.parametrize("text", ["", *NO_CONDITIONS.splitlines()])
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no condition|ends"):
        condition.read(text)


@pytest.mark.parametrize("text", ["", *NO_ENTRIES.splitlines()])
def test_what_is_no_entry_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"entry|time|day"):
        week.read(text)
