"""Modbus: frames of both framings, the match of an answer to its request, identification, and decoding to values."""

from collections.abc import Callable

import numpy as np

from edge_agent.config.library import Library
from edge_agent.profile import Device
from edge_agent.sources.modbus import framing
from edge_agent.sources.modbus.breaker import Breaker
from edge_agent.sources.modbus.faults import Garbled
from edge_agent.sources.modbus.identify import objects
from edge_agent.sources.modbus.job import Unit, jobs_of
from edge_agent.sources.modbus.sunspec import Model
from tests.bench.parsers import Parser

LINE_MAX = 256  # bytes of a frame on a serial line
ANSWERS = [  # unit and PDU
    b"\x01\x03\x04\x00\x01\x00\x02",
    b"\x01\x04\x02\xff\xff",
    b"\x11\x01\x01\x05",
    b"\x01\x83\x02",
    b"\x01\x06\x00\x10\x00\x03",
    b"\x01\x10\x00\x01\x00\x02",
    b"\x01\x2b\x0e\x01\x01\x00\x00\x02\x00\x04ACME\x01\x02M1",
]
REQUESTS = [
    framing.read(1, 3, 0, 2),
    framing.read(1, 4, 0, 1),
    framing.read(0x11, 1, 0, 3),
    framing.write(1, 6, 16, [3]),
    framing.write(1, 16, 1, [1, 2]),
    framing.Request(1, bytes([framing.IDENTIFY, 14, 1, 0])),
]


def streamed(parse: Callable[[bytes], framing.Parsed], data: bytes) -> None:
    """Take frame after frame as a link does, and match each with every request."""
    while data:
        parsed = parse(data)
        if parsed.verdict is not framing.Verdict.FRAME:
            return
        if not 0 < parsed.size <= len(data):
            raise AssertionError(f"a frame of {parsed.size} bytes in {len(data)}")
        for request in REQUESTS:
            framing.answers(request, parsed.unit, parsed.pdu)
        data = data[parsed.size :]


def tcp() -> Parser:
    seeds = [bytes((0, 7, 0, 0, 0, len(one))) + one for one in ANSWERS]
    return Parser([*seeds, b"".join(seeds)], lambda data: streamed(framing.parse_mbap, data))


def rtu() -> Parser:
    """Half of the inputs with their CRC made right."""

    def parse(data: bytes) -> None:
        right = len(data) % 2 and len(data) <= LINE_MAX - 2
        streamed(framing.parse_rtu, framing.sealed(data) if right else data)

    return Parser([*ANSWERS, *map(framing.sealed, ANSWERS), b"".join(map(framing.sealed, ANSWERS))], parse)


def identification() -> Parser:
    return Parser([ANSWERS[-1][2:], b"\x0e\x02\x02\xff\x05\x01\x00\x03abc"], objects, (Garbled,))


def values() -> Parser:
    """What a device of each of a few profiles answers, any bytes of the right length, decoded in bulk."""
    library = Library()
    jobs = [
        job
        for name in ("eastron-sdm630", "sunspec-inverter", "carlo-gavazzi-em24", "keba-kecontact")
        for job in jobs_of(Device(name, library.get(name), "tcp://127.0.0.1:502"), Unit(1, Breaker(), 10**9, 0))
    ]
    for job in jobs:
        if job.by_model:
            job.place((Model(1, 40002, 66), Model(103, 40070, 50)))
    decoders = [(job.decoder, sum(block.request.data for block in job.blocks)) for job in jobs]

    def parse(data: bytes) -> None:
        decoder, size = decoders[len(data) % len(decoders)]
        found, codes = decoder.decode((data * (size // max(1, len(data)) + 1))[:size].ljust(size, b"\0"))
        if codes is None and not np.isfinite(found).all():
            raise AssertionError("a value that is no number, called GOOD")

    return Parser([bytes(range(256)), b"\x7f\xc0\0\0" * 60, bytes(250)], parse)
