"""Looking at every byte of the stores: checksums, places, counts, and whether log and history fit together.

Read-only and beside the running server: what is being written meanwhile is seen as it was at one moment of each file.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw
import numpy as np

from aggregator.stores import StoreError, sqlite
from aggregator.stores.history import Damage, DamagedPart, Layout, Window
from aggregator.stores.history import state as states
from aggregator.stores.history.archive import day_names
from aggregator.stores.history.day import SUFFIX, crc_of
from aggregator.stores.history.pieces import IMPOSSIBLE
from aggregator.stores.history.reading import EVER, HOUR, DayReader, Table
from aggregator.stores.history.segment import Press
from protos.batch import BatchError, peek

ALL = Window(-EVER, EVER)
Count = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Stores:
    """The files of one aggregator, and of one backup of it."""

    catalogue: Path
    log: Path
    history: Path


def verify(stores: Stores, count: Count = lambda blobs: None) -> Iterator[Damage]:
    """Everything that is wrong; `count` is called with the number of blobs looked at since the last call."""
    for path in (stores.catalogue, stores.log, stores.history / states.NAME):
        if not path.exists():
            yield Damage(str(path), "the whole file", "is missing")
    if stores.catalogue.exists():
        yield from verify_pages(stores.catalogue)
    if stores.log.exists():
        yield from verify_log(stores.log, count)
    if (stores.history / states.NAME).exists():
        yield from verify_state(stores)
    press = Press()
    for name in day_names(stores.history):
        yield from verify_day(stores.history / (name + SUFFIX), press, count)


@contextmanager
def reading(path: Path, found: list[Damage]) -> Iterator[apsw.Connection | None]:
    """A connection in one read transaction; a file that cannot be read at all is damage."""
    connection = None
    try:
        connection = sqlite.connect(path, read_only=True)
        connection.execute("BEGIN")
        yield connection
    except (StoreError, apsw.Error) as error:
        found.append(Damage(str(path), "the whole file", str(error)))
    finally:
        if connection is not None:
            connection.close()


def verify_pages(path: Path) -> Iterator[Damage]:
    """SQLite's own check of pages, indexes and constraints."""
    found: list[Damage] = []
    with reading(path, found) as connection:
        if connection is not None:
            for (line,) in connection.execute("PRAGMA integrity_check(20)"):
                if line != "ok":
                    found.append(Damage(str(path), "pages", str(line)))
    yield from found


def verify_log(path: Path, count: Count) -> Iterator[Damage]:
    """Every batch against its own checksum, its key and its count; every gateway's sum."""
    yield from verify_pages(path)
    found: list[Damage] = []
    with reading(path, found) as connection:
        if connection is not None:
            query = (
                "SELECT position, id, epoch, sequence, log.readings, blob FROM log"
                " JOIN gateway ON number = gateway ORDER BY position"
            )
            for position, gateway, epoch, sequence, readings, blob in connection.execute(query):
                count(1)
                if fault := batch_fault(gateway, epoch, sequence, readings, blob):
                    found.append(Damage(str(path), f"batch {position} of {gateway}", fault))
            query = (
                "SELECT id, received, stored, duplicate, quarantined FROM gateway"
                " WHERE received <> stored + duplicate + quarantined"
            )
            for gateway, *counters in connection.execute(query):
                fault = "received {} is not stored {} + duplicate {} + quarantined {}".format(*counters)
                found.append(Damage(str(path), f"counters of {gateway}", fault))
    yield from found


def batch_fault(gateway: str, epoch: int, sequence: int, readings: int, blob: bytes) -> str:
    try:
        header = peek(blob)
    except BatchError as error:
        return str(error)
    if (header.key.gateway, header.key.epoch, header.key.sequence) != (gateway, epoch, sequence):
        return f"is filed as epoch {epoch} sequence {sequence}, but says {header.key}"
    if header.readings != readings:
        return f"is filed with {readings} readings, but says {header.readings}"
    return ""


def verify_state(stores: Stores) -> Iterator[Damage]:
    """The checkpoint against the log, and the newest rows."""
    path = stores.history / states.NAME
    yield from verify_pages(path)
    found: list[Damage] = []
    with reading(path, found) as connection, reading(stores.log, found) as log:
        if connection is not None and log is not None:
            checkpoint = states.checkpoint(connection)
            marks = dict(log.execute("SELECT name, value FROM mark"))
            if checkpoint > marks.get("newest", 0):
                fault = f"history has the log up to {checkpoint}, the log ends at {marks.get('newest', 0)}: a backup"
                found.append(Damage(str(path), "checkpoint", fault + " of one without the other; restore both"))
            if marks.get("trimmed", 0) > checkpoint:
                fault = f"the log is trimmed up to {marks['trimmed']}, history has it up to {checkpoint}: a gap"
                found.append(Damage(str(path), "checkpoint", fault))
        if connection is not None:
            for table in ("newest", "newest_words", "day"):
                for *row, crc in connection.execute(f"SELECT * FROM {table}"):  # noqa: S608 (our own three words)
                    if crc != crc_of(*row):
                        found.append(Damage(str(path), f"{table} {'/'.join(map(str, row[:2]))}", "checksum"))
    yield from found


def verify_day(path: Path, press: Press, count: Count) -> Iterator[Damage]:
    """Every blob of a day decoded, in its place and hour, with its batches; sums against what was counted."""
    yield from verify_pages(path)
    try:
        reader = DayReader(path, press)
    except StoreError as error:
        yield Damage(str(path), "the whole file", str(error))
        return
    found: list[Damage] = []
    try:
        with reader.snapshot() as marks:
            readings = 0
            for table in reader.sheets(ALL, None):
                count(1)
                readings += table.values.size
                found.extend(table_faults(reader, table))
            readings += sum(1 for _ in reader.words(None, ALL))
            found.extend(incomplete(reader))
            if readings != marks["readings"] and not reader.damage:
                fault = f"{readings} readings are there, {marks['readings']} were put"
                found.append(Damage(str(path), "count", fault))
            beyond = reader.connection.execute("SELECT count(*) FROM batch WHERE position > ?", (marks["cursor"],)).get
            if beyond:
                found.append(Damage(str(path), "cursor", f"{beyond} batches lie beyond the cursor {marks['cursor']}"))
    except (StoreError, DamagedPart) as error:
        found.append(Damage(str(path), "the whole file", str(error)))
    finally:
        reader.close()
    yield from reader.damage
    yield from found


def table_faults(reader: DayReader, table: Table) -> Iterator[Damage]:
    """Readings of another hour than their file's, or of a batch that the day does not know."""
    where = f"{table.gateway}/{table.device} at {int(table.source_ns[0])}"
    positions = np.unique(table.batches)
    origins = reader.origins(int(positions[0]), int(positions[-1]))
    if unknown := [one for one in positions.tolist() if one not in origins]:
        yield Damage(str(reader.path), where, f"batches {unknown[:5]} are not on file")
    hours = np.unique(table.source_ns // HOUR)
    if not reader.name.endswith(IMPOSSIBLE) and len(hours) > 1:
        yield Damage(str(reader.path), where, "readings of several hours in one")


def incomplete(reader: DayReader) -> Iterator[Damage]:
    """Axes that lack a column, and columns that lack their axis."""
    layouts = {number: layout for layout, number in reader.layouts().items()}
    query = (
        "SELECT layout, hour, number, (SELECT count(*) FROM segment WHERE segment.layout = axis.layout AND"
        " segment.hour = axis.hour AND segment.number = axis.number) FROM axis"
    )
    for layout, hour, number, columns in reader.connection.execute(query):
        points = layouts.get(layout, Layout("?", "?", ())).points
        if columns != len(points):
            place = f"set {number} of layout {layout} hour {hour}"
            yield Damage(str(reader.path), place, f"{columns} columns, not {len(points)}")
    query = "SELECT count(*) FROM segment LEFT JOIN axis USING (layout, hour, number) WHERE axis.rowid IS NULL"
    if lone := reader.connection.execute(query).get:
        yield Damage(str(reader.path), "segments", f"{lone} without the axis that has their times")
