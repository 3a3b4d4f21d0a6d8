"""Tanks that pumps fill and a town empties, over Modbus TCP; the pumps can be worn while everything runs.

    python -m tests.simulators.worn_tank --ports 6 --seed 1

Each port is one tank. Holding registers: 0 level (0.1 mm), 1 what it is to be (0.1 mm; steps up and down), 10 speed of
the pump (0.1 %). `wear 0.6` on standard input leaves the pumps 60 % of their lift; any line is answered with one line
of JSON: of each tank its level, what it is to be, and the largest distance of them since the last line, after the
steps have settled.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from dataclasses import dataclass, field

from tests.simulators.prompt_device import Line

LEVEL, WANTED, SPEED, REGISTERS = 0, 1, 10, 64
AREA_M2, LIFT, DRAIN = 1.0, 0.006, 0.2  # of the tank; m³/s a per cent of speed; m²·⁵/s of the outflow at 1 m
STEP_S, NOISE_M = 0.02, 0.002
LOW_M, HIGH_M, HOLD_S, SETTLED_S = 0.9, 1.1, 12.0, 8.0  # what it is to be, how long, and by when it should be there


@dataclass
class Tank:
    """level' = (lift · wear · speed − drain · √level · (1 + draw)) / area; draw is an Ornstein-Uhlenbeck process."""

    seed: int
    level: float = 1.0
    wear: float = 1.0
    draw: float = 0.0
    dead: bool = False
    slow_s: float = 0.0
    worst: float = 0.0
    registers: list[int] = field(default_factory=lambda: [0] * REGISTERS)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.begun = time.monotonic() - 3.0 * self.seed
        self.registers[SPEED] = 333
        self.show()

    @property
    def wanted(self) -> tuple[float, float]:
        """What it is to be, and for how long it has been so."""
        turns, since = divmod(time.monotonic() - self.begun, HOLD_S)
        return (HIGH_M if turns % 2 else LOW_M), since

    def step(self, dt: float) -> None:
        self.draw += -0.2 * self.draw * dt + 0.025 * dt**0.5 * self.random.gauss(0, 1)
        inflow = LIFT * self.wear * self.registers[SPEED] / 10
        outflow = DRAIN * max(self.level, 0.0) ** 0.5 * (1 + self.draw)
        self.level = min(max(self.level + (inflow - outflow) / AREA_M2 * dt, 0.0), 6.0)
        wanted, since = self.wanted
        if since > SETTLED_S:
            self.worst = max(self.worst, abs(self.level - wanted))
        self.show()

    def show(self) -> None:
        seen = self.level + self.random.gauss(0, NOISE_M)
        self.registers[LEVEL] = min(max(round(seen * 10_000), 0), 65_535)
        self.registers[WANTED] = round(self.wanted[0] * 10_000)

    def answer(self, pdu: bytes) -> bytes:
        """Functions 3, 4 and 6; anything else is exception 1, what is not there exception 2."""
        function, address = pdu[0], int.from_bytes(pdu[1:3])
        if function in (3, 4) and len(pdu) == 5:
            count = int.from_bytes(pdu[3:5])
            if not 0 < count <= 125 or address + count > REGISTERS:
                return bytes((function | 0x80, 2))
            values = self.registers[address : address + count]
            return bytes((function, 2 * count)) + b"".join(value.to_bytes(2) for value in values)
        if function == 6 and len(pdu) == 5:
            if address != SPEED:
                return bytes((0x86, 2))
            self.registers[SPEED] = int.from_bytes(pdu[3:5])
            return pdu
        return bytes((function | 0x80, 1))


def told(tanks: list[Tank], line: str) -> str:
    word, _, value = line.strip().partition(" ")
    found = [{"level": one.level, "wanted": one.wanted[0], "worst": one.worst} for one in tanks]
    for one in tanks:
        one.wear = float(value) if word == "wear" else one.wear
        one.worst = 0.0
    return json.dumps(found)


async def main(args: argparse.Namespace) -> None:
    tanks = [Tank(args.seed + k) for k in range(args.ports)]
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(lambda t=tank: Line(t), "127.0.0.1", 0) for tank in tanks]  # type: ignore[misc]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    ended = asyncio.Event()

    def asked() -> None:
        if not (line := sys.stdin.readline()):
            ended.set()
            return
        print(told(tanks, line), flush=True)

    loop.add_reader(sys.stdin, asked)
    due = loop.time()
    while not ended.is_set():
        due += STEP_S
        try:
            async with asyncio.timeout_at(due):
                await ended.wait()
        except TimeoutError:
            for tank in tanks:
                tank.step(STEP_S)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--ports", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    asyncio.run(main(parser.parse_args()))
