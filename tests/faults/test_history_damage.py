"""Bits flipped and files cut short in the files of history: never a wrong value, and what is lost is said.

Negative control: with the checksums of blobs ignored, wrong values are served.
"""

import asyncio
import contextlib
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from aggregator.projections.history import HistoryProjection
from aggregator.stores import Arrival, StoreError
from aggregator.stores.history import PointName, Window, segment
from aggregator.stores.history.archive import Archive
from aggregator.stores.history.segments import SegmentHistory
from aggregator.stores.log import SqliteLog
from aggregator.stores.verification import verify_day, verify_pages
from protos.batch import encode
from tests.aggregator.stores.batches import HOUR, NOON, NS, batch, block

ALL = Window(-(1 << 62), 1 << 62, keys=True)
POINTS = [PointName("gw", "meter", name) for name in ("power", "volts")]
FLIPS, CUTS = 120, 30

Reading = tuple[int, int, float, int, int]


async def fill(folder: Path) -> None:
    """Two days: the first in segments, the second in parts."""
    log, history = SqliteLog(folder / "log.sqlite"), SegmentHistory(folder / "history")
    projection = HistoryProjection(log, history)
    for sequence in range(1, 13):
        begin = NOON + (sequence % 3) * 60 * NS + (24 * HOUR if sequence > 8 else 0)
        times = [begin + i * NS for i in range(40)]
        values = [[sequence + i / 10, sequence * 7.77 + i] for i in range(40)]
        one = batch("gw", 1, sequence, [block("meter", ["power", "volts"], times, values)])
        await log.append([Arrival(one.key, times[-1], 0, 0, 80, encode(one))])
        await projection.catch_up()
    history.close()
    await log.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    asyncio.run(fill(folder))
    return folder / "history"


def readings(archive: Archive, point: PointName) -> set[Reading]:
    found = archive.scan(point, ALL)
    assert found.epochs is not None
    assert found.sequences is not None
    columns = (found.source_ns, found.receive_ns, found.values, found.epochs, found.sequences)
    return set(zip(*(column.tolist() for column in columns), strict=True))


def damaged(whole: Path, folder: Path) -> Iterator[str]:
    """The history in `folder`, each time with another damage, which is named."""
    chance = random.Random(7)
    files = sorted(path.name for path in whole.glob("*.sqlite"))
    for n in range(FLIPS + CUTS):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, folder)
        path = folder / chance.choice(files)
        content = bytearray(path.read_bytes())
        at = chance.randrange(len(content))
        if n < FLIPS:
            content[at] ^= 1 << chance.randrange(8)
            path.write_bytes(content)
        else:
            path.write_bytes(content[:at])
        yield f"{path.name} {'bit flipped' if n < FLIPS else 'cut'} at {at}"


def served(folder: Path) -> tuple[list[set[Reading]], bool]:
    """What a reader gets, and whether it was told of damage."""
    try:
        archive = Archive(folder)
        archive.latest()
    except StoreError:
        return [set(), set()], True
    found = [readings(archive, point) for point in POINTS]
    told = bool(archive.damage)
    archive.close()
    return found, told


def reported(folder: Path) -> bool:
    """Whether verify-store would name it."""
    press = segment.Press()
    days = sorted(folder.glob("2*.sqlite"))
    return any(list(verify_day(path, press, lambda blobs: None)) for path in days) or any(
        list(verify_pages(path)) for path in folder.glob("state.sqlite")
    )


def test_damage_is_never_served(whole: Path, tmp_path: Path) -> None:
    truth, _ = served(whole)
    assert [len(one) for one in truth] == [480, 480]
    for fault in damaged(whole, tmp_path / "history"):
        found, told = served(tmp_path / "history")
        for one, right in zip(found, truth, strict=True):
            assert one <= right, fault
        if found != truth and not told:
            assert reported(tmp_path / "history"), f"{fault}: lost without a word"


def test_the_writer_opens_whatever_is_damaged(whole: Path, tmp_path: Path) -> None:
    for fault in damaged(whole, tmp_path / "history"):
        history = SegmentHistory(tmp_path / "history")
        assert history.checkpoint <= 12, fault
        history.close()


def with_a_bit_flipped_in_a_blob(whole: Path, folder: Path) -> Iterator[None]:
    """As `damaged`, but always where readings are."""
    chance = random.Random(11)
    for n in range(40):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, folder)
        table, day = [("axis", "2026-01-01"), ("segment", "2026-01-01"), ("part", "2026-01-02")][n % 3]
        with contextlib.closing(apsw.Connection(str(folder / f"{day}.sqlite"))) as connection:
            number, blob = connection.execute(f"SELECT rowid, blob FROM {table} ORDER BY random() LIMIT 1").get
            broken = bytearray(blob)
            broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
            connection.execute(f"UPDATE {table} SET blob = ? WHERE rowid = ?", (bytes(broken), number))
        yield


def wrong(whole: Path, folder: Path) -> int:
    """How often something is served that never was."""
    truth, _ = served(whole)
    count = 0
    for _ in with_a_bit_flipped_in_a_blob(whole, folder):
        try:
            found, _ = served(folder)
        except (ValueError, IndexError, OverflowError, MemoryError):
            count += 1  # garbage that cannot even be taken apart
            continue
        count += any(not one <= right for one, right in zip(found, truth, strict=True))
    return count


def test_without_checksums_wrong_values_are_served(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: the same flips with and without the checksums of blobs."""
    assert wrong(whole, tmp_path / "history") == 0
    monkeypatch.setattr(segment, "check", lambda name, identity, blob: memoryview(blob))
    assert wrong(whole, tmp_path / "history") > 0
