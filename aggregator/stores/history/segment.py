"""The blobs of history: an axis (times and origins of rows), a part (axis and all columns), a segment (one column).

Every blob is `head · zstd body · CRC32`. The checksum also covers where the blob belongs and the numbers kept beside it
in its row, so that a blob in the wrong place, or a rollup that was altered, is found out as well.
"""

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import zstandard

from aggregator.stores.history import Codes, DamagedPart, Floats, Ints
from aggregator.stores.history.packing import (
    Damaged,
    pack_codes,
    pack_floats,
    pack_ints,
    shuffled,
    unpack_codes,
    unpack_floats,
    unpack_ints,
    unshuffled,
)
from protos.quality import Quality

HEAD = struct.Struct("<BBIIII")  # version, kind, rows, columns, runs, bytes of the body before compression
CRC = struct.Struct("<I")
VERSION = 1
RAW_BYTES_MAX = 1 << 30  # a body that claims more is damaged: the writer cuts far below
QUICK, THOROUGH = 1, 3  # zstd levels: of parts, which live an hour, and of segments, which stay
NONE = np.empty(0, np.int64)


class Kind(IntEnum):
    PART = 1
    AXIS = 2
    SEGMENT = 3


@dataclass(frozen=True, slots=True)
class Axis:
    """T rows as they came: their times, UTC ns, and the log positions of R batches with `counts` rows each."""

    source_ns: Ints  # (T,)
    receive_ns: Ints  # (T,)
    positions: Ints  # (R,)
    counts: Ints  # (R,)

    @property
    def row_positions(self) -> Ints:
        """(T,)"""
        return np.repeat(self.positions, self.counts)


@dataclass(frozen=True, slots=True)
class Rollup:
    """What an hour of P columns comes to, arrays (P,). NaN and 0 where nothing was usable."""

    usable: Ints
    low: Floats
    high: Floats
    mean: Floats
    last: Floats
    last_ns: Ints


def roll_up(source_ns: Ints, values: Floats, codes: Codes) -> Rollup:
    """Of `values` and `codes` (P, T): readings count when they are finite and not BAD."""
    usable = np.isfinite(values) & (codes < Quality.BAD << 6)
    count = usable.sum(axis=1)
    some = count > 0
    low = np.where(some, np.min(values, axis=1, where=usable, initial=np.inf), np.nan)
    high = np.where(some, np.max(values, axis=1, where=usable, initial=-np.inf), np.nan)
    with np.errstate(over="ignore"):
        total = np.sum(values, axis=1, where=usable)
    mean = np.where(some, total / np.maximum(count, 1), np.nan)
    if len(source_ns) > 1 and (np.diff(source_ns) < 0).any():
        order = np.argsort(source_ns, kind="stable")
        usable, values, source_ns = usable[:, order], values[:, order], source_ns[order]
    newest = usable.shape[1] - 1 - np.argmax(usable[:, ::-1], axis=1)
    last = np.where(some, values[np.arange(len(values)), newest], np.nan)
    return Rollup(count.astype(np.int64), low, high, mean, last, np.where(some, source_ns[newest], 0))


def check(name: str, identity: bytes, blob: bytes) -> memoryview:
    """`blob` as a view when its checksum is right for this place. Raises DamagedPart."""
    if len(blob) < HEAD.size + CRC.size:
        raise DamagedPart(f"{name} of {len(blob)} bytes: cut short")
    whole = memoryview(blob)
    if CRC.unpack_from(blob, len(blob) - CRC.size)[0] != zlib.crc32(whole[: -CRC.size], zlib.crc32(identity)):
        raise DamagedPart(f"{name}: checksum does not match")
    return whole


class Press:
    """Compresses, seals and opens blobs. For one thread at a time: it keeps its working memory."""

    def __init__(self) -> None:
        self._squeeze = {level: zstandard.ZstdCompressor(level=level) for level in (QUICK, THOROUGH)}
        self._expand = zstandard.ZstdDecompressor()

    def seal(self, kind: Kind, identity: bytes, shape: tuple[int, int, int], body: bytes) -> bytes:
        packed = self._squeeze[QUICK if kind == Kind.PART else THOROUGH].compress(body)
        blob = HEAD.pack(VERSION, kind, *shape, len(body)) + packed
        return blob + CRC.pack(zlib.crc32(blob, zlib.crc32(identity)))

    def open(self, kind: Kind, identity: bytes, blob: bytes) -> tuple[tuple[int, int, int], memoryview]:
        """(rows, columns, runs) and the body. Raises DamagedPart."""
        name = kind.name.lower()
        whole = check(name, identity, blob)
        version, found, rows, columns, runs, size = HEAD.unpack_from(blob)
        if (version, found) != (VERSION, kind) or not rows or size > RAW_BYTES_MAX:
            raise DamagedPart(f"not a {name} of version {VERSION}: version {version}, kind {found}")
        try:
            body = self._expand.decompress(whole[HEAD.size : -CRC.size], max_output_size=size)
        except zstandard.ZstdError as error:
            raise DamagedPart(f"{name}: {error}") from error
        if len(body) != size:
            raise DamagedPart(f"{name}: {len(body)} bytes, not {size}")
        return (rows, columns, runs), memoryview(body)


def pack_axis(axis: Axis) -> bytes:
    return (
        pack_ints(axis.source_ns)
        + pack_ints(axis.receive_ns - axis.source_ns)
        + pack_ints(axis.positions)
        + pack_ints(axis.counts)
    )


def unpack_axis(body: memoryview, rows: int, runs: int) -> tuple[Axis, memoryview]:
    """With `runs` 0 the batches are left out, which nobody needs who asks for values."""
    source, body = unpack_ints(body, rows)
    delay, body = unpack_ints(body, rows)
    delay += source
    if not runs:
        return Axis(source, delay, NONE, NONE), body
    positions, body = unpack_ints(body, runs)
    counts, body = unpack_ints(body, runs)
    if counts.min() < 0 or int(counts.sum()) != rows:
        raise DamagedPart("an axis whose batches do not make up its rows")
    return Axis(source, delay, positions, counts), body


def encode_part(press: Press, identity: bytes, axis: Axis, values: Floats, codes: Codes) -> bytes:
    """`values`, `codes` (P, T)."""
    body = pack_axis(axis) + pack_codes(codes) + shuffled(values)
    return press.seal(Kind.PART, identity, (values.shape[1], len(values), len(axis.positions)), body)


def decode_part(press: Press, identity: bytes, blob: bytes) -> tuple[Axis, Floats, Codes]:
    """The axis, `values` and `codes` (P, T). Raises DamagedPart."""
    (rows, columns, runs), body = press.open(Kind.PART, identity, blob)
    try:
        axis, body = unpack_axis(body, rows, runs)
        codes, body = unpack_codes(body, rows * columns)
    except Damaged as error:
        raise DamagedPart(f"part: {error}") from error
    if len(body) != rows * columns * 8:
        raise DamagedPart(f"part: {len(body)} bytes of values for {columns} x {rows}")
    values = unshuffled(body, rows * columns, np.float64).astype(np.float64, copy=False)
    return axis, values.reshape(columns, rows), codes.reshape(columns, rows)


def encode_axis(press: Press, identity: bytes, axis: Axis) -> bytes:
    return press.seal(Kind.AXIS, identity, (len(axis.source_ns), 0, len(axis.positions)), pack_axis(axis))


def decode_axis(press: Press, identity: bytes, blob: bytes, *, batches: bool = True) -> Axis:
    """Without `batches` those are left out. Raises DamagedPart."""
    (rows, _, runs), body = press.open(Kind.AXIS, identity, blob)
    try:
        return unpack_axis(body, rows, runs if batches else 0)[0]
    except Damaged as error:
        raise DamagedPart(f"axis: {error}") from error


def encode_segment(press: Press, identity: bytes, values: Floats, codes: Codes) -> bytes:
    """One column: `values`, `codes` (T,)."""
    return press.seal(Kind.SEGMENT, identity, (len(values), 1, 0), pack_codes(codes) + pack_floats(values))


def decode_segment(press: Press, identity: bytes, blob: bytes) -> tuple[Floats, Codes]:
    """`values` and `codes` (T,). Raises DamagedPart."""
    (rows, _, _), body = press.open(Kind.SEGMENT, identity, blob)
    try:
        codes, body = unpack_codes(body, rows)
        values, body = unpack_floats(body, rows)
    except Damaged as error:
        raise DamagedPart(f"segment: {error}") from error
    return values, codes
