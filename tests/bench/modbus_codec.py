"""Values per CPU-second of polling alone: our codec with decoding to float64, and pymodbus, on the same C server.

Each polls several devices of 100 registers flat out over TCP, one request in flight per connection. pymodbus gives
lists of integers; ours gives a checked array in internal units with a code per value. RTU on a
pseudo-terminal beside, without the pauses that guard against late answers.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Iterator

from edge_agent.image import Frame, lay_out
from edge_agent.profile import Device, ModbusManners, PointSpec, Profile, Register
from edge_agent.sources.modbus import Modbus
from protos.clock import SystemClock
from tests.bench import Figure
from tests.simulators.modbus import c_server, faulty_line

DEVICES, REGISTERS = 10, 100
SECONDS = {"full": 6.0, "ci": 2.0}
GOAL = 1_000_000  # else `poll-flat`, which stores them too, cannot be met


def device(name: str) -> Device:
    points = tuple(PointSpec(f"r{a}", "ratio", "", Register(3, a, "u16")) for a in range(REGISTERS))
    profile = Profile("codec", "codec", "energy", "energy meter", "A", "this benchmark", points, ModbusManners())
    return Device(name, profile, "", 1, period_ms=1)


async def ours(connections: list[str], seconds: float, guard: bool = True) -> float:
    values = 0

    def count(frame: Frame) -> None:
        nonlocal values
        values += frame.values.size

    sources = [Modbus(place, [device(f"d{k}")], SystemClock(), guard) for k, place in enumerate(connections)]
    tasks = [asyncio.create_task(one.run(lay_out(one.wants())[0], count)) for one in sources]
    await asyncio.wait(tasks, timeout=0.3)  # connected and warm
    begun, values = time.process_time(), 0
    await asyncio.wait(tasks, timeout=seconds)
    rate = values / (time.process_time() - begun)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return rate


async def pymodbus(connections: list[str], seconds: float) -> float:
    from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient

    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    values, stop = 0, False

    async def poll(connection: str) -> None:
        nonlocal values
        scheme, _, place = connection.partition("://")
        client: AsyncModbusSerialClient | AsyncModbusTcpClient
        if scheme == "rtu":
            client = AsyncModbusSerialClient(place.partition("?")[0], baudrate=115200)
        else:
            host, _, port = place.partition(":")
            client = AsyncModbusTcpClient(host, port=int(port))
        await client.connect()
        try:
            while not stop:  # a cancellation can get lost in it
                answer = await client.read_holding_registers(0, count=REGISTERS, device_id=1)
                values += len(answer.registers)
        finally:
            client.close()

    tasks = [asyncio.create_task(poll(place)) for place in connections]
    await asyncio.wait(tasks, timeout=0.3)
    begun, values = time.process_time(), 0
    await asyncio.wait(tasks, timeout=seconds)
    rate = values / (time.process_time() - begun)
    stop = True
    await asyncio.gather(*tasks, return_exceptions=True)
    return rate


def measured(work: Awaitable[float]) -> float:
    async def run() -> float:
        return await work

    return round(asyncio.run(run()))


def run(scale: str) -> Iterator[Figure]:
    seconds, begun = SECONDS[scale], time.monotonic()
    with c_server(DEVICES) as ports:
        places = [f"tcp://127.0.0.1:{port}" for port in ports]
        tcp = max(measured(ours(places, seconds)) for _ in range(2))  # the better of two: the machine is shared
        peer = max(measured(pymodbus(places, seconds)) for _ in range(2))
    with faulty_line("rtu") as lines:
        rtu = measured(ours([lines[0].connection], seconds, guard=False))  # the guard's pauses are no work
    with faulty_line("rtu") as lines:
        peer_rtu = measured(pymodbus([lines[0].connection], seconds))
    yield Figure(
        name="modbus-codec",
        figure=tcp,
        unit="values per CPU-second, TCP, polled and decoded",
        goal=f"≥ {GOAL:,}, and more than pymodbus",
        ok=tcp >= GOAL and tcp > peer,
        beside={"pymodbus_tcp": peer, "rtu_without_pauses": rtu, "pymodbus_rtu": peer_rtu},
        seconds=time.monotonic() - begun,
    )
