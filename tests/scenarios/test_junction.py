"""A whole agent asks a cabinet in SUMO through real registers; when it dies, the cabinet goes on by itself."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen, TimeoutExpired

import pytest
from pymodbus.client import ModbusTcpClient

from tests.bench.gateway import wait_for
from tests.bench.junction import site_of
from tests.bench.processes import running
from tests.simulators.cabinet import TTL_S
from tests.simulators.modbus import ROOT
from tests.simulators.sumo_road import missing

SPEED = 10
MODE, STAGE, ASKED = 0, 1, 7  # registers of the profile citytwin-cabinet
PATIENCE = 400  # looks, a tenth of a second apart

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"missing: {', '.join(missing())}")


@contextmanager
def road(folder: Path) -> Iterator[tuple[str, ModbusTcpClient]]:
    words = [sys.executable, "-m", "tests.simulators.sumo_junction", "--net", "ingolstadt1", "--speed", str(SPEED)]
    with running([*words, "--ready", str(folder / "ready.json")], folder / "road.log", cwd=ROOT) as process:
        wait_for(folder / "ready.json", process, folder / "road.log")
        told = json.loads((folder / "ready.json").read_text())
        host, _, port = told["connection"].removeprefix("tcp://").partition(":")
        with ModbusTcpClient(host, port=int(port)) as client:
            yield site_of(told, folder), client


def status(client: ModbusTcpClient) -> list[int]:
    return list(client.read_input_registers(0, count=16, device_id=1).registers)


def until(client: ModbusTcpClient, process: "Popen[bytes]", register: int, wanted: set[int]) -> int:
    """Looks until the register holds one of these; how many looks it took."""
    for look in range(PATIENCE):
        if status(client)[register] in wanted:
            return look
        try:
            process.wait(0.1)
        except TimeoutExpired:
            continue
        if process.returncode != -9:
            break
    raise AssertionError(f"register {register} never was one of {wanted}: {status(client)}")


def test_it_is_asked_and_goes_on_alone(tmp_path: Path) -> None:
    with road(tmp_path) as (site, client):
        config = tmp_path / "gateway.toml"
        config.write_text(site)
        words: list[str | Path] = [sys.executable, "-m", "edge_agent.cli", "run", config, "--speed", str(SPEED)]
        with running(words, tmp_path / "agent.log", cwd=ROOT) as agent:
            until(client, agent, MODE, {1})
            until(client, agent, ASKED, {301, 302, 303})  # a stage was ended
            assert client.write_register(0, 999, device_id=1).isError()  # nobody may ask for what there is not
            agent.kill()
            agent.wait()
            assert until(client, agent, MODE, {0}) >= 1  # not before the request lapsed
            assert status(client)[8] == 0
            now = status(client)[STAGE]
            until(client, agent, STAGE, {1, 2, 3} - {now})  # its own plan goes on
    assert TTL_S / SPEED < PATIENCE / 10
