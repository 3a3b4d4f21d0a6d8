"""A real Sparkplug edge node in its own process: birth, data by alias, a lost message, history, commands, death."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge_agent.profile import Broker, Field, PointSpec
from edge_agent.sources import Outcome
from edge_agent.sources.mqtt.reading import BAD_DEAD, HISTORICAL
from tests.edge.sources.mqtt.listening import WAIT_S, Listening, device_of, listening
from tests.simulators.mqtt_broker import mosquitto_broker

pytestmark = pytest.mark.system("mosquitto")
PRESS = device_of(
    "sparkplug",
    "plant/node1/press",
    PointSpec("level", "water_level", "m", place=Field("", "Tank/Level")),
    PointSpec("pump", "switch", "1", place=Field("", "Pump/On"), access="rw"),
)


@asynccontextmanager
async def node(port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    words = ["-m", "tests.simulators.sparkplug_node", str(port)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert await asyncio.wait_for(process.stdout.readline(), WAIT_S) == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def tell(process: asyncio.subprocess.Process, *lines: str) -> None:
    assert process.stdin is not None
    process.stdin.write("".join(f"{line}\n" for line in lines).encode())


def code_of(heard: Listening, at: int) -> int:
    codes = heard.frames[at].codes
    return 0 if codes is None else int(codes[0])


async def test_life_of_a_node(tmp_path: Path) -> None:
    with mosquitto_broker(tmp_path / "broker") as server:
        async with listening(Broker("b", "127.0.0.1", server.port), [PRESS]) as heard, node(server.port) as process:
            await heard.until(lambda frames: heard.values("level") and heard.values("pump"))
            tell(process, "data 2.5")
            await heard.until(lambda frames: 2.5 in heard.values("level"))
            assert code_of(heard, -1) == 0

            tell(process, "history 1.5")
            await heard.until(lambda frames: 1.5 in heard.values("level"))
            at = next(at for at, frame in enumerate(heard.frames) if frame.values.tolist() == [1.5])
            assert code_of(heard, at) == HISTORICAL
            assert (heard.frames[at].receive_ns - heard.frames[at].source_ns) / 1e9 == pytest.approx(60, abs=5)

            assert (await heard.source.write("d", "pump", 1)).outcome is Outcome.APPLIED

            tell(process, "lose", "data 3.5")  # by an alias that is not trusted after a gap: only a rebirth tells it
            await heard.until(lambda frames: 3.5 in heard.values("level"))

            tell(process, "vanish")
            await heard.until(lambda frames: code_of(heard, -1) == BAD_DEAD and code_of(heard, -2) == BAD_DEAD)
