"""Flipped bits and files cut short in a gateway's buffer: it must start, say so, and never serve a wrong value."""

import asyncio
import logging
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.buffer import Buffer
from edge_agent.buffer.cabinet import Cabinet
from edge_agent.buffer.recovery import BALLAST, LOCK, Place
from protos.batch import Priority
from protos.clock import SteppedClock
from tests.faults.powercuts import GATEWAY, LAYOUT, MEMORY, Small, anchor_of, frames_of

Truth = dict[tuple[int, int], bytes]


@dataclass
class Findings:
    """`wrong`, `unreported` and `refused` must be 0; `slowest_s` at most 10."""

    tried: int = 0
    harmless: int = 0
    lost_some: int = 0  # cases in which batches went, however few
    wrong: int = 0  # batches served that are not what was written
    unreported: int = 0  # cases in which batches went and nothing says so
    refused: int = 0  # starts that failed
    slowest_s: float = 0.0
    cases: list[str] = field(default_factory=list)  # of those that must not be

    def good(self) -> bool:
        return not (self.wrong or self.unreported or self.refused) and self.slowest_s <= 10


def lived(directory: Path, appends: int, *, clean: bool) -> Truth:
    """A buffer that has lived for a while; `clean`: was closed, otherwise the directory of a killed one."""
    truth: Truth = {}
    clock = SteppedClock()
    with tempfile.TemporaryDirectory(dir=directory.parent) as place:
        cabinet = Cabinet(Place(Path(place), GATEWAY), clock, Small())
        for serial in range(1, appends + 1):
            priority = Priority.ALARM if serial % 10 == 0 else Priority.TELEMETRY
            cabinet.append(frames_of(LAYOUT, serial), priority, anchor_of(clock))
            cabinet.rest()
            if serial % 20 == 0 and (clean or serial < appends * 2 // 3):
                cabinet.store.database.checkpoint(least_pages=1)
        for stored in cabinet.waiting(0, None, 1_000_000, 1 << 40):
            truth[stored.epoch, stored.sequence] = stored.blob
        if clean:
            cabinet.close()
        shutil.copytree(place, directory)
        if not clean:
            cabinet.close()
    for needless in (LOCK, BALLAST, "buffer.sqlite-shm"):
        (directory / needless).unlink(missing_ok=True)
    return truth


def flip(path: Path, chance: random.Random) -> str:
    data = bytearray(path.read_bytes())
    at = chance.randrange(len(data))
    bit = chance.randrange(8)
    data[at] ^= 1 << bit
    path.write_bytes(data)
    return f"{path.name}: bit {bit} of byte {at} flipped"


def cut(path: Path, chance: random.Random) -> str:
    size = path.stat().st_size
    left = chance.randrange(size)
    with path.open("r+b") as file:
        file.truncate(left)
    return f"{path.name}: cut from {size} to {left} bytes"


async def look(directory: Path, truth: Truth, findings: Findings, case: str) -> None:
    """Start on the damaged directory, let it salvage, read everything, compare."""
    begun = time.perf_counter()
    try:
        buffer = await Buffer.open(directory, GATEWAY, SteppedClock(), Small())
    except OSError as error:
        findings.refused += 1
        findings.cases.append(f"{case}: refused: {error}")
        return
    findings.slowest_s = max(findings.slowest_s, time.perf_counter() - begun)
    sequence = await buffer.append(frames_of(LAYOUT, 999_999), Priority.TELEMETRY, anchor_of(SteppedClock()))
    fresh = (buffer.epoch, sequence)
    await buffer.newer(0, 0, 1_000_000, 1 << 40)  # finds what is bad
    await buffer.salvaged()
    found = {(one.epoch, one.sequence): one.blob for one in await buffer.newer(0, 0, 1_000_000, 1 << 40)}
    gauges = buffer.gauges()
    await buffer.close()
    found.pop(fresh, None)
    wrong = sum(truth.get(key) != blob for key, blob in found.items()) + (fresh in truth) + (sequence == 0)
    missing = len(truth.keys() - found.keys())
    told = gauges["damaged_total"] or gauges["quarantined_batches_total"] or gauges["torn_commits"]
    findings.wrong += wrong
    findings.lost_some += missing > 0
    findings.harmless += not missing and not told
    findings.unreported += missing > 0 and not told
    if wrong or (missing and not told):
        findings.cases.append(f"{case}: {wrong} wrong, {missing} missing, told {told}")


def cases(count: int, seed: int) -> Iterator[tuple[random.Random, bool, bool]]:
    """(chance, flip or cut, clean end or not), alternating."""
    chance = random.Random(seed)
    for number in range(count):
        yield random.Random(chance.random()), number % 2 == 0, number % 4 < 2


def explore(count: int, appends: int = 80, seed: int = 1) -> Findings:
    """Half flips, half cuts, half of each after a clean end; every file of the buffer gets its share."""
    findings = Findings()
    logging.disable(logging.CRITICAL)  # it says so every time
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        root = Path(name)
        truths = {clean: lived(root / f"lived-{clean}", appends, clean=clean) for clean in (True, False)}
        for chance, flips, clean in cases(count, seed):
            directory = root / "case"
            shutil.copytree(root / f"lived-{clean}", directory)
            files = sorted(one for one in directory.iterdir() if one.stat().st_size)
            case = (flip if flips else cut)(chance.choice(files), chance)
            asyncio.run(look(directory, truths[clean], findings, f"{case} ({'clean' if clean else 'killed'})"))
            findings.tried += 1
            shutil.rmtree(directory)
    logging.disable(logging.NOTSET)
    return findings
