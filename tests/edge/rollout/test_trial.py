"""Every way in which a trial's process can end is one clear reason, and nothing of it is left behind."""

import asyncio
import sys
import time
from dataclasses import replace

import psutil
import pytest

from edge_agent.rollout.faults import Crashed, Failed, Overran, Rejected
from edge_agent.rollout.trial import Limits, run

LIMITS = Limits(wall_s=20)
SHUT_IN = "import sys\nfrom edge_agent.rollout.proof import limit_time, shut_in\nlimit_time(20, 1)\nshut_in(32)\n"
ENDS: dict[str, tuple[str, type[Rejected], str]] = {
    "no": ("import sys; print('pair 3 differs'); sys.exit(3)", Failed, "pair 3 differs"),
    "memory": ("import sys; sys.exit(4)", Overran, "more than 64 MiB"),
    "segv": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", Crashed, "SIGSEGV"),
    "abort": ("import os; os.abort()", Crashed, "SIGABRT"),
    "kill": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", Overran, "no memory left"),
    "error": ("raise RuntimeError('of another kind')", Crashed, "ended with 1: RuntimeError: of another kind"),
    "silent": ("import sys; sys.exit(7)", Crashed, "ended with 7: it said nothing"),
    "chatter": ("while True: print('x' * 1000)", Crashed, "talks without end"),
    "cpu": (SHUT_IN + "while True: pass", Overran, "processor time"),
    "bomb": (SHUT_IN + "try:\n  x = bytearray(1 << 30)\nexcept MemoryError: sys.exit(4)", Overran, "MiB"),
}


@pytest.mark.parametrize("end", ENDS)
async def test_every_end_is_a_reason(end: str) -> None:
    code, kind, words = ENDS[end]
    with pytest.raises(kind, match=words):
        await run((sys.executable, "-c", code), b"k" * 100, LIMITS)


async def test_yes_is_only_exit_code_0_after_all_was_read() -> None:
    read = "import sys; sys.exit(0 if sys.stdin.buffer.read() == b'k' * 5_000_000 else 3)"
    await run((sys.executable, "-c", read), b"k" * 5_000_000, LIMITS)


async def test_one_that_does_not_end_is_ended_with_all_it_started() -> None:
    code = "import subprocess, sys; p = subprocess.Popen(['sleep', '600']); print(p.pid, flush=True); p.wait()"
    began = time.monotonic()
    with pytest.raises(Overran, match="longer than 1 s"):
        await run((sys.executable, "-c", code), b"", replace(LIMITS, wall_s=1))
    assert time.monotonic() - began < 10


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


async def test_a_trial_that_is_cancelled_leaves_no_process() -> None:
    trial = asyncio.create_task(run((sys.executable, "-c", "import time; time.sleep(600)"), b"", LIMITS))
    before = children()
    async with asyncio.timeout(10):
        while not (mine := children() - before):
            await asyncio.sleep(0.01)
    trial.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trial
    assert not mine & children()


@pytest.mark.parametrize("wish", ["open('/etc/hostname')", "__import__('socket').socket()", "__import__('os').pipe()"])
async def test_the_child_can_open_nothing(wish: str) -> None:
    code = f"import socket\n{SHUT_IN}\ntry:\n  {wish}\nexcept OSError as error:\n  print(error)\n  sys.exit(3)"
    with pytest.raises(Failed, match="Too many open files"):
        await run((sys.executable, "-c", code), b"", LIMITS)
