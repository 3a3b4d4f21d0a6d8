"""Small files that are whole or not there: written beside, synced, renamed; with a checksum where one bit matters."""

import os
import zlib
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


def seal(content: bytes) -> bytes:
    """`content` behind its CRC-32."""
    return b"%08x " % zlib.crc32(content) + content


def unseal(sealed: bytes) -> bytes:
    """The content. Raises ValueError when a bit of it or of the checksum is another one."""
    check, _, content = sealed.partition(b" ")
    if check != b"%08x" % zlib.crc32(content):
        raise ValueError("the checksum does not match")
    return content
