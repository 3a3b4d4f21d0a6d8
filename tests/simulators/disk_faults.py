"""A disk that stalls or is full for one process: environment for it, and a switch. See `disk_faults.c`."""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")


def library() -> Path:
    """The preloaded library, compiled when its source is new. Raises RuntimeError with the compiler's words."""
    digest = sha256(SOURCE.read_bytes()).hexdigest()[:12]
    made = Path(tempfile.gettempdir()) / f"citytwin-disk-faults-{os.getuid()}-{digest}.so"
    if made.exists() and made.stat().st_uid == os.getuid():
        return made
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise RuntimeError("no C compiler: apt-get install gcc")
    fresh = made.with_suffix(f".{os.getpid()}")
    words = [compiler, "-O2", "-Wall", "-shared", "-fPIC", "-o", str(fresh), str(SOURCE), "-ldl"]
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
        return names | {"LD_PRELOAD": str(library())}

    def now(self, what: str) -> None:
        """`stall 400`, `full`, or nothing. Replaced in one step."""
        fresh = self.switch.with_suffix(".new")
        fresh.write_text(what)
        fresh.replace(self.switch)
