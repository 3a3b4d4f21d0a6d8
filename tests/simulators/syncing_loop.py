"""The real agent with a broken promise: its control loop writes each tick to the disk itself, and waits for that."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from edge_agent.cli import main
from edge_agent.config import load
from edge_agent.cycle import Tick
from edge_agent.image import Frame
from edge_agent.recorder import Recorder

FILE = Path(load(Path(sys.argv[1])).state_dir) / "inline"


def keep(self: Recorder, frames: Sequence[Frame], tick: Tick, acted: bool, now_ns: int) -> None:
    """What `Recorder.keep` must never do."""
    file = os.open(FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(file, tick.view.values.tobytes())
    os.fdatasync(file)
    os.close(file)


if __name__ == "__main__":
    FILE.parent.mkdir(parents=True, exist_ok=True)
    Recorder.keep = keep  # type: ignore[method-assign]
    sys.exit(main(["run", sys.argv[1]]))
