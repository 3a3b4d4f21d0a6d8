"""A model's trial: signature, digests, then loaded and run on its golden pairs in a process that may die of it.

LiteRT trusts the files it is given: truncated or crafted ones end the process that loads them (SIGSEGV) or read past
their buffers. So this process hands the bytes to a child over a pipe and maps nothing of them before the child has
said yes. The child (`proof.py`) can open no file and no socket, has little memory and little time, and its every way
to die is one clear reason.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from edge_agent.rollout.faults import Crashed, Failed, Overran, Rejected
from edge_agent.rollout.proof import NO, TOO_MUCH, YES
from protos.bundle import Bundle

PROOF = (sys.executable, "-I", "-X", "faulthandler", "-m", "edge_agent.rollout.proof")
ANSWER_BYTES_MAX = 65_536  # what a child may say; a crash report is a few kB
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS")}  # each thread's stack counts as memory


@dataclass(frozen=True, slots=True)
class Limits:
    """What a trial may take. A real model needs a fraction of a second and 2 MiB; a bomb needs all it gets."""

    wall_s: float = 30.0  # a machine busy with other work is slow, not wrong
    cpu_s: int = 5
    memory_mib: int = 64  # beyond what the interpreter itself takes


async def try_out(bundle: Bundle, data: bytes, limits: Limits) -> None:
    """Load `bundle`, which is what `data` was opened to, in a child and compare its golden pairs. Raises Rejected."""
    await run(PROOF, bytes.fromhex(bundle.signer) + data, limits)


async def run(command: Sequence[str], feed: bytes, limits: Limits) -> None:
    """Run the child on `feed`: the believed signer's raw key, then the bundle. Raises Rejected for every no."""
    child = await asyncio.create_subprocess_exec(
        *command,
        f"{limits.wall_s:g}",
        str(limits.cpu_s),
        str(limits.memory_mib),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=ANSWER_BYTES_MAX,
        cwd="/",
        env=ONE_THREAD,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(limits.wall_s):
            answer = await _converse(child, feed)
            code = await child.wait()
    except TimeoutError:
        raise Overran(f"the trial took longer than {limits.wall_s:g} s: the model is too large, or endless") from None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await child.communicate()  # what it still said must be taken, or its end is never seen
    if code != YES:
        raise verdict(code, answer, limits)


async def _converse(child: asyncio.subprocess.Process, feed: bytes) -> str:
    """Feed the child and listen to it at the same time. Raises Crashed for one that does not stop talking."""
    assert child.stdin is not None
    assert child.stdout is not None
    talk = asyncio.create_task(_feed(child.stdin, feed))
    try:
        heard = b""
        while more := await child.stdout.read(4096):
            heard += more
            if len(heard) > ANSWER_BYTES_MAX:
                raise Crashed("the trial's process talks without end: the model is damaged or crafted")
    finally:
        talk.cancel()
    return heard.decode(errors="replace").strip()


async def _feed(to: asyncio.StreamWriter, feed: bytes) -> None:
    with suppress(ConnectionError):  # it died first: its exit says why
        to.write(feed)
        await to.drain()
        to.close()


def verdict(code: int, answer: str, limits: Limits) -> Rejected:
    """Every way to end that is not yes, as one reason."""
    last = answer.splitlines()[-1] if answer else "it said nothing"
    if code == NO:
        return Failed(last)
    if code == TOO_MUCH:
        return Overran(f"the model needs more than {limits.memory_mib} MiB")
    if code == -signal.SIGXCPU:
        return Overran(f"the trial took more than {limits.cpu_s} s of processor time")
    if code == -signal.SIGALRM:
        return Overran(f"the trial took longer than {limits.wall_s:g} s")
    if code == -signal.SIGKILL:
        return Overran("the trial's process was killed: the machine has no memory left for it")
    if code < 0:
        return Crashed(f"the loader crashed on it ({signal.Signals(-code).name}): the model is damaged or crafted")
    return Crashed(f"the trial's process ended with {code}: {last}")
