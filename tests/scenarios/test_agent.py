"""One real gateway process: signals, reload, status, a second agent. Its device is a simulator on real Modbus."""

import json
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.local import status
from tests.bench.gateway import BIN, agent, site

PROFILE = "eastron-sdm120"
PATIENCE_S = 20


@pytest.fixture(scope="module")
def connection() -> Iterator[str]:
    words: list[str | Path] = [BIN / "edge-agent", "simulate", f"{PROFILE}@1", f"{PROFILE}@2"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as device:
        assert device.stdout is not None
        yield str(json.loads(device.stdout.readline())["connection"])
        device.terminate()


def config_with(folder: Path, connection: str, units: int = 1) -> Path:
    (folder / "devices").mkdir(exist_ok=True)
    return site(folder, {}, [(PROFILE, connection, unit + 1) for unit in range(units)], 200, commit_ms=200)


def shown(config: Path) -> tuple[int, dict[str, Any]]:
    done = subprocess.run([BIN / "edge-agent", "status", config, "--json"], capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout)


def until(
    process: "subprocess.Popen[bytes]", folder: Path, reached: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    for _ in range(PATIENCE_S * 10):
        report = status.ask(folder / "edge")
        if report is not None and reached(report):
            return report
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    raise AssertionError(f"not reached: {(folder / 'agent.log').read_text()[-2000:]}")


def test_sigterm_commits_everything_that_was_read(tmp_path: Path, connection: str) -> None:
    config = config_with(tmp_path, connection)
    with agent(tmp_path, config) as process:
        until(process, tmp_path, lambda report: report["sequence"] >= 2)
        code, report = shown(config)
        assert (code, report["healthy"], report["late"]) == (0, True, [])
        last = report["gauges"]["intake_received_total"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    code, report = shown(config)
    assert (code, report["running"]) == (4, False)
    assert report["gauges"]["buffer_stored_total"] >= last
    assert report["sequence"] >= 2


def test_sigkill_costs_no_committed_batch(tmp_path: Path, connection: str) -> None:
    config = config_with(tmp_path, connection)
    with agent(tmp_path, config) as process:
        told = until(process, tmp_path, lambda report: report["sequence"] >= 3)
        process.kill()
        process.wait()
    words: list[str | Path] = [BIN / "edge-agent", "buffer", "verify", "-c", config]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (shown(config)[1]["epoch"], shown(config)[1]["sequence"]) >= (told["epoch"], told["sequence"])


def test_reload_takes_a_new_device_and_refuses_a_wrong_file(tmp_path: Path, connection: str) -> None:
    config = config_with(tmp_path, connection)
    good = config.read_text()
    with agent(tmp_path, config) as process:
        before = until(process, tmp_path, lambda report: report["sequence"] >= 1)
        config.write_text(good.replace("commit_ms = 200", "commit_ms = -1"))
        process.send_signal(signal.SIGHUP)
        until(process, tmp_path, lambda _: "reload refused" in (tmp_path / "agent.log").read_text())
        config_with(tmp_path, connection, units=2)
        process.send_signal(signal.SIGHUP)
        until(process, tmp_path, lambda _: "polling 2 devices" in (tmp_path / "agent.log").read_text())
        now = status.ask(tmp_path / "edge")
        assert now is not None
        after = until(process, tmp_path, lambda report: report["sequence"] > now["sequence"])
        assert after["epoch"] == before["epoch"]
        gauges = after["gauges"]
        assert gauges["intake_received_total"] >= gauges["buffer_stored_total"] > 0
        assert gauges["intake_dropped_total"] == gauges["buffer_dropped_total"] == 0
    log = (tmp_path / "agent.log").read_text()
    assert "commit_ms = -1" in log
    assert "Traceback" not in log


def test_a_second_agent_on_the_same_state_is_refused(tmp_path: Path, connection: str) -> None:
    config = config_with(tmp_path, connection)
    with agent(tmp_path, config):
        words: list[str | Path] = [BIN / "edge-agent", "run", config]
        done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert done.returncode == 1
        assert "another agent" in done.stderr


def test_readiness_and_watchdog_are_told(tmp_path: Path, connection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "n"))
        manager.settimeout(PATIENCE_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "n"))
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        with agent(tmp_path, config_with(tmp_path, connection)):
            told = {manager.recv(200).split(b"\n")[0] for _ in range(4)}
    assert {b"READY=1", b"WATCHDOG=1"} <= told


@pytest.mark.system("systemd-analyze")
@pytest.mark.parametrize("unit", ["citytwin-edge", "citytwin-aggregator"])
def test_services_are_sandboxed(unit: str) -> None:
    path = Path(__file__).parents[2] / "deploy" / "systemd" / f"{unit}.service"
    words = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:]
