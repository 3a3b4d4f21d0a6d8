"""Machines that believe a wrong time, and a broker with TLS: whole agents under libfaketime, a real mosquitto.

Nobody vouches for the time in these; what a gateway believes after its aggregator told it is in
tests/edge/sources/mqtt/test_broker.py.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from edge_agent.files import seal
from edge_agent.local import status
from protos.clock import NS
from tests.bench.clocks import library
from tests.bench.gateway import BIN, wait_for
from tests.bench.processes import running
from tests.simulators import mqtt_certificates
from tests.simulators.mqtt_broker import MosquittoBroker, mosquitto_broker

pytestmark = pytest.mark.system("mosquitto", "libfaketime")
AGENT = (BIN / "edge-agent", "run")
CREDULOUS = (sys.executable, "-m", "tests.simulators.credulous")  # believes its wall clock, whatever it says
WAIT_S = 20.0
LOOK_S = 0.1
REFUSED = "certificate"  # in the log


def site(folder: Path, broker: MosquittoBroker, certificates: mqtt_certificates.Certificates) -> Path:
    file = folder / "gateway.toml"
    file.write_text(
        f'[gateway]\nid = "gw"\ndistrict = "d"\nstate_dir = "{folder}/edge"\n'
        f'[[broker]]\nname = "b"\nhost = "127.0.0.1"\nport = {broker.port}\ntls = true\n'
        f'ca_file = "{certificates.ca}"\n'
        '[[device]]\nname = "m"\nprofile = "tasmota-energy"\nconnection = "b"\ntopic = "site/meter"\n'
    )
    return file


def remember(state: Path, utc_ns: int) -> None:
    """As an agent of an earlier boot did, which knew the time."""
    state.mkdir(mode=0o700)
    known = {"floor_utc_ns": utc_ns, "boot_id": "0" * 32, "offset_ns": 0, "error_ns": 0, "at_ns": 0}
    (state / "time.json").write_bytes(seal(json.dumps(known).encode()))


@contextmanager
def machine(folder: Path, command: Sequence[str | Path], config: Path, clock: str) -> Iterator[Path]:
    """An agent whose machine believes `clock`, in libfaketime's words; its log."""
    env = {"LD_PRELOAD": str(library()), "FAKETIME": clock, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    log = folder / "agent.log"
    with running([*command, config], log, env) as process:
        wait_for(folder / "edge" / "status.sock", process, log)
        yield log


def connected(state: Path, log: Path) -> bool:
    """Whether the broker is there, or its certificate was refused; whichever comes first."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        report: Any = status.ask(state)
        if report and report["gauges"]["field_connected"]:
            return True
        if REFUSED in log.read_text():
            return False
        time.sleep(LOOK_S)
    raise AssertionError(log.read_text())


@pytest.mark.parametrize(
    ("command", "back"), [(AGENT, True), (CREDULOUS, False)], ids=["agent", "negative control: believes 1970"]
)
def test_a_machine_that_boots_in_1970_comes_back(tmp_path: Path, command: Sequence[str | Path], back: bool) -> None:
    certificates = mqtt_certificates.make(tmp_path / "ca")
    with mosquitto_broker(tmp_path / "broker", certificates=certificates) as broker:
        config = site(tmp_path, broker, certificates)
        with machine(tmp_path, command, config, "@1970-01-01 00:00:30") as log:
            assert connected(tmp_path / "edge", log) == back


@pytest.mark.parametrize(
    ("command", "back"), [(AGENT, False), (CREDULOUS, True)], ids=["agent", "negative control: believes its clock"]
)
def test_a_clock_that_went_back_revives_no_certificate(
    tmp_path: Path, command: Sequence[str | Path], back: bool
) -> None:
    """It ended nine days ago, which the gateway knew before its clock went back."""
    certificates = mqtt_certificates.make(tmp_path / "ca", timedelta(days=-10))
    with mosquitto_broker(tmp_path / "broker", certificates=certificates) as broker:
        config = site(tmp_path, broker, certificates)
        remember(tmp_path / "edge", time.time_ns() - 3600 * NS)
        with machine(tmp_path, command, config, "-228h") as log:  # 9.5 days
            assert connected(tmp_path / "edge", log) == back
