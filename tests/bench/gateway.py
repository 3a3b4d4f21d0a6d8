"""A real gateway for a figure: an aggregator and an agent as processes, enrolled over real TLS, on given devices."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.processes import running

BIN = Path(sys.executable).parent
READY_S = 30.0


@dataclass(frozen=True, slots=True)
class City:
    """One aggregator and one agent at work."""

    folder: Path
    config: Path  # the gateway's
    aggregator_config: Path
    agent: "subprocess.Popen[bytes]"
    aggregator: "subprocess.Popen[bytes]"

    def status(self) -> dict[str, Any]:
        return ask(self.config)


def verb(*words: object) -> str:
    """Run a verb of the two commands to its end; its output."""
    done = subprocess.run([str(BIN / str(words[0])), *map(str, words[1:])], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stdout}{done.stderr}")
    return done.stdout


def wait_for(file: Path, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until `file` is there; raises with the log's end when the process dies or takes too long."""
    deadline = time.monotonic() + READY_S
    while not file.exists():
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            if time.monotonic() < deadline:
                continue
        raise RuntimeError(f"{file} did not come: {log.read_text()[-2000:]}")


def profile(folder: Path, name: str, registers: int) -> Path:
    """A profile of so many u16 registers from address 0, at holding registers."""
    folder.mkdir(parents=True, exist_ok=True)
    checks = "checks = { range = { min = 0, max = 6554 } }"
    points = "\n".join(
        f'  {{ name = "r{i:03}", quantity = "voltage", unit = "V", scale = 0.1, address = {i}, {checks} }},'
        for i in range(registers)
    )
    file = folder / f"{name}.toml"
    file.write_text(
        f'name = "{registers} registers"\ndomain = "energy"\ncategory = "energy meter"\ngrade = "A"\n'
        f'source = "this benchmark"\npoints = [\n{points}\n]\n[modbus]\nfunction = 3\ntype = "u16"\n'
    )
    return file


def site(
    folder: Path,
    addresses: dict[str, str],
    devices: Sequence[tuple[str, str, int]],
    period_ms: int,
    **buffer: float,
) -> Path:
    """A gateway's file: `devices` are (profile, connection, unit); without addresses it works alone."""
    lines = [
        f'[gateway]\nid = "gw-bench"\ndistrict = "bench"\nstate_dir = "{folder}/edge"',
        f'profiles_dir = "{folder}/devices"',
        "[buffer]\n" + "\n".join(f"{key} = {value}" for key, value in buffer.items()),
    ]
    if addresses:
        lines.append(f'[aggregator]\naddress = "{addresses["sync"]}"\nenrol_address = "{addresses["enrolment"]}"')
    lines += [
        f'[[device]]\nname = "d{n:03}"\nprofile = "{kind}"\nconnection = "{connection}"\nunit = {unit}\n'
        f"period_ms = {period_ms}"
        for n, (kind, connection, unit) in enumerate(devices)
    ]
    file = folder / "gateway.toml"
    file.write_text("\n".join(lines) + "\n")
    return file


@contextmanager
def agent(folder: Path, config: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A running agent of its own."""
    with running([BIN / "edge-agent", "run", config], folder / "agent.log") as process:
        wait_for(folder / "edge" / "status.sock", process, folder / "agent.log")
        yield process


def ask(config: Path) -> dict[str, Any]:
    """What `edge-agent status --json` says."""
    done = subprocess.run([BIN / "edge-agent", "status", config, "--json"], capture_output=True, check=False)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@contextmanager
def city(folder: Path, devices: Sequence[tuple[str, str, int]], **buffer: float) -> Iterator[City]:
    """Start an aggregator, enrol a gateway with `devices`, start its agent; end both when the context closes."""
    state = folder / "aggregator"
    verb("aggregator", "init", state)
    file = state / "aggregator.toml"
    text = file.read_text().replace(":7443", ":0").replace(":7444", ":0").replace(":7480", ":0")
    file.write_text(text)
    with running([BIN / "aggregator", "serve", file], folder / "aggregator.log") as server:
        wait_for(state / "endpoints.json", server, folder / "aggregator.log")
        addresses = json.loads((state / "endpoints.json").read_text())
        config = site(folder, addresses, devices, 0, **buffer)
        token = verb("aggregator", "enrol-token", "gw-bench", "-c", file).strip()
        verb("edge-agent", "enrol", config, "--token", token)
        with agent(folder, config) as process:
            yield City(folder, config, file, process, server)
