"""The batch: the unit of everything. Samples of one gateway in one compressed columnar blob with a checksum.

Written once on the gateway, sent unchanged, stored unchanged; keyed (gateway, epoch, sequence). Self-contained: the
names are inside.

    header   magic, version, priority, key, anchor, readings, sizes; gateway id; clock source      not compressed
    body     names · rows of each block · times · schemes · numbers by column · codes · strings    one zstd frame
    CRC-32   of everything before it

Numbers are kept bit for bit, times to the ns. Times that are whole µs or ms take fewer bytes than others.

    BatchError
    ├── Damaged          cut short, changed on the way, or never a batch
    ├── TooLarge         decoding would take more memory than allowed
    └── UnknownVersion   written by newer software
"""

from protos.batch.decoder import MAX_RAW_BYTES, decode
from protos.batch.encoder import Encoder, encode
from protos.batch.header import BatchError, Damaged, Header, TooLarge, UnknownVersion, peek
from protos.batch.samples import Batch, Block, Codes, Floats, Key, Priority, Text, Times

__all__ = [
    "MAX_RAW_BYTES",
    "Batch",
    "BatchError",
    "Block",
    "Codes",
    "Damaged",
    "Encoder",
    "Floats",
    "Header",
    "Key",
    "Priority",
    "Text",
    "Times",
    "TooLarge",
    "UnknownVersion",
    "decode",
    "encode",
    "peek",
]
