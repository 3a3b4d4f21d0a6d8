"""A line of Modbus units that misbehaves on purpose, as a process; every register holds its own address.

    python -m tests.simulators.modbus_line --kind rtu --units 1-10 --dead 5 --late 0.03 --duplicated 0.03

Kinds: tcp, tls, rtu+tcp, rtu (a pseudo-terminal). Shares of the answers that come late (after --late-ms), garbled,
twice or never. Prints the connection as a gateway's file names it. A codec of its own, so that a mistake of the
gateway's is not repeated here; `kill -USR1` makes it stop answering, `kill -USR2` answer again.
"""

import argparse
import asyncio
import os
import random
import signal
import ssl
import struct
import tty
from collections.abc import Callable
from pathlib import Path

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
OBJECTS = {0: b"citytwin", 1: b"line", 2: b"1.0", 4: b"a line that misbehaves"}
BREATHE_S = 0.002  # between an answer and its repetition, so that both can be read one by one


def numbers(text: str) -> set[int]:
    """`1,3-5` as {1, 3, 4, 5}."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def crc16(data: bytes) -> bytes:
    """Bit by bit, as the specification draws it."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return struct.pack("<H", crc)


class Units:
    """The memory of all units and the answers to requests."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.units, self.dead = numbers(args.units), numbers(args.dead)
        self.holes, self.most = numbers(args.holes), args.max_count
        self.clamp = args.clamp
        self.written: dict[tuple[int, int], int] = {}
        self.deaf = False

    def register(self, address: int) -> int:
        return self.written.get((3, address), address)

    def bit(self, address: int) -> int:
        return self.written.get((1, address), address & 1)

    def answer(self, unit: int, pdu: bytes) -> bytes | None:
        """The answer's PDU; None where there is no such unit, or it is dead."""
        if self.deaf or unit not in self.units or unit in self.dead:
            return None
        try:
            return self.served(pdu)
        except LookupError as error:
            return bytes([pdu[0] | 0x80, error.args[0]])

    def served(self, pdu: bytes) -> bytes:
        function = pdu[0]
        if function == 43:
            listed = b"".join(bytes([key, len(text)]) + text for key, text in OBJECTS.items())
            return bytes([43, 14, pdu[2], 0x02, 0, 0, len(OBJECTS)]) + listed
        address, count = struct.unpack(">HH", pdu[1:5])
        if function in (1, 2):
            self.check(address, count)
            bits = [self.bit(a) for a in range(address, address + count)]
            packed = bytes(sum(bit << k for k, bit in enumerate(bits[at : at + 8])) for at in range(0, len(bits), 8))
            return bytes([function, len(packed)]) + packed
        if function in (3, 4):
            self.check(address, count)
            return self.registers(function, address, count)
        return self.write(function, address, count, pdu)

    def registers(self, function: int, address: int, count: int) -> bytes:
        words = [self.register(a) for a in range(address, address + count)]
        return bytes([function, 2 * count]) + struct.pack(f">{count}H", *words)

    def write(self, function: int, address: int, count: int, pdu: bytes) -> bytes:
        if function == 5:
            self.check(address, 1)
            self.written[1, address] = int(count == 0xFF00)
            return pdu
        if function == 6:
            self.put(address, [count])
            return pdu
        if function == 15:
            self.check(address, count)
            for k in range(count):
                self.written[1, address + k] = pdu[6 + k // 8] >> k % 8 & 1
            return pdu[:5]
        if function == 16:
            self.put(address, list(struct.unpack(f">{count}H", pdu[6 : 6 + 2 * count])))
            return pdu[:5]
        if function == 23:
            to, words = struct.unpack(">HH", pdu[5:9])
            self.put(to, list(struct.unpack(f">{words}H", pdu[10 : 10 + 2 * words])))
            self.check(address, count)
            return self.registers(23, address, count)
        raise LookupError(ILLEGAL_FUNCTION)

    def put(self, address: int, words: list[int]) -> None:
        self.check(address, len(words))
        for k, word in enumerate(words):
            self.written[3, address + k] = min(word, self.clamp)

    def check(self, address: int, count: int) -> None:
        if count > self.most:
            raise LookupError(ILLEGAL_VALUE)
        if address + count > 65536 or any(a in self.holes for a in range(address, address + count)):
            raise LookupError(ILLEGAL_ADDRESS)


class Line(asyncio.Protocol):
    """One connection, or the one serial line. Faults are drawn per answer."""

    def __init__(self, units: Units, args: argparse.Namespace, rtu: bool, chance: random.Random) -> None:
        self.units, self.args, self.rtu, self.chance = units, args, rtu, chance
        self.stream = b""
        self.send: Callable[[bytes], object] = lambda frame: None
        self.gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.send = transport.write

    def connection_lost(self, error: Exception | None) -> None:
        self.gone = True

    def data_received(self, data: bytes) -> None:
        self.stream += data
        while (taken := self.take_rtu() if self.rtu else self.take_mbap()) is not None:
            transaction, unit, pdu = taken
            if (answer := self.units.answer(unit, pdu)) is not None:
                body = bytes([unit]) + answer
                self.reply(body + crc16(body) if self.rtu else struct.pack(">HHH", transaction, 0, len(body)) + body)

    def take_mbap(self) -> tuple[int, int, bytes] | None:
        if len(self.stream) < 8:
            return None
        transaction, _, length = struct.unpack(">HHH", self.stream[:6])
        if len(self.stream) < 6 + length:
            return None
        frame, self.stream = self.stream[: 6 + length], self.stream[6 + length :]
        return transaction, frame[6], frame[7:]

    def take_rtu(self) -> tuple[int, int, bytes] | None:
        if len(self.stream) < 7:
            return None
        function = self.stream[1]
        size = 8 if function <= 6 else 7
        if function in (15, 16):
            size = 9 + self.stream[6]
        elif function == 23:
            if len(self.stream) < 11:
                return None
            size = 13 + self.stream[10]
        if len(self.stream) < size:
            return None
        frame, self.stream = self.stream[:size], self.stream[size:]
        if crc16(frame[:-2]) != frame[-2:]:
            self.stream = b""
            return None
        return 0, frame[0], frame[1:-2]

    def reply(self, frame: bytes) -> None:
        args, chance = self.args, self.chance
        draw = chance.random()
        delay = args.latency_ms / 1000
        if draw < args.late:
            delay += chance.uniform(*args.late_ms) / 1000
        elif draw < args.late + args.garbled:
            frame = self.garble(frame)
        elif draw < args.late + args.garbled + args.duplicated:
            self.later(delay + chance.choice((0.0, BREATHE_S)), frame)
        elif draw < args.late + args.garbled + args.duplicated + args.missing:
            return
        self.later(delay, frame)

    def garble(self, frame: bytes) -> bytes:
        """Damage that a receiver can know: any byte under a CRC, the header without one; or a part missing."""
        if self.rtu and self.chance.random() < 0.3:
            return frame[: self.chance.randrange(1, len(frame))]
        damaged = bytearray(frame)
        damaged[self.chance.randrange(len(frame) if self.rtu else 8)] ^= self.chance.randrange(1, 256)
        return bytes(damaged)

    def later(self, delay: float, frame: bytes) -> None:
        if delay:
            asyncio.get_running_loop().call_later(delay, self.put, frame)
        else:
            self.put(frame)

    def put(self, frame: bytes) -> None:
        if not self.gone:
            self.send(frame)


def pseudo_terminal(line: Line) -> str:
    """Serve the line on a new pseudo-terminal; its name. Our side keeps both ends open."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    os.set_blocking(ours, False)
    line.send = lambda frame: os.write(ours, frame)
    asyncio.get_running_loop().add_reader(ours, lambda: line.data_received(os.read(ours, 4096)))
    return os.ttyname(theirs)


async def serve(args: argparse.Namespace) -> None:
    units = Units(args)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, setattr, units, "deaf", True)
    loop.add_signal_handler(signal.SIGUSR2, setattr, units, "deaf", False)
    places = []
    for k in range(args.lines):
        chance = random.Random(args.seed + k)
        if args.kind == "rtu":
            places.append(f"rtu://{pseudo_terminal(Line(units, args, True, chance))}?baud=115200")
            continue
        tls = None
        if args.kind == "tls":
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(args.certificate, args.key)
            if args.client_ca:
                tls.verify_mode = ssl.CERT_REQUIRED
                tls.load_verify_locations(args.client_ca)
        made = lambda chance=chance: Line(units, args, args.kind == "rtu+tcp", chance)  # noqa: E731
        server = await loop.create_server(made, "127.0.0.1", 0, ssl=tls)
        places.append(f"{args.kind}://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    print(*places, flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--kind", choices=("tcp", "tls", "rtu+tcp", "rtu"), default="tcp")
    add("--lines", type=int, default=1)
    add("--units", default="1")
    add("--dead", default="", help="units that never answer")
    add("--holes", default="", help="addresses that do not exist: exception 2")
    add("--max-count", type=int, default=2000, help="longest read: exception 3 beyond")
    add("--clamp", type=int, default=65535, help="greatest value that a register takes")
    for kind in ("late", "garbled", "duplicated", "missing"):
        add(f"--{kind}", type=float, default=0.0, metavar="SHARE")
    add("--late-ms", type=float, nargs=2, default=(30.0, 200.0))
    add("--latency-ms", type=float, default=0.0)
    add("--seed", type=int, default=1)
    add("--certificate", type=Path)
    add("--key", type=Path)
    add("--client-ca", type=Path)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
