"""Tables: whole on a pipe; on a narrow terminal the first column says what a row is about. Both sides draw alike."""

import json
from pathlib import Path
from types import ModuleType

import pytest

import aggregator.screen
import edge_agent.screen

BOTH = pytest.mark.parametrize("screen", [edge_agent.screen, aggregator.screen], ids=["edge-agent", "aggregator"])
ROWS = [
    {"point": "gw-north/water-meter-7/total", "value": 0.1 + 0.2, "why": "w" * 90, "bad": None},
    {"point": "gw-north/water-meter-7/flow", "value": 9, "why": "", "bad": True},
]


@BOTH
def test_a_pipe_cuts_nothing(
    screen: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    screen.show(ROWS, as_json=False, title="points")
    told = capsys.readouterr().out
    assert "w" * 90 in told
    assert "0.3 " in told  # not 0.30000000000000004
    assert max(map(len, told.splitlines())) < 200


@BOTH
def test_a_narrow_terminal_keeps_names_whole_and_hides_nothing(
    screen: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    screen.show(ROWS, as_json=False)
    told = capsys.readouterr().out
    assert all(str(row["point"]) in told for row in ROWS)
    assert told.count("w") - told.count("water") - told.count("gw-") - told.count("flow") == 90 + 1  # and its heading
    assert "…" not in told
    assert max(map(len, told.splitlines())) <= 60


@BOTH
def test_json_has_every_digit(screen: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    screen.show(ROWS, as_json=True)
    assert json.loads(capsys.readouterr().out) == ROWS


@BOTH
def test_who_may_not_is_told_who_may(screen: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The nearest directory that is there has an owner; the file itself may be hidden in it."""
    assert screen.fail(PermissionError(13, "Permission denied", str(tmp_path / "state" / "buffer.sqlite"))) == 1
    told = capsys.readouterr().err
    assert f"{tmp_path} belongs to {tmp_path.owner()}" in told
    assert f"sudo -u {tmp_path.owner()}" in told
    assert screen.fail(PermissionError(13, "Permission denied")) == 1
