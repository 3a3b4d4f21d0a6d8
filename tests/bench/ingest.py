"""`ingest`: one aggregator process takes in batches of 2,000 readings over mTLS, durably; and a thousand gateways."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from aggregator.security import certificates
from aggregator.security.authority import OwnAuthority
from aggregator.stores.catalogue import Catalogue
from protos import tls
from tests.bench import Figure

READINGS_GOAL = 500_000
MEMORY_GOAL_MIB = 150
ROWS, POINTS = 20, 100  # 2,000 readings a batch
START_S = 60.0


@dataclass(frozen=True)
class Aggregator:
    """A real one in a process of its own, on free ports, with a state directory."""

    process: subprocess.Popen[str]
    state: Path
    address: str

    def resident_mib(self) -> float:
        return float(psutil.Process(self.process.pid).memory_info().rss / (1 << 20))

    def cpu_s(self) -> float:
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)


@contextmanager
def aggregator(directory: Path, limits: str = "") -> Iterator[Aggregator]:
    """Make and serve one; SIGTERM at the end."""
    state = directory / "aggregator"
    command = [sys.executable, "-m", "aggregator.cli"]
    if not state.exists():
        subprocess.run([*command, "init", str(state)], check=True, capture_output=True, timeout=START_S)
    config = state / "aggregator.toml"
    config.write_text(
        f'[aggregator]\nstate_dir = "{state}"\n[sync]\nlisten = "127.0.0.1:0"\n'
        f'[enrolment]\nlisten = "127.0.0.1:0"\n[limits]\n{limits}'
    )
    with (directory / "aggregator.out").open("a") as errors:
        process = subprocess.Popen([*command, "serve", str(config)], stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline().split()
        assert line[:1] == ["sync"], (directory / "aggregator.out").read_text()
        yield Aggregator(process, state, line[1])
    finally:
        process.terminate()
        process.wait(START_S)


def identities(state: Path, count: int) -> list[dict[str, str]]:
    """`count` gateways with certificates, as if they had enrolled. One key for all: making keys is not measured."""
    own, now, key = OwnAuthority.load(state / "ca"), time.time_ns(), certificates.new_key()
    names = [f"gw-{number:04}" for number in range(count)]
    catalogue = Catalogue(state / "catalogue.sqlite")
    with catalogue.act(now, "bench", "enrol", f"{count} gateways"):
        for name in names:
            catalogue.put_gateway(name, "enrolled", now)
    catalogue.close()
    chains = [certificates.pem(own.gateway(key.public_key(), name, tls.utc(now)), own.intermediate) for name in names]
    secret = certificates.key_pem(key).decode()
    return [
        {"id": name, "certificate": chain.decode(), "key": secret} for name, chain in zip(names, chains, strict=True)
    ]


@contextmanager
def fleet(server: Aggregator, directory: Path, count: int, **more: Any) -> Iterator[subprocess.Popen[str]]:
    """`count` gateways, connected; a line on stdin lets them send."""
    root = certificates.pem(OwnAuthority.load(server.state / "ca").root).decode()
    spec = {"address": server.address, "root": root, "gateways": identities(server.state, count)} | more
    (directory / "fleet.json").write_text(json.dumps(spec))
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.simulators.fleet", str(directory / "fleet.json")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert json.loads(line or "{}") == {"connected": count}, (directory / "aggregator.out").read_text()
        yield process
    finally:
        process.terminate()
        process.wait(START_S)


def go(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Let the fleet send; returns what it counted."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found


def run(scale: str) -> Iterator[Figure]:
    batches = {"full": 300, "ci": 60}[scale]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        limits = "batches_per_s = 1e6\nbatches_burst = 1000000\nbytes_per_s = 1e9\nbytes_burst = 1000000000\n"
        with aggregator(directory, limits) as server, fleet(server, directory, 20, batches=batches) as process:
            cpu = server.cpu_s()
            found = go(process)
            cpu = server.cpu_s() - cpu
        rate = found["readings_per_s"]
        complete = found["stored"] == 20 * batches and not found["refused"]
        yield Figure(
            "ingest",
            round(rate),
            "readings/s",
            f">= {READINGS_GOAL} durable over mTLS, one process, batches of 2,000",
            complete and rate >= READINGS_GOAL,
            {"p99_ms": round(found["p99_ms"], 1), "server_cores": round(cpu / found["seconds"], 2)},
        )
    yield from memory(1_000, hold_s=10 if scale == "full" else 3)


def memory(count: int, hold_s: float) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with aggregator(directory) as server:
            alone = server.resident_mib()
            with fleet(server, directory, count, hold_s=hold_s) as process:
                found = go(process)
                cpu = server.cpu_s()
                resident = server.resident_mib()
            yield Figure(
                "ingest-gateways",
                round(resident, 1),
                "MiB",
                f"<= {MEMORY_GOAL_MIB} MiB with {count} gateways connected",
                resident <= MEMORY_GOAL_MIB and not found["refusals"],
                {"idle_mib": round(alone, 1), "cpu_s": round(cpu, 1), "beats": found["beats"]},
            )
