"""The one home of SQLite in the aggregator: connections that are durable as asked, and schemas that move forward."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw

from aggregator.stores import StoreError

BUSY_MS = 5_000  # another process (a verb) may hold the write lock for a moment, never for long
WAL_PAGES = 4_000  # 16 MiB between checkpoints: fewer writes of the same page, still a quick start after a crash


def connect(path: Path | str, *, read_only: bool = False, vfs: str | None = None) -> apsw.Connection:
    """Open or make a database with WAL and synchronous=FULL, both read back.

    Raises StoreError when the file is no database, cannot be opened, or the journal mode is refused.
    """
    flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    try:
        connection = apsw.Connection(str(path), flags=flags, vfs=vfs)
        connection.set_busy_timeout(BUSY_MS)
        if read_only:
            connection.pragma("query_only", True)
            connection.pragma("schema_version")  # touches the file: a damaged one shows here
            return connection
        mode = connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", "full")
        level = connection.pragma("synchronous")
        connection.pragma("wal_autocheckpoint", WAL_PAGES)
        connection.pragma("journal_size_limit", WAL_PAGES * 4096)
        connection.pragma("foreign_keys", True)
    except apsw.Error as error:
        raise StoreError(f"{path}: cannot be opened: {error}; check the path and its rights, or restore it") from error
    if (mode, level) != ("wal", 2):
        raise StoreError(f"{path}: journal_mode={mode} synchronous={level}, not wal and full: use a local file system")
    return connection


def migrate(connection: apsw.Connection, steps: Sequence[str]) -> None:
    """Bring the schema up to len(steps), each step once and whole. Raises StoreError for a file from the future."""
    have = int(str(connection.pragma("user_version")))
    if have > len(steps):
        name = connection.filename
        raise StoreError(f"{name}: written by a newer version (schema {have}, known {len(steps)}): update the software")
    for number, step in enumerate(steps[have:], have + 1):
        with transaction(connection):
            connection.execute(step)
            connection.pragma("user_version", number)


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """All or nothing; takes the write lock at once, so that it cannot fail half way for another writer's sake."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
