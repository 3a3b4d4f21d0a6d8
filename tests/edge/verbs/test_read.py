"""`edge-agent read` against simulated devices on real Modbus TCP: values as the device shows them, and as a case."""

import json
from pathlib import Path

import pytest

from edge_agent.cli import main
from edge_agent.config import Library
from tests.edge.test_every_profile import compare, decoded
from tests.edge.verbs.test_scan import played


@pytest.mark.parametrize("name", ["eastron-sdm120", "sunspec-inverter", "moxa-iologik-e1214", "keba-kecontact"])
def test_what_is_read_makes_a_case_that_holds(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The case's own bytes, through the gateway's planning and decoding, give the values that were shown."""
    file = tmp_path / "new" / "usual.json"
    with played(f"{name}@7", lines=1) as devices:
        assert main(["read", name, devices[0]["connection"], "--unit", "7", "--case", str(file), "--json"]) == 0
    rows = {row["point"]: row for row in json.loads(capsys.readouterr().out)}
    case, profile = json.loads(file.read_text()), Library().get(name)
    readable = {point.name for point in profile.points if "r" in point.access}
    assert set(rows) <= readable
    assert len(case["expected"]) + len(case["invalid"]) + len(case["texts"]) >= len(rows) - 2
    assert {point: rows[point]["value"] for point in case["expected"]} == case["expected"]
    values, codes, strings = decoded(profile, case)
    compare(profile, case, values, codes)
    assert {point: strings[point] for point in case["texts"]} == case["texts"]


def test_a_device_that_refuses_is_told_from_one_that_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with played("eastron-sdm120@1", lines=1) as devices:
        where = devices[0]["connection"]
        main(["read", "moxa-iologik-e1214", where])  # not that device
        assert "BAD EXCEPTION" in capsys.readouterr().out
        assert main(["read", "eastron-sdm120", where, "--unit", "9"]) == 1
        assert "error" in capsys.readouterr().err


def test_words_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = tmp_path / "case.json"
    there.write_text("mine")
    for words, wrong in (
        (["shelly-pro-3em", "127.0.0.1"], "speaks MQTT"),
        (["no-such", "127.0.0.1"], "is no known profile"),
        (["eastron-sdm120", "127.0.0.1:1"], "cannot connect"),
        (["eastron-sdm120", "127.0.0.1:1", "--case", str(there)], "never overwritten"),
    ):
        assert main(["read", *words]) == 1
        assert wrong in capsys.readouterr().err
    assert there.read_text() == "mine"
