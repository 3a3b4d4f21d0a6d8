"""Connections are as durable as asked, or refused."""

from contextlib import suppress
from pathlib import Path

import apsw
import pytest

from aggregator.stores import StoreError
from aggregator.stores.sqlite import connect, migrate, transaction

STEPS = ("CREATE TABLE a (x INTEGER) STRICT", "ALTER TABLE a ADD COLUMN y INTEGER")


def test_wal_and_full(tmp_path: Path) -> None:
    one = connect(tmp_path / "a.sqlite")
    assert (one.pragma("journal_mode"), one.pragma("synchronous")) == ("wal", 2)


def test_a_file_system_without_wal_is_refused() -> None:
    with pytest.raises(StoreError, match="not wal and full"):
        connect(":memory:")


def test_steps_run_once_each_and_whole(tmp_path: Path) -> None:
    one = connect(tmp_path / "a.sqlite")
    migrate(one, STEPS[:1])
    migrate(one, STEPS)
    migrate(one, STEPS)
    assert one.pragma("user_version") == 2
    with pytest.raises(apsw.SQLError):
        migrate(one, (*STEPS, "CREATE TABLE b (x); nonsense"))
    assert one.pragma("user_version") == 2
    with pytest.raises(StoreError, match="newer version"):
        migrate(one, STEPS[:1])


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    one = connect(tmp_path / "a.sqlite")
    migrate(one, STEPS)
    with suppress(RuntimeError), transaction(one):
        one.execute("INSERT INTO a VALUES (1, 2)")
        raise RuntimeError
    assert one.execute("SELECT count(*) FROM a").get == 0


def test_reading_only_cannot_write(tmp_path: Path) -> None:
    writer = connect(tmp_path / "a.sqlite")
    migrate(writer, STEPS)
    reader = connect(tmp_path / "a.sqlite", read_only=True)
    with pytest.raises(apsw.ReadOnlyError):
        reader.execute("INSERT INTO a VALUES (1, 2)")
