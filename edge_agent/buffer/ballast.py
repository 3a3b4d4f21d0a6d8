"""A file that is only there to be given up: a full disk must leave room for clearing up.

Its size covers one full write-ahead log twice, so that a checkpoint and the deletion of old rows always fit.
"""

import os
from pathlib import Path

ROOM = 2  # grown again only when so many times its size is free, so that it does not come and go


class Ballast:
    """`size` bytes at `path`, really allocated; `held` says whether they are there."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self.size = size
        self.held = path.exists() and path.stat().st_size == size
        if not self.held:
            self.grow()

    def release(self) -> bool:
        """Give the room up; False when it was given up before."""
        released = self.held
        self._path.unlink(missing_ok=True)
        self.held = False
        return released

    def grow(self) -> bool:
        """Take the room again if there is plenty; True when it is held."""
        if not self.held and self.free() >= ROOM * self.size:
            self.held = self._allocate()
        return self.held

    def free(self) -> int:
        """Bytes that this user may still write beside it."""
        facts = os.statvfs(self._path.parent)
        return facts.f_bavail * facts.f_frsize

    def _allocate(self) -> bool:
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(file, 0, self.size)
            finally:
                os.close(file)
        except OSError:  # full after all, or no such call here: the buffer works without, and says so
            self._path.unlink(missing_ok=True)
            return False
        return True
