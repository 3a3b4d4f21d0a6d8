"""`edge-agent check` and `edge-agent devices`: exit codes, and what they print."""

import json
from pathlib import Path

import pytest

from edge_agent.cli import main
from edge_agent.control import CONTROLLERS

GOOD = """\
[gateway]
id = "north-1"
district = "north"

[[device]]
name = "level"
profile = "danfoss-vlt-fc"
connection = "tcp://192.0.2.7"
"""


def test_a_good_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "site.toml"
    file.write_text(GOOD)
    assert main(["check", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "it comes with the enrolment" in printed
    assert "level: still to be confirmed: 0x4000 = 100 % (mav, ref)" in printed


def test_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "site.toml"
    file.write_text(GOOD.replace('id = "north-1"', "id = 1").replace("tcp://", "udp://"))
    assert main(["check", str(file)]) == 1
    told = capsys.readouterr().err
    assert f"{file}:2: gateway.id = 1: must be text" in told
    assert f"{file}:8: device[0].connection" in told
    assert main(["check", str(file), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [fault["line"] for fault in found["faults"]] == ["2", "8"]


def test_controllers(capsys: pytest.CaptureFixture[str]) -> None:
    """Every kind with its roles and settings; one kind with its fallback and an example; a wrong one is told."""
    assert main(["check", "--keys", "--controllers", "--json"]) == 0
    rows = {(row["kind"], row["part"], row["name"]): row for row in json.loads(capsys.readouterr().out)}
    assert {kind for kind, _, _ in rows} == set(CONTROLLERS)
    assert rows["pid", "setting", "gain"]["default"] == "required"
    assert rows["volt_var", "setting", "response_s"] | {"what": ""} == {
        "kind": "volt_var", "part": "setting", "name": "response_s", "unit": "s", "default": "5", "what": ""
    }  # fmt: skip
    assert rows["battery", "input", "grid"]["unit"] == "W"
    assert main(["check", "--keys", "--controllers", "level"]) == 0
    said = capsys.readouterr().out
    assert "filling stops" in said
    assert 'kind = "level"' in said
    assert main(["check", "--keys", "--controllers", "levle"]) == 1
    assert "level" in capsys.readouterr().err


def test_keys(capsys: pytest.CaptureFixture[str]) -> None:
    """The table of keys is there for people, too."""
    assert main(["check", "--keys", "--json"]) == 0
    keys = {row["key"]: row for row in json.loads(capsys.readouterr().out)}
    assert keys["gateway.id"]["default"] == "required"
    assert keys["buffer.commit_ms"]["default"] == "10000"
    assert "device[].connection" in keys
    assert main(["check", "--keys", "--profile", "--json"]) == 0
    assert "points[].checks.range.min" in capsys.readouterr().out
    assert main(["check"]) == 1


def test_a_new_profile_in_ten_minutes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The blank that `devices new` prints is right, and its faults are told as those of any profile."""
    assert main(["devices", "new", "my-meter"]) == 0
    blank = capsys.readouterr().out
    (tmp_path / "my-meter.toml").write_text(blank)
    assert main(["check", str(tmp_path / "my-meter.toml")]) == 0
    (tmp_path / "my-meter.toml").write_text(blank.replace('"kW"', '"kV"'))
    assert main(["check", str(tmp_path / "my-meter.toml")]) == 1
    assert 'points[0].unit = "kV"' in capsys.readouterr().err
    (tmp_path / "my-meter.toml").write_text(blank.replace("  # {", "  {"))  # the other examples are right as well
    assert main(["check", str(tmp_path / "my-meter.toml")]) == 0
    assert "a profile of 4 points without faults" in capsys.readouterr().out
    (tmp_path / "my-meter.toml").write_text(blank.replace("  # {", "  {").replace("enumeration", "enum"))
    assert main(["check", str(tmp_path / "my-meter.toml")]) == 1
    assert "did you mean enumeration?" in capsys.readouterr().err
    (tmp_path / "my-meter.toml").write_text(blank)
    assert main(["devices", "show", "my-meter", "--profiles", str(tmp_path)]) == 0
    assert "active_power, kW" in capsys.readouterr().out


def test_devices(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices", "list", "water", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "abb-aquamaster-3" in [one["id"] for one in found]
    assert main(["devices", "show", "sunspec-inverter", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["points"][0]["name"] == "manufacturer"
    assert main(["devices", "show", "sunspec"]) == 1
    assert "did you mean sunspec-" in capsys.readouterr().err
    assert main(["devices", "show"]) == 1
    assert "name a profile" in capsys.readouterr().err
    assert main(["devices", "quantities", "water_flow", "--json"]) == 0
    (flow,) = json.loads(capsys.readouterr().out)
    assert (flow["unit"], "l/min" in flow["also in"].split()) == ("m3/h", True)
