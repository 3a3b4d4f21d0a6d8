"""The Modbus server against masters of other hands: libmodbus, pymodbus, and raw bytes for what those never send."""

import asyncio
import logging
import struct
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pymodbus.client import AsyncModbusTcpClient

from edge_agent.local import modbus
from edge_agent.local.modbus import BURST, MASTERS_MAX, REQUESTS_S, Server, serve
from edge_agent.local.slots import HEARTBEAT
from protos.clock import NS, SteppedClock
from tests.edge.local.scene import Newest, snapshot

MASTER = Path(__file__).parents[2] / "simulators" / "modbus_master.c"
START_NS = 1000 * NS


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(START_NS)


@pytest.fixture
def newest() -> Newest:
    return Newest(snapshot(START_NS))


@pytest.fixture
async def server(clock: SteppedClock, newest: Newest) -> AsyncIterator[Server]:
    async with serve("127.0.0.1:0", 10, newest, clock) as one:
        yield one


@pytest.fixture
async def master(server: Server) -> AsyncIterator[AsyncModbusTcpClient]:
    client = AsyncModbusTcpClient("127.0.0.1", port=server.port, retries=0, timeout=5)
    await client.connect()
    yield client
    client.close()


def request(transaction: int, pdu: bytes, unit: int = 1, protocol: int = 0) -> bytes:
    return struct.pack(">HHHB", transaction, protocol, len(pdu) + 1, unit) + pdu


async def ask(server: Server, *requests: bytes) -> list[bytes]:
    """All requests in one segment; the answers' PDUs, in order."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"".join(requests))
    answers = []
    for number in range(len(requests)):
        transaction, _, length, _ = struct.unpack(">HHHB", await reader.readexactly(7))
        assert transaction == number
        answers.append(await reader.readexactly(length - 1))
    writer.close()
    return answers


async def test_pymodbus_reads_the_map(master: AsyncModbusTcpClient, clock: SteppedClock) -> None:
    for read in (master.read_input_registers, master.read_holding_registers):
        found = await read(1000, count=20)
        f32 = master.DATATYPE.FLOAT32
        assert master.convert_from_registers(found.registers[:2], f32, word_order="big") == 42.5
        assert master.convert_from_registers(found.registers[2:4], master.DATATYPE.UINT32, word_order="big") == 5000
    await clock.advance(6 * NS)
    found = await master.read_input_registers(1000, count=4)
    assert found.registers == [0x7FC0, 0, 0, 0]


@pytest.mark.system("cc", "libmodbus")
async def test_libmodbus_reads_and_writes(server: Server, tmp_path: Path) -> None:
    program = tmp_path / "master"
    subprocess.run(["cc", "-O1", "-o", program, MASTER, "-lmodbus"], check=True)

    async def run(*words: int) -> tuple[int, str]:
        child = await asyncio.create_subprocess_exec(
            program, *(str(word) for word in (server.port, *words)), stdout=asyncio.subprocess.PIPE
        )
        told, _ = await child.communicate()
        return child.returncode or 0, told.decode()

    assert await run(4, 1000, 2) == (0, "42.5\n")
    assert await run(3, 1026, 4) == (0, "6\n6\n")
    assert await run(6, HEARTBEAT, 99) == (0, "")
    assert server.desk.other.value == 99
    assert (await run(6, 1000, 1))[0] == 1, "decisions are not for others to write"


async def test_one_answer_is_of_one_tick(master: AsyncModbusTcpClient, newest: Newest) -> None:
    """The valve's value follows the tick; every answer must hold both of the same one."""
    done = asyncio.Event()

    async def tick() -> None:
        while not done.is_set():
            assert newest.snapshot is not None
            newest.decide(0, value=float(newest.snapshot.tick + 1), low=float(newest.snapshot.tick + 1))
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    seen = set()
    for _ in range(100):
        registers = (await master.read_input_registers(1000, count=14)).registers
        value, low = (struct.unpack(">f", struct.pack(">HH", *registers[at : at + 2]))[0] for at in (0, 12))
        assert value == low
        seen.add(value)
    done.set()
    await ticking
    assert len(seen) > 10


async def test_two_answers_may_be_of_two_ticks_and_say_so(master: AsyncModbusTcpClient, newest: Newest) -> None:
    """Negative control: what one answer keeps together, two do not; the tick in the header tells."""

    async def read(address: int, count: int) -> bytes:
        return struct.pack(f">{count}H", *(await master.read_input_registers(address, count=count)).registers)

    before, value = await read(6, 4), await read(1000, 2)
    newest.decide(0, value=43.5, low=43.5)
    low, after = await read(1012, 2), await read(6, 4)
    assert value != low
    assert before != after


async def test_requests_that_come_together_are_all_answered(server: Server) -> None:
    pdus = [struct.pack(">BHH", 4, 1000 + 2 * k, 2) for k in range(6)]
    answers = await ask(server, *(request(k, pdu) for k, pdu in enumerate(pdus)))
    assert answers[0] == b"\x04\x04" + struct.pack(">f", 42.5)
    assert answers[1] == b"\x04\x04" + struct.pack(">I", 5000)


@pytest.mark.parametrize(
    ("pdu", "code"),
    [
        (struct.pack(">BHH", 1, 0, 1), 1),  # coils: there are none
        (struct.pack(">BB", 43, 14), 1),
        (struct.pack(">BHH", 4, 900, 1), 2),
        (struct.pack(">BHH", 3, 999, 2), 2),
        (struct.pack(">BHH", 4, 0, 0), 2),
        (struct.pack(">BHHB", 4, 0, 1, 0), 3),  # longer than the function
        (struct.pack(">BHH", 6, 5, 1), 2),
        (struct.pack(">BHHBHH", 16, HEARTBEAT, 2, 4, 1, 1), 2),
        (struct.pack(">BHHBH", 16, HEARTBEAT, 2, 2, 1), 3),
        (b"\x06", 3),
    ],
)
async def test_what_cannot_be_served_gets_the_exception_of_the_protocol(server: Server, pdu: bytes, code: int) -> None:
    assert await ask(server, request(0, pdu)) == [bytes((pdu[0] | 0x80, code))]
    assert server.gauges()["refused_total"] == 1
    assert server.desk.other.count == 0


async def test_units_behind_us_there_are_none(server: Server) -> None:
    pdu = struct.pack(">BHH", 4, 0, 1)
    answers = await ask(server, *(request(k, pdu, unit) for k, unit in enumerate((0, 1, 255, 2))))
    assert [answer[0] for answer in answers] == [4, 4, 4, 0x84]
    assert answers[3][1] == 11


async def test_before_the_first_tick_it_is_busy(server: Server, newest: Newest) -> None:
    newest.snapshot = None
    assert await ask(server, request(0, struct.pack(">BHH", 4, 0, 1))) == [b"\x84\x06"]


@pytest.mark.parametrize("junk", [request(0, b"\4" * 4, protocol=1), b"\0\1\0\0\0\1\1", b"\0\1\0\0\xff\xff\1"])
async def test_what_is_no_modbus_ends_the_connection(server: Server, junk: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(junk)
    assert await reader.read() == b""
    writer.close()


async def test_rule_07_the_heartbeat_is_the_other_sides(
    server: Server, master: AsyncModbusTcpClient, clock: SteppedClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert server.gauges()["other_alive"] == 0, "who never spoke is not alive"
    for beat in (1, 2):
        await master.write_register(HEARTBEAT, beat)
        await clock.advance(6 * NS)
        assert server.gauges()["other_alive"] == 1
    await master.write_registers(HEARTBEAT, [2])  # the same again shows no life
    await clock.advance(4 * NS + 2)
    assert server.gauges()["other_alive"] == 0
    assert (await master.read_holding_registers(HEARTBEAT, count=1)).registers == [2]
    assert "stands still" in caplog.text
    await master.write_register(HEARTBEAT, 3)
    assert server.gauges()["other_alive"] == 1


async def test_a_new_master_takes_the_place_of_the_one_silent_longest(server: Server, clock: SteppedClock) -> None:
    pdu = struct.pack(">BHH", 4, 0, 1)
    lines = []
    for _ in range(MASTERS_MAX):
        lines.append(await asyncio.open_connection("127.0.0.1", server.port))
        lines[-1][1].write(request(0, pdu))
        await lines[-1][0].readexactly(7 + 4)
        await clock.advance(1)
    lines[0][1].write(request(0, pdu))
    await lines[0][0].readexactly(7 + 4)
    assert len(await ask(server, request(0, pdu))) == 1
    assert await lines[1][0].read() == b"", "the second was silent longest"
    for _, writer in lines:
        writer.close()


async def test_a_flood_waits_and_is_answered(server: Server, clock: SteppedClock) -> None:
    pdu, count = struct.pack(">BHH", 4, 0, 1), BURST + REQUESTS_S
    flood = asyncio.create_task(ask(server, *(request(k, pdu) for k in range(count))))
    while server.desk.requests < BURST:
        await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    assert server.desk.requests == BURST, "the rest waits"
    while not flood.done():
        await clock.advance(NS // 10)
        await asyncio.sleep(0.001)
    assert len(await flood) == count
    assert clock.monotonic_ns() - START_NS >= NS


async def test_a_port_that_is_taken_is_said(server: Server, newest: Newest, clock: SteppedClock) -> None:
    with pytest.raises(OSError, match=str(server.port)):
        async with modbus.serve(f"127.0.0.1:{server.port}", 0, newest, clock):
            pass
