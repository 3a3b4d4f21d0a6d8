"""`edge-agent registers`: one map in three forms, which appending to the file leaves where it was."""

import csv
import json
from pathlib import Path

import pytest

from edge_agent.cli import main
from tests.edge.verbs.acting import acting_file


def printed(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main(["registers", *(str(word) for word in words)]) == 0
    return capsys.readouterr().out


def test_three_forms_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = acting_file(tmp_path, "speed")
    rows = json.loads(printed(capsys, file, "--json"))
    table = list(csv.DictReader(printed(capsys, file, "--csv").splitlines()))
    text = printed(capsys, file)
    assert [row["name"] for row in rows] == [row["name"] for row in table]
    value = next(row for row in table if row["name"] == "output.speed.value")
    assert (value["address"], value["type"], value["unit"]) == ("1000", "f32", "1")
    assert f"| 1000 | f32 | output.speed.value | {value['unit']} | 1 | r | decided; NaN: do not use |" in text
    assert [row["name"] for row in rows if row["access"] == "rw"] == ["gateway.other_heartbeat"]


def test_an_output_that_is_appended_moves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = printed(capsys, acting_file(tmp_path, "speed"), "--csv").splitlines()
    after = printed(capsys, acting_file(tmp_path, "speed", "ramp"), "--csv").splitlines()
    assert set(before) < set(after)


def test_a_faulty_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = acting_file(tmp_path, "speed")
    file.write_text(file.read_text().replace("ttl_s = 5", ""))
    assert main(["registers", str(file)]) == 1
    assert "output[0].ttl_s" in capsys.readouterr().err
