"""Every profile as a device on real Modbus or MQTT, polled as a gateway polls it: each point comes, and is GOOD.

`edge-agent simulate` plays (with pymodbus and paho), a gateway's own configuration, sources and cleaning read.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_agent.config import Gateway, Library, load
from edge_agent.field import build
from edge_agent.image import Frame
from protos.clock import SystemClock
from protos.quality import text

LIBRARY = Library()
MODBUS = [name for name in LIBRARY.ids() if LIBRARY.get(name).modbus]
MQTT = [name for name in LIBRARY.ids() if LIBRARY.get(name).mqtt]
WAIT_S = 20.0
HEAD = '[gateway]\nid = "test"\ndistrict = "test"\n'


@asynccontextmanager
async def played(words: Sequence[str], lines: int) -> AsyncIterator[list[dict[str, Any]]]:
    program = [sys.executable, "-m", "edge_agent.cli", "simulate", *words]
    process = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield [json.loads(await process.stdout.readline()) for _ in range(lines)]
    finally:
        process.terminate()
        await process.wait()


async def read_once(gateway: Gateway) -> dict[str, tuple[float, str]]:
    """Run the sources until every point has come once: value and quality by device/point."""
    field = build(gateway, SystemClock())
    missing = {id(layout) for layouts in field.layouts for layout in layouts}
    every = asyncio.Event()

    def emit(frame: Frame) -> None:
        field.cleaning.apply([frame], frame.receive_ns)
        field.image.take(frame)
        if frame.committed is not None:
            frame.committed()
        missing.discard(id(frame.layout))
        if not missing:
            every.set()

    running = [
        asyncio.create_task(source.run(layouts, emit))
        for source, layouts in zip(field.sources, field.layouts, strict=True)
    ]
    try:
        async with asyncio.timeout(WAIT_S):
            await every.wait()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    found = zip(field.image.values.tolist(), map(text, field.image.codes.tolist()), strict=True)
    return dict(zip(field.image.names, found, strict=True))


async def test_modbus(tmp_path: Path) -> None:
    words = [f"{name}@{unit}" for unit, name in enumerate(MODBUS, 1)]
    async with played([*words, "--start", "2026-06-21T12:00"], len(words)) as devices:
        parts = [
            f'[[device]]\nname = "{one["profile"]}"\nprofile = "{one["profile"]}"\nunit = {one["unit"]}\n'
            f'connection = "{one["connection"]}"\nperiod_ms = 1000\n'
            for one in devices
        ]
        (tmp_path / "site.toml").write_text(HEAD + "".join(parts))
        found = await read_once(load(tmp_path / "site.toml"))
    assert not {name: one for name, one in found.items() if one[1] != "GOOD"}
    assert len(found) > 200
    assert 200 < found["eastron-sdm630/v_l1"][0] < 260
    assert 95_000 < found["vaisala-wxt530/p_rel"][0] < 105_000  # hPa on the wire, Pa inside


@pytest.mark.system("mosquitto")
async def test_mqtt(tmp_path: Path, mosquitto: int) -> None:
    words = [f"{name}=devices/{name}" for name in MQTT]
    options = ["--broker", f"127.0.0.1:{mosquitto}", "--period", "0.5"]
    async with played([*words, *options], len(words)) as devices:
        parts = [
            f'[[device]]\nname = "{one["profile"]}"\nprofile = "{one["profile"]}"\n'
            f'connection = "cabinet"\ntopic = "{one["topic"]}"\n'
            for one in devices
        ]
        broker = f'[[broker]]\nname = "cabinet"\nhost = "127.0.0.1"\nport = {mosquitto}\n'
        (tmp_path / "site.toml").write_text(HEAD + broker + "".join(parts))
        found = await read_once(load(tmp_path / "site.toml"))
    assert not {name: one for name, one in found.items() if one[1] != "GOOD"}
    assert 20 < found["milesight-ws302/laeq"][0] < 140
