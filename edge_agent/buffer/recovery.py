"""Opening the store whatever state its file is in, and bringing home what a damaged one still holds.

A damaged database is set aside at once and a new one begun, so that a start is quick and readings go on. What can be
read in the old one comes back a few rows at a time, between two pieces of other work, and goes on after a restart.
"""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import apsw

from edge_agent.buffer import logcheck
from edge_agent.buffer.database import PAGE, Damaged, judged
from edge_agent.buffer.epoch import Epoch
from edge_agent.buffer.faults import BufferFault
from edge_agent.buffer.retention import Retention
from edge_agent.buffer.salvage import Salvage, remove, set_aside, unfinished
from edge_agent.buffer.store import Store

log = logging.getLogger(__name__)
FAULTS_MAX = 3  # times that one operation may find damage before it is given up
DATABASE, EPOCH, BALLAST, LOCK = "buffer.sqlite", "buffer.epoch", "buffer.ballast", "buffer.lock"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a buffer lives and how its files are opened; the last two are for tests of power cuts."""

    directory: Path
    gateway: str
    vfs: str | None = None
    synchronous: str = "FULL"

    @property
    def database(self) -> Path:
        return self.directory / DATABASE


class Recovery:
    """Opens the stores of one place, one after the other. `torn`, `salvaged`: what it met."""

    def __init__(self, place: Place, retention: Retention) -> None:
        self._place = place
        self._retention = retention
        self._salvages = [Salvage(aside, place.gateway) for aside in unfinished(place.database)]
        self.salvaged = 0  # batches that came home
        self.torn = 0  # incomplete commits found at start: 0 or 1

    @property
    def pending(self) -> bool:
        """Whether rows of a damaged database are still to be brought home."""
        return bool(self._salvages)

    def inspect_log(self, said: Epoch | None) -> None:
        """Look at what a crash left of the log: SQLite itself would begin at its sound part and not say a word."""
        path = self._place.database
        if (said is not None and said.closed_at >= 0) or not path.exists():
            return
        state = logcheck.inspect(path, PAGE)
        file = Path(f"{path}-wal")
        size = file.stat().st_size if file.exists() else 0
        if state.torn:
            self.torn += 1
            log.warning("buffer: the last commit before the crash is incomplete; it was not yet confirmed to anybody")
        if state.damaged or (said is not None and size < said.log_bytes):
            self.retire(Damaged(f"{file}: {state.commits_beyond} commits cannot be reached, {size} bytes left"))

    def open(self, make_room: Callable[[], object]) -> Store:
        """The store, a new one where the old one is damaged. Raises BufferFault, Unsafe."""
        trouble: Exception = Damaged("")
        for _ in range(FAULTS_MAX):
            new = not self._place.database.exists()
            try:
                with judged(self._place.database):
                    return self._opened()
            except Damaged as error:
                trouble = error
                if new:  # not the file is damaged, the disk is
                    remove(self._place.database)
                    break
                self.retire(error)
            except (apsw.FullError, apsw.IOError) as error:  # the latter, too: the index of the log does not fit
                trouble = error
                make_room()
            except apsw.Error as error:
                trouble = error
                break
        free = shutil.disk_usage(self._place.directory).free
        raise BufferFault(
            f"{self._place.database}: cannot be opened: {trouble} ({free} bytes free): make room, or check the disk and"
            " the rights of the file"
        ) from trouble

    def _opened(self) -> Store:
        options = {"synchronous": self._place.synchronous} | ({"vfs": self._place.vfs} if self._place.vfs else {})
        store = Store(self._place.database, self._place.gateway, self._retention, **options)
        if self._salvages and not store.account.received:
            store.adopt(self._salvages[-1].account() or store.account)
        elif store.lost_account or store.missing:
            store.account.damaged += 1
            store.changed = True
            how = "made up from the rows" if store.lost_account else "corrected"
            log.error("buffer: damage found: %d waiting readings missing, account %s", store.missing, how)
        return store

    def retire(self, error: Exception) -> None:
        """Put the damaged database out of the way; what is readable in it comes back step by step."""
        aside = set_aside(self._place.database)
        log.error("buffer: damaged (%s); set aside as %s, a new one is begun", error, aside.name)
        self._salvages.append(Salvage(aside, self._place.gateway))

    def step(self, store: Store) -> None:
        """Take the next rows home. Raises Damaged when it is `store` that fails."""
        salvage = self._salvages[0]
        try:
            found = salvage.step()
            self.salvaged += store.restore(found)
        except (apsw.Error, OSError) as error:  # as on a full disk: the rest stays aside for the next start
            log.error("buffer: salvage of %s put off: %s", salvage.aside.name, error)
            self._salvages.clear()
            return
        if not found:
            log.warning("buffer: %d batches salvaged, last from %s", self.salvaged, salvage.aside.name)
            salvage.finish()
            self._salvages.remove(salvage)
