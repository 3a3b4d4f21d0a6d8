"""Processes that a figure starts and watches: their CPU seconds, resident memory, and their end, by pid."""

import os
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

TICK = os.sysconf("SC_CLK_TCK")
END_S = 20.0  # a process that does not end by then after SIGTERM is killed


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    words: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process with its output in `log`; end it, and what it started, when the context closes."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            [str(word) for word in words],
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(env or {})},
            cwd=cwd,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cpu_s(pid: int) -> float:
    """CPU seconds, user and system, of a process and of the children it has waited for or still has."""
    process = psutil.Process(pid)
    times = process.cpu_times()
    own = times.user + times.system + times.children_user + times.children_system
    return float(own + sum(sum(child.cpu_times()[:2]) for child in process.children(recursive=True)))


def resident_mib(pid: int) -> float:
    """Resident memory of a process and its children, MiB (shared pages counted once per process)."""
    process = psutil.Process(pid)
    return float(sum(one.memory_info().rss for one in (process, *process.children(recursive=True))) / 2**20)
