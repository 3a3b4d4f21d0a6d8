"""A gateway process as the controllers beside it see it: its registers, its topics, its stream, a person's hand."""

import asyncio
import json
import re
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from pymodbus.client import AsyncModbusTcpClient

from edge_agent.local import status
from edge_agent.local.slots import AUTHORITIES, HEARTBEAT
from edge_agent.setpoint import Authority
from tests.bench import acting
from tests.bench.gateway import BIN, agent
from tests.simulators.mqtt_broker import mosquitto_broker

ROOT = Path(__file__).parents[2]
PATIENCE_S = 20.0
HAND, LOCAL = AUTHORITIES[Authority.HAND], AUTHORITIES[Authority.LOCAL]
pytestmark = pytest.mark.system("mosquitto")
TAIL = """
[[broker]]
name = "cabinet"
host = "127.0.0.1"
port = {port}
[local.modbus]
listen = "127.0.0.1:0"
[local.mqtt]
broker = "cabinet"
least_s = 0.2
[local.grpc]
socket = "local.sock"
"""


@dataclass
class Gateway:
    """A running gateway with one output, which follows its twin's estimate, and a master at its registers."""

    folder: Path
    file: Path
    master: AsyncModbusTcpClient
    broker: int
    map: list[dict[str, Any]] = field(default_factory=list)

    async def number(self, name: str) -> float:
        """One number of the map that `edge-agent registers` prints; NaN while the gateway is busy starting."""
        row = next(row for row in self.map if row["name"] == name)
        kind = {"u16": ">H", "u32": ">I", "u64": ">Q", "f32": ">f"}[row["type"]]
        found = await self.master.read_input_registers(int(row["address"]), count=struct.calcsize(kind) // 2)
        if found.isError():
            return float("nan")
        return float(struct.unpack(kind, struct.pack(f">{len(found.registers)}H", *found.registers))[0])

    async def until(self, reached: Callable[[], Awaitable[bool]]) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not await reached():
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError((self.folder / "agent.log").read_text()[-2000:]) from None

    async def verb(self, *words: object) -> str:
        child = await asyncio.create_subprocess_exec(
            BIN / "edge-agent", *(str(word) for word in words), stdout=asyncio.subprocess.PIPE
        )
        told, _ = await child.communicate()
        assert child.returncode == 0
        return told.decode()

    async def learn(self) -> None:
        self.map = json.loads(await self.verb("registers", self.file, "--json"))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path, int, int]]:
    """Folder, file, and the ports of the broker and of the registers."""
    folder = tmp_path_factory.mktemp("beside")
    with acting.devices("--ports", "1", "--echo-ms", "300") as device, mosquitto_broker(folder / "broker") as broker:
        tail = TAIL.format(port=broker.port)
        file = acting.site(folder, device.ports, period_ms=100, outputs=1, twins=1, tail=tail)
        with agent(folder, file) as process:
            for _ in range(int(PATIENCE_S * 20)):
                if found := re.search(r"local controllers on port (\d+)", (folder / "agent.log").read_text()):
                    break
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.05)
            assert found, (folder / "agent.log").read_text()
            yield folder, file, broker.port, int(found[1])


@pytest.fixture
async def gateway(running: tuple[Path, Path, int, int]) -> AsyncIterator[Gateway]:
    folder, file, broker, port = running
    master = AsyncModbusTcpClient("127.0.0.1", port=port, retries=0)
    await master.connect()
    yield Gateway(folder, file, master, broker)
    master.close()


async def test_registers_and_hand(gateway: Gateway) -> None:
    await gateway.learn()
    digest = await gateway.number("gateway.map_digest")
    assert f"{int(digest):08x}" in await gateway.verb("registers", gateway.file)

    async def authority(wanted: int) -> bool:
        return await gateway.number("output.out0.authority") == wanted

    await gateway.until(lambda: authority(LOCAL))
    assert 0 < await gateway.number("output.out0.valid") <= 1000
    assert 0 <= await gateway.number("output.out0.value") <= 100
    assert await gateway.number("estimate.echo0.level.valid") > 0
    beats = await gateway.number("gateway.heartbeat")
    await gateway.master.write_register(HEARTBEAT, 1)
    assert int(await gateway.number("gateway.flags")) & 0b100

    await gateway.verb("hand", "out0", "44", "--for", "60s", "--why", "drill", "-c", gateway.file)
    await gateway.until(lambda: authority(HAND))
    assert await gateway.number("output.out0.value") == 44

    async def shown() -> bool:
        return await gateway.number("output.out0.shown") == 44

    await gateway.until(shown)
    report = status.ask(gateway.folder / "edge")
    assert report is not None
    control: Any = report["control"]
    assert control["outputs"][0]["why"].endswith("drill")
    assert control["hands"][0]["value"] == 44
    await gateway.verb("hand", "out0", "--release", "-c", gateway.file)
    await gateway.until(lambda: authority(LOCAL))
    assert await gateway.number("gateway.heartbeat") != beats


async def test_topics(gateway: Gateway) -> None:
    heard: dict[str, Any] = {}
    wanted = [f"citytwin/gw-bench/{one}" for one in ("decision/out0", "estimate/echo0/level")]
    async with aiomqtt.Client("127.0.0.1", gateway.broker) as client, asyncio.timeout(PATIENCE_S):
        await client.subscribe("citytwin/gw-bench/#")
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            assert not message.retain
            heard[str(message.topic)] = json.loads(message.payload)
            if all(topic in heard and heard[topic]["valid_ms"] for topic in wanted):
                break
    decision, estimate = (heard[topic] for topic in wanted)
    assert (decision["authority"], decision["by"]) == ("local", "follow0")
    assert (estimate["unit"], estimate["model"]) == ("m", "echo 1")
    assert estimate["sd"] > 0


async def test_the_example_client(gateway: Gateway) -> None:
    client = await asyncio.create_subprocess_exec(
        sys.executable, ROOT / "deploy" / "examples" / "watch.py", "local.sock", "out0",
        stdout=asyncio.subprocess.PIPE, cwd=gateway.folder / "edge", env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert client.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            while "local" not in (line := (await client.stdout.readline()).decode()):
                assert line
    finally:
        client.terminate()
        await client.wait()
    assert re.match(r"\d+ out0 [\d.]+ % local ", line)
