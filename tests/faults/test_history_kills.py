"""kill -9 of the process that writes history, at any moment: the next one goes on, nothing is lost or there twice."""

import asyncio
import random
import subprocess
import sys
from pathlib import Path

from aggregator.projections.history import HistoryProjection
from aggregator.stores import Arrival
from aggregator.stores.history import PointName, Window
from aggregator.stores.history.segments import SegmentHistory
from aggregator.stores.log import SqliteLog
from aggregator.stores.verification import Stores, verify
from protos.batch import encode
from tests.aggregator.stores.batches import HOUR, NOON, NS, batch, block

KILLS, BATCHES = 5, 60
WRITER = """
import asyncio, sys
from pathlib import Path
from aggregator.projections import history as projections
from aggregator.stores.history.segments import SegmentHistory
from aggregator.stores.log import SqliteLog

projections.READ_ROWS = 1
projections.PIECES_MAX = 3  # a put after every few batches: many moments to be killed in

async def main(folder):
    log, history = SqliteLog(folder / "log.sqlite", read_only=True), SegmentHistory(folder / "history")
    print("ready", flush=True)
    await projections.HistoryProjection(log, history).catch_up()
    print("done", flush=True)
    sys.stdin.read()

asyncio.run(main(Path(sys.argv[1])))
"""


async def fill(folder: Path) -> None:
    """Batches over three days, some of them late."""
    log = SqliteLog(folder / "log.sqlite")
    for sequence in range(1, BATCHES + 1):
        begin = NOON + sequence * HOUR - (20 * HOUR if sequence % 5 == 0 else 0)
        times = [begin + i * NS for i in range(20)]
        one = batch("gw", 1, sequence, [block(f"d{n}", ["p"], times, sequence) for n in range(3)])
        await log.append([Arrival(one.key, times[-1], 0, 0, 60, encode(one))])
    await log.close()


async def finish(folder: Path) -> list[int]:
    """What is left is put into history; returns the sequence of every reading of a point."""
    log, history = SqliteLog(folder / "log.sqlite"), SegmentHistory(folder / "history")
    await HistoryProjection(log, history).catch_up()
    found = history.scan(PointName("gw", "d1", "p"), Window(-(1 << 62), 1 << 62, keys=True))
    history.close()
    await log.close()
    assert found.sequences is not None
    return sorted(found.sequences.tolist())


def killed(folder: Path, after_s: float) -> bool:
    """Run the writer and kill it `after_s` seconds after it began to write; whether it had finished."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            process.wait(after_s)
        except subprocess.TimeoutExpired:
            process.kill()
        return "done" in process.stdout.read()


def test_killed_at_any_moment(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path))
    chance = random.Random(5)
    moments = [chance.uniform(0.001, 0.05) for _ in range(KILLS)]
    finished = [killed(tmp_path, after) for after in moments]
    assert not finished[0]
    assert asyncio.run(finish(tmp_path)) == sorted(list(range(1, BATCHES + 1)) * 20)
    (tmp_path / "catalogue.sqlite").touch()
    stores = Stores(tmp_path / "catalogue.sqlite", tmp_path / "log.sqlite", tmp_path / "history")
    assert not list(verify(stores))
