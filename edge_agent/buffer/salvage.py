"""Setting a damaged database aside, and bringing home what is still readable in it, a few rows at a time."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from edge_agent.buffer.account import Account
from edge_agent.buffer.carve import Found, carver
from edge_agent.buffer.database import PAGE
from edge_agent.buffer.rows import check_of, fault

KEPT = 2  # damaged databases that stay for a look into them once all is home; older ones go
STEP_ROWS = 64  # in one transaction: an append waits for no longer than this takes
PARTS = ("", "-wal")
PENDING = "-pending"  # a mark beside it until everything readable is home


def set_aside(database: Path) -> Path:
    """Rename a database and its log to `<name>.damaged-N`; returns the new path."""
    numbers = [int(one.suffix[9:]) for one in asides(database)]
    target = database.with_name(f"{database.name}.damaged-{max(numbers, default=0) + 1}")
    Path(f"{target}{PENDING}").touch()
    for part in PARTS:
        if os.path.exists(f"{database}{part}"):
            os.replace(f"{database}{part}", f"{target}{part}")
    Path(f"{database}-shm").unlink(missing_ok=True)
    finished = [one for one in asides(database) if not Path(f"{one}{PENDING}").exists()]
    for old in finished[: max(0, len(finished) - KEPT)]:
        remove(old)
    return target


def asides(database: Path) -> list[Path]:
    """Databases that were set aside, oldest first."""
    found = database.parent.glob(f"{database.name}.damaged-*")
    return sorted((one for one in found if one.suffix[9:].isdigit()), key=lambda one: int(one.suffix[9:]))


def remove(database: Path) -> None:
    """Delete a database with all that belongs to it."""
    for part in (*PARTS, "-shm", PENDING):
        Path(f"{database}{part}").unlink(missing_ok=True)


def unfinished(database: Path) -> list[Path]:
    """Databases set aside earlier whose salvage was interrupted."""
    return [one for one in asides(database) if Path(f"{one}{PENDING}").exists()]


class Salvage:
    """Walks through a damaged database once; `step` gives the next rows that prove themselves whole.

    Twice, in fact: with the newest pages of the log on top, and without, where a log that was cut short hides newer
    pages below. The same row found again is for the caller to leave out.
    """

    def __init__(self, aside: Path, gateway: str) -> None:
        self.aside = aside
        self._gateway = gateway
        self._rows = self._walk()

    def _walk(self) -> Iterator[Found]:
        with carver(self.aside, PAGE) as (topped, bare):
            for one in (topped, bare):
                free = one.free()
                for row, checked, blob in one.rows(page for page in range(1, one.pages + 1) if page not in free):
                    if checked == check_of(row) and not fault(self._gateway, row, blob):
                        yield row, checked, blob

    def step(self) -> list[Found]:
        """The next rows; an empty list at the end."""
        return list(islice(self._rows, STEP_ROWS))

    def finish(self) -> None:
        """All is home; the file stays for a look into it."""
        Path(f"{self.aside}{PENDING}").unlink(missing_ok=True)

    def account(self) -> Account | None:
        """The newest account that can be read: counters and acks."""
        with carver(self.aside, PAGE) as (topped, bare):
            accounts = [Account.unpack(text) for one in (topped, bare) for text in one.accounts()]
        return max(filter(None, accounts), key=lambda one: one.received, default=None)
