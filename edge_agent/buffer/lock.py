"""One agent per state directory: a lock that the kernel gives back when its holder dies, however it dies."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from edge_agent.buffer.faults import Locked


class Lock:
    """Held from construction to `release`. Raises Locked, naming the other process, when somebody else has it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._file, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._file)
            raise Locked(
                f"{path}: another agent (process {holder}) uses this state directory: stop it, or give this gateway"
                " its own [gateway] state_dir"
            ) from None
        with suppress(OSError):  # on a full disk: who holds it is for people only
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        os.close(self._file)
