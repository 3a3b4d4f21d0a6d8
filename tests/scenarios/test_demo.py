"""The README's first command, for a quarter of a minute: every device of every gateway ends up in the history."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def verb(*words: object) -> list[dict[str, object]]:
    done = subprocess.run([str(BIN / str(words[0])), *map(str, words[1:])], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, object]] = json.loads(done.stdout)
    return rows


@pytest.mark.system("mosquitto")
def test_the_demo_city_measures_everything_it_says(tmp_path: Path) -> None:
    city: list[str | Path] = [
        sys.executable,
        ROOT / "deploy/demo/city.py",
        "--seconds",
        "12",
        "--folder",
        tmp_path / "demo",
    ]
    done = subprocess.run(city, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    config = tmp_path / "demo" / "aggregator" / "aggregator.toml"
    points = verb("aggregator", "points", "--json", "-c", config)
    devices = {str(point["point"]).rsplit("/", 1)[0] for point in points}
    assert len(devices) == 28, devices  # and what the gateway in the harbour decides
    for log in (tmp_path / "demo").glob("*.log"):
        assert "Traceback" not in log.read_text(), log.read_text()[-3000:]


@pytest.mark.system("mosquitto")
def test_an_incident_is_seen_explained_planned_for_and_acted_on(tmp_path: Path) -> None:
    """A cable fails: the twin finds who is without supply, a person approves the plan, a relay closes."""
    city: list[str | Path] = [
        *(sys.executable, ROOT / "deploy/demo/city.py"),
        *("--until-acted", "85", "--incident", "10", "--think", "1", "--folder", tmp_path / "demo"),
    ]
    done = subprocess.run(city, capture_output=True, text=True, timeout=115, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    config = tmp_path / "demo" / "aggregator" / "aggregator.toml"
    journal = verb("aggregator", "alarms", "journal", "--limit", "1000", "--json", "-c", config)
    dark = {one["asset"] for one in journal if one["condition"] == "no supply" and one["to"] == "unacknowledged"}
    assert {"pump-house", "quay"} <= dark
    decided = verb("aggregator", "decisions", "--json", "-c", config)
    assert any("close tie" in json.dumps(one) and "operator of the demo" in json.dumps(one) for one in decided)
    orders = verb("aggregator", "orders", "--json", "-c", config)
    assert [(one["gateway"], one["point"], one["value"]) for one in orders][:1] == [("gw-harbour", "do0", 1.0)]
    state = verb("aggregator", "city", "state", "--json", "-c", config)
    assert {one["domain"] for one in state} == {"energy", "services", "traffic", "environment", "safety"}
    for log in (tmp_path / "demo").glob("*.log"):
        assert "Traceback" not in log.read_text(), log.read_text()[-3000:]


@pytest.mark.system("mosquitto")
def test_ctrl_c_ends_all_of_it(tmp_path: Path) -> None:
    city: list[str | Path] = [sys.executable, ROOT / "deploy/demo/city.py", "--folder", tmp_path / "demo"]
    with subprocess.Popen(city, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "the city runs" in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(60) == 0, rest
    left = [
        path.read_bytes()
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if path.exists() and str(tmp_path).encode() in path.read_bytes()
    ]
    assert not left
