"""What was learned from history, at a running gateway: a trial, then the shadow beside the model in service."""

import json
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from aggregator.cli import main as aggregator
from edge_agent.cli import main as edge
from edge_agent.rollout.shelf import Shelf
from edge_agent.rollout.state import Model, State
from tests.aggregator.learning.plants import draining_tank, place
from tests.bench import acting
from tests.bench.gateway import agent
from tests.simulators.bundles import signing_key

TWIN = "echo0"


def test_a_gateway_takes_what_was_learned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    centre, site = tmp_path / "centre", tmp_path / "site"
    centre.mkdir()
    site.mkdir()
    tank = place(centre, draining_tank(2000))
    pem = signing_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (centre / "key.pem").write_bytes(pem)
    with tank.settings.path.open("a") as file:
        file.write('[learning]\nkey = "key.pem"\n')
    assert aggregator(["models", "train", str(tank.recipe), *tank.times, "--to", str(tmp_path / "out")]) == 0
    with acting.devices("--echo-ms", "500") as devices:
        acting.site(site, devices.ports, period_ms=100, outputs=1, twins=1)
        shelf = Shelf(site / "edge", TWIN)
        shelf.open()
        digest = shelf.put((site / "echo.ctb").read_bytes())
        shelf.keep(State(current=Model(digest, "echo", "1", time.time_ns(), "committed long ago")))
        config = str(site / "gateway.toml")
        with agent(site, site / "gateway.toml"):
            capsys.readouterr()
            bundle = str(tmp_path / "out" / "tank.ctb")
            assert edge(["models", "install", bundle, "--twin", TWIN, "-c", config, "--json"]) == 0, capsys.readouterr()
            capsys.readouterr()
            assert edge(["models", "list", "-c", config, "--json"]) == 0
            rows = json.loads(capsys.readouterr().out)["models"]
    assert [row["model"].split()[0] for row in rows] == ["echo", "tank"]
