"""`edge-agent scan` against simulated devices on real Modbus TCP and a real pseudo-terminal."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from edge_agent.cli import main
from edge_agent.verbs.scan import connection_of, units_of

END_S = 30.0


@contextmanager
def played(*words: str, lines: int) -> Iterator[list[dict[str, Any]]]:
    program = [sys.executable, "-m", "edge_agent.cli", "simulate", *words]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield [json.loads(process.stdout.readline()) for _ in range(lines)]
        finally:
            process.terminate()
            process.wait(END_S)


def scanned(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["scan", *words, "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_finds_units_and_suggests_their_profiles(capsys: pytest.CaptureFixture[str]) -> None:
    names = {2: "eastron-sdm630", 4: "keba-kecontact", 5: "sunspec-inverter", 8: "grundfos-cim"}
    with played(*(f"{name}@{unit}" for unit, name in names.items()), lines=4) as devices:
        found = scanned([devices[0]["connection"], "--units", "1-9", "--timeout", "100"], capsys)
    assert [one["unit"] for one in found] == list(names)
    for one in found:
        name = names[one["unit"]]
        assert name in one["identification"]
        assert one["profiles that fit"].startswith(f"{name} ")
        assert one["SunSpec models"] == ("1, 103" if name == "sunspec-inverter" else "")


def test_scans_a_serial_line(capsys: pytest.CaptureFixture[str]) -> None:
    with played("carlo-gavazzi-em24@3", "--listen", "rtu", lines=1) as devices:
        found = scanned([devices[0]["connection"], "--units", "2-4", "--timeout", "100"], capsys)
    assert [one["unit"] for one in found] == [3]
    assert found[0]["profiles that fit"].startswith("carlo-gavazzi-em24 ")


def test_writes_nothing(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "writes.jsonl"
    with played("moxa-iologik-e1214@1", "--actuator-log", str(log), lines=1) as devices:
        scanned([devices[0]["connection"], "--units", "1", "--timeout", "100"], capsys)
    assert log.read_text() == ""


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "127.0.0.1:1", "--units", "1-3"]) == 1
    assert "cannot connect" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "248", "5-3", "a", "1-", ""])
def test_wrong_units(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "127.0.0.1", "--units", text]) == 1
    assert "give numbers from 1 to 247" in capsys.readouterr().err


def test_words() -> None:
    assert list(units_of("1-3, 9")) == [1, 2, 3, 9]
    assert connection_of("192.0.2.1") == "tcp://192.0.2.1"
    assert connection_of("/dev/ttyUSB0") == "rtu:///dev/ttyUSB0"
    assert connection_of("rtu+tcp://h:1") == "rtu+tcp://h:1"
