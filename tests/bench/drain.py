"""The way back after an outage, over the real link: a full buffer, a real aggregator, live readings beside the backlog.

Twice: over the loopback as fast as it goes, and over a line of 512 kbit/s, where live readings would wait behind the
backlog if the link let them. Lag is from the commit on the gateway to the aggregator's ack of the same batch, of the
batches committed while the backlog drains.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edge_agent.buffer import Buffer
from edge_agent.sync import Identity, Settings, Sync
from edge_agent.sync.enrolment import Registry
from edge_agent.sync.trusted import TrustedTime
from protos import sync_pb2, telemetry_pb2
from protos.batch import Priority
from protos.clock import NS, Clock, SteppedClock, SystemClock
from protos.span import Span
from tests.bench import Figure
from tests.bench.cuts import Room, order, temporary, told
from tests.bench.gateway import BIN, verb, wait_for
from tests.bench.outage import DEVICES, RATE, SECONDS_PER_COMMIT, anchor_of
from tests.bench.processes import running
from tests.bench.signals import Devices

HOURS = {"ci": 2.0, "full": 12.0}
GATEWAY = "gw-drain"
SLOW = 64_000  # bytes a second
FASTER, LAG_MAX_S = 50, 2.0
LIVE_HZ = 4  # commits a second
DRAIN_S = 400.0


@dataclass
class Watched:
    """A buffer that notes when batches are committed and when they are acked; else the real one."""

    buffer: Buffer
    committed: dict[tuple[int, int], float] = field(default_factory=dict)
    acked: dict[tuple[int, int], float] = field(default_factory=dict)

    def __getattr__(self, name: str) -> object:
        return getattr(self.buffer, name)

    async def mark(
        self, stored: Sequence[Span] = (), settled: Sequence[Span] = (), refused: Sequence[tuple[Span, str]] = ()
    ) -> None:
        now = time.monotonic()
        for key in self.committed.keys() - self.acked.keys():
            if any(key in span for span in stored):
                self.acked[key] = now
        await self.buffer.mark(stored, settled, refused)


async def fill(directory: Path, hours: float, gateway: str = GATEWAY) -> int:
    """An outage on a stepped clock; readings stored."""
    clock, devices = SteppedClock(), Devices(DEVICES)
    buffer = await Buffer.open(directory, gateway, clock, Room())
    for _ in range(int(hours * 3600) // SECONDS_PER_COMMIT):
        await clock.advance(SECONDS_PER_COMMIT * NS)
        await buffer.append(list(devices.seconds(SECONDS_PER_COMMIT)), Priority.TELEMETRY, anchor_of(clock))
    readings = buffer.backlog().readings
    await buffer.close()
    return readings


async def live(watched: Watched, clock: Clock, until: asyncio.Event) -> None:
    """Readings at the live rate, a part of the devices each quarter of a second, until the drain has ended."""
    devices, due = Devices(DEVICES, seed=2), clock.monotonic_ns()
    while not until.is_set():
        frames = list(devices.seconds(1))
        for part in range(LIVE_HZ):
            sequence = await watched.buffer.append(frames[part::LIVE_HZ], Priority.TELEMETRY, anchor_of(clock))
            watched.committed[watched.buffer.epoch, sequence] = time.monotonic()
            due += NS // LIVE_HZ
            await clock.sleep_until(due)


async def connected(sync: Sync, clock: Clock) -> None:
    while not sync.connected:
        await clock.sleep_until(clock.monotonic_ns() + NS // 100)


async def drain(place: Path, address: str, enrol: str, token: str, readings: int) -> dict[str, float]:
    clock = SystemClock()
    identity, known = Identity(place / "identity"), TrustedTime(place / "time.json", clock)
    if not identity.exists:
        await Registry(identity, known, clock, address=enrol).enrol(token, GATEWAY, lambda text: None)
    watched = Watched(await Buffer.open(place, GATEWAY, clock, Room()))
    catalogue = telemetry_pb2.Catalogue(digest=b"drain")
    sync = Sync(
        Settings(address=address),
        identity,
        watched,  # type: ignore[arg-type]
        clock,
        known,
        catalogue,
        sync_pb2.Status,
    )
    done = asyncio.Event()
    linking = asyncio.create_task(sync.run())
    await asyncio.wait_for(connected(sync, clock), DRAIN_S)
    begun = time.perf_counter()
    arriving = asyncio.create_task(live(watched, clock, done))
    async with asyncio.timeout(DRAIN_S):
        while watched.buffer.backlog().batches > LIVE_HZ // 2:
            await clock.sleep_until(clock.monotonic_ns() + NS // 50)
    took = time.perf_counter() - begun
    done.set()
    await arriving
    async with asyncio.timeout(DRAIN_S):
        while watched.buffer.backlog().batches:
            await clock.sleep_until(clock.monotonic_ns() + NS // 50)
    linking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await linking
    await watched.buffer.close()
    lags = [at - watched.committed[key] for key, at in watched.acked.items()]
    return {
        "times": readings / took / RATE,
        "took_s": took,
        "lag_p99_s": float(np.percentile(lags, 99)),
        "lag_max_s": max(lags),
        "lags": float(len(lags)),
        "wire_bytes_per_reading": sync.traffic.sent / readings,
    }


def measure(place: Path, hours: float, rate: int) -> dict[str, float]:
    state = place / "aggregator"
    verb("aggregator", "init", state)
    file = state / "aggregator.toml"
    file.write_text(file.read_text().replace(":7443", ":0").replace(":7444", ":0").replace(":7480", ":0"))
    readings = asyncio.run(fill(place / "edge", hours))
    with ExitStack() as stack:
        server = stack.enter_context(running([BIN / "aggregator", "serve", file], place / "aggregator.log"))
        wait_for(state / "endpoints.json", server, place / "aggregator.log")
        addresses = json.loads((state / "endpoints.json").read_text())
        link, places = stack.enter_context(told([sys.executable, "-m", "tests.simulators.link", addresses["sync"]], 1))
        if rate:
            order(link, f"slow {rate}")
        token = verb("aggregator", "enrol-token", GATEWAY, "-c", file).strip()
        address = f"127.0.0.1:{places[0]['port']}"
        return asyncio.run(drain(place / "edge", address, addresses["enrolment"], token, readings))


def run(scale: str) -> Iterator[Figure]:
    for what, rate, share in (("loopback", 0, 1.0), ("512 kbit/s", SLOW, 0.5)):
        with temporary() as place:
            found = measure(Path(place), HOURS[scale] * share, rate)
        yield Figure(
            "drain",
            round(found["times"]),
            f"times the live rate, drained over the real link, {what}",
            "≥ 50 × live rate with live lag p99 < 2 s",
            found["times"] >= FASTER and found["lag_p99_s"] < LAG_MAX_S,
            {key: round(value, 3) for key, value in found.items() if key != "times"},
        )
