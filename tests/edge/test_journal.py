"""The agent's log: whole and short, and nobody who logs waits for a disk."""

import io
import logging
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent import journal

PATIENCE_S = 10.0


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, left as it was found."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield root
    root.handlers[:] = before
    root.setLevel(level)


def test_lines_are_in_the_file_and_a_repeated_one_once(root: logging.Logger, tmp_path: Path) -> None:
    writer = journal.open_journal(tmp_path)
    log = logging.getLogger("edge_agent.test")
    for _ in range(3):
        log.warning("the line is cut")
    try:
        raise OSError("no route")
    except OSError:
        log.exception("again in %d s", 5)
    writer.stop()
    lines = journal.tail(tmp_path, 100)
    assert sum("the line is cut" in line for line in lines) == 1
    assert any("again in 5 s" in line for line in lines)
    assert lines[-1] == "OSError: no route"


def test_rule_25_who_logs_does_not_wait_for_a_disk_that_is_stuck(
    root: logging.Logger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is a pipe that nobody reads: the writer stands still, and everybody else goes on."""
    monkeypatch.setattr(journal, "WAITING_MAX", 100)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    os.mkfifo(tmp_path / journal.FILE)
    writer = journal.open_journal(tmp_path)
    log = logging.getLogger("edge_agent.test")

    def flood() -> None:
        for number in range(1000):
            log.warning("line %d", number)

    talking = threading.Thread(target=flood, daemon=True)
    talking.start()
    talking.join(PATIENCE_S)
    assert not talking.is_alive()
    with open(tmp_path / journal.FILE) as read:
        assert "line 0" in read.readline()
        draining = threading.Thread(target=read.read, daemon=True)
        draining.start()
        writer.stop()
        for handler in writer.handlers:
            handler.close()
        draining.join(PATIENCE_S)
