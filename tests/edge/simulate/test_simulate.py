"""`edge-agent simulate` as a process of its own, asked by pymodbus's clients and heard through a real broker."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ModbusIOException
from pymodbus.framer import FramerType
from pymodbus.logging import pymodbus_apply_logging_config

from edge_agent.cli import main
from edge_agent.sources.modbus import NoAnswer, Refused, link_to
from edge_agent.sources.modbus.address import parse
from edge_agent.sources.modbus.framing import read
from protos.clock import SystemClock
from tests.simulators.mqtt_certificates import make

pymodbus_apply_logging_config("CRITICAL")
END_S = 30.0


@asynccontextmanager
async def played(*words: object, lines: int) -> AsyncIterator[list[dict[str, Any]]]:
    """The simulator; yields what it says of each device. It must end well on SIGTERM."""
    program = [sys.executable, "-m", "edge_agent.cli", "simulate", *map(str, words)]
    process = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(END_S):
            yield [json.loads(await process.stdout.readline()) for _ in range(lines)]
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), END_S) == 0


@asynccontextmanager
async def client(connection: str, timeout_s: float = 1.0) -> AsyncIterator[Any]:
    scheme, _, place = connection.partition("://")
    one: Any
    if scheme == "rtu":
        one = AsyncModbusSerialClient(place.partition("?")[0], baudrate=115200, timeout=timeout_s, retries=0)
    else:
        host, _, port = place.rpartition(":")
        framer = FramerType.RTU if scheme == "rtu+tcp" else FramerType.SOCKET
        one = AsyncModbusTcpClient(host, port=int(port), framer=framer, timeout=timeout_s, retries=0)
    assert await one.connect()
    try:
        yield one
    finally:
        one.close()


async def test_units_of_several_profiles_on_one_port(tmp_path: Path) -> None:
    log = tmp_path / "writes.jsonl"
    async with played(
        "eastron-sdm630@3", "keba-kecontact", "moxa-iologik-e1214", "--actuator-log", log, lines=3
    ) as devices:
        assert [device["unit"] for device in devices] == [3, 1, 2]
        async with client(devices[0]["connection"]) as modbus:
            volts = await modbus.read_input_registers(0, count=2, device_id=3)
            assert 200 < modbus.convert_from_registers(volts.registers, modbus.DATATYPE.FLOAT32) < 260
            assert (await modbus.read_input_registers(1000, count=2, device_id=3)).exception_code == 2
            identity = await modbus.read_device_information(device_id=2)
            assert identity.information[1] == b"moxa-iologik-e1214"
            await modbus.write_register(5004, 16_000, device_id=1)
            assert (await modbus.read_holding_registers(5004, count=1, device_id=1)).registers == [16_000]
            await modbus.write_coil(2, True, device_id=2)
            assert (await modbus.read_coils(0, count=6, device_id=2)).bits[2]
    writes = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(write["profile"], write["function"], write["address"], write["values"]) for write in writes] == [
        ("keba-kecontact", 6, 5004, [16_000]),
        ("moxa-iologik-e1214", 5, 2, [1]),
    ]
    assert writes[0]["points"] == ["set_current"]


@pytest.mark.parametrize("place", ["tcp://127.0.0.1:0", "rtu+tcp://127.0.0.1:0", "rtu"])
async def test_value_is_address(place: str) -> None:
    async with (
        played("eastron-sdm630", "--listen", place, "--mode", "address", lines=1) as devices,
        client(devices[0]["connection"]) as modbus,
    ):
        for address in (0, 1234, 65_411):
            answer = await modbus.read_holding_registers(address, count=125, device_id=1)
            assert answer.registers == list(range(address, address + 125))
        assert (await modbus.read_coils(4, count=4, device_id=1)).bits[:4] == [False, True, False, True]


async def test_each_device_on_its_own_port() -> None:
    async with played("eastron-sdm120", "eastron-sdm120", "--each", lines=2) as devices:
        assert len({device["connection"] for device in devices}) == 2


async def outcomes(modbus: Any, unit: int, count: int) -> list[str]:
    """What became of `count` reads: ok, exception, silence."""
    found = []
    for _ in range(count):
        try:
            answer = await modbus.read_holding_registers(100, count=4, device_id=unit)
            found.append("exception" if answer.isError() else "ok")
            if not answer.isError():
                assert answer.registers == [100, 101, 102, 103]
        except ModbusIOException:
            found.append("silence")
    return found


@pytest.mark.parametrize(("faults", "kind"), [("exception=1", "exception"), ("timeout=1", "silence"), ("", "ok")])
async def test_faults_on_demand(faults: str, kind: str) -> None:
    async with (
        played("eastron-sdm630", "--mode", "address", "--faults", faults, lines=1) as devices,
        client(devices[0]["connection"], timeout_s=0.1) as modbus,
    ):
        assert set(await outcomes(modbus, 1, 4)) == {kind}


async def test_tls(tmp_path: Path) -> None:
    """The gateway's own TLS line reads it, certificate checked; one that trusts another authority does not."""
    made = make(tmp_path / "ours")
    words = ["--listen", "tls://127.0.0.1:0", "--certificate", made.server, "--key", made.server_key]
    async with played("eastron-sdm630", "--mode", "address", *words, lines=1) as devices:
        for trusted in (made, make(tmp_path / "others")):
            options = {"ca_file": str(trusted.ca)}
            link = link_to(parse(devices[0]["connection"], options), options, SystemClock())
            try:
                data = await link.ask(read(1, 3, 500, 2), 1_000_000_000)
                assert data == bytes([1, 244, 1, 245])
                assert trusted is made
            except NoAnswer:
                assert trusted is not made
            finally:
                link.drop()


@pytest.mark.parametrize("place", ["tcp://127.0.0.1:0", "rtu"])
async def test_a_noisy_line_never_gives_a_wrong_value(place: str) -> None:
    """All faults at once: what the gateway's line takes for an answer is one, whatever else goes by.

    No two reads are of one length: an answer that comes seconds later than any timeout here is beyond the guard.
    """
    faults = "timeout=0.03,garbage=0.1,late=0.03,duplicate=0.1,exception=0.05"
    async with played("eastron-sdm630", "--mode", "address", "--listen", place, "--faults", faults, lines=1) as devices:
        link = link_to(parse(devices[0]["connection"], {}), {}, SystemClock())
        good = bad = 0
        for address in range(120):
            count = 1 + address
            try:
                data = await link.ask(read(1, 3, address, count), 50_000_000)
                assert data == b"".join(register.to_bytes(2) for register in range(address, address + count))
                good += 1
            except (NoAnswer, Refused):
                bad += 1
        link.drop()
    assert good > 50
    assert bad > 5


async def test_dead_units_never_answer() -> None:
    async with (
        played("eastron-sdm630@1", "eastron-sdm630@2", "--mode", "address", "--dead", "2", lines=2) as devices,
        client(devices[0]["connection"], timeout_s=0.1) as modbus,
    ):
        assert await outcomes(modbus, 2, 1) == ["silence"]
        assert await outcomes(modbus, 1, 1) == ["ok"]


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["eastron-sdm631"], "did you mean eastron-sdm630"),
        (["eastron-sdm630@248"], "units are 1 to 247"),
        (["eastron-sdm630@1", "eastron-sdm120@1"], "the same unit"),
        (["eastron-sdm630", "--faults", "noise=1"], "give KIND=SHARE"),
        (["eastron-sdm630", "--faults", "late=0.6,timeout=0.6"], "more than 1"),
        (["eastron-sdm630", "--listen", "udp://h:1"], "listen at tcp://"),
        (["eastron-sdm630", "--listen", "tls://127.0.0.1:0"], "needs --certificate"),
        (["milesight-ws302"], "need a broker"),
    ],
)
def test_faults_of_the_command(words: Sequence[str], wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", *words]) == 1
    assert wrong in capsys.readouterr().err


@pytest.mark.system("mosquitto")
async def test_mqtt_devices_speak_through_a_broker(tmp_path: Path, mosquitto: int) -> None:
    words = ["milesight-ws302=application/1/device/a1", "tasmota-energy=lamp-7", "shelly-pro-3em=shelly-1"]
    async with aiomqtt.Client("127.0.0.1", mosquitto) as listener:
        await listener.subscribe("#")
        async with played(*words, "--broker", f"127.0.0.1:{mosquitto}", "--period", "0.2", lines=3) as devices:
            assert devices[0]["topic"] == "application/1/device/a1"
            heard: dict[str, Any] = {}
            async for message in listener.messages:
                assert isinstance(message.payload, bytes)
                heard[str(message.topic)] = json.loads(message.payload)
                if len(heard) == 3:
                    break
    assert 20 <= heard["application/1/device/a1/event/up"]["object"]["LAeq"] <= 140
    assert "Power" in heard["tele/lamp-7/SENSOR"]["ENERGY"]
    assert heard["shelly-1/events/rpc"]["method"] == "NotifyStatus"


async def test_a_device_follows_what_another_program_decides(tmp_path: Path) -> None:
    """Named values are served as they are, the others go on; a broken file changes nothing, a new one is taken."""
    file = tmp_path / "values.json"
    file.write_text(json.dumps({"eastron-sdm630@1": {"v_l1": 207.5}}))

    async def volts() -> tuple[float, float]:
        found = await modbus.read_input_registers(0, count=4, device_id=1)
        one, two = (modbus.convert_from_registers(found.registers[i : i + 2], modbus.DATATYPE.FLOAT32) for i in (0, 2))
        return one, two

    async with (
        played("eastron-sdm630@1", "--follow", file, lines=1) as devices,
        client(devices[0]["connection"]) as modbus,
    ):
        one, two = await volts()
        assert one == 207.5
        assert 220 < two < 240
        file.write_text("{")
        await asyncio.sleep(0.15)
        assert (await volts())[0] == 207.5
        fresh = tmp_path / "fresh"
        fresh.write_text(json.dumps({"eastron-sdm630@1": {"v_l1": 199.0}}))
        fresh.replace(file)
        await asyncio.sleep(0.15)
        assert (await volts())[0] == 199.0
