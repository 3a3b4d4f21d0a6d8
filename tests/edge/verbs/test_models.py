"""`edge-agent models` with and without a running agent: what it prints, its exit codes, and what it leaves."""

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edge_agent.cli import main
from edge_agent.config import load
from edge_agent.local import door
from edge_agent.plant import fit_of
from edge_agent.rollout.models import Models
from edge_agent.rollout.requests import SOCKET, answer
from edge_agent.rollout.shelf import Shelf
from protos.bundle import FILE_BYTES_MAX
from protos.clock import SystemClock
from tests.simulators.bundles import signing_key, tank_bundle, write_trust

KEY = signing_key()
SITE = """\
[gateway]
id = "north-1"
district = "north"
state_dir = "state"
profiles_dir = "profiles"

[control]
trust = ["trust.pem"]

[[device]]
name = "pump"
profile = "pump"
connection = "tcp://192.0.2.7"

[[twin]]
name = "tank"
bundle = "tank.ctb"
points = { level = "pump/level", speed = "pump/speed" }
"""
PROFILE = """
name = "A pump in a tank"
domain = "services"
category = "pump drive"
grade = "A"
source = "this test"
points = [
  { name = "level", quantity = "water_level", unit = "m", address = 0 },
  { name = "speed", quantity = "pump_speed", unit = "%", address = 1 },
]
[modbus]
function = 3
type = "u16"
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    write_trust(tmp_path / "trust.pem", KEY)
    tank_bundle(tmp_path / "tank.ctb", KEY, network=True)
    tank_bundle(tmp_path / "other.ctb", KEY, version="2")
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "pump.toml").write_text(PROFILE)
    (tmp_path / "site.toml").write_text(SITE.replace('"state"', f'"{tmp_path}/state"'))
    return tmp_path / "site.toml"


def models(site: Path, *words: str) -> int:
    return main(["models", *words, "-c", str(site)])


def listed(site: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    assert models(site, "list", "--json") == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["models"]
    return found


def test_without_an_agent(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [row["state"] for row in listed(site, capsys)] == ["without"]
    tank = str(site.with_name("tank.ctb"))
    assert models(site, "install", tank, "--twin", "tank", "--why", "the first") == 0
    assert "tank 1 passed its trial" in capsys.readouterr().out
    (row,) = listed(site, capsys)
    assert (row["slot"], row["model"], row["state"]) == ("candidate", "tank 1", "probation")
    assert row["why"] == "the first"
    assert Shelf(site.with_name("state"), "tank").read().starts == (), "nothing was started"
    assert models(site, "rollback", "tank") == 0
    assert models(site, "list") == 0
    assert "taken back" in capsys.readouterr().out
    assert models(site, "install", tank, "--twin", "tank") == 1
    assert "was taken back before: in probation: by hand" in capsys.readouterr().err
    assert models(site, "install", tank, "--twin", "tank", "--again") == 0


def test_check_changes_nothing(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert models(site, "check", str(site.with_name("tank.ctb")), "--twin", "tank") == 0
    assert "passed its trial" in capsys.readouterr().out
    assert models(site, "check", str(site.with_name("tank.ctb")), "--json") == 0
    assert json.loads(capsys.readouterr().out)["golden"] == 1024
    assert not site.with_name("state").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["check", "none.ctb"], "No such file"),
        (["check", "large.ctb"], "more than a bundle may have"),
        (["check", "site.toml"], "this is no bundle"),
        (["check", "stranger.ctb"], "none of the 1 keys trusted here"),
        (["check", "tank.ctb", "--twin", "pump"], "pump: no such twin"),
        (["install", "tank.ctb", "--twin", "pump"], "no such twin; the gateway's file has tank"),
        (["rollback", "pump"], "no such twin"),
        (["rollback", "tank"], "nothing to go back from"),
    ],
)
def test_what_cannot_be_done_is_said(
    site: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(site.parent)
    tank_bundle(site.with_name("stranger.ctb"), signing_key(7))
    site.with_name("large.ctb").write_bytes(bytes(FILE_BYTES_MAX + 1))
    assert models(site, *words) == 1
    assert told in " ".join(capsys.readouterr().err.split())
    assert models(site, *words, "--json") == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False


async def test_with_an_agent(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = load(site)
    running = Models(config.state_dir, [KEY.public_key()], SystemClock(), fit_of(config))
    await running.adopt(config.cell.twins)
    async with door.serve(config.state_dir, SOCKET, partial(answer, running), FILE_BYTES_MAX):
        other = str(site.with_name("other.ctb"))
        assert await asyncio.to_thread(models, site, "install", other, "--twin", "tank") == 0
        assert await asyncio.to_thread(models, site, "list") == 0
        printed = capsys.readouterr().out
        assert "tank 2" in printed
        assert "probation 0/1800 s" in printed
        assert await asyncio.to_thread(models, site, "rollback", "tank", "--why", "asked for") == 0
        assert await asyncio.to_thread(models, site, "install", other, "--twin", "tank") == 1
    running.close()
