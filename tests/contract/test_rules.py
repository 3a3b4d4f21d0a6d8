"""The rules that a reviewer from the field looks for in whatever acts: each has a test named `test_rule_<number>_…`."""

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
RULES = {
    1: "every output declares safe value, TTL, bounds, slew and minimum times, or the unit does not start",
    2: "the centre never writes: its orders go through the local arbiter",
    3: "fixed priority: interlock, hand, emergency, centre, optimiser, default; a hand is timed and visible",
    4: "an order acts at most once, never late, never older than the last, never for another",
    5: "its end counts by the gateway's own monotonic clock",
    6: "the device's own timeout is used where there is one",
    7: "the heartbeat that is checked is the other side's",
    8: "the watchdog is fed from completed cycles only",
    9: "what was accepted is not yet actuated: it is read back",
    10: "writes on change, with refresh and a budget for the life of the register",
    11: "an input has an age limit; what is missing at the start counts as bad; rest is not stuck",
    12: "bad quality: the documented fallback",
    13: "a model's output is clamped, compared with a simple rule and disabled after excursions",
    14: "no bump at a start, an exchange of models, a reconnection",
    15: "outputs are not touched until inputs are valid, or set to safe",
    16: "anti-windup; a cabinet's safety times are its own",
    17: "traffic: asks a certified controller, which goes on alone",
    18: "limits only tighten locally",
    19: "alarms: each with an action, shelved for a time, no flood",
    20: "mode and authority with their reason are visible",
    21: "a command for the whole city needs a second person, and goes out in stages",
    22: "a what-if cannot be sent as an order",
    23: "all-stop: one action takes everything back",
    24: "every actuation is recorded before it is sent, with what it rests on",
    25: "neither disk nor network delays the loop",
    26: "a late answer of the bus is never another register's",
    27: "it says plainly that it is no SIL-rated safety function",
}
OF_THE_CENTRE = {19, 21, 22}  # of the aggregator's alarms and decisions; tested where those are


@cache
def named() -> dict[int, list[str]]:
    found = defaultdict(list)
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_rule_"):
                number = node.name.split("_")[2]
                if number.isdigit():
                    found[int(number)].append(f"{path.relative_to(TESTS)}::{node.name}")
    return found


@pytest.mark.parametrize("number", sorted(RULES.keys() - OF_THE_CENTRE))
def test_every_rule_of_the_gateway_has_a_test_named_after_it(number: int) -> None:
    assert named()[number], f"rule {number}: {RULES[number]}"


def test_no_test_is_named_after_a_rule_that_there_is_not() -> None:
    assert not named().keys() - RULES.keys()


@pytest.mark.parametrize(
    "file", ["README.md", "edge_agent/loop.py", "edge_agent/control/guard.py"]
)  # where people look who might think otherwise
def test_rule_27_nobody_is_told_that_it_is_a_safety_function(file: str) -> None:
    text = " ".join((ROOT / file).read_text().split())
    assert "not a SIL-rated safety function" in text.replace("Not a", "not a")
