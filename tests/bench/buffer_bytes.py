"""Bytes that the kernel had to write for the buffer, per reading, over the reading's whole life.

`write_bytes` of /proc/self/io counts pages of files that were made dirty, so it holds everything: the write-ahead log
with its syncs, checkpoints, its shared-memory index, acks, deletion, the epoch file. The partner is what most agents
do: a row per reading in the same SQLite with default pages, in the same transactions, deleted in the end.
"""

import asyncio
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import apsw

from edge_agent.buffer import Buffer
from edge_agent.image import Frame
from protos.batch import Priority
from protos.clock import NS, Anchor, SteppedClock
from protos.span import Span
from tests.bench import Figure
from tests.bench.signals import Devices

COMMITS = {"ci": 600, "full": 4_000}  # of 2,000 readings each: 10 s at 200 readings/s
SECONDS, DEVICES = 10, 10
TAIL = 64  # commits in the end, so that the last full batches go, too
GOAL = 15.0
SETTLED_AFTER = 6  # commits until history has a batch: a minute
KEEP_COMMITS = 200  # local history in this run; every row is deleted before it ends


@dataclass(frozen=True)
class Limits:
    max_mb: int = 500
    keep_days: float = KEEP_COMMITS * SECONDS / 86_400
    ballast_mb: int = 2


def written() -> int:
    """Bytes that this process has made the kernel write, files only."""
    os.sync()
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


async def live(directory: Path, commits: int) -> tuple[int, int, int]:
    """The whole life of `commits` batches; returns readings, bytes of the last blob, and 1 if any is left."""
    clock = SteppedClock()
    devices = Devices(DEVICES)
    buffer = await Buffer.open(directory, "north-1", clock, Limits())
    blob = b""
    for number in range(1, commits + KEEP_COMMITS + TAIL + 1):
        await clock.advance(SECONDS * NS)
        anchor = Anchor(clock.boot_id, 1_700_000_000 * NS, 0, "ntp")
        if number <= commits:
            sequence = await buffer.append(list(devices.seconds(SECONDS)), Priority.TELEMETRY, anchor)
            blob = (await buffer.read(Span(1, sequence, sequence)))[0].blob
        else:  # the tail of their lives: nothing comes any more but one reading, and the old ones go
            sequence = await buffer.append(list(devices.seconds(1))[:1], Priority.TELEMETRY, anchor)
        if number % SETTLED_AFTER == 0:
            await buffer.mark([Span(1, 1, sequence)], [Span(1, 1, sequence - SETTLED_AFTER)])
    left = sum(one.sequence <= commits for one in await buffer.read(Span(1, 1, commits), max_batches=1))
    await buffer.close()
    return commits * DEVICES * 20 * SECONDS, len(blob), left


def rows(path: Path, commits: int) -> int:
    """The partner: one row per reading, WAL and FULL as well; returns readings."""
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "full")
    connection.execute(
        "CREATE TABLE reading (id INTEGER PRIMARY KEY, point TEXT, at INTEGER, value REAL, quality INTEGER)"
    )
    devices, kept = Devices(DEVICES), KEEP_COMMITS // 10
    for number in range(commits):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "INSERT INTO reading (point, at, value, quality) VALUES (?, ?, ?, 0)", flat(list(devices.seconds(SECONDS)))
        )
        if number >= kept:
            connection.execute("DELETE FROM reading WHERE id <= ?", ((number - kept) * 2_000,))
        connection.execute("COMMIT")
    connection.execute("DELETE FROM reading")
    connection.close()
    return commits * 2_000


def flat(frames: Sequence[Frame]) -> Iterator[tuple[str, int, float]]:
    for frame in frames:
        for point, value in zip(frame.layout.points, frame.values.tolist(), strict=True):
            yield f"{frame.layout.device}/{point}", frame.receive_ns, value


def run(scale: str) -> Iterator[Figure]:
    commits = COMMITS[scale]
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        before = written()
        readings, blob, left = asyncio.run(live(Path(place), commits))
        ours = (written() - before) / readings
        before = written()
        count = rows(Path(place) / "rows.sqlite", commits // 10)
        theirs = (written() - before) / count
    yield Figure(
        "buffer-bytes",
        round(ours, 2),
        "bytes written per reading",
        "≤ 15 (200 readings/s, ~2,000 per commit, WAL + FULL)",
        ours <= GOAL,
        {"row_per_reading": round(theirs, 2), "blob_bytes_per_reading": round(blob / 2_000, 2), "batches_left": left},
    )
