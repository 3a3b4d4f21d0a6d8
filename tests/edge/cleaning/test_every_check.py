"""The battery that every check passes, and its cases: cases/<check>/<case>/{config,input,expected}.json.

`config` has points as a profile has them; each row of `input` is a frame (times in seconds, values in internal units,
codes in words where the source gave some); `expected` the codes in words, a list for each frame.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_agent.cleaning import CHECKS, Cleaning, resolve
from edge_agent.image import Frame, Layout
from edge_agent.profile import PointSpec
from protos.clock import NS
from protos.quality import Quality, Reason, code, text

CASES = sorted(path for path in (Path(__file__).parent / "cases").glob("*/*") if path.is_dir())
EVERY_CASE = pytest.mark.parametrize("case", CASES, ids=lambda path: f"{path.parent.name}/{path.name}")
EVERY_CHECK = pytest.mark.parametrize("name", CHECKS)
CODES = {text(code(quality, reason)): code(quality, reason) for quality in Quality for reason in Reason}


def points_of(config: dict[str, Any]) -> list[PointSpec]:
    return [PointSpec(**point) for point in config["points"]]


def frames_of(rows: Sequence[dict[str, Any]], layout: Layout) -> list[Frame]:
    return [
        Frame(
            layout,
            int(row["receive_s"] * NS),
            int(row.get("source_s", row["receive_s"]) * NS),
            np.array([float(value) for value in row["values"]]),
            np.array([CODES[word] for word in row["codes"]], np.uint8) if "codes" in row else None,
        )
        for row in rows
    ]


def load(case: Path) -> tuple[dict[str, Any], list[dict[str, Any]], list[list[str]]]:
    config, rows, expected = (
        json.loads((case / f"{part}.json").read_text()) for part in ("config", "input", "expected")
    )
    return config, rows, expected


def words(frames: Sequence[Frame], width: int) -> list[list[str]]:
    good = np.zeros(width, np.uint8)
    return [[text(int(one)) for one in (good if frame.codes is None else frame.codes)] for frame in frames]


@EVERY_CASE
@pytest.mark.parametrize("at_once", [True, False], ids=["in one call", "frame by frame"])
def test_case(case: Path, at_once: bool) -> None:
    config, rows, expected = load(case)
    points = points_of(config)
    frames = frames_of(rows, Layout("device", tuple(point.name for point in points)))
    cleaning = Cleaning(points)
    for some in [frames] if at_once else [[frame] for frame in frames]:
        cleaning.apply(some, 0)
    assert words(frames, len(points)) == expected, config["why"]


@EVERY_CASE
def test_a_case_has_the_same_outcome_beside_others(case: Path) -> None:
    """Points of several layouts, some before and some behind in the image, do not touch each other."""
    config, rows, expected = load(case)
    own = points_of(config)
    width = len(own)
    other = [PointSpec(f"other{i}", "voltage", "V", checks={"rate": {"max_per_s": 1}}) for i in range(3)]
    names = tuple(point.name for point in own)
    layouts = [
        Layout("a", ("x", "y"), 0),
        Layout("b", names, 2),
        Layout("c", names, 2 + width),
        Layout("d", ("z",), 2 + 2 * width),
    ]
    cleaning = Cleaning([*other[:2], *own, *own, other[2]])
    mine, twin = frames_of(rows, layouts[1]), frames_of(rows, layouts[2])
    calls: list[Frame] = []
    for one, two in zip(mine, twin, strict=True):
        calls += [Frame(layouts[0], one.receive_ns, one.receive_ns, np.array([1e9, np.nan])), one, two]
    calls.append(Frame(layouts[3], 0, 0, np.array([5.0])))
    cleaning.apply(calls, 0)
    assert words(mine, width) == words(twin, width) == expected
    assert calls[-1].codes is None


@EVERY_CHECK
def test_every_check_has_cases_and_is_documented(name: str) -> None:
    assert any(case.parent.name == name for case in CASES)
    kind = resolve(name)
    assert Reason[name.upper()] == kind.CODE & 0x3F
    assert kind.CODE >> 6 in (Quality.UNCERTAIN, Quality.BAD)


@EVERY_CHECK
def test_every_check_leaves_values_alone_and_never_raises_quality(name: str) -> None:
    kind = resolve(name)
    given = {key: 1.0 for key, one in kind.PARAMETERS.items() if one.default is None}
    cleaning = Cleaning([PointSpec("v", "voltage", "V", checks={name: given})] * 4)
    layout, random = Layout("device", ("a", "b", "c", "d")), np.random.default_rng(5)
    for step in range(1, 40):
        values = random.choice([0.0, 1.0, 1e6, np.nan, np.inf, -np.inf], 4)
        codes = random.choice([*CODES.values()], 4).astype(np.uint8)
        frame = Frame(layout, step * NS, step * NS - int(random.integers(0, 3)) * NS, values.copy(), codes.copy())
        cleaning.apply([frame], step * NS)
        after = np.zeros(4, np.uint8) if frame.codes is None else frame.codes
        assert np.array_equal(frame.values, values, equal_nan=True)
        assert (after >> 6 >= codes >> 6).all()
        assert (after[codes >> 6 == after >> 6] == codes[codes >> 6 == after >> 6]).all()


@EVERY_CHECK
def test_every_check_gives_the_same_in_one_call_and_in_many(name: str) -> None:
    """However frames are gathered into ticks, their codes are the same."""
    kind = resolve(name)
    given = {key: 2.0 for key, one in kind.PARAMETERS.items() if one.default is None}
    specs = [PointSpec("v", "voltage", "V", checks={name: given})] * 6
    layouts = [Layout("a", ("p", "q"), 0), Layout("b", ("r", "s", "t", "u"), 2)]

    def frames() -> list[Frame]:
        made, random = [], np.random.default_rng(9)
        for step in range(60):
            layout = layouts[int(random.integers(0, 2))]
            codes = random.choice([0, 0, 0, CODES["BAD INVALID"]], len(layout.points)).astype(np.uint8)
            values = random.choice([1.0, 1.5, 2.0, 80.0, np.nan], len(layout.points))
            made.append(Frame(layout, step * NS, step * NS - int(random.integers(0, 2)) * NS, values, codes))
        return made

    whole = []
    for size in (60, 1, 7):
        made = frames()
        cleaning = Cleaning(specs)
        for start in range(0, 60, size):
            cleaning.apply(made[start : start + size], 0)
        whole.append([words([frame], len(frame.layout.points)) for frame in made])
    assert whole[0] == whole[1] == whole[2]
