"""The batch's promises besides exactness (tests/properties): how small it is, what it refuses, how it is bounded."""

import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import zstandard

from protos.batch import (
    Batch,
    Block,
    Damaged,
    Encoder,
    Floats,
    Header,
    Key,
    Priority,
    Text,
    TooLarge,
    UnknownVersion,
    decode,
    encode,
    peek,
)
from protos.batch.header import HEAD, seal
from protos.batch.plan import CELLS_MAX, Plans
from protos.clock import NS, Anchor

ANCHOR = Anchor(bytes(range(16)), 1_700_000_000 * NS, 5_000_000, "aggregator")
SIGNALS: dict[str, Callable[[np.random.Generator, int], np.typing.NDArray[np.floating]]] = {  # as field devices send
    "register in tenths": lambda random, rows: random.integers(2290, 2310, rows) * 0.1,
    "register of any value": lambda random, rows: random.integers(0, 65_536, rows) * 1.0,
    "float32 of one decimal": lambda random, rows: singles(np.round(random.normal(230, 1, rows), 1)),
    "float32 noise": lambda random, rows: singles(random.normal(50, 0.02, rows)),
    "counter": lambda random, rows: 1e7 + np.cumsum(random.integers(0, 9, rows)),
    "counter in Wh of kWh": lambda random, rows: singles(np.round(8000 + np.cumsum(random.random(rows)), 2)) * 1000.0,
    "state": lambda random, rows: np.full(rows, 3.0),
    "hundredths": lambda random, rows: random.integers(0, 2000, rows) / 100,
    "bit": lambda random, rows: (random.random(rows) < 0.1) * 1.0,
    "level that moves slowly": lambda random, rows: np.round(np.cumsum(random.normal(0, 0.01, rows)) + 4, 3),
}


def singles(values: np.typing.NDArray[np.floating]) -> Floats:
    return values.astype(np.float32).astype(np.float64)


def block(device: str, rows: int, seed: int = 1) -> Block:
    random = np.random.default_rng(seed)
    values = np.stack([make(random, rows) for make in SIGNALS.values()], axis=1)
    times = np.cumsum(random.normal(NS, 1e5, rows)).astype(np.int64) + 10**13
    return Block(device, tuple(SIGNALS), times, times, values, np.zeros(values.shape, np.uint8))


def batch(*blocks: Block, texts: tuple[Text, ...] = ()) -> Batch:
    return Batch(Key("gw-1", 3, 7), Priority.ALARM, ANCHOR, blocks, texts)


def forged(body: bytes, readings: int = 0, raw_bytes: int = 1 << 20) -> bytes:
    """A blob whose header and checksum are right whatever the body is."""
    packed = zstandard.ZstdCompressor().compress(body)
    return seal(Header(Key("gw-1", 1, 1), Priority.EVENT, ANCHOR, readings, len(packed), raw_bytes), packed)


@pytest.mark.parametrize(("devices", "rows"), [(20, 10), (5, 40), (200, 1)])
def test_at_most_four_bytes_a_reading_on_the_wire(devices: int, rows: int) -> None:
    """Two thousand readings a batch, as a gateway commits them; names, times and header included."""
    encoder = Encoder()
    blobs = [
        encoder.encode(batch(*(block(f"device-{i}", rows, 1000 * seed + i) for i in range(devices))))
        for seed in range(6)
    ]
    assert len(blobs[-1]) / peek(blobs[-1]).readings <= 4


def test_a_device_that_does_not_answer_costs_little() -> None:
    whole = batch(*(block(f"device-{i}", 10, i) for i in range(20)))
    values = whole.blocks[0].values.copy()
    values[3] = np.nan
    gap = replace(whole, blocks=(replace(whole.blocks[0], values=values), *whole.blocks[1:]))
    assert len(encode(gap)) < len(encode(whole)) * 1.03
    assert decode(encode(gap)).blocks[0].values.tobytes() == values.tobytes()


def test_peek_does_not_unpack() -> None:
    header = peek(forged(b"no body at all"))
    assert (header.key, header.priority, header.anchor) == (Key("gw-1", 1, 1), Priority.EVENT, ANCHOR)


def test_columns_are_contiguous() -> None:
    first = decode(encode(batch(block("a", 10)))).blocks[0]
    assert first.values[:, 0].flags.c_contiguous
    assert first.codes[:, 0].flags.c_contiguous


def test_batches_of_one_shape_share_their_names() -> None:
    one, two = (decode(encode(batch(block("a", 10, seed)))) for seed in (1, 2))
    assert one.blocks[0].points is two.blocks[0].points


def test_strings_alone() -> None:
    texts = (Text("meter", "serial", 5, 4, 0, "A\0 17 \U0001f6a6"), Text("meter", "state", 6, 6, 65, ""))
    assert decode(encode(batch(texts=texts))).texts == texts
    assert decode(encode(batch())).blocks == ()


@pytest.mark.parametrize("size", range(0, 400, 7))
def test_what_is_cut_short_is_damaged(size: int) -> None:
    blob = encode(batch(block("a", 10)))
    for parse in (peek, decode):
        with pytest.raises(Damaged):
            parse(blob[:size])


def test_a_newer_version_is_said_to_be_one() -> None:
    blob = bytearray(encode(batch(block("a", 10)))[:-4])
    blob[4] = 2
    with pytest.raises(UnknownVersion, match="batch of version 2, this software knows 1: update it"):
        peek(bytes(blob) + struct.pack("<I", zlib.crc32(blob)))


def test_memory_is_bounded_before_it_is_taken() -> None:
    small = encode(batch(block("a", 10)))
    with pytest.raises(TooLarge, match="at most 1000 are allowed"):
        decode(small, max_raw_bytes=1000)
    with pytest.raises(Damaged, match="unpacks to 100000000 bytes"):  # a body that unpacks to more than it says
        decode(forged(bytes(10**8)))
    names = b"a\x02p\x02" + bytes(4)
    counts = struct.pack("<IIIBB", len(names), 1, 0, 0, 0)
    with pytest.raises(Damaged, match="the header says"):  # four thousand million rows in a few bytes
        decode(forged(counts + names + b"\xff\xff\xff\xff" + bytes(10)))
    names = b"\0".join([b"a"] * 2000) + b"\x02" + b"\0".join([b"p"] * 20_000) + b"\x02" + bytes(4 * 2000)
    body = struct.pack("<IIIBB", len(names), 2000, 0, 0, 0) + names + b"\1\0\0\0" * 2000
    with pytest.raises(TooLarge):  # forty million columns by naming a long list two thousand times
        decode(forged(body, raw_bytes=len(body) + 9 * 40_000_000 + 16 * 2000))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"device": ""}, "name ''"),
        ({"device": "a\0b"}, "with a NUL or STX"),
        ({"points": ("p",) * 9}, "not rows × points"),
        ({"points": ()}, "0 points"),
        ({"values": np.zeros((10, 10), np.float32)}, "values float64"),
        ({"values": np.zeros((10, 9))}, "not rows × points"),
        ({"codes": np.zeros((10, 10), np.int64)}, "codes uint8"),
        ({"codes": np.zeros((9, 10), np.uint8)}, "not rows × points"),
        ({"source_ns": np.zeros(9, np.int64)}, "one for each row"),
    ],
)
def test_what_no_batch_can_hold_is_refused_when_written(change: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        encode(batch(replace(block("a", 10), **change)))  # type: ignore[arg-type]


@pytest.mark.parametrize("key", [Key("", 1, 1), Key("g" * 256, 1, 1), Key("g", -1, 1), Key("g", 1, 2**64)])
def test_a_key_that_does_not_fit_is_refused(key: Key) -> None:
    with pytest.raises(ValueError, match=r"gateway id|does not fit"):
        encode(replace(batch(block("a", 2)), key=key))


def test_what_an_encoder_remembers_is_bounded() -> None:
    plans, points = Plans(), tuple(f"p{i}" for i in range(100))
    for rows in range(1, 200):
        times, values = np.arange(rows), np.zeros((rows, 100))
        plans.of([Block("a", points, times, times, values, values.astype(np.uint8))])
        assert plans.cells() <= CELLS_MAX


def test_the_header_is_as_documented() -> None:
    """Its size is on disk for ever."""
    assert HEAD.size == 4 + 4 + 16 + 16 + 16 + 16
    assert encode(batch(block("a", 2)))[: HEAD.size + 4].endswith(b"gw-1")


def test_writing_and_reading_load_no_numpy_ma() -> None:
    """np.unique does: 7 MiB of a gateway that has 80."""
    told = (
        "import sys; import numpy as np; from protos.batch import *; from protos.clock import Anchor\n"
        "values = np.array([[0.1, 2.0, np.pi], [0.25, 3.0, 1 / 3]])\n"
        "times = np.array([1, 2], np.int64)\n"
        "block = Block('a', ('x', 'y', 'z'), times, times, values, np.zeros((2, 3), np.uint8))\n"
        "anchor = Anchor(bytes(16), 0, 0, 'none')\n"
        "decode(Encoder().encode(Batch(Key('g', 1, 1), Priority.TELEMETRY, anchor, (block,), ())))\n"
        "sys.exit('numpy.ma' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", told], check=False).returncode == 0
