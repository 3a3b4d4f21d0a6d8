"""Small files that are whole or not there: written beside, synced, renamed."""

import os
from pathlib import Path


def put_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Put `content` at `path` in one step that survives a power cut. Raises OSError."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
