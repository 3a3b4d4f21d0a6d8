"""Power cuts for the buffer: a workload on the recording disk, then the real buffer on every state it may leave."""

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from edge_agent.buffer import Buffer
from edge_agent.buffer.cabinet import Cabinet
from edge_agent.buffer.recovery import EPOCH, Place
from edge_agent.image import Frame, Layout
from protos.batch import Priority, decode
from protos.clock import Anchor, Clock, SteppedClock
from protos.span import Span
from tests.faults.disk import Recording, states

GATEWAY = "north-1"
POINTS = 60
WRONG = -1
LAYOUT = Layout("meter", tuple(f"p{at}" for at in range(POINTS)))
MEMORY = Path("/dev/shm")  # thousands of states: in memory where there is such a place


@dataclass(frozen=True)
class Small:
    """Limits that make retention work within a short run."""

    max_mb: int = 8
    keep_days: float = 0.0
    ballast_mb: int = 1


@dataclass
class Verdict:
    """What the states showed; `lost`, `twice`, `wrong` and `damaged` must be 0."""

    states: int = 0
    lost: int = 0
    twice: int = 0
    wrong: int = 0
    damaged: int = 0

    def good(self) -> bool:
        return not (self.lost or self.twice or self.wrong or self.damaged)


def frames_of(layout: Layout, serial: int) -> list[Frame]:
    """Frames whose values say which append they came from, with noise so that they do not shrink to nothing."""
    noise = np.random.default_rng(serial).random((4, POINTS))
    noise[:, 0] = serial
    return [Frame(layout, serial * 1000 + row, serial * 1000 + row, noise[row]) for row in range(4)]


def anchor_of(clock: Clock) -> Anchor:
    return Anchor(clock.boot_id, 1_700_000_000_000_000_000, 0, "ntp")


def workload(appends: int, synchronous: str) -> Recording:
    """Append, mark, let old ones go, close, open again: everything that writes; all of it on one recording disk."""
    directory = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
    disk = Recording(f"recording-{directory.name}", directory / EPOCH)
    clock = SteppedClock()
    place = Place(directory, GATEWAY, f"recording-{directory.name}", synchronous)
    try:
        cabinet = Cabinet(place, clock, Small())
        for serial in range(1, appends + 1):
            priority = Priority.ALARM if serial % 10 == 0 else Priority.TELEMETRY
            sequence = cabinet.append(frames_of(LAYOUT, serial), priority, anchor_of(clock))
            disk.note((serial, cabinet.epochs.current.number, sequence))
            cabinet.rest()
            if serial % 20 == 0:
                cabinet.store.database.checkpoint(least_pages=1)
            if serial % 25 == 0:
                span = Span(cabinet.epochs.current.number, max(1, sequence - 40), sequence - 20)
                disk.note(span)
                cabinet.mark([span], [span], [])
            if serial == appends * 2 // 3:
                cabinet.close()
                cabinet = Cabinet(place, clock, Small())
        cabinet.close()
    finally:
        shutil.rmtree(directory)
    return disk


@lru_cache(maxsize=10_000)  # the same batch is found in most states
def serial_in(blob: bytes) -> int:
    """Which append a batch came from; WRONG when its values are not that one's."""
    values = decode(blob).blocks[0].values
    serial = int(values[0, 0])
    same = np.array_equal(values, np.stack([frame.values for frame in frames_of(LAYOUT, serial)]))
    return serial if same else WRONG


async def judge(files: dict[str, bytes], notes: Sequence[object], directory: Path, verdict: Verdict) -> None:
    """Open the real buffer on one state and compare what it serves with what it had promised."""
    for name, data in files.items():
        if not name.endswith("-shm"):
            (directory / name).write_bytes(data)
    clock = SteppedClock()
    buffer = await Buffer.open(directory, GATEWAY, clock, Small())
    try:
        found = await buffer.newer(0, 0, 1_000_000, 1 << 40)
        serials = [serial_in(stored.blob) for stored in found]
        verdict.wrong += serials.count(WRONG)
        settled = [note for note in notes if isinstance(note, Span)]
        promised = {
            note[0]
            for note in notes
            if isinstance(note, tuple) and not any((note[1], note[2]) in span for span in settled)
        }
        verdict.lost += len(promised - set(serials))
        verdict.twice += len(serials) - len(set(serials))
        verdict.damaged += buffer.gauges()["damaged_total"] > 0
        verdict.states += 1
        fresh = await buffer.append(frames_of(LAYOUT, 999_999), Priority.TELEMETRY, anchor_of(clock))
        verdict.wrong += (buffer.epoch, fresh) in {(one.epoch, one.sequence) for one in found}
    finally:
        await buffer.close()


def recovery(files: dict[str, bytes], number: int) -> Recording:
    """The real cabinet starts on the files of a power cut and appends once; all of it on a recording disk."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        directory, clock = Path(name), SteppedClock()
        for file, data in files.items():
            (directory / file).write_bytes(data)
        vfs = f"recovering-{number}-{directory.name}"
        disk = Recording(vfs, directory / EPOCH)
        cabinet = Cabinet(Place(directory, GATEWAY, vfs), clock, Small())
        serial = 100_000 + number
        sequence = cabinet.append(frames_of(LAYOUT, serial), Priority.TELEMETRY, anchor_of(clock))
        disk.note((serial, cabinet.epochs.current.number, sequence))
        cabinet.close()
    return disk


def explore(count: int, appends: int, synchronous: str = "FULL", seed: int = 1) -> Verdict:
    """Try about `count` power cuts; with FULL, a fifth of them while the start after an earlier one is under way."""
    verdict = Verdict()
    first = count * 4 // 5 if synchronous == "FULL" else count
    disk = workload(appends, synchronous)
    for number, (files, notes) in enumerate(states(disk.events, first, seed)):
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as place:
            asyncio.run(judge(files, notes, Path(place), verdict))
        if synchronous == "FULL" and number % 40 == 0:
            again = recovery({name: data for name, data in files.items() if not name.endswith("-shm")}, number)
            for later, more in states(again.events, 10, seed + number, before=files):
                with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as place:
                    asyncio.run(judge(later, [*notes, *more], Path(place), verdict))
            again.unregister()
    disk.unregister()
    return verdict
