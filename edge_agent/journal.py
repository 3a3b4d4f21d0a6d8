"""The agent's own log: to stderr for journald, and to a bounded file that `edge-agent logs` shows.

Who logs does not wait for either: a thread of its own writes, so that neither a stuck disk nor a full pipe holds up the
control loop, whose lines have something to say just then.
"""

import atexit
import contextlib
import logging
import queue
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path

FILE = "agent.log"
FILE_BYTES_MAX, FILES_KEPT = 512 * 1024, 3  # 2 MB in all: enough for days, and no card fills up with it
LINE = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
END_S = 5.0  # what waits at the end may take so long; then it is lost
WAITING_MAX = 10_000  # lines for a disk that is stuck; more are lost, for they say the same


class Repeats(logging.Filter):
    """Lets the same message of the same place through at most once in a row, so that a fault in a loop stays short."""

    def __init__(self) -> None:
        super().__init__()
        self._last: tuple[str, int, str] | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        now = (record.pathname, record.lineno, record.getMessage())
        new, self._last = now != self._last, now
        return new


class Waiting(QueueHandler):
    """Where lines wait for the thread that writes them; one that finds no room is lost."""

    def enqueue(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(queue.Full):
            self.queue.put_nowait(record)


class Writer(QueueListener):
    """The thread that writes."""

    def stop(self) -> None:
        """Write what waits; a disk that is stuck is not waited for. May be called again."""
        if self._thread is None:
            return
        with contextlib.suppress(queue.Full):
            self.enqueue_sentinel()
            self._thread.join(END_S)
        self._thread = None


def open_journal(state_dir: Path, level: str = "INFO") -> Writer:
    """Send every logger to stderr and to `state_dir/agent.log`; what waits is written at the end of the process."""
    root = logging.getLogger()
    root.setLevel(level)
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    to_file = RotatingFileHandler(state_dir / FILE, maxBytes=FILE_BYTES_MAX, backupCount=FILES_KEPT, delay=True)
    handlers = logging.StreamHandler(), to_file
    for handler in handlers:
        handler.setFormatter(logging.Formatter(LINE))
        handler.addFilter(Repeats())
    waiting: queue.Queue[logging.LogRecord] = queue.Queue(WAITING_MAX)
    root.addHandler(Waiting(waiting))
    writer = Writer(waiting, *handlers)
    writer.start()
    atexit.register(writer.stop)
    return writer


def tail(state_dir: Path, lines: int) -> list[str]:
    """The newest lines, oldest first, over the files that are kept."""
    kept: list[str] = []
    for number in range(FILES_KEPT, -1, -1):
        path = state_dir / (f"{FILE}.{number}" if number else FILE)
        if path.exists():
            kept.extend(path.read_text(errors="replace").splitlines())
    return kept[-lines:]
