"""The stream of a gateway as the aggregator hears it, and the vectors of numbers in its history."""

import struct

import numpy as np
from google.protobuf.message import DecodeError

from aggregator.ingest.session import Breach, Session
from aggregator.limits import Limits
from aggregator.stores.history import packing
from protos import sync_pb2, telemetry_pb2
from protos.batch import encode
from tests.bench.parsers import Parser
from tests.contract.samples import batches

NOW_NS = 1_790_000_000_000_000_000


def stream() -> Parser:
    """Messages, each on a session that has heard Hello and on one that has not."""
    blob = encode(dict(batches())["decimal.batch"])
    hello = sync_pb2.FromGateway(gateway="gw-1", hello=sync_pb2.Hello(protocol=1, boot_id=bytes(16), epoch=1))
    messages = [
        hello,
        sync_pb2.FromGateway(gateway="gw-1", clock=sync_pb2.ClockReading(boot_id=bytes(16), offset_ns=5, error_ns=1)),
        sync_pb2.FromGateway(gateway="gw-1", batch=telemetry_pb2.Batch(epoch=1, sequence=2**40, blob=blob)),
        sync_pb2.FromGateway(gateway="gw-1", heartbeat=sync_pb2.Heartbeat(monotonic_ns=5, count=1)),
    ]

    def parse(data: bytes) -> None:
        message = sync_pb2.FromGateway.FromString(data)
        for greeted in (True, False):
            session = Session("gw-1", Limits())
            if greeted:
                session.admit(hello, NOW_NS)
            try:
                kind = session.admit(message, NOW_NS)
                if kind == "batch":
                    session.judge(message.batch, NOW_NS)
                elif kind == "clock":
                    session.take_clock(message.clock)
            except Breach:
                continue

    return Parser([one.SerializeToString() for one in messages], parse, (DecodeError,))


def vectors() -> Parser:
    """Integers, floats and codes of a segment, of as many rows as the first two bytes say."""
    random = np.random.default_rng(3)
    whole = np.cumsum(random.integers(0, 2000, 40))
    seeds = [packing.pack_ints(whole), packing.pack_ints(whole * 0), packing.pack_codes(np.zeros(40, np.uint8))]
    seeds += [packing.pack_floats(one) for one in (whole / 10, random.normal(0, 1, 40), np.full(40, np.nan))]
    seeds.append(packing.pack_codes(random.integers(0, 192, 40).astype(np.uint8)))

    def parse(data: bytes) -> None:
        count = 1 + (struct.unpack_from("<H", data)[0] if len(data) >= 2 else 0) % 5000
        for unpack in (packing.unpack_ints, packing.unpack_floats, packing.unpack_codes):
            try:
                unpack(memoryview(data)[2:], count)
            except packing.Damaged:
                continue

    return Parser([struct.pack("<H", 39) + seed for seed in seeds], parse)
