"""A new model at a running gateway: brought by the verb, shown beside the old one, taken back by a crash loop."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_agent.cli import main
from edge_agent.rollout.shelf import Shelf
from edge_agent.rollout.state import Model, State
from protos.bundle import Bundle
from tests.bench import acting
from tests.bench.gateway import agent
from tests.simulators.bad_bundles import crafted, resigned
from tests.simulators.bundles import signing_key, tank_bundle

PATIENCE_S = 30.0
TWIN = "echo0"
Rows = list[dict[str, Any]]


class Gateway:
    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys
        self.config = folder / "gateway.toml"

    def say(self, *words: object) -> tuple[int, Any]:
        code = main(["models", *map(str, words), "--json", "-c", str(self.config)])
        return code, json.loads(self._capsys.readouterr().out)

    def until(self, reached: Callable[[Rows], bool]) -> Rows:
        deadline = time.monotonic() + PATIENCE_S
        rows: Rows = []
        while not reached(rows):
            assert time.monotonic() < deadline, rows
            time.sleep(0.1)
            rows = self.say("list")[1]["models"]
        return rows

    def serve_long(self, data: bytes) -> None:
        shelf = Shelf(self.folder / "edge", TWIN)
        shelf.open()
        shelf.keep(State(current=Model(shelf.put(data), "echo", "1", time.time_ns(), "committed long ago")))


def test_a_new_model_at_a_running_gateway(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gateway = Gateway(tmp_path, capsys)
    with acting.devices("--echo-ms", "500") as devices:
        acting.site(tmp_path, devices.ports, period_ms=100, outputs=1, twins=1)
        old = (tmp_path / "echo.ctb").read_bytes()
        gateway.serve_long(old)
        new = tank_bundle(tmp_path / "new.ctb", signing_key(), version="2", network=True)
        bad = tmp_path / "bad.ctb"
        opened = Bundle.open(new.read_bytes(), [signing_key().public_key()])
        assert opened.network is not None
        bad.write_bytes(resigned(opened, residual=dict(crafted(opened.network))["graphs left out"]))
        with agent(tmp_path, gateway.config) as process:
            code, answer = gateway.say("install", bad, "--twin", TWIN)
            assert (code, answer["ok"]) == (1, False)
            assert "SIGSEGV" in answer["said"]
            assert gateway.say("install", new, "--twin", TWIN)[0] == 0
            rows = gateway.until(lambda rows: len(rows) == 2 and not rows[1]["state"].startswith("shadow 0/"))
            assert rows[0]["state"] == "in service"
            assert rows[1]["state"].startswith("shadow")
            process.send_signal(signal.SIGKILL)
            process.wait()
        for _ in range(2):
            (tmp_path / "edge" / "status.sock").unlink()
            with agent(tmp_path, gateway.config) as process:
                assert len(gateway.say("list")[1]["models"]) == 2
                process.send_signal(signal.SIGKILL)
                process.wait()
        (tmp_path / "edge" / "status.sock").unlink()
        with agent(tmp_path, gateway.config):
            said = gateway.say("list")[1]
        assert [row["model"] for row in said["models"]] == ["echo 1"]
        assert "crash loop: 3 starts in 10 minutes" in said["refused"][0]["why"]
