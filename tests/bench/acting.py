"""A gateway that acts, for figures of its control loop: prompt devices, a profile for them, a file with outputs."""

import json
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aggregator.learning.bundling import Linear, Residual, make
from aggregator.learning.flatbuffer import Dense
from protos.model import Manifest, Variable
from tests.simulators.bundles import signing_key, write_trust

ROOT = Path(__file__).parents[2]
PROFILE = """
name = "A prompt device"
domain = "services"
category = "pump drive"
grade = "A"
source = "this benchmark"
points = [
  { name = "input", quantity = "water_level", unit = "m", scale = 0.001, address = 0 },
  { name = "ramp", quantity = "count", unit = "count", address = 1 },
  { name = "actuator", quantity = "pump_speed", unit = "%", scale = 0.1, address = 10, write_function = 6, \
    access = "rw" },
]
[modbus]
function = 3
type = "u16"
max_gap = 16
timeout_ms = 500
"""
DEVICE = (
    '[[device]]\nname = "d{k}"\nprofile = "prompt"\nconnection = "tcp://127.0.0.1:{port}"\nperiod_ms = {period_ms}\n'
)
OUTPUT = """
[[output]]
name = "out{k}"
point = "d{k}/actuator"
safe = 0
ttl_s = {ttl_s}
min = 0
max = 100
slew_per_s = 0
min_on_s = 0
min_off_s = 0
refresh_s = {refresh_s}
device_timeout_s = {timeout_s}
lifetime_writes = 0
readback_s = 2
"""
FOLLOW = """
[[controller]]
name = "follow{k}"
kind = "pid"
inputs = {{ input = "{point}" }}
outputs = {{ output = "out{k}" }}
settings = {{ setpoint = 0, gain = -100, integral_s = 0 }}
"""
TWIN = """
[[twin]]
name = "echo{k}"
bundle = "echo.ctb"
points = {{ level = "d{k}/input", speed = "d{k}/actuator" }}
"""


@dataclass
class Devices:
    """Prompt devices as a process; `report` after it ended."""

    ports: Sequence[int]
    process: "subprocess.Popen[str]"
    report: list[dict[str, Any]] = field(default_factory=list)

    def ask(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("?\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


def echo_bundle(period_ms: int, version: str = "1") -> bytes:
    """A twin of something that jumps: a level as a wide random walk, and a network of 16 that says next to nothing."""
    manifest = Manifest(
        name="echo",
        version=version,
        asset_class="echo",
        period_ns=period_ms * 1_000_000,
        states=(Variable.of("level", "water_level"),),
        channels=(Variable.of("level", "water_level"),),
        inputs=(Variable.of("speed", "pump_speed"),),
        made_at="2026-01-01T00:00:00Z",
    )
    one = np.ones((1, 1))
    linear = Linear(
        A=one,
        B=0 * one,
        H=one,
        Q=0.1 * one,
        R=1e-4 * one,
        x0=np.array([0.5]),
        u0=np.array([50.0]),
        f0=np.array([0.5]),
        y0=np.array([0.5]),
        x_low=np.array([-10.0]),
        x_high=np.array([10.0]),
        u_sd=np.array([50.0]),
    )
    random = np.random.default_rng(1)
    hidden = Dense(random.normal(0, 0.3, (16, 2)), random.normal(0, 0.1, 16), 0.0, 8.0, relu=True)
    last = Dense(random.normal(0, 0.02, (1, 16)), np.zeros(1), -3.0, 3.0)
    residual = Residual(
        features=("level", "speed"),
        targets=("level",),
        layers=(hidden, last),
        z_mean=np.array([0.5, 50.0]),
        z_sd=np.array([0.5, 50.0]),
        z_low=np.array([-2.0, -100.0]),
        z_high=np.array([3.0, 200.0]),
        r_mean=np.zeros(1),
        r_sd=np.array([1e-6]),
        Q=0.1 * one,
    )
    return make(manifest, linear, residual, card="# Echo\n\nMade for figures.\n", keys=[signing_key()])


@contextmanager
def devices(*words: str) -> Iterator[Devices]:
    command = [sys.executable, "-m", "tests.simulators.prompt_device", "--ask", *words]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    found = Devices(json.loads(process.stdout.readline()), process)
    try:
        yield found
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            rest, _ = process.communicate(timeout=10)
            found.report = json.loads(rest.strip().splitlines()[-1])


def site(folder: Path, ports: Sequence[int], *, period_ms: int, head: str = "", tail: str = "", outputs: int = 0, ttl_s: float = 1, refresh_s: float = 0, timeout_s: float = 0, twins: int = 0, slower: Collection[int] = ()) -> Path:  # fmt: skip  # noqa: E501
    """A gateway's file in `folder`: a device for each port, and for the first `outputs` an output that follows it: the
    estimate of a twin for the first `twins`, the input itself for the others. `slower`: read each tenth tick."""
    own = folder / "profiles"
    own.mkdir(parents=True, exist_ok=True)
    (own / "prompt.toml").write_text(PROFILE)
    parts = [f'[gateway]\nid = "gw-bench"\ndistrict = "bench"\nstate_dir = "{folder}/edge"\nprofiles_dir = "{own}"\n']
    trust = f'trust = ["{write_trust(folder / "trust.pem", signing_key())}"]' if twins else ""
    parts += [head, f"[control]\nperiod_ms = {period_ms}\n{trust}\n"]
    if twins:
        (folder / "echo.ctb").write_bytes(echo_bundle(period_ms))
    for k, port in enumerate(ports):
        parts.append(DEVICE.format(k=k, port=port, period_ms=10 * period_ms if k in slower else period_ms))
    for k in range(outputs):
        parts.append(OUTPUT.format(k=k, ttl_s=ttl_s, refresh_s=refresh_s, timeout_s=timeout_s))
        parts.append(FOLLOW.format(k=k, point=f"echo{k}/level" if k < twins else f"d{k}/input"))
    parts += [TWIN.format(k=k) for k in range(twins)]
    file = folder / "gateway.toml"
    file.write_text("\n".join([*parts, tail]))
    return file
