"""A gateway that loads models as they come, in its own process. For negative controls, and to compare what they make.

    python -m tests.simulators.trusting < models > ends

Each model is its length (4 bytes, big-endian) and its bytes; the first one is the good one. A line for each other says
how the process ended that loaded and ran it, a fork of this one: died SIGSEGV, endless, refused, same or different
(from the good one, on `ASKED` random inputs).
"""

import os
import resource
import signal
import struct
import subprocess
import sys
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

ASKED = 4096
REFUSED, SAME, DIFFERENT = 10, 0, 11
CPU_S = 2


def run(content: bytes, width: int | None) -> npt.NDArray[np.generic]:
    interpreter = Interpreter(model_content=content, num_threads=1)
    into, out = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    width = width or int(into["shape"][1])
    z = np.random.default_rng(7).integers(-128, 128, (ASKED, width))
    interpreter.resize_tensor_input(into["index"], [ASKED, width])
    interpreter.allocate_tensors()
    interpreter.set_tensor(into["index"], z.astype(into["dtype"]))
    interpreter.invoke()
    found: npt.NDArray[np.generic] = interpreter.get_tensor(out["index"])
    return found


def load(content: bytes, good: npt.NDArray[np.generic], width: int) -> str:
    """In a fork: how it ended."""
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            found = run(content, width)
        except (RuntimeError, ValueError, IndexError, TypeError):
            os._exit(REFUSED)
        os._exit(SAME if found.dtype == good.dtype and np.array_equal(found, good) else DIFFERENT)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return "endless" if number == signal.SIGXCPU else f"died {signal.Signals(number).name}"
    return {REFUSED: "refused", SAME: "same", DIFFERENT: "different"}.get(os.WEXITSTATUS(status), "died")


def models(source: BinaryIO) -> Sequence[bytes]:
    found = []
    while head := source.read(4):
        found.append(source.read(struct.unpack(">I", head)[0]))
    return found


def ends(contents: Sequence[bytes]) -> list[str]:
    """Of each network after the first, which is the good one: what became of the process that ran it."""
    feed = b"".join(struct.pack(">I", len(one)) + one for one in contents)
    command = [sys.executable, "-m", "tests.simulators.trusting"]
    done = subprocess.run(command, input=feed, capture_output=True, check=True)
    return done.stdout.decode().split("\n")[: len(contents) - 1]


if __name__ == "__main__":
    first, *others = models(sys.stdin.buffer)
    right = run(first, None)
    features = int(Interpreter(model_content=first).get_input_details()[0]["shape"][1])
    for one in others:
        print(load(one, right, features), flush=True)
