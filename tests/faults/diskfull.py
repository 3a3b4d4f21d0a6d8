"""A disk that others fill to the last byte while the gateway polls on: a small tmpfs, and somebody greedy on it."""

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_agent.buffer import Buffer
from edge_agent.image import Frame, Layout
from protos.batch import Priority, decode
from protos.clock import NS, Anchor, SteppedClock
from protos.span import join

GATEWAY = "north-1"
DISK_MB = 12
POINTS = 200
LAYOUT = Layout("meter", tuple(f"p{at}" for at in range(POINTS)))
SECONDS = 10  # between two commits, by a stepped clock
BEFORE, AFTER = 100, 60  # commits before the disk fills and after it has room again


@dataclass(frozen=True)
class Limits:
    max_mb: int = 500
    keep_days: float = 1.0
    ballast_mb: int = 2


@dataclass
class Findings:
    """What a gateway lived through."""

    appended: int = 0
    kept_while_full: int = 0  # batches that were durable although the disk was full
    slowest_s: float = 0.0
    dropped: int = 0  # readings
    dropped_out_of_order: int = 0  # telemetry that went although older telemetry stayed, or alarms that went before it
    unbalanced: int = 0  # times that received != stored + dropped + quarantined
    dropped_after: int = 0  # readings, once there was room again and the ballast was back
    drained: int = 0  # batches
    wrong: int = 0
    ballast_back: bool = False

    def good(self, commits_while_full: int) -> bool:
        return (
            self.kept_while_full >= 0.95 * commits_while_full
            and self.dropped > 0
            and not (self.dropped_out_of_order or self.unbalanced or self.dropped_after or self.wrong)
            and self.ballast_back
            and self.drained > 0
        )


@contextmanager
def small_disk(megabytes: int = DISK_MB) -> Iterator[Path]:
    """A tmpfs of its own. Raises PermissionError where mounting is not allowed."""
    with tempfile.TemporaryDirectory() as name:
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "citytwin-test", name]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            raise PermissionError("a small tmpfs cannot be mounted here")
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", name], check=True)


def mountable() -> bool:
    try:
        with small_disk(1):
            return True
    except PermissionError:
        return False


class Greedy:
    """Takes every free byte, again and again."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "greedy"

    def take(self) -> None:
        with self._path.open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 16, 4096, 1):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue

    def go(self) -> None:
        os.unlink(self._path)


def frames_of(serial: int) -> list[Frame]:
    values = np.random.default_rng(serial).random((3, POINTS))
    values[:, 0] = serial
    return [Frame(LAYOUT, serial, serial, row) for row in values]


class Life:
    """One gateway on the small disk, appending batch after batch."""

    def __init__(self, buffer: Buffer, clock: SteppedClock, findings: Findings) -> None:
        self.buffer = buffer
        self._clock = clock
        self._findings = findings
        self._serial = 0
        self.alarms: set[int] = set()

    async def append(self, commits: int, greedy: Greedy | None) -> int:
        """Append; returns how many were durable."""
        kept = 0
        loop = asyncio.get_running_loop()
        for _ in range(commits):
            self._serial += 1
            if greedy is not None and self._serial % 3 == 0:
                greedy.take()
            await self._clock.advance(SECONDS * NS)
            priority = Priority.ALARM if self._serial % 50 == 0 else Priority.TELEMETRY
            if priority == Priority.ALARM:
                self.alarms.add(self._serial)
            anchor = Anchor(self._clock.boot_id, 1_700_000_000 * NS, 0, "ntp")
            begun = loop.time()
            kept += await self.buffer.append(frames_of(self._serial), priority, anchor) > 0
            self._findings.slowest_s = max(self._findings.slowest_s, loop.time() - begun)
            self._findings.appended += 1
            gauges = self.buffer.gauges()
            whole = gauges["stored_total"] + gauges["dropped_total"] + gauges["quarantined_total"]
            self._findings.unbalanced += gauges["received_total"] != whole
        return kept

    async def drain(self) -> list[int]:
        """Read and mark everything; returns the serials, ascending."""
        serials: list[int] = []
        before = (self.buffer.epoch, self.buffer.newest + 1)
        while some := await self.buffer.oldest(32, 1 << 20, before):
            for one in some:
                values = decode(one.blob).blocks[0].values
                serial = int(values[0, 0])
                self._findings.wrong += not np.array_equal(values, np.stack([f.values for f in frames_of(serial)]))
                serials.append(serial)
            await self.buffer.mark(join((one.epoch, one.sequence) for one in some))
        return serials


async def live(directory: Path, commits: int, limits: Limits) -> Findings:
    """Normal, then full for `commits`, then room again."""
    findings = Findings()
    clock = SteppedClock()
    buffer = await Buffer.open(directory / "state", GATEWAY, clock, limits)
    life, greedy = Life(buffer, clock, findings), Greedy(directory)
    await life.append(BEFORE, None)
    findings.kept_while_full = await life.append(commits, greedy)
    findings.dropped = int(buffer.gauges()["dropped_total"])
    greedy.go()
    await life.append(1, None)  # notices that there is room
    before = buffer.gauges()["dropped_total"]
    await life.append(AFTER, None)
    findings.dropped_after = int(buffer.gauges()["dropped_total"] - before)
    findings.ballast_back = bool(buffer.gauges()["ballast_held"])
    serials = await life.drain()
    findings.drained = len(serials)
    findings.dropped_out_of_order = out_of_order(serials, life.alarms)
    await buffer.close()
    return findings


def out_of_order(kept: list[int], alarms: set[int]) -> int:
    """Telemetry that is missing above the oldest telemetry kept, and alarms missing at all while telemetry is kept."""
    telemetry = [serial for serial in kept if serial not in alarms]
    expected = {serial for serial in range(telemetry[0], telemetry[-1] + 1) if serial not in alarms}
    return len(expected - set(telemetry)) + len(alarms - set(kept))


def explore(commits: int, limits: Limits | None = None) -> Findings:
    with small_disk() as place:
        return asyncio.run(live(place, commits, limits or Limits()))
