"""Tables of ticks: cases/<kind>/<case>.toml says what goes in and what must come out, tick by tick.

`why`, one `[controller]`, `[outputs.NAME]` with what differs from 0 to 100, and `ticks`, a table of text:

    s        seconds since the start
    ROLE     an input: a value · - nothing arrived · ! BAD · ?VALUE doubted by cleaning
    utc      date and time in UTC · - unknown
    =ROLE    the output is now at this value, set by somebody else · - nobody interferes
    >ROLE    the wish: a value · LOW..HIGH · none · * anything
"""

import re
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edge_agent.control import CONTROLLERS
from edge_agent.setpoint import Wish
from protos.clock import NS
from protos.quality import Quality, Reason, code
from tests.edge.control.rig import Arrived, Rig
from tests.edge.control.scenes import SCENES
from tests.edge.control.wiring import output, spec_of

CASES = sorted((Path(__file__).parent / "cases").glob("*/*.toml"))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BAD = (float("nan"), code(Quality.BAD, Reason.NO_ANSWER))


def rig_of(case: dict[str, Any], kind: str) -> Rig:
    table = {"name": "it", "kind": kind} | case["controller"]
    declared = case.get("outputs", {})
    names = dict.fromkeys([*table["outputs"].values(), *declared])
    predictors = SCENES[kind].predictors if kind in SCENES else {}
    return Rig(spec_of(table), [output(name, **declared.get(name, {})) for name in names], predictors=predictors)


def rows_of(text: str) -> list[dict[str, str]]:
    header, *rows = ([cell.strip() for cell in line.split("|")] for line in text.strip().splitlines())
    return [dict(zip(header, row, strict=True)) for row in rows]


def arrived(row: dict[str, str], inputs: dict[str, str]) -> Arrived:
    found: dict[str, float | tuple[float, int]] = {}
    for role, point in inputs.items():
        cell = row.get(role, "-")
        if cell == "!":
            found[point] = BAD
        elif cell.startswith("?"):
            found[point] = float(cell[1:]), code(Quality.UNCERTAIN, Reason.SPIKE)
        elif cell != "-":
            found[point] = float(cell)
    return found


def differs(wanted: str, wish: Wish | None, tolerance: float) -> bool:
    if wanted == "*":
        return False
    if wanted == "none" or wish is None:
        return (wanted == "none") != (wish is None)
    low, _, high = wanted.partition("..")
    ends = float(low), float(high or low)
    return (wish.low, wish.high) != pytest.approx(ends, abs=tolerance)


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_case(path: Path) -> None:
    case = tomllib.loads(path.read_text())
    rig = rig_of(case, path.parent.name)
    inputs, outputs = case["controller"].get("inputs", {}), case["controller"]["outputs"]
    names = [one.name for one in rig.outputs]
    wrong = []
    for row in rows_of(case["ticks"]):
        rig.now_ns = round(float(row["s"]) * NS) - rig.period_ns
        for role, name in outputs.items():
            if (value := row.get(f"={role}", "-")) != "-":
                rig.applied[names.index(name)], rig.by[names.index(name)] = float(value), "somebody"
        utc = row.get("utc", "-")
        utc_ns = None
        if utc != "-":
            utc_ns = (datetime.fromisoformat(utc).replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1) * 1000
        wishes = {names[wish.output]: wish for wish in rig.tick(arrived(row, inputs), utc_ns)}
        for role, name in outputs.items():
            wish = wishes.get(name)
            if differs(row.get(f">{role}", "*"), wish, case.get("tolerance", 1e-6)):
                wrong.append(f"at {row['s']} s {role}: {row[f'>{role}']} expected, {wish}")
    assert not wrong, "\n".join([case["why"], *wrong])


@pytest.mark.parametrize("kind", CONTROLLERS)
def test_every_kind_has_cases(kind: str) -> None:
    assert any(path.parent.name == kind for path in CASES), f"write cases/{kind}/<case>.toml"


def test_a_wrong_case_fails() -> None:
    """Negative control: the comparison sees a wrong value, a wish too many and one too few."""
    wish = Wish.exactly(0, 5.0, "")
    assert differs("4", wish, 0.1)
    assert differs("none", wish, 0.1)
    assert differs("5", None, 0.1)
    assert not differs("5", wish, 0.1)
    assert re.match(r"\d", rows_of("s | a\n0 | 1")[0]["s"])
