"""`codec`: what a batch costs: bytes on the wire, processor time to write and to read; JSON and plain arrays beside.

Twenty devices of ten points, ten rows each: 2,000 readings a commit, of the kinds of signal that field devices send.
`cleaning` is the time that the checks take, for every point range, timing and duplicate (the defaults), then with
rate, stuck and spike for every point too.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np
import zstandard

from edge_agent.cleaning import Cleaning
from edge_agent.image import Frame, lay_out
from edge_agent.profile import PointSpec
from protos.batch import Batch, Block, Encoder, Key, Priority, decode
from protos.clock import NS
from tests.bench import Figure
from tests.contract.test_batch import ANCHOR, SIGNALS, block

DEVICES, ROWS = 20, 10
WIRE_MAX = 4.0  # bytes a reading, the goal
ENCODE_MAX_US = 0.15  # a reading; half a per cent of a core at 30,000 readings/s
DECODE_MIN = 5e6  # readings a second
BULK_MAX_NS = 10.0  # a value, in ticks of 5,000
SINGLE_MAX_US = 25.0  # a frame of 100 points alone


def quick(calls: list[Callable[[], object]]) -> float:
    """Processor seconds of the quicker quarter of the calls: what they take when caches are warm."""
    took = []
    for call in calls:
        begun = time.thread_time()
        call()
        took.append(time.thread_time() - begun)
    return sorted(took)[len(took) // 4]


def batches(count: int) -> list[Batch]:
    points = tuple(SIGNALS)
    made = []
    for number in range(count):
        some = [block(f"device-{i}", ROWS, 1000 * number + i) for i in range(DEVICES)]
        same = tuple(Block(b.device, points, b.receive_ns, b.source_ns, b.values, b.codes) for b in some)
        made.append(Batch(Key("gw-1", 1, number + 1), Priority.TELEMETRY, ANCHOR, same))
    return made


def as_json(batch: Batch) -> bytes:
    """A document per row with names and milliseconds, as gateways usually send."""
    rows = [
        {"device": b.device, "ts": at // 10**6, "values": dict(zip(b.points, values, strict=True))}
        for b in batch.blocks
        for at, values in zip(b.receive_ns.tolist(), b.values.tolist(), strict=True)
    ]
    return zstandard.ZstdCompressor(level=3).compress(json.dumps(rows).encode())


def as_arrays(batch: Batch) -> bytes:
    """Times and values as they are in memory."""
    parts = [array.tobytes() for b in batch.blocks for array in (b.receive_ns, b.values)]
    return zstandard.ZstdCompressor(level=3).compress(b"".join(parts))


def codec(count: int) -> Iterator[Figure]:
    some = batches(count)
    readings, encoder = DEVICES * ROWS * len(SIGNALS), Encoder()
    blobs = [encoder.encode(one) for one in some]
    wire = sum(map(len, blobs[-20:])) / (20 * readings)
    beside = {
        "json+zstd": len(as_json(some[-1])) / readings,
        "float64+zstd": len(as_arrays(some[-1])) / readings,
    }
    yield Figure("codec wire", wire, "bytes per reading", f"≤ {WIRE_MAX:g}", wire <= WIRE_MAX, beside)
    took = quick([partial(encoder.encode, one) for one in some]) / readings * 1e6
    beside = {"json+zstd": quick([partial(as_json, one) for one in some[:20]]) / readings * 1e6}
    yield Figure("codec encode", took, "µs per reading", f"≤ {ENCODE_MAX_US:g}", took <= ENCODE_MAX_US, beside)
    rate = readings / quick([partial(decode, blob) for blob in blobs])
    yield Figure("codec decode", rate, "readings per second", f"≥ {DECODE_MIN:g}", rate >= DECODE_MIN)


def cleaned(devices: int, checks: Mapping[str, Mapping[str, float]], ticks: int) -> float:
    """Seconds of one tick of one frame of 100 points from each of so many devices."""
    layouts, image = lay_out([(f"d{i}", tuple(f"p{j}" for j in range(100))) for i in range(devices)])
    cleaning = Cleaning([PointSpec("p", "voltage", "V", checks=checks) for _ in image.names])
    random = np.random.default_rng(1)
    values = random.normal(230, 1, (ticks, 100))

    def tick(number: int) -> None:
        at = (number + 1) * NS
        cleaning.apply([Frame(layout, at, at, values[number]) for layout in layouts], at)

    return quick([partial(tick, number) for number in range(ticks)])


def cleaning(ticks: int) -> Iterator[Figure]:
    every = {"rate": {"max_per_s": 50.0}, "stuck": {"after_s": 60.0}, "spike": {"sigmas": 8.0}}
    bulk = cleaned(50, {}, ticks) / 5000 * 1e9
    beside = {"all six checks": cleaned(50, every, ticks) / 5000 * 1e9}
    yield Figure("codec cleaning", bulk, "ns per value", f"≤ {BULK_MAX_NS:g}", bulk <= BULK_MAX_NS, beside)
    single = cleaned(1, {}, ticks) * 1e6
    beside = {"all six checks": cleaned(1, every, ticks) * 1e6}
    yield Figure("codec frame", single, "µs per frame of 100", f"≤ {SINGLE_MAX_US:g}", single <= SINGLE_MAX_US, beside)


def run(scale: str) -> Iterator[Figure]:
    count = 400 if scale == "full" else 60
    yield from codec(count)
    yield from cleaning(count)
