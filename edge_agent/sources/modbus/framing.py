"""Requests and answers as bytes: MBAP (TCP, TLS) and RTU (serial line, RTU over TCP). Pure functions.

After the Modbus Application Protocol v1.1b3, Modbus Messaging on TCP/IP v1.0b and Modbus over Serial Line v1.02.
"""

import struct
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

ADU_MAX = 260  # bytes of the longest MBAP frame; 256 on a serial line
PDU_MAX = 253
READS = frozenset({1, 2, 3, 4, 23})  # answers carry a byte count and data
ECHOES = frozenset({5, 6, 15, 16})  # answers repeat the first five bytes of the request
IDENTIFY = 43
ERROR = 0x80


@dataclass(frozen=True, eq=False, slots=True)
class Request:
    """One request, and what its answer must look like. Built once per block, sent many times.

    `pdu` starts with the function code; `data` is the number of data bytes of the answer (reads), else 0;
    `tail` is the MBAP frame after the transaction id and `rtu` the whole serial frame; `head` is what follows the
    transaction id in the expected MBAP answer, up to its data.
    """

    unit: int
    pdu: bytes
    data: int = 0
    tail: bytes = field(init=False)
    head: bytes = field(init=False)
    _rtu: bytes = field(init=False, default=b"")

    def __post_init__(self) -> None:
        object.__setattr__(self, "tail", struct.pack(">HHB", 0, len(self.pdu) + 1, self.unit) + self.pdu)
        head = struct.pack(">HHBBB", 0, self.data + 3, self.unit, self.pdu[0], self.data) if self.data else b""
        object.__setattr__(self, "head", head)

    @property
    def rtu(self) -> bytes:
        if not self._rtu:  # a line over TCP never needs the CRC
            object.__setattr__(self, "_rtu", sealed(bytes([self.unit]) + self.pdu))
        return self._rtu

    @property
    def function(self) -> int:
        return self.pdu[0]

    @property
    def shape(self) -> tuple[int, int, int]:
        """All that tells two read answers apart on a serial line."""
        return self.unit, self.pdu[0], self.data


def read(unit: int, function: int, address: int, count: int) -> Request:
    """Read `count` registers (3, 4) or bits (1, 2)."""
    data = 2 * count if function in (3, 4) else (count + 7) // 8
    return Request(unit, struct.pack(">BHH", function, address, count), data)


def write(unit: int, function: int, address: int, words: list[int]) -> Request:
    """Write by function 5, 6, 15, 16 or 23 (write and read back at once). Raises ValueError for others."""
    if function == 5:
        return Request(unit, struct.pack(">BHH", 5, address, 0xFF00 if words[0] else 0))
    if function == 6:
        return Request(unit, struct.pack(">BHH", 6, address, words[0]))
    count = len(words)
    if function == 15:
        bits = np.packbits(np.array(words, np.uint8), bitorder="little").tobytes()
        return Request(unit, struct.pack(">BHHB", 15, address, count, len(bits)) + bits)
    registers = struct.pack(f">{count}H", *words)
    if function == 16:
        return Request(unit, struct.pack(">BHHB", 16, address, count, 2 * count) + registers)
    if function == 23:
        both = struct.pack(">BHHHHB", 23, address, count, address, count, 2 * count)
        return Request(unit, both + registers, 2 * count)
    raise ValueError(f"function {function} does not write; one of 5, 6, 15, 16, 23")


def _crc_tables() -> tuple["np.ndarray[tuple[int], np.dtype[np.uint16]]", list[int]]:
    """What each byte adds to the CRC by its distance from the end, and what the start value 0xFFFF adds by length."""
    step = np.arange(256, dtype=np.uint16)
    for _ in range(8):
        step = np.where(step & 1, (step >> 1) ^ 0xA001, step >> 1).astype(np.uint16)
    rows = [step]
    start = [0xFFFF]
    for _ in range(ADU_MAX):
        rows.append((rows[-1] >> 8) ^ step[rows[-1] & 0xFF])
        start.append((start[-1] >> 8) ^ int(step[start[-1] & 0xFF]))
    return np.concatenate(rows[::-1]), start


_ADDS, _START = _crc_tables()
_OFFSETS = np.arange(ADU_MAX + 1, dtype=np.intp) * 256


def crc(frame: bytes) -> int:
    """CRC-16/MODBUS of up to 260 bytes, low byte first on the wire. The CRC is linear, so bytes add up by XOR."""
    count = len(frame)
    places = _OFFSETS[ADU_MAX + 1 - count :] + np.frombuffer(frame, np.uint8)
    return _START[count] ^ int(np.bitwise_xor.reduce(_ADDS[places]))


def sealed(frame: bytes) -> bytes:
    return frame + crc(frame).to_bytes(2, "little")


class Verdict(Enum):
    MORE = "more bytes are needed"
    FRAME = "a frame"
    GARBAGE = "no frame"


@dataclass(frozen=True, slots=True)
class Parsed:
    """What the start of a stream is: `size` bytes of it are a frame of `unit` with `pdu`, or none of it is."""

    verdict: Verdict
    size: int = 0
    unit: int = 0
    pdu: bytes = b""
    transaction: int = 0


MORE = Parsed(Verdict.MORE)
GARBAGE = Parsed(Verdict.GARBAGE)


def parse_mbap(stream: bytes) -> Parsed:
    """The MBAP frame at the start of `stream`. Never raises."""
    if len(stream) < 7:
        return GARBAGE if stream[2:4].strip(b"\0") else MORE
    transaction, protocol, length, unit = struct.unpack_from(">HHHB", stream)
    if protocol or not 3 <= length <= PDU_MAX + 1:
        return GARBAGE
    size = 6 + length
    if len(stream) < size:
        return MORE
    return Parsed(Verdict.FRAME, size, unit, stream[7:size], transaction)


def rtu_size(stream: bytes) -> int:
    """Bytes of the answer at the start of `stream`, told by its function code; 0: not yet known, -1: no answer."""
    if len(stream) < 3:
        return 0
    function = stream[1]
    if function & ERROR:
        return 5
    if function in READS:
        return 5 + stream[2]
    if function in ECHOES:
        return 8
    if function == IDENTIFY:
        return _identify_size(stream)
    return -1


def _identify_size(stream: bytes) -> int:
    """Function 43/14 tells its length only object by object."""
    if len(stream) < 8:
        return 0
    at = 8
    for _ in range(stream[7]):
        if len(stream) < at + 2:
            return 0
        at += 2 + stream[at + 1]
    return at + 2


def parse_rtu(stream: bytes) -> Parsed:
    """The RTU answer at the start of `stream`, its CRC checked. Never raises."""
    size = rtu_size(stream)
    if size < 0 or size > ADU_MAX:
        return GARBAGE
    if size == 0 or len(stream) < size:
        return MORE if len(stream) < ADU_MAX else GARBAGE
    if crc(stream[: size - 2]) != int.from_bytes(stream[size - 2 : size], "little"):
        return GARBAGE
    return Parsed(Verdict.FRAME, size, stream[0], stream[1 : size - 2])


def answers(request: Request, unit: int, pdu: bytes) -> bool:
    """Whether `pdu` from `unit` has the form of an answer to `request`: unit, function, byte count, echo."""
    if unit != request.unit or not pdu:
        return False
    function = request.pdu[0]
    if pdu[0] == function | ERROR:
        return len(pdu) == 2
    if pdu[0] != function:
        return False
    if function in READS:
        return len(pdu) == 2 + request.data and pdu[1] == request.data
    if function in ECHOES:
        return pdu == request.pdu[:5]
    return len(pdu) >= 7 and pdu[1] == request.pdu[1]
