"""An output behind a broker, which the agent's main loop writes for the control loop: it is set, and left safe."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest

from tests.bench.gateway import agent

pytestmark = pytest.mark.system("mosquitto")
PATIENCE_S = 20.0
ON, SAFE = 60, 20
PROFILE = """
name = "A lamp behind a broker"
domain = "services"
category = "lamp"
grade = "A"
source = "this test"
points = [ { name = "level", quantity = "percentage", unit = "%", topic = "state", path = "level", access = "rw" } ]
[mqtt]
payload = "json"
"""
SITE = """
[gateway]
id = "gw-lamp"
district = "test"
state_dir = "{folder}/edge"
profiles_dir = "{folder}/profiles"
[[broker]]
name = "cabinet"
host = "127.0.0.1"
port = {port}
[[device]]
name = "lamp"
profile = "lamp"
connection = "cabinet"
topic = "lamp"
[[output]]
name = "light"
point = "lamp/level"
safe = {safe}
ttl_s = 5
min = 0
max = 100
slew_per_s = 0
min_on_s = 0
min_off_s = 0
refresh_s = 0
lifetime_writes = 0
readback_s = 5
[[controller]]
name = "night"
kind = "fixed"
outputs = {{ output = "light" }}
settings = {{ value = {on} }}
"""


class Lamp:
    """Does what it is told, and shows it once a second and on change."""

    def __init__(self) -> None:
        self.told: list[float] = []
        self.level = 35.0
        self.changed = asyncio.Event()

    async def run(self, port: int) -> None:
        async with aiomqtt.Client("127.0.0.1", port) as client:
            await client.subscribe("lamp/state/set", qos=1)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._show(client))
                async for message in client.messages:
                    assert isinstance(message.payload, bytes)
                    self.level = float(json.loads(message.payload)["level"])
                    self.told.append(self.level)
                    self.changed.set()

    async def _show(self, client: aiomqtt.Client) -> None:
        while True:
            self.changed.clear()
            await client.publish("lamp/state", json.dumps({"level": self.level}), qos=1)
            await asyncio.wait([asyncio.ensure_future(self.changed.wait())], timeout=1)

    async def until(self, level: float) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.level != level:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def lit(port: int) -> AsyncIterator[Lamp]:
    lamp = Lamp()
    shining = asyncio.create_task(lamp.run(port))
    try:
        yield lamp
    finally:
        shining.cancel()
        await asyncio.wait([shining])


async def test_it_is_set_and_left_safe_before_the_broker_is_left(tmp_path: Path, mosquitto: int) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "lamp.toml").write_text(PROFILE)
    config = tmp_path / "gateway.toml"
    config.write_text(SITE.format(folder=tmp_path, port=mosquitto, safe=SAFE, on=ON))
    async with lit(mosquitto) as lamp:
        with agent(tmp_path, config) as process:
            await lamp.until(ON)
            process.send_signal(signal.SIGHUP)  # which builds sources and loop anew
            log = tmp_path / "agent.log"
            async with asyncio.timeout(PATIENCE_S):
                while log.read_text().count("polling 1 devices") < 2:
                    await asyncio.sleep(0.05)
            await asyncio.sleep(1)
            assert lamp.level == ON, "a reload leaves it alone"
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, PATIENCE_S) == 0
        await lamp.until(SAFE)
    assert lamp.told[-1] == SAFE
    assert "Traceback" not in log.read_text()
