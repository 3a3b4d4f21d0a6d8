"""72 h without the aggregator, then the way back: what is stored, how fast it drains, and whether live waits for it.

A stepped clock makes the outage: 300 readings/s from 15 devices, a commit each 2,000 readings or so. Then the backlog
is read oldest first and marked, as fast as it goes, while live readings arrive in real time at the same rate and are
read and marked by their own cursor. This is the buffer's side; the link has its own figures.
"""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_agent.buffer import Buffer
from protos.batch import Priority
from protos.clock import NS, Anchor, Clock, SteppedClock, SystemClock
from protos.span import Span, join
from tests.bench import Figure
from tests.bench.signals import Devices

HOURS = {"ci": 3.6, "full": 72.0}  # ci: 1/20
DEVICES, RATE = 15, 300
SECONDS_PER_COMMIT = 7
LIVE_HZ = 10  # live appends a second, of 30 readings each: the rate stays 300
DRAIN_BATCHES, DRAIN_BYTES = 32, 256 << 10
LAGS_MIN = 40
STORED_MAX, FASTER, LAG_MAX_S = 400e6, 50, 2.0


@dataclass(frozen=True)
class Limits:
    max_mb: int = 500
    keep_days: float = 14.0
    ballast_mb: int = 2


def anchor_of(clock: Clock) -> Anchor:
    return Anchor(clock.boot_id, 1_700_000_000 * NS, 0, "ntp")


async def fill(buffer: Buffer, clock: SteppedClock, hours: float) -> int:
    """The outage; returns readings stored."""
    devices = Devices(DEVICES)
    seconds = int(hours * 3600)
    for _ in range(seconds // SECONDS_PER_COMMIT):
        await clock.advance(SECONDS_PER_COMMIT * NS)
        await buffer.append(list(devices.seconds(SECONDS_PER_COMMIT)), Priority.TELEMETRY, anchor_of(clock))
    return buffer.backlog().readings


async def arrive(buffer: Buffer, clock: SteppedClock, lags: list[float], until: asyncio.Event) -> None:
    """Live readings in real time until the drain has ended and LAGS_MIN were seen: append, read by a cursor, mark."""
    devices = Devices(DEVICES, seed=2)
    frames = (frame for _ in iter(int, 1) for frame in devices.seconds(1))
    cursor = (buffer.epoch, buffer.newest)
    real = SystemClock()
    loop, due = asyncio.get_running_loop(), asyncio.get_running_loop().time()
    while not until.is_set() or len(lags) < LAGS_MIN:
        begun = loop.time()
        some = [next(frames) for _ in range(RATE // LIVE_HZ // 20)] or [next(frames)]
        await buffer.append(some, Priority.TELEMETRY, anchor_of(clock))
        for one in await buffer.newer(*cursor, 16, DRAIN_BYTES):
            cursor = (one.epoch, one.sequence)
            await buffer.mark([Span(one.epoch, one.sequence, one.sequence)])
        lags.append(loop.time() - begun)
        due += len(some) * 20 / RATE
        await real.sleep_until(real.monotonic_ns() + int(max(0.0, due - loop.time()) * NS))


async def drain(buffer: Buffer, before: tuple[int, int]) -> None:
    while some := await buffer.oldest(DRAIN_BATCHES, DRAIN_BYTES, before):
        await buffer.mark(join((one.epoch, one.sequence) for one in some))


async def outage(directory: Path, hours: float) -> dict[str, float]:
    clock = SteppedClock()
    buffer = await Buffer.open(directory, "north-1", clock, Limits())
    readings = await fill(buffer, clock, hours)
    stored = sum(one.stat().st_blocks * 512 for one in directory.glob("buffer.sqlite*"))
    lags: list[float] = []
    done = asyncio.Event()
    before = (buffer.epoch, buffer.newest + 1)
    live = asyncio.create_task(arrive(buffer, clock, lags, done))
    begun = time.perf_counter()
    await drain(buffer, before)
    took = time.perf_counter() - begun
    done.set()
    await live
    left = buffer.backlog().batches
    await buffer.close()
    lag = float(np.percentile(lags, 99))
    return {"readings": readings, "stored": stored, "per_s": readings / took, "lag_p99": lag, "left": left}


def run(scale: str) -> Iterator[Figure]:
    hours = HOURS[scale]
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        found = asyncio.run(outage(Path(place), hours))
    whole = found["stored"] * 72 / hours
    yield Figure(
        "outage",
        round(whole / 1e6, 1),
        f"MB on disk after 72 h at 300 readings/s{'' if hours == 72 else f' (measured over {hours} h)'}",
        "≤ 400 MB",
        whole <= STORED_MAX and found["readings"] >= 0.999 * hours * 3600 * RATE,
        {"readings": found["readings"], "bytes_per_reading": round(found["stored"] / found["readings"], 2)},
    )
    yield Figure(
        "outage",
        round(found["per_s"] / RATE),
        "times the live rate, drained from the buffer",
        "≥ 50 × live rate with live lag p99 < 2 s",
        found["per_s"] >= FASTER * RATE and found["lag_p99"] < LAG_MAX_S and not found["left"],
        {"live_lag_p99_s": round(found["lag_p99"], 4), "readings_per_s": round(found["per_s"])},
    )
