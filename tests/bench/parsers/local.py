"""The local Modbus server: a unit and a request, as any master in the cabinet may send them."""

from edge_agent.local.modbus import PDU_MAX, Desk, OtherSide
from protos.clock import NS
from tests.bench.parsers import Parser
from tests.edge.local.scene import snapshot

REQUESTS = [  # unit and PDU
    b"\x01\x04\x00\x00\x00\x20",
    b"\xff\x03\x03\xe8\x00\x3c",
    b"\x00\x04\x27\x10\x00\x14",
    b"\x01\x06\x00\x64\x00\x01",
    b"\x01\x10\x00\x64\x00\x01\x02\x00\x02",
    b"\x01\x2b\x0e\x01\x00",
]


def modbus() -> Parser:
    tick = snapshot(1000 * NS)
    desk = Desk(lambda: tick, OtherSide(NS))

    def parse(data: bytes) -> None:
        if not 2 <= len(data) <= PDU_MAX + 1:
            return  # the server closes the connection
        answer = desk.answer(data[0], data[1:], 1001 * NS)
        if not 2 <= len(answer) <= PDU_MAX or (answer[0] ^ data[1]) & 0x7F:
            raise AssertionError(f"{answer!r} is no answer")

    return Parser(REQUESTS, parse)
