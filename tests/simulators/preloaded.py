"""Faults of one process's machine, preloaded into it: a disk that stalls or is full, a time of day that steps."""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).parent


def library(name: str) -> Path:
    """The library made of `name`.c, compiled when its source is new. Raises RuntimeError with the compiler's words."""
    source = HERE / f"{name}.c"
    digest = sha256(source.read_bytes()).hexdigest()[:12]
    made = Path(tempfile.gettempdir()) / f"citytwin-{name}-{os.getuid()}-{digest}.so"
    if made.exists() and made.stat().st_uid == os.getuid():
        return made
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise RuntimeError("no C compiler: apt-get install gcc")
    fresh = made.with_suffix(f".{os.getpid()}")
    words = [compiler, "-O2", "-Wall", "-shared", "-fPIC", "-o", str(fresh), str(source), "-ldl"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr}")
    fresh.replace(made)
    return made


@dataclass(frozen=True)
class DiskFaults:
    """`switch` is the file that says what is wrong now; `under` the folder whose files are struck."""

    switch: Path
    under: Path

    @property
    def environment(self) -> dict[str, str]:
        self.switch.write_text("")
        names = {"DISK_FAULTS_FILE": str(self.switch), "DISK_FAULTS_UNDER": str(self.under)}
        return names | {"LD_PRELOAD": str(library("disk_faults"))}

    def now(self, what: str) -> None:
        """`stall 400`, `full`, or nothing. Replaced in one step."""
        fresh = self.switch.with_suffix(".new")
        fresh.write_text(what)
        fresh.replace(self.switch)


@dataclass(frozen=True)
class ClockSteps:
    """`file` holds how far the time of day is off; it is changed in place, since the process has mapped it."""

    file: Path

    @property
    def environment(self) -> dict[str, str]:
        self.file.write_bytes(bytes(8))
        return {"CLOCK_STEPS_FILE": str(self.file), "LD_PRELOAD": str(library("clock_steps"))}

    def now(self, seconds: int) -> None:
        with self.file.open("r+b") as file:
            file.write(seconds.to_bytes(8, "little", signed=True))
