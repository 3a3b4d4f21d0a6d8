"""One SQLite file that is durable as asked: write-ahead log, synchronous=FULL, both read back. The home of apsw here.

Page size and log size were chosen by measurement (`make bench ONLY=buffer-bytes`): 1,024-byte pages cost 10 bytes
per reading over its whole life where 4,096-byte pages cost 16, because every commit writes whole pages twice.
Migrations are `user_version` and a tuple of statements; a library for that would be larger than what it replaced.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from edge_agent.buffer.faults import Unsafe

PAGE = 1024
FRAME = PAGE + 24  # of the write-ahead log
WAL_PAGES = 1000  # checkpoint there: 1 MB, half of the smallest ballast
LOG_BYTES = 32 + (WAL_PAGES + 200) * FRAME  # with room for one more commit
BUSY_MS = 2000  # another process that only reads holds no lock for longer than a page takes
CACHE_KIB = 1024  # of memory: rows are read in order and once

SCHEMA = (
    """
    CREATE TABLE batch (
        number INTEGER PRIMARY KEY, priority INTEGER NOT NULL, readings INTEGER NOT NULL, utc_ns INTEGER NOT NULL,
        checked INTEGER NOT NULL, blob BLOB NOT NULL) STRICT;
    CREATE INDEX urgent ON batch (priority) WHERE priority > 0;
    CREATE TABLE quarantine (
        number INTEGER NOT NULL, noticed_ns INTEGER NOT NULL, reason TEXT NOT NULL, blob BLOB NOT NULL) STRICT;
    CREATE TABLE account (one INTEGER PRIMARY KEY CHECK (one = 1), packed BLOB NOT NULL) STRICT;
    """,
)

DAMAGE = (  # what SQLite says of a file that is not what we wrote
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.SQLError,
    apsw.FormatError,
    apsw.MismatchError,
    apsw.ConstraintError,
    apsw.InternalError,
    apsw.TooBigError,
    apsw.RangeError,
)
UNREADABLE = {
    apsw.SQLITE_IOERR_READ,
    apsw.SQLITE_IOERR_SHORT_READ,
    apsw.SQLITE_IOERR_CORRUPTFS,
    apsw.SQLITE_IOERR_DATA,
}


class Damaged(Exception):
    """The database is not what was written; it must be set aside."""


@contextmanager
def judged(path: Path) -> Iterator[None]:
    """Turn what SQLite says of a damaged file into Damaged; everything else passes as it is."""
    try:
        yield
    except DAMAGE as error:
        raise Damaged(f"{path}: {error}") from error
    except apsw.IOError as error:
        if getattr(error, "extendedresult", 0) in UNREADABLE:
            raise Damaged(f"{path}: {error}") from error
        raise


class Database:
    """A connection, its schema, and a meter of what it writes. Not for several threads."""

    def __init__(self, path: Path, *, vfs: str | None = None, synchronous: str = "FULL") -> None:
        """Open or make it. Raises Damaged, Unsafe when the promises of the file system do not hold, apsw.Error."""
        self.path = path
        self.written = 0  # bytes, by this connection
        self.closed = False
        self._wal_pages = 0
        with judged(path):
            self.connection = apsw.Connection(str(path), vfs=vfs)
            try:
                self._prepare(synchronous)
            except BaseException:
                self.connection.close()
                raise

    def _prepare(self, synchronous: str) -> None:
        connection = self.connection
        connection.set_busy_timeout(BUSY_MS)
        connection.pragma("cache_size", -CACHE_KIB)
        connection.pragma("page_size", PAGE)
        mode = connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", synchronous)
        level = connection.pragma("synchronous")
        if mode != "wal" or (synchronous == "FULL" and level != 2):
            raise Unsafe(f"{self.path}: journal_mode={mode} synchronous={level}, not wal and full: use a local disk")
        if connection.readonly("main"):
            raise Damaged(f"{self.path}: its header says that it may only be read")
        connection.pragma("cell_size_check", True)
        connection.set_wal_hook(self._committed)
        self._migrate()
        if connection.pragma("page_size") != PAGE:
            raise Damaged(f"{self.path}: pages of {connection.pragma('page_size')} bytes, not {PAGE}")

    def _migrate(self) -> None:
        have = int(str(self.connection.pragma("user_version")))
        if not 0 <= have <= len(SCHEMA):
            raise Damaged(f"{self.path}: schema {have} is not known (newest {len(SCHEMA)}): damaged, or newer software")
        for number, step in enumerate(SCHEMA[have:], have + 1):
            with self.transaction():
                self.connection.execute(step)
                self.connection.pragma("user_version", number)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, durable when it ends. Raises Damaged or apsw.Error, with everything rolled back."""
        with judged(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def _committed(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        """SQLite tells the length of the write-ahead log after each commit."""
        grown = pages - self._wal_pages
        self.written += FRAME * (grown if grown > 0 else pages)
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def checkpoint(self, *, least_pages: int = WAL_PAGES) -> None:
        """Copy the write-ahead log home once it is long enough; its file stays and is used again from its start.

        Only after a commit has been answered: it delays nobody. What a reader still needs stays for the next time.
        """
        if self._wal_pages < max(1, least_pages):
            return
        with judged(self.path):
            pages, copied = self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        self.written += PAGE * max(0, copied)
        if copied >= pages:
            self._wal_pages = 0

    def restart_log(self) -> None:
        """Copy the log home and cut it to nothing: what a crash left behind its sound part must not stay there.

        Left for another time while a reader looks at it, or where there is no room.
        """
        try:
            with judged(self.path):
                self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            self._wal_pages = 0
        except (apsw.FullError, apsw.BusyError):
            return

    def reserve(self) -> int:
        """Give the log's file its full size at once, so that a full disk cannot keep it from being written; returns
        that size, 0 where the disk has no room for it."""
        try:
            file = os.open(f"{self.path}-wal", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(file, 0, LOG_BYTES)
                os.fsync(file)
            finally:
                os.close(file)
        except OSError:
            return 0
        return LOG_BYTES

    def used(self) -> int:
        """Bytes in pages that hold something."""
        return (self._count("page_count") - self._count("freelist_count")) * PAGE

    def size(self) -> int:
        return self._count("page_count") * PAGE

    def _count(self, pragma: str) -> int:
        with judged(self.path):
            return int(str(self.connection.pragma(pragma)))

    def close(self) -> None:
        """SQLite copies the log home and removes it."""
        self.closed = True
        self.connection.close()
