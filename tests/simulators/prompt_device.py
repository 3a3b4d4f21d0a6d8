"""A quick Modbus TCP device for figures of the control loop: a tank or an echo, with a time-out of its own.

    python -m tests.simulators.prompt_device --ports 3 --echo-ms 37 --timeout-s 1 --slow 2:0.08 --dead 3

Each port is one device. Holding (and input) registers: 0 input, 1 ramp (counts each read), 10 actuator, 11 its safe
value. Functions 3, 4, 6 and 16; anything else is answered with exception 1, addresses beyond 63 with exception 2.
Register 0 changes every --echo-ms. An actuator that is not written for --timeout-s goes to its safe value by itself.
`--slow PORT:SECONDS` answers late, `--dead PORT` never (ports count from 1). One JSON line says the ports; on SIGTERM
another says, for each port, how long it took from the read that first showed a new input to the write that followed.
"""

import argparse
import asyncio
import json
import signal
import struct
import sys
import time
from dataclasses import dataclass, field

REGISTERS = 64
INPUT, RAMP, ACTUATOR, SAFE = 0, 1, 10, 11
STEP = 97  # of the input from one change to the next


@dataclass
class Device:
    echo_s: float
    timeout_s: float
    slow_s: float
    dead: bool
    registers: list[int] = field(default_factory=lambda: [0] * REGISTERS)
    changes: int = 0
    shown: float = 0.0  # when the newest input was first read; 0: not yet, or answered
    fresh: bool = False
    delays: list[float] = field(default_factory=list)
    written: float = field(default_factory=time.monotonic)
    log: list[tuple[float, int]] = field(default_factory=list)  # (monotonic, actuator value) of each change

    def flip(self) -> None:
        self.changes += 1
        self.registers[INPUT] = self.changes * STEP % 1000
        self.fresh, self.shown = True, 0.0

    def expire(self, now: float) -> None:
        """The device's own dead-man."""
        if self.timeout_s and now - self.written > self.timeout_s:
            self._set(self.registers[SAFE], now)

    def _set(self, value: int, now: float) -> None:
        if self.registers[ACTUATOR] != value:
            self.registers[ACTUATOR] = value
            self.log.append((now, value))

    def answer(self, pdu: bytes) -> bytes:
        function, now = pdu[0], time.monotonic()
        if function in (3, 4) and len(pdu) == 5:
            start, count = struct.unpack(">HH", pdu[1:])
            if not 0 < count <= 125 or start + count > REGISTERS:
                return bytes((function | 0x80, 2))
            if start <= INPUT < start + count and self.fresh:
                self.fresh, self.shown = False, time.perf_counter()
            self.registers[RAMP] = (self.registers[RAMP] + 1) % 1000
            return struct.pack(f">BB{count}H", function, 2 * count, *self.registers[start : start + count])
        if function == 6 and len(pdu) == 5:
            address, value = struct.unpack(">HH", pdu[1:])
            return pdu if self._write(address, [value], now) else bytes((0x86, 2))
        if function == 16 and len(pdu) >= 6 and len(pdu) == 6 + pdu[5]:
            start, count = struct.unpack(">HH", pdu[1:5])
            values = list(struct.unpack(f">{count}H", pdu[6:]))
            return pdu[:5] if self._write(start, values, now) else bytes((0x90, 2))
        return bytes((function | 0x80, 1))

    def _write(self, start: int, values: list[int], now: float) -> bool:
        if start + len(values) > REGISTERS:
            return False
        for address, value in enumerate(values, start):
            if address == ACTUATOR:
                self.written = now
                if self.shown and value != self.registers[ACTUATOR]:
                    self.delays.append(time.perf_counter() - self.shown)
                    self.shown = 0.0
                self._set(value, now)
            else:
                self.registers[address] = value
        return True


class Line(asyncio.Protocol):
    def __init__(self, device: Device) -> None:
        self.device, self.rest = device, b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.rest += data
        while len(self.rest) >= 8 and len(self.rest) >= (size := 6 + int.from_bytes(self.rest[4:6])):
            frame, self.rest = self.rest[:size], self.rest[size:]
            if self.device.dead:
                continue
            pdu = self.device.answer(frame[7:])
            reply = frame[:4] + (len(pdu) + 1).to_bytes(2) + frame[6:7] + pdu
            if self.device.slow_s:
                asyncio.get_running_loop().call_later(self.device.slow_s, self._send, reply)
            else:
                self._send(reply)

    def _send(self, reply: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(reply)


async def flips(device: Device, stop: asyncio.Event) -> None:
    """Change the input, and let the actuator expire, until told to stop."""
    loop = asyncio.get_running_loop()
    every = device.echo_s or 0.005
    due = loop.time()
    while not stop.is_set():
        due += every
        try:
            async with asyncio.timeout_at(due):
                await stop.wait()
        except TimeoutError:
            device.expire(time.monotonic())
            if device.echo_s:
                device.flip()


async def main(args: argparse.Namespace) -> None:
    slow = {int(one.split(":")[0]): float(one.split(":")[1]) for one in args.slow}
    devices = [
        Device(args.echo_ms / 1000, args.timeout_s, slow.get(k, 0.0), k in args.dead) for k in range(1, args.ports + 1)
    ]
    for device in devices:
        device.registers[SAFE] = args.safe
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    servers = [await loop.create_server(lambda d=device: Line(d), "127.0.0.1", 0) for device in devices]  # type: ignore[misc]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    if args.ask:
        loop.add_reader(sys.stdin, lambda: report(devices))
    async with asyncio.TaskGroup() as tasks:
        for device in devices:
            tasks.create_task(flips(device, stop))
    print(json.dumps([{"delays": d.delays, "changes": d.changes, "log": d.log} for d in devices]), flush=True)


def report(devices: list[Device]) -> None:
    """A line on standard input is answered with the actuators as they are, and when each last changed."""
    if sys.stdin.readline():
        now = time.monotonic()
        print(json.dumps({"now": now, "actuators": [d.registers[ACTUATOR] for d in devices], "log": [d.log[-20:] for d in devices]}), flush=True)  # fmt: skip  # noqa: E501


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--ports", type=int, default=1)
    parser.add_argument("--echo-ms", type=float, default=0.0)
    parser.add_argument("--timeout-s", type=float, default=0.0)
    parser.add_argument("--safe", type=int, default=0)
    parser.add_argument("--ask", action="store_true", help="answer lines on standard input")
    parser.add_argument("--slow", nargs="*", default=[])
    parser.add_argument("--dead", nargs="*", type=int, default=[])
    asyncio.run(main(parser.parse_args()))
