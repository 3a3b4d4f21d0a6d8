"""Asking the city's history: what is in segments, and over it what the log has that is on its way there.

So a reading can be asked for as soon as it was acknowledged, also from another process than the one that serves. A
question sees each batch once: every day tells up to which log position it has everything, and the log gives the rest.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from aggregator.projections.latest import Latest, Sample
from aggregator.stores import Log, Row
from aggregator.stores.history import DAY_NS, HOUR_NS, HistoryError, Origin, Piece, PointName, Readings, Window, Words
from aggregator.stores.history import archive as archives
from aggregator.stores.history import pieces as cutting
from aggregator.stores.history.archive import Archive, Cursors
from aggregator.stores.history.downsampling import Buckets, from_rollups, joined, reduce, width_for
from aggregator.stores.history.reading import Table, tally
from protos.batch import BatchError, decode

READ_ROWS, READ_BYTES = 512, 8 << 20
TAIL_MAX = 50_000  # batches after the checkpoint that a question looks at: more, and history is rebuilding
TRIES = 5  # a question that the log was trimmed under begins again

Wanted = Callable[[PointName], bool]


@dataclass(frozen=True, slots=True)
class Text:
    """The newest string of a point."""

    point: PointName
    source_ns: int
    receive_ns: int
    code: int
    value: str


class Tail:
    """The rows of the log after a checkpoint, as far as TAIL_MAX; read once for a question."""

    def __init__(self, log: Log, after: int) -> None:
        self.log, self.after = log, after
        self.skipped = 0  # positions that were too many to look at

    async def rows(self) -> AsyncIterator[Row]:
        at, seen = self.after, 0
        while rows := await self.log.read(at, READ_ROWS, READ_BYTES):
            for row in rows:
                yield row
            at, seen = rows[-1].position, seen + len(rows)
            if seen >= TAIL_MAX:
                self.skipped = self.log.newest - at
                return

    @property
    def broken(self) -> bool:
        """Rows that were needed are gone from the log: they are in history by now."""
        return self.log.trimmed > self.after


class Query:
    """For one task at a time. `damage` says what had to be left out, `behind` how far history is behind the log."""

    def __init__(self, directory: Path, log: Log) -> None:
        """Raises HistoryError when there is no history in `directory`."""
        self.archive = Archive(directory)
        self.log = log
        self.behind = 0

    def close(self) -> None:
        self.archive.close()

    async def scan(self, point: PointName, window: Window) -> Readings:
        """The readings of `point`, by source time."""
        for _ in range(TRIES):
            tail = Tail(self.log, self.archive.checkpoint)
            cursors: Cursors = {}
            found = [self.archive.scan(point, window, cursors)]
            async for row, piece in self._pieces(tail, cursors, lambda row: row.gateway == point.gateway):
                if piece.layout.device == point.device and point.name in piece.layout.points:
                    found.append(column(row, piece, point, window))
            if not tail.broken:
                return archives.joined(point, [one for one in found if len(one)], window)
        raise HistoryError("the log is trimmed faster than history can be asked; try again")

    async def words(self, point: PointName | None, window: Window) -> list[tuple[Words, Origin]]:
        """The strings of `point`, or of all, by point and source time."""
        for _ in range(TRIES):
            tail = Tail(self.log, self.archive.checkpoint)
            cursors: Cursors = {}
            found = self.archive.words(point, window, cursors)
            async for row in tail.rows():
                if window.as_of_ns is not None and row.received_ns > window.as_of_ns:
                    continue
                for one in (
                    cutting.words(row, decode(row.blob)) if point is None or row.gateway == point.gateway else ()
                ):
                    fresh = row.position > cursors.get(one.slot.day, 0)
                    inside = window.first_ns <= one.source_ns < window.until_ns
                    if fresh and inside and (point is None or one.point == point):
                        found.append((one, cutting.origin(row)))
            if not tail.broken:
                return sorted(found, key=lambda each: (each[0].point, each[0].source_ns, each[0].position))
        raise HistoryError("the log is trimmed faster than history can be asked; try again")

    async def downsampled(self, point: PointName, window: Window, pixels: int) -> Buckets:
        """At most `pixels` buckets. From one hour a pixel on they are whole hours, and come from the rollups."""
        width = width_for(window.first_ns, window.until_ns, pixels)
        if width >= HOUR_NS and window.as_of_ns is None:
            first = window.first_ns // HOUR_NS * HOUR_NS
            until = -(-window.until_ns // HOUR_NS) * HOUR_NS
            width = width_for(first, until, pixels)
            return await self._rolled(point, Window(first, until), width)
        step = max(1, DAY_NS // width) * width
        parts = []
        for begin in range(window.first_ns, window.until_ns, step):
            piece = replace(window, first_ns=begin, until_ns=min(begin + step, window.until_ns), keys=False)
            parts.append(reduce(await self.scan(point, piece), window.first_ns, width))
        return joined(parts, width)

    async def sheets(
        self, window: Window, wanted: Wanted | None = None
    ) -> AsyncIterator[tuple[Table, dict[int, Origin]]]:
        """Everything of the points `wanted` in `window`, table by table, each with the batches that brought it.

        Bounded in memory; what is put away while it runs is not given twice, and at most misses what came meanwhile.
        """
        tail = Tail(self.log, self.archive.checkpoint)
        upto = self.log.newest
        cursors: Cursors = {}
        for table, origins in self.archive.sheets(window, wanted, cursors):
            yield table, origins
        async for row, piece in self._pieces(tail, cursors, lambda row: row.position <= upto):
            one = sheet(row, piece, window, wanted)
            if one is not None:
                yield one, {row.position: cutting.origin(row)}
        if tail.broken:
            raise HistoryError("the log was trimmed while it was read; ask again")

    async def latest(self, wanted: Wanted | None = None) -> list[Sample]:
        """The newest sample of every point, or of those `wanted`, by name."""
        tail = Tail(self.log, self.archive.checkpoint)
        newest = Latest()
        newest.load(self.archive.latest())
        async for row, pieces in self._batches(tail):
            newest.take(row, pieces)
        points = None if wanted is None else [name for name in set(newest.names) if wanted(name)]
        return list(newest.samples(points))

    async def latest_words(self, wanted: Wanted | None = None) -> list[Text]:
        """The newest string of every string point, by name."""
        tail = Tail(self.log, self.archive.checkpoint)
        newest: dict[PointName, tuple[tuple[int, int], Text]] = {}
        for *name, epoch, sequence, source, receive, code, value in self.archive.latest_words():
            point = PointName(*name)
            newest[point] = ((epoch, sequence), Text(point, source, receive, code, value))
        async for row in tail.rows():
            for one in strings(row):
                key = (row.epoch, row.sequence)
                if one.point not in newest or newest[one.point][0] <= key:
                    text = Text(one.point, one.source_ns, one.receive_ns, one.code, one.value)
                    newest[one.point] = (key, text)
        return [text for point, (_, text) in sorted(newest.items()) if wanted is None or wanted(point)]

    async def _rolled(self, point: PointName, window: Window, width_ns: int) -> Buckets:
        for _ in range(TRIES):
            tail = Tail(self.log, self.archive.checkpoint)
            cursors: Cursors = {}
            tallies = self.archive.tallies(point, window, cursors)
            async for row, piece in self._pieces(tail, cursors, lambda row: row.gateway == point.gateway):
                if piece.layout.device == point.device and point.name in piece.layout.points:
                    one = column(row, piece, point, window)
                    if len(one) and not piece.slot.day.endswith(cutting.IMPOSSIBLE):
                        tallies.append(tally(piece.slot.hour, one.source_ns, one.values, one.codes))
            if not tail.broken:
                return from_rollups(archives.rolled(tallies), window.first_ns, width_ns)
        raise HistoryError("the log is trimmed faster than history can be asked; try again")

    async def _pieces(
        self, tail: Tail, cursors: Cursors, concerns: Callable[[Row], bool]
    ) -> AsyncIterator[tuple[Row, Piece]]:
        async for row in tail.rows():
            if concerns(row):
                for piece in readable(row):
                    if row.position > cursors.get(piece.slot.day, 0):
                        yield row, piece
        self.behind = tail.skipped

    async def _batches(self, tail: Tail) -> AsyncIterator[tuple[Row, list[Piece]]]:
        async for row in tail.rows():
            yield row, readable(row)
        self.behind = tail.skipped


def readable(row: Row) -> list[Piece]:
    """The pieces of a row; none of a batch that cannot be decoded, which the projection puts in quarantine."""
    try:
        return list(cutting.cut(row, decode(row.blob)))
    except BatchError:
        return []


def strings(row: Row) -> list[Words]:
    try:
        return list(cutting.words(row, decode(row.blob)))
    except BatchError:
        return []


def column(row: Row, piece: Piece, point: PointName, window: Window) -> Readings:
    """One point's readings of a piece that are in the window."""
    inside = (piece.source_ns >= window.first_ns) & (piece.source_ns < window.until_ns)
    if window.as_of_ns is not None and row.received_ns > window.as_of_ns:
        inside &= False
    rows = np.flatnonzero(inside)
    at = piece.layout.points.index(point.name)
    keys = [np.full(len(rows), one, np.int64) for one in (row.position, row.epoch, row.sequence, row.received_ns)]
    return Readings(
        point,
        piece.source_ns[rows],
        piece.receive_ns[rows],
        piece.values[rows, at],
        piece.codes[rows, at],
        *(keys if window.keys else ()),
    )


def sheet(row: Row, piece: Piece, window: Window, wanted: Wanted | None) -> Table | None:
    """A piece as a table of the wanted points, cut to the window."""
    gateway, device, points = piece.layout
    columns = list(range(len(points))) if wanted is None else list(archives.chosen(piece.layout, wanted))
    rows = np.flatnonzero((piece.source_ns >= window.first_ns) & (piece.source_ns < window.until_ns))
    if not columns or not len(rows) or (window.as_of_ns is not None and row.received_ns > window.as_of_ns):
        return None
    return Table(
        gateway,
        device,
        tuple(points[one] for one in columns),
        piece.source_ns[rows],
        piece.receive_ns[rows],
        np.array([row.position]),
        np.array([len(rows)]),
        piece.values[rows][:, columns].T,
        piece.codes[rows][:, columns].T,
    )
