"""Setting a damaged database aside, and bringing home what is still readable in it, a few rows at a time."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from edge_agent.buffer.account import Account
from edge_agent.buffer.carve import Found, carver
from edge_agent.buffer.database import PAGE
from edge_agent.buffer.rows import check_of, fault

KEPT = 2  # damaged databases that stay for a look into them; older ones go
STEP_ROWS = 64  # in one transaction: an append waits for no longer than this takes
PARTS = ("", "-wal")
PENDING = "-pending"  # a mark beside it until everything readable is home


def set_aside(database: Path) -> Path:
    """Rename a database and its log to `<name>.damaged-N`; returns the new path."""
    aside = {
        int(one.suffix[9:]): one
        for one in database.parent.glob(f"{database.name}.damaged-*")
        if one.suffix[9:].isdigit()
    }
    number = max(aside, default=0) + 1
    target = database.with_name(f"{database.name}.damaged-{number}")
    Path(f"{target}{PENDING}").touch()
    for part in PARTS:
        if os.path.exists(f"{database}{part}"):
            os.replace(f"{database}{part}", f"{target}{part}")
    Path(f"{database}-shm").unlink(missing_ok=True)
    for old in sorted(aside)[: max(0, len(aside) + 1 - KEPT)]:
        for part in (*PARTS, "-shm", PENDING):
            Path(f"{aside[old]}{part}").unlink(missing_ok=True)
    return target


def unfinished(database: Path) -> list[Path]:
    """Databases set aside earlier whose salvage was interrupted."""
    marks = sorted(database.parent.glob(f"{database.name}.damaged-*{PENDING}"))
    asides = [mark.with_name(mark.name.removesuffix(PENDING)) for mark in marks]
    return [aside for aside in asides if aside.exists()]


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
