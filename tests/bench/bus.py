"""Ten units on one RTU line, one of them dead: how much of their rate the others keep.

A pseudo-terminal, each answer 15 ms after its request, 1 Hz, the usual timeout of a second. Beside it pymodbus with
its defaults, asking one unit after the other each second, as most scripts do.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterator

from edge_agent.image import Frame, lay_out
from edge_agent.profile import Device, ModbusManners, PointSpec, Profile, Register
from edge_agent.sources.modbus import Modbus
from protos.clock import SystemClock
from tests.bench import Figure
from tests.simulators.modbus import faulty_line

UNITS, DEAD, REGISTERS = 10, 5, 20
HEALTHY = UNITS - 1
LATENCY_MS = 15
SECONDS = {"full": 60.0, "ci": 20.0}


def devices() -> list[Device]:
    points = tuple(PointSpec(f"r{a}", "ratio", "", Register(3, a, "u16")) for a in range(REGISTERS))
    profile = Profile("bus", "bus", "energy", "energy meter", "A", "this benchmark", points, ModbusManners())
    return [Device(f"d{unit}", profile, "", unit, period_ms=1000) for unit in range(1, UNITS + 1)]


async def ours(connection: str, seconds: float) -> tuple[float, float]:
    """Shares of the due readings that the healthy units gave: of the worst one, and of all."""
    frames: Counter[str] = Counter()

    def count(frame: Frame) -> None:
        if frame.codes is None:
            frames[frame.layout.device] += 1

    source = Modbus(connection, devices(), SystemClock())
    layouts, _ = lay_out(source.wants())
    task = asyncio.create_task(source.run(layouts, count))
    await asyncio.wait([task], timeout=seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    healthy = [frames[f"d{unit}"] for unit in range(1, UNITS + 1) if unit != DEAD]
    return min(healthy) / seconds, sum(healthy) / seconds / HEALTHY


async def pymodbus(connection: str, seconds: float) -> float:
    """Share of the due readings that a sequential loop with pymodbus's defaults gave."""
    from pymodbus.client import AsyncModbusSerialClient
    from pymodbus.exceptions import ModbusException

    for name in ("pymodbus", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    client = AsyncModbusSerialClient(connection.removeprefix("rtu://").partition("?")[0], baudrate=115200)
    await client.connect()
    read, begun = 0, time.monotonic()
    try:
        async with asyncio.timeout(seconds):
            for cycle in range(int(seconds) + 1):
                await asyncio.sleep(max(0.0, begun + cycle - time.monotonic()))
                for unit in range(1, UNITS + 1):
                    try:
                        if not client.connected:
                            await client.connect()
                        answer = await client.read_holding_registers(0, count=REGISTERS, device_id=unit)
                        read += not answer.isError()
                    except (ModbusException, OSError):
                        continue
    except TimeoutError:
        pass
    client.close()
    return read / seconds / HEALTHY


def run(scale: str) -> Iterator[Figure]:
    logging.getLogger("edge_agent").setLevel(logging.ERROR)
    seconds, begun = SECONDS[scale], time.monotonic()
    line = {"units": f"1-{UNITS}", "dead": DEAD, "latency_ms": LATENCY_MS}
    with faulty_line("rtu", **line) as lines:
        worst, mean = asyncio.run(ours(lines[0].connection, seconds))
    with faulty_line("rtu", **line) as lines:
        peer = asyncio.run(pymodbus(lines[0].connection, seconds))
    yield Figure(
        name="bus",
        figure=round(100 * worst, 1),
        unit="% of its rate kept by the worst healthy unit",
        goal="healthy units keep ≥ 95 % of their rate",
        ok=worst >= 0.95,
        beside={"mean_%": round(100 * mean, 1), "pymodbus_%": round(100 * peer, 1)},
        seconds=time.monotonic() - begun,
    )
