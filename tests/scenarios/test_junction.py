"""A whole agent asks a cabinet in SUMO through real registers; when it dies, the cabinet goes on by itself."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
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

SPEED = 20
MODE, STAGE, ASKED, LEFT = 0, 1, 7, 8  # registers of the profile citytwin-cabinet
PATIENCE = 400  # looks, a tenth of a second apart

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"missing: {', '.join(missing())}")


@dataclass(frozen=True, slots=True)
class Junction:
    """A running road with its cabinet, looked at with another Modbus client than the agent's."""

    site: str  # the gateway's file for it
    process: "Popen[bytes]"
    client: ModbusTcpClient

    def status(self) -> list[int]:
        return list(self.client.read_input_registers(0, count=16, device_id=1).registers)

    def until(self, register: int, wanted: set[int], log: Path) -> None:
        """Look until the register holds one of these."""
        for _ in range(PATIENCE):
            if self.status()[register] in wanted:
                return
            with suppress(TimeoutExpired):
                self.process.wait(0.1)
                break
        raise AssertionError(f"register {register} never was one of {wanted}: {log.read_text()[-2000:]}")


@contextmanager
def junction(folder: Path) -> Iterator[Junction]:
    words = [sys.executable, "-m", "tests.simulators.sumo_junction", "--net", "ingolstadt1", "--speed", str(SPEED)]
    with running([*words, "--ready", str(folder / "ready.json")], folder / "road.log", cwd=ROOT) as process:
        wait_for(folder / "ready.json", process, folder / "road.log")
        told = json.loads((folder / "ready.json").read_text())
        host, _, port = told["connection"].removeprefix("tcp://").partition(":")
        with ModbusTcpClient(host, port=int(port)) as client:
            yield Junction(site_of(told, folder), process, client)


def test_rule_17_it_is_asked_and_goes_on_alone(tmp_path: Path) -> None:
    config, log = tmp_path / "gateway.toml", tmp_path / "agent.log"
    with junction(tmp_path) as it:
        config.write_text(it.site)
        words: list[str | Path] = [sys.executable, "-m", "edge_agent.cli", "run", config, "--speed", str(SPEED)]
        with running(words, log, cwd=ROOT) as agent:
            it.until(MODE, {1}, log)
            it.until(ASKED, {301, 302, 303}, log)  # a stage was ended
            assert it.client.write_register(0, 999, device_id=1).isError()  # nobody may ask for what there is not
            agent.kill()
            agent.wait()
            left_s = it.status()[LEFT] / 10
            assert 0 < left_s <= TTL_S
            it.until(MODE, {0}, log)
            it.until(STAGE, {1, 2, 3} - {it.status()[STAGE]}, log)  # its own plan goes on
