"""The agent's own log: to stderr for journald, and to a bounded file that `edge-agent logs` shows."""

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

FILE = "agent.log"
FILE_BYTES_MAX, FILES_KEPT = 512 * 1024, 3  # 2 MB in all: enough for days, and no card fills up with it
LINE = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class Repeats(logging.Filter):
    """Lets the same message of the same place through at most once in a row, so that a fault in a loop stays short."""

    def __init__(self) -> None:
        super().__init__()
        self._last: tuple[str, int, str] | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        now = (record.pathname, record.lineno, record.getMessage())
        new, self._last = now != self._last, now
        return new


def open_journal(state_dir: Path, level: str = "INFO") -> None:
    """Send every logger to stderr and to `state_dir/agent.log`."""
    root = logging.getLogger()
    root.setLevel(level)
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    to_file = RotatingFileHandler(state_dir / FILE, maxBytes=FILE_BYTES_MAX, backupCount=FILES_KEPT, delay=True)
    for handler in (logging.StreamHandler(), to_file):
        handler.setFormatter(logging.Formatter(LINE))
        handler.addFilter(Repeats())
        root.addHandler(handler)


def tail(state_dir: Path, lines: int) -> list[str]:
    """The newest lines, oldest first, over the files that are kept."""
    kept: list[str] = []
    for number in range(FILES_KEPT, -1, -1):
        path = state_dir / (f"{FILE}.{number}" if number else FILE)
        if path.exists():
            kept.extend(path.read_text(errors="replace").splitlines())
    return kept[-lines:]
