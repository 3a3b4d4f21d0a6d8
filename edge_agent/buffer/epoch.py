"""The epoch file: which life of the buffer this is. A (gateway, epoch, sequence) is never used twice.

After a clean end the next start goes on in the same epoch. After a crash, or when the database does not agree with
the file, it begins a new one: what a damaged write-ahead log lost must not get its sequences used again.
"""

import json
import os
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

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


def begin(said: Epoch | None, in_database: int, newest_sequence: int, *, first: bool) -> Epoch:
    """The epoch of this start.

    `said` is what the file says, `in_database` the highest epoch there (0: none) with its newest sequence, `first`
    whether there is neither file nor database: a new gateway.
    """
    if first:
        return Epoch(1)
    if said is None:
        return Epoch(in_database + LEAP)
    if said.closed_at == newest_sequence and in_database in (0, said.number):
        return Epoch(said.number)
    if in_database == 0 and said.closed_at < 0:
        return Epoch(said.number + 1)
    return Epoch(max(said.number, in_database) + 1)
