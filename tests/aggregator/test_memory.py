"""The two switches do what they say, and nothing breaks after them."""

import hashlib
import subprocess
import sys

from aggregator.memory import forget_start_up_code

ASK = """
from pathlib import Path
import numpy, cryptography.x509, grpc.aio
from aggregator import memory
def resident(): return int(Path("/proc/self/statm").read_text().split()[1])
assert memory.keep_empty_buffers_out()
before = resident()
assert memory.forget_start_up_code() > 10
print(before > resident() + 1000)
"""


def test_resident_memory_falls() -> None:
    done = subprocess.run([sys.executable, "-c", ASK], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "True"


def test_code_comes_back() -> None:
    forget_start_up_code()
    assert hashlib.sha256(b"abc").hexdigest().startswith("ba7816bf")
