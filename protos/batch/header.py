"""The uncompressed head of a batch's bytes and the checksum behind them: all that ingest needs to know."""

import struct
import zlib
from dataclasses import dataclass

from protos.batch.samples import Key, Priority
from protos.clock import Anchor

MAGIC = b"CTWB"
VERSION = 1
HEAD = struct.Struct("<4sBBBBQQ16sqqIQI")
CRC = struct.Struct("<I")
NAME_BYTES_MAX = 255  # of the gateway's id: its length is one byte


class BatchError(Exception):
    """The bytes are no batch that can be used."""


class Damaged(BatchError):
    """Cut short, changed on the way, or never a batch."""


class TooLarge(BatchError):
    """Decoding would take more memory than allowed."""


class UnknownVersion(BatchError):
    """Written by a newer version of this software."""


@dataclass(frozen=True, slots=True)
class Header:
    key: Key
    priority: Priority
    anchor: Anchor
    readings: int  # numbers and strings
    body_bytes: int  # compressed
    raw_bytes: int  # what decoding allocates: the body uncompressed, and the arrays made of it


def seal(header: Header, body: bytes) -> bytes:
    """Header, body and checksum as one blob. Raises ValueError when a field does not fit."""
    gateway, source = header.key.gateway.encode(), header.anchor.source.encode()
    if not 0 < len(gateway) <= NAME_BYTES_MAX or len(source) > NAME_BYTES_MAX:
        raise ValueError(f"gateway id {header.key.gateway!r}: its length must be 1 to {NAME_BYTES_MAX} bytes")
    try:
        head = HEAD.pack(
            MAGIC,
            VERSION,
            header.priority,
            len(gateway),
            len(source),
            header.key.epoch,
            header.key.sequence,
            header.anchor.boot_id,
            header.anchor.offset_ns,
            header.anchor.error_ns,
            header.readings,
            header.raw_bytes,
            len(body),
        )
    except struct.error as error:
        raise ValueError(f"batch {header.key}: a field of its header does not fit: {error}") from error
    sealed = b"".join((head, gateway, source, body))
    return sealed + CRC.pack(zlib.crc32(sealed))


def unseal(blob: bytes) -> tuple[Header, memoryview]:
    """Header and compressed body, the checksum proven. Raises Damaged and UnknownVersion."""
    size = len(blob)
    if size < HEAD.size + CRC.size:
        raise Damaged(f"{size} bytes are less than a header")
    view = memoryview(blob)
    if blob[:4] != MAGIC:
        raise Damaged("does not begin like a batch")
    if zlib.crc32(view[:-4]) != CRC.unpack_from(blob, size - 4)[0]:
        raise Damaged("checksum does not match")
    _, version, priority, gateway_len, source_len, epoch, sequence, *rest = HEAD.unpack_from(blob)
    if version != VERSION:
        raise UnknownVersion(f"batch of version {version}, this software knows {VERSION}: update it")
    boot_id, offset_ns, error_ns, readings, raw_bytes, body_bytes = rest
    start = HEAD.size + gateway_len + source_len
    if start + body_bytes + CRC.size != size:
        raise Damaged(f"header speaks of {body_bytes} bytes of body, there are {size - start - CRC.size}")
    try:
        gateway = str(view[HEAD.size : HEAD.size + gateway_len], "utf-8")
        source = str(view[HEAD.size + gateway_len : start], "utf-8")
        rank = Priority(priority)
    except ValueError as error:  # UnicodeDecodeError is one
        raise Damaged(f"header: {error}") from error
    if not gateway:
        raise Damaged("header names no gateway")
    anchor = Anchor(boot_id, offset_ns, error_ns, source)
    header = Header(Key(gateway, epoch, sequence), rank, anchor, readings, body_bytes, raw_bytes)
    return header, view[start : size - CRC.size]


def peek(blob: bytes) -> Header:
    """The header of a batch whose checksum is right; the body stays compressed. Raises Damaged, UnknownVersion."""
    return unseal(blob)[0]
