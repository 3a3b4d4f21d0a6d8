"""The batch: its header, its compressed body behind a right checksum, and the body itself."""

import zlib

import zstandard

from protos.batch import BatchError, decode, encode, peek
from protos.batch.header import CRC, seal, unseal
from tests.bench.parsers import Parser
from tests.contract.samples import batches

RAW_BYTES_MAX = 8 << 20  # enough for every seed; what asks for more must be refused


def header() -> Parser:
    """Bytes as they come over the wire, checksum wrong in nearly all."""
    return Parser([encode(batch) for _, batch in batches()], peek, (BatchError,))


def sealed() -> Parser:
    """Header and compressed body changed, the checksum made right again."""

    def parse(data: bytes) -> object:
        return decode(data + CRC.pack(zlib.crc32(data)), RAW_BYTES_MAX)

    return Parser([encode(batch)[:-4] for _, batch in batches()], parse, (BatchError,))


def body() -> Parser:
    """The body changed, then compressed and sealed as if it were right, and the sizes in the header too."""
    blobs = [encode(batch) for _, batch in batches()]
    packer, unpacker = zstandard.ZstdCompressor(level=1), zstandard.ZstdDecompressor()
    headers = [unseal(blob)[0] for blob in blobs]
    bodies = [bytes([number]) + unpacker.decompress(unseal(blob)[1]) for number, blob in enumerate(blobs)]

    def parse(data: bytes) -> object:
        known = headers[data[0] % len(headers)] if data else headers[0]
        return decode(seal(known, packer.compress(data[1:])), RAW_BYTES_MAX)

    return Parser(bodies, parse, (BatchError,))
