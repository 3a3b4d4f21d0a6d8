"""A look into a buffer from another process, while the agent runs or not: reads only, and holds nothing for long."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from edge_agent.buffer.account import Account
from edge_agent.buffer.database import BUSY_MS, DAMAGE
from edge_agent.buffer.faults import BufferFault
from edge_agent.buffer.recovery import DATABASE
from edge_agent.buffer.rows import COLUMNS, check_of, fault, row_of
from edge_agent.buffer.stored import NUMBER_MAX, Row, Stored, key_of
from protos.batch import Priority

LOOK = 64  # rows of one look: between two of them the agent may clear up


@dataclass(frozen=True, slots=True)
class Seen:
    """One kept batch and what is wrong with it; `stored` is None where something is."""

    row: Row
    stored: Stored | None
    wrong: str = ""


class Reader:
    """One buffer, read only. Raises BufferFault when there is none or it cannot be read."""

    def __init__(self, directory: Path, gateway: str) -> None:
        self._gateway = gateway
        self.path = directory / DATABASE
        if not self.path.exists():
            raise BufferFault(f"{self.path}: no buffer there; has this gateway ever run? see [gateway] state_dir")
        try:
            self._connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READONLY)
            self._connection.set_busy_timeout(BUSY_MS)
            self.account = Account.unpack(self._connection.execute("SELECT packed FROM account").get) or Account()
        except apsw.Error as error:
            raise BufferFault(f"{self.path}: cannot be read: {error}; check its rights, or run `verify`") from error

    def batches(self, first: int = 0, last: int = NUMBER_MAX) -> Iterator[Seen]:
        """Every kept batch with its blob, ascending, good or not."""
        for row, checked, blob in self._rows(first, last, "blob"):
            if checked != check_of(row):
                yield Seen(row, None, "the row's own checksum is wrong")
            elif why := fault(self._gateway, row, blob):
                yield Seen(row, None, why)
            else:
                yield Seen(row, Stored(*key_of(row.number), Priority(row.priority), blob))

    def rows(self) -> Iterator[Row]:
        """What is known of every kept batch, ascending, without reading blobs."""
        for row, _, _ in self._rows(0, NUMBER_MAX, "x''"):
            yield row

    def _rows(self, first: int, last: int, blob: str) -> Iterator[tuple[Row, int, bytes]]:
        query = f"SELECT {COLUMNS}, {blob} FROM batch WHERE number BETWEEN ? AND ? ORDER BY number LIMIT ?"  # noqa: S608
        while first <= last:
            try:
                found: list[tuple[Any, ...]] = self._connection.execute(query, (first, last, LOOK)).fetchall()
            except DAMAGE as error:
                raise BufferFault(
                    f"{self.path}: damaged: {error}; the agent sets it aside at its next start"
                ) from error
            for *known, data in found:
                yield *row_of(tuple(known)), data if isinstance(data, bytes) else b""
            if len(found) < LOOK:
                return
            first = int(found[-1][0]) + 1

    def quarantined(self) -> list[dict[str, object]]:
        """What was put aside, newest last."""
        query = "SELECT number, noticed_ns, reason, length(blob) FROM quarantine ORDER BY noticed_ns"
        names = ("epoch", "sequence", "noticed_ns", "reason", "bytes")
        return [
            dict(zip(names, (*key_of(number), *rest), strict=True)) for number, *rest in self._connection.execute(query)
        ]

    def whole(self) -> list[str]:
        """What SQLite finds wrong with the file's own structure; empty when nothing."""
        try:
            said = [str(one) for (one,) in self._connection.execute("PRAGMA integrity_check(20)")]
        except DAMAGE as error:
            return [str(error)]
        return [] if said == ["ok"] else said

    def close(self) -> None:
        self._connection.close()
