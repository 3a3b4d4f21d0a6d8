"""A figure's module in a process of its own, on one core, with libraries that start no threads.

python -m tests.bench.one_core <module> <scale>      its figures as JSON lines
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from importlib import import_module

from tests.bench import Figure

SINGLE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def alone(module: str, scale: str) -> Iterator[Figure]:
    """What `figures(scale)` of `module` yields there. Raises CalledProcessError when it fails."""
    command = [sys.executable, "-m", "tests.bench.one_core", module, scale]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | SINGLE) as child:
        assert child.stdout is not None
        for line in child.stdout:
            yield Figure(**json.loads(line))
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)


if __name__ == "__main__":
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for figure in import_module(sys.argv[1]).figures(sys.argv[2]):
        print(json.dumps(asdict(figure)), flush=True)
