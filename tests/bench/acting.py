"""A gateway that acts, for figures of its control loop: prompt devices, a profile for them, a file with outputs."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PROFILE = """
name = "A prompt device"
domain = "services"
category = "pump drive"
grade = "A"
source = "this benchmark"
points = [
  { name = "input", quantity = "percentage", unit = "%", address = 0 },
  { name = "ramp", quantity = "percentage", unit = "%", address = 1 },
  { name = "actuator", quantity = "percentage", unit = "%", address = 10, write_function = 6, access = "rw" },
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
max = 1000
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
settings = {{ setpoint = 0, gain = -1, integral_s = 0 }}
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


def site(folder: Path, ports: Sequence[int], *, period_ms: int, head: str = "", tail: str = "", outputs: int = 0, ttl_s: float = 1, refresh_s: float = 0, timeout_s: float = 0, point: str = "d{k}/input") -> Path:  # fmt: skip  # noqa: E501
    """A gateway's file in `folder`: a device for each port, and for the first `outputs` an output that follows it."""
    own = folder / "profiles"
    own.mkdir(parents=True, exist_ok=True)
    (own / "prompt.toml").write_text(PROFILE)
    parts = [f'[gateway]\nid = "gw-bench"\ndistrict = "bench"\nstate_dir = "{folder}/edge"\nprofiles_dir = "{own}"\n']
    parts += [head, f"[control]\nperiod_ms = {period_ms}\n"]
    parts += [DEVICE.format(k=k, port=port, period_ms=period_ms) for k, port in enumerate(ports)]
    for k in range(outputs):
        parts.append(OUTPUT.format(k=k, ttl_s=ttl_s, refresh_s=refresh_s, timeout_s=timeout_s))
        parts.append(FOLLOW.format(k=k, point=point.format(k=k)))
    file = folder / "gateway.toml"
    file.write_text("\n".join([*parts, tail]))
    return file
