"""Polls of lines whose answers come late, garbled or twice; every register holds its own address.

RTU on pseudo-terminals and TCP, several units each, blocks of the same shape on purpose: a late answer of one looks
exactly like the answer of the next. Beside it: the same without our guard (which must be wrong, or the figure proves
nothing), and pymodbus with its defaults on the same kind of line.
"""

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence

import numpy as np

from edge_agent.image import Frame, Layout, lay_out
from edge_agent.profile import Device, ModbusManners, PointSpec, Profile, Register
from edge_agent.sources.modbus import Modbus
from protos.clock import SystemClock
from tests.bench import Figure
from tests.simulators.modbus import faulty_line

FAULTS = {"late": 0.03, "garbled": 0.03, "duplicated": 0.03, "missing": 0.01, "late_ms": (22, 180)}
TIMEOUT_MS = 20
LINES, UNITS = 4, 8
BLOCKS = ((0, 10), (100, 10), (200, 10), (300, 40), (500, 40), (700, 125), (900, 1))
POLLS = {"full": 50_000, "ci": 2_500}  # of each transport
ADDRESSES = tuple(first + k for first, count in BLOCKS for k in range(count))
CONTROL = 50_000  # polls without the guard, at most: it ends at the first wrong value
LONGEST_S = {"full": 900.0, "ci": 90.0}


def devices() -> list[Device]:
    points = tuple(PointSpec(f"r{a}", "ratio", "", Register(3, a, "u16")) for a in ADDRESSES)
    manners = ModbusManners(timeout_ms=TIMEOUT_MS)
    profile = Profile("late-replies", "late replies", "energy", "energy meter", "A", "this benchmark", points, manners)
    return [Device(f"d{unit}", profile, "", unit, period_ms=1) for unit in range(1, UNITS + 1)]


class Judge:
    """Compares every value that was given out with its address."""

    def __init__(self) -> None:
        self.wrong = self.good = 0

    def __call__(self, frame: Frame) -> None:
        read = np.isfinite(frame.values)
        self.wrong += int((frame.values[read] != np.array(ADDRESSES)[read]).sum())
        self.good += int(read.sum())


async def poll(connections: Sequence[str], polls: int, guard: bool, longest_s: float, until_wrong: bool = False) -> tuple[Judge, dict[str, float]]:  # fmt: skip  # noqa: E501
    """Poll the lines flat out until so many requests were made; the judge and the counters of all lines."""
    judge = Judge()
    sources = [Modbus(connection, devices(), SystemClock(), guard) for connection in connections]
    tasks = []
    for source in sources:
        layouts: list[Layout] = lay_out(source.wants())[0]
        tasks.append(asyncio.create_task(source.run(layouts, judge)))
    total: dict[str, float] = {}
    deadline = time.monotonic() + longest_s
    for _ in range(int(longest_s * 4)):
        await asyncio.wait(tasks, timeout=0.25)
        gauges = [source.gauges() for source in sources]
        total = {name: sum(one[name] for one in gauges) for name in gauges[0]}
        enough = total["polls"] + total["timeouts"] >= polls
        if enough or time.monotonic() > deadline or (until_wrong and judge.wrong):
            break
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return judge, total


async def pymodbus_wrong(connection: str, polls: int) -> int:
    """Wrong values of a plain pymodbus loop over the same blocks, its default retries."""
    from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
    from pymodbus.exceptions import ModbusException

    for name in ("pymodbus", "asyncio"):  # it raises out of its protocol, which asyncio then reports
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    scheme, _, place = connection.partition("://")
    client: AsyncModbusSerialClient | AsyncModbusTcpClient
    if scheme == "rtu":
        client = AsyncModbusSerialClient(place.partition("?")[0], baudrate=115200, timeout=TIMEOUT_MS / 1000)
    else:
        host, _, port = place.partition(":")
        client = AsyncModbusTcpClient(host, port=int(port), timeout=TIMEOUT_MS / 1000)
    wrong = 0
    await client.connect()
    for k in range(polls):
        first, count = BLOCKS[k % len(BLOCKS)]
        try:
            if not client.connected:
                await client.connect()
            answer = await client.read_holding_registers(first, count=count, device_id=1)
        except (ModbusException, OSError, TimeoutError):
            continue
        if not answer.isError():
            wrong += sum(a != b for a, b in zip(answer.registers, range(first, first + count), strict=False))
    client.close()
    return wrong


def run(scale: str) -> Iterator[Figure]:
    logging.getLogger("edge_agent").setLevel(logging.ERROR)
    polls = POLLS[scale]
    for kind in ("rtu", "tcp"):
        begun = time.monotonic()
        with faulty_line(kind, lines=LINES, units=f"1-{UNITS}", **FAULTS) as lines:
            judge, total = asyncio.run(poll([one.connection for one in lines], polls, True, LONGEST_S[scale]))
        with faulty_line(kind, lines=LINES, units=f"1-{UNITS}", seed=7, **FAULTS) as lines:
            control, _ = asyncio.run(poll([one.connection for one in lines], CONTROL, False, 60, until_wrong=True))
        with faulty_line(kind, seed=9, **FAULTS) as lines:
            peer = asyncio.run(pymodbus_wrong(lines[0].connection, polls // 25))
        made = total["polls"] + total["timeouts"]
        beside = {
            "polls": made,
            "values": float(judge.good),
            "faults_met": total["timeouts"] + total["strays"],
            "held_back": total["guarded"],
            "wrong_without_guard": float(control.wrong),
            "wrong_pymodbus": float(peer),
            "polls_pymodbus": polls // 25,
        }
        yield Figure(
            name=f"late-replies-{kind}",
            figure=judge.wrong,
            unit="values from the wrong register",
            goal=f"0 in {polls:,} polls, 10 % late, garbled, duplicated; without the guard there are some",
            ok=judge.wrong == 0 and made >= polls and control.wrong > 0,
            beside=beside,
            seconds=time.monotonic() - begun,
        )
