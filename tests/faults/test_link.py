"""The link against a real aggregator process: stopped dead, killed, restored from an older copy of its state."""

import asyncio
import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from aggregator.stores.log import SqliteLog
from edge_agent.buffer import Buffer
from edge_agent.image import Frame, Layout
from edge_agent.sync import Identity, Settings, Sync
from edge_agent.sync.enrolment import Registry
from edge_agent.sync.trusted import TrustedTime
from protos import sync_pb2, telemetry_pb2
from protos.batch import Priority
from protos.clock import NS, SystemClock

NAME = "gw-1"
LAYOUT = Layout("meter", ("a", "b", "c"))
COMMAND = [sys.executable, "-m", "aggregator.cli"]
READY_S, AGAIN_S, DEAD_S = 30.0, 30.0, 5.0


class Room:
    max_mb, keep_days, ballast_mb = 100, 1.0, 1


@dataclass
class City:
    """An aggregator as a process, to be stopped and started at will, always on the same ports."""

    state: Path
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "serve", str(self.state / "aggregator.toml")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(20)

    async def ready(self) -> dict[str, str]:
        clock = SystemClock()
        async with asyncio.timeout(READY_S):
            while not (self.state / "endpoints.json").exists():
                await clock.sleep_until(clock.monotonic_ns() + NS // 50)
        places: dict[str, str] = json.loads((self.state / "endpoints.json").read_text())
        return places

    async def stored(self) -> set[tuple[int, int]]:
        log = SqliteLog(self.state / "log.sqlite", read_only=True)
        keys = {(one.epoch, n) for one in await log.stored(NAME) for n in range(one.first, one.last + 1)}
        await log.close()
        return keys


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    state = tmp_path / "aggregator"
    subprocess.run([*COMMAND, "init", str(state)], check=True, capture_output=True)
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        ports = one.getsockname()[1], other.getsockname()[1]
    file = state / "aggregator.toml"
    file.write_text(file.read_text().replace(":7443", f":{ports[0]}").replace(":7444", f":{ports[1]}"))
    made = City(state)
    made.start()
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


@dataclass
class Edge:
    buffer: Buffer
    sync: Sync
    clock: SystemClock

    async def put(self, count: int = 1) -> None:
        for _ in range(count):
            now = self.clock.monotonic_ns()
            frame = Frame(LAYOUT, now, now, np.array([1.0, 2.0, 3.0]))
            await self.buffer.append([frame], Priority.TELEMETRY, self.sync.anchor())

    async def until_acked(self, seconds: float = AGAIN_S) -> None:
        async with asyncio.timeout(seconds):
            while self.buffer.backlog().batches:
                await self.clock.sleep_until(self.clock.monotonic_ns() + NS // 50)


@asynccontextmanager
async def edge(city: City, state: Path) -> AsyncIterator[Edge]:
    """Enrolled and running."""
    places, clock = await city.ready(), SystemClock()
    done = subprocess.run(
        [*COMMAND, "enrol-token", NAME, "-c", str(city.state / "aggregator.toml")],
        check=True,
        capture_output=True,
        text=True,
    )
    state.mkdir()
    identity, time = Identity(state / "identity"), TrustedTime(state / "time.json", clock)
    await Registry(identity, time, clock).enrol(done.stdout.strip(), NAME, lambda text: None)
    buffer = await Buffer.open(state, NAME, clock, Room())
    settings = Settings(address=places["sync"], retry_cap_s=0.5)
    catalogue = telemetry_pb2.Catalogue(digest=b"1")
    sync = Sync(settings, identity, buffer, clock, time, catalogue, sync_pb2.Status)
    running = asyncio.create_task(sync.run())
    try:
        yield Edge(buffer, sync, clock)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await buffer.close()


async def test_a_stopped_aggregator_is_seen_and_a_woken_one_used_again(city: City, tmp_path: Path) -> None:
    async with edge(city, tmp_path / "edge") as one:
        await one.put(3)
        await one.until_acked()
        assert city.process is not None
        begun = one.clock.monotonic_ns()
        city.process.send_signal(signal.SIGSTOP)
        try:
            async with asyncio.timeout(2 * DEAD_S):
                while one.sync.connected:
                    await one.clock.sleep_until(one.clock.monotonic_ns() + NS // 50)
            took_s = (one.clock.monotonic_ns() - begun) / NS
            await one.put(2)
        finally:
            city.process.send_signal(signal.SIGCONT)
        await one.until_acked()
        assert took_s <= DEAD_S
        assert await city.stored() == {(1, n) for n in range(1, 6)}


async def test_an_aggregator_killed_and_restarted_has_everything_once(city: City, tmp_path: Path) -> None:
    async with edge(city, tmp_path / "edge") as one:
        await one.put(20)
        city.stop(signal.SIGKILL)
        await one.put(5)
        (city.state / "endpoints.json").unlink(missing_ok=True)
        city.start()
        await city.ready()
        await one.until_acked()
        assert await city.stored() == {(1, n) for n in range(1, 26)}


async def test_an_aggregator_restored_from_an_older_copy_gets_the_rest_again(city: City, tmp_path: Path) -> None:
    async with edge(city, tmp_path / "edge") as one:
        await one.put(10)
        await one.until_acked()
        city.stop()
        shutil.copytree(city.state, tmp_path / "copy")
        city.start()
        await city.ready()
        await one.put(30)
        await one.until_acked()
        city.stop()
        shutil.rmtree(city.state)
        shutil.copytree(tmp_path / "copy", city.state)
        assert len(await city.stored()) == 10
        city.start()
        await city.ready()
        await one.put(1)
        await one.until_acked()
        async with asyncio.timeout(AGAIN_S):
            while len(await city.stored()) < 41:
                await one.clock.sleep_until(one.clock.monotonic_ns() + NS // 20)
        assert one.sync.gauges()["resent_on_request_total"] == 30
