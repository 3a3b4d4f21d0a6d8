"""Modbus devices for tests and figures, as processes: on libmodbus (C), on pymodbus, and a line that misbehaves.

with c_server(50) as ports: ...                      every register of every unit holds its own address
with faulty_line("rtu", units="1-10", dead="5") as lines: ...     lines[0].connection
with pymodbus_line("tls://127.0.0.1:0", "eastron-sdm630@1") as lines: ...
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

SOURCE = Path(__file__).with_name("modbus_server.c")
ROOT = Path(__file__).parents[2]
END_S = 10.0


@dataclass(frozen=True, slots=True)
class Simulated:
    """One line of a simulator process."""

    connection: str
    process: "subprocess.Popen[str]"


def compiled() -> Path:
    """The C server, compiled when its source is new. Raises RuntimeError with the compiler's words."""
    digest = sha256(SOURCE.read_bytes()).hexdigest()[:12]
    program = Path(tempfile.gettempdir()) / f"citytwin-modbus-server-{os.getuid()}-{digest}"
    if program.exists() and program.stat().st_uid == os.getuid():
        return program
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise RuntimeError("no C compiler: apt-get install gcc libmodbus-dev")
    own = program.with_suffix(f".{os.getpid()}")
    words = [compiler, "-O2", "-Wall", "-o", str(own), str(SOURCE), "-lmodbus"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr}")
    own.replace(program)
    return program


@contextmanager
def process(words: list[str]) -> "Iterator[tuple[subprocess.Popen[str], str]]":
    """Run a simulator; its process and the first line that it printed."""
    running = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert running.stdout is not None
    try:
        line = running.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(words)} ended with {running.wait(END_S)} before it was ready")
        yield running, line
    finally:
        running.terminate()
        try:
            running.wait(END_S)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
        running.stdout.close()


@contextmanager
def c_server(ports: int = 1) -> Iterator[list[int]]:
    """The libmodbus server on so many ports of 127.0.0.1."""
    with process([str(compiled()), str(ports)]) as (_, line):
        yield [int(port) for port in line.split()]


@contextmanager
def faulty_line(kind: str, **settings: object) -> Iterator[list[Simulated]]:
    """`tests.simulators.modbus_line`; settings as its options, with underscores: `late_ms=(30, 200)`."""
    words = [sys.executable, "-m", "tests.simulators.modbus_line", "--kind", kind]
    for name, value in settings.items():
        values = value if isinstance(value, tuple) else (value,)
        words += [f"--{name.replace('_', '-')}", *map(str, values)]
    with process(words) as (running, line):
        yield [Simulated(connection, running) for connection in line.split()]


@contextmanager
def pymodbus_line(listen: str, *devices: str, mode: str = "address", **settings: object) -> Iterator[list[Simulated]]:
    """`edge-agent simulate`, which answers by pymodbus: a connection for each device, PROFILE@UNIT."""
    words = [sys.executable, "-m", "edge_agent.cli", "simulate", *devices, "--listen", listen, "--mode", mode]
    for name, value in settings.items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    with process(words) as (running, first):
        assert running.stdout is not None
        lines = [first, *(running.stdout.readline() for _ in devices[1:])]
        yield [Simulated(json.loads(line)["connection"], running) for line in lines]
