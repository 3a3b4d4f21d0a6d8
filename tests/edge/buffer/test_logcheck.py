"""Our reading of the write-ahead log against SQLite's own."""

import random
import shutil
from pathlib import Path

import apsw
import pytest

from edge_agent.buffer.database import PAGE
from edge_agent.buffer.logcheck import inspect

FRAME = PAGE + 24


@pytest.fixture
def origin(tmp_path: Path) -> tuple[Path, list[int]]:
    """The files of a killed database with a row per commit, and the frames that each commit ended with."""
    live = tmp_path / "live" / "db"
    live.parent.mkdir()
    connection = apsw.Connection(str(live))
    connection.pragma("page_size", PAGE)
    connection.pragma("journal_mode", "wal")
    connection.execute("CREATE TABLE row (blob)")
    ends: list[int] = []

    def committed(_connection: apsw.Connection, _name: str, pages: int) -> int:
        ends.append(pages)
        return apsw.SQLITE_OK

    connection.set_wal_hook(committed)
    for size in range(0, 6000, 200):
        connection.execute("INSERT INTO row VALUES (zeroblob(?))", (size,))
    shutil.copytree(live.parent, tmp_path / "origin")
    connection.close()
    return tmp_path / "origin" / "db", ends


def rows_seen(database: Path) -> int:
    connection = apsw.Connection(str(database))
    count = connection.execute("SELECT count(*) FROM row").get
    connection.close()
    assert isinstance(count, int)
    return count


@pytest.mark.parametrize("seed", range(12))
def test_both_end_at_the_same_commit(tmp_path: Path, origin: tuple[Path, list[int]], seed: int) -> None:
    database, ends = origin
    log = Path(f"{database}-wal")
    data = bytearray(log.read_bytes())
    assert inspect(database, PAGE).sound == ends[-1]
    at = random.Random(seed).randrange(32 + ends[0] * FRAME, len(data))
    data[at] ^= 0x10
    log.write_bytes(data)
    state = inspect(database, PAGE)
    commits = sum(end <= state.sound for end in ends)
    assert state.commits_beyond == len(ends) - commits - (
        (at - 32) % FRAME in range(4, 16) and unmarked(data, at, ends)
    )
    assert rows_seen(database) == commits
    assert state.torn or state.damaged


def unmarked(data: bytearray, at: int, ends: list[int]) -> int:
    """1 when the flipped bit took away the mark of a commit or its salt."""
    number = (at - 32) // FRAME + 1
    place = (at - 32) % FRAME
    return int(number in ends and (place >= 8 or not any(data[32 + (number - 1) * FRAME + 4 :][:4])))


def test_a_damaged_head_is_seen(origin: tuple[Path, list[int]]) -> None:
    database, _ = origin
    log = Path(f"{database}-wal")
    data = bytearray(log.read_bytes())
    data[17] ^= 1
    log.write_bytes(data)
    assert inspect(database, PAGE).damaged


def test_zeros_and_nothing_are_sound(tmp_path: Path) -> None:
    database = tmp_path / "db"
    assert inspect(database, PAGE).sound == 0
    Path(f"{database}-wal").write_bytes(bytes(20 * FRAME))
    state = inspect(database, PAGE)
    assert not state.torn
    assert not state.damaged
