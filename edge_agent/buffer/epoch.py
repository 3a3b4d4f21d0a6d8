"""The epoch file: which life of the buffer this is. A (gateway, epoch, sequence) is never used twice.

After a clean end the next start goes on in the same epoch. After a crash, or when the database does not agree with
the file, it begins a new one: what a damaged write-ahead log lost must not get its sequences used again.
"""

import json
import logging
import os
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from edge_agent.buffer.stored import EPOCH_MAX, key_of

log = logging.getLogger(__name__)
LEAP = 1000  # when neither the file nor the database can be trusted, begin this far above what is seen


@dataclass(frozen=True, slots=True)
class Epoch:
    """`closed_at`: the newest sequence at a clean end; -1 while in use or after a crash.

    `log_bytes`: what the write-ahead log's file holds at least while in use.
    """

    number: int
    closed_at: int = -1
    log_bytes: int = 0


def read(path: Path) -> Epoch | None:
    """What the file says; None when it is missing or damaged."""
    try:
        check, _, body = path.read_bytes().partition(b" ")
        if check != b"%08x" % zlib.crc32(body):
            return None
        return Epoch(**json.loads(body))
    except FileNotFoundError:
        return None


def write(path: Path, epoch: Epoch) -> None:
    """All or nothing, durable when it returns. Raises OSError."""
    body = json.dumps(asdict(epoch)).encode()
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        file.write(b"%08x " % zlib.crc32(body) + body)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


class Epochs:
    """The epoch of this buffer and its file. `make_room` frees some bytes when the disk is full."""

    def __init__(self, path: Path, make_room: Callable[[], object]) -> None:
        self._path = path
        self._make_room = make_room
        self.said = read(path)
        self.current = Epoch(0)

    def begin(self, newest: int, log_bytes: int, *, salvaging: bool) -> bool:
        """Find the epoch of this start; `newest` is the newest row number. False when the file was damaged."""
        there, sequence = key_of(newest)
        said = self.said
        first = said is None and not there and not salvaging and not self._path.exists()
        if first:
            number = 1
        elif said is None:
            number = there + LEAP
        elif said.closed_at == sequence and there in (0, said.number) and not salvaging:
            number = said.number
        else:
            number = max(said.number, there) + 1
        self._set(Epoch(number, log_bytes=log_bytes))
        return said is not None or first

    def leave(self, newest: int, log_bytes: int) -> None:
        """A new epoch after `newest`, because what was written in this one is not sure any more."""
        self._set(Epoch(max(self.current.number, key_of(newest)[0]) + 1, log_bytes=log_bytes))

    def raise_above(self, floor: int) -> int:
        """Go on above `floor`; returns the epoch. Raises ValueError for one that no gateway can have used."""
        if not 0 <= floor < EPOCH_MAX:
            raise ValueError(f"epoch {floor}: not between 0 and {EPOCH_MAX - 1}; the aggregator must be wrong")
        if self.current.number <= floor:
            self._set(replace(self.current, number=floor + 1))
        return self.current.number

    def end(self, newest: int) -> None:
        """A clean end with `newest` as the newest row number."""
        there, sequence = key_of(newest)
        self._set(Epoch(self.current.number, sequence if there == self.current.number else 0))

    def _set(self, epoch: Epoch) -> None:
        self.current = epoch
        for _ in range(2):
            try:
                write(self._path, epoch)
            except OSError as error:  # rows of this epoch in the database will say the same at the next start
                log.error("buffer: %s cannot be written: %s", self._path, error)
                self._make_room()
            else:
                return
