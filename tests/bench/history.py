"""History: readings per CPU-second put with compaction, bytes per reading, 24 h of a point; a table of rows beside it.

A day of 1 Hz readings of devices with 50 points, batches of 2,000 readings, times with a millisecond of jitter, values
that wander in steps of a tenth. The partner keeps one row per reading with a unique key, in the same SQLite.
"""

import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from aggregator.stores import sqlite
from aggregator.stores.history import Intake, Layout, Origin, Piece, PointName, Window
from aggregator.stores.history.pieces import slot
from aggregator.stores.history.segments import SegmentHistory
from tests.bench import Figure

NS = 1_000_000_000
BEGIN = 1_767_225_600 * NS  # 2026-01-01
POINTS, DEVICES, SECONDS = 50, 2, 20  # of a device; of a gateway; in a batch: 2,000 readings a batch
MINUTES = 5  # put together
GATEWAYS = {"full": 10, "ci": 1}
PARTNER_ROWS = {"full": 1_000_000, "ci": 200_000}
NAMES = tuple(f"p{n}" for n in range(POINTS))


def minutes(gateways: int) -> Iterator[Intake]:
    """A day, MINUTES at a time, as ingest would bring it."""
    random = np.random.default_rng(2)
    level = random.uniform(100, 300, (gateways, DEVICES, POINTS))
    position = 0
    for begin in range(0, 86_400, MINUTES * 60):
        origins, pieces = [], []
        for second in range(begin, begin + MINUTES * 60, SECONDS):
            for gateway in range(gateways):
                position += 1
                arrived = BEGIN + (second + SECONDS) * NS
                origins.append(Origin(position, f"gw-{gateway}", 1, position, arrived))
                for device in range(DEVICES):
                    walk = random.normal(0, 0.1, (SECONDS, POINTS)).cumsum(axis=0)
                    values = np.round(level[gateway, device] + walk, 1)
                    level[gateway, device] = values[-1]
                    times = BEGIN + (second + np.arange(SECONDS)) * NS
                    times += random.integers(0, 1_000_000, SECONDS)
                    codes = np.zeros((SECONDS, POINTS), np.uint8)
                    layout = Layout(f"gw-{gateway}", f"d{device}", NAMES)
                    pieces.append(Piece(slot(int(times[0])), layout, position, times, times, values, codes))
        yield Intake(origins, pieces)


def run(scale: str) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="history-") as folder:
        gateways = GATEWAYS[scale]
        history = SegmentHistory(Path(folder) / "history")
        readings, spent = fill(history, gateways)
        history.close()
        size = sum(path.stat().st_size for path in (Path(folder) / "history").iterdir())
        history = SegmentHistory(Path(folder) / "history")
        day_ms, hour_ms = ask(history, gateways)
        history.close()
        row_rate, row_bytes, row_ms = rows(Path(folder), PARTNER_ROWS[scale])
        rate = readings / spent
        yield Figure(
            "history",
            round(rate),
            "readings put with compaction per CPU-second",
            ">= 1.7 M (what the design measured)",
            rate >= 1_700_000,
            {"rows_per_cpu_s": round(row_rate), "readings": readings},
        )
        each = size / readings
        yield Figure(
            "history-bytes", round(each, 2), "bytes per reading", "2-5", each <= 5, {"rows_bytes": round(row_bytes, 1)}
        )
        yield Figure(
            "history-day",
            round(day_ms, 2),
            "CPU-ms for 24 h of a point at 1 Hz (86,400 readings)",
            "none in the issue (the design measured 0.5 for an unknown rate); here: a tenth of the rows' time",
            day_ms <= row_ms / 10,
            {"rows_ms": round(row_ms, 1), "gateway_hour_ms": round(hour_ms, 2)},
        )


def fill(history: SegmentHistory, gateways: int) -> tuple[int, float]:
    """Readings, and the CPU-seconds that putting and compacting them took; making them does not count."""
    readings, spent = 0, 0.0
    for intake in minutes(gateways):
        begun = time.process_time()
        readings += history.put(intake, intake.origins[-1].position).readings
        history.compact(intake.origins[-1].arrived_ns)
        spent += time.process_time() - begun
    begun = time.process_time()
    history.compact(BEGIN + 2 * 86_400 * NS)
    return readings, spent + time.process_time() - begun


def of_gateway(gateway: str, point: PointName) -> bool:
    return point.gateway == gateway


def ask(history: SegmentHistory, gateways: int) -> tuple[float, float]:
    """Median CPU-ms of a day of one point, and of all 360,000 readings of one hour of a gateway."""
    day = Window(BEGIN, BEGIN + 86_400 * NS)
    hour = Window(BEGIN + 8 * 3600 * NS, BEGIN + 9 * 3600 * NS)
    found = len(history.scan(PointName("gw-0", "d0", "p0"), day))
    if found != 86_400:
        raise RuntimeError(f"{found} readings of a day, not 86400")
    of_day, of_hour = [], []
    for n in range(20):
        begun = time.process_time()
        history.scan(PointName(f"gw-{n % gateways}", "d1", f"p{n}"), day)
        of_day.append(time.process_time() - begun)
        begun = time.process_time()
        whose = f"gw-{n % gateways}"
        tables = history.archive.sheets(hour, partial(of_gateway, whose))
        if sum(table.values.size for table, _ in tables) != 3600 * DEVICES * POINTS:
            raise RuntimeError(f"not all readings of an hour of {whose}")
        of_hour.append(time.process_time() - begun)
    return float(np.median(of_day)) * 1e3, float(np.median(of_hour)) * 1e3


def rows(folder: Path, count: int) -> tuple[float, float, float]:
    """The partner: rows per CPU-second, bytes per row, ms for `count` / 100 rows of one point."""
    path = folder / "rows.sqlite"
    connection = sqlite.connect(path)
    connection.execute(
        "CREATE TABLE reading (point INTEGER, source_ns INTEGER, receive_ns INTEGER, value REAL, code INTEGER,"
        " epoch INTEGER, sequence INTEGER, PRIMARY KEY (point, source_ns, epoch, sequence)) WITHOUT ROWID"
    )
    random = np.random.default_rng(3)
    values = np.round(random.normal(200, 1, count), 1).tolist()
    begun = time.process_time()
    for first in range(0, count, 2_000):
        with sqlite.transaction(connection):
            connection.executemany(
                "INSERT INTO reading VALUES (?, ?, ?, ?, 0, 1, ?)",
                ((n % 100, BEGIN + n // 100 * NS, BEGIN, values[n], n // 2_000) for n in range(first, first + 2_000)),
            )
    spent = time.process_time() - begun
    connection.pragma("wal_checkpoint")
    begun = time.process_time()
    found = connection.execute("SELECT source_ns, value, code FROM reading WHERE point = 7").fetchall()
    asked = (time.process_time() - begun) * 86_400 / len(found)
    connection.close()
    return count / spent, path.stat().st_size / count, asked * 1e3
