"""What a verb prints: a table for people, JSON for programs, a progress bar for long work. The one home of rich."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypeVar

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, track
from rich.table import Table

T = TypeVar("T")
DIGITS = 10  # of a number in a table: more are noise of binary fractions
PIPE_COLUMNS = 1_000  # a table takes what it needs; a program or a file has no edge


def show(rows: Sequence[Mapping[str, object]], *, as_json: bool, title: str = "") -> None:
    """Print `rows` (all with the same keys, which head the columns) as a table, or as one JSON array."""
    if as_json:
        print(json.dumps(list(rows), default=str))
        return
    Console(emoji=False, width=width()).print(table_of(rows, title) if rows else f"{title or 'rows'}: none")


def table_of(rows: Sequence[Mapping[str, object]], title: str = "") -> Table:
    table = Table(title=title or None, title_justify="left", header_style="bold")
    for key in rows[0] if rows else ():
        numbers = any(isinstance(row[key], int | float) for row in rows)
        named = not table.columns  # the first column says what the row is about: the others give way to it
        table.add_column(key, justify="right" if numbers else "left", no_wrap=named, overflow="fold")
    for row in rows:
        table.add_row(*(escape(words(value)) for value in row.values()))
    return table


def words(value: object) -> str:
    """As a table shows it; JSON has every digit."""
    if isinstance(value, float):
        return f"{value:.{DIGITS}g}"
    return "" if value is None else str(value)


def width() -> int | None:
    """Of what is drawn: the terminal's; on a pipe nothing is cut, unless COLUMNS says so."""
    return None if sys.stdout.isatty() or os.environ.get("COLUMNS") else PIPE_COLUMNS


class Screen:
    """A terminal that is drawn again and again in place; on a pipe, or with live off, one drawing below the other."""

    def __init__(self, *, live: bool) -> None:
        self._console = Console(emoji=False, width=width())
        self._live = (
            Live(console=self._console, auto_refresh=False, screen=True) if live and sys.stdout.isatty() else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def draw(self, tables: Mapping[str, Sequence[Mapping[str, object]]]) -> None:
        drawing = Group(*(table_of(rows, title) if rows else f"{title}: none yet" for title, rows in tables.items()))
        if self._live is not None:
            self._live.update(drawing, refresh=True)
        else:
            self._console.print(drawing)


def progress(items: Iterable[T], what: str, total: float | None = None) -> Iterator[T]:
    """Pass `items` on behind a bar on stderr; silent when stderr is no terminal."""
    yield from track(items, what, total=total, console=Console(stderr=True), disable=not sys.stderr.isatty())


def fail(message: object) -> int:
    """Say on stderr what is wrong and return the exit code for it."""
    told = denied(message) if isinstance(message, PermissionError) else str(message)
    Console(stderr=True, highlight=False, soft_wrap=True, emoji=False).print("[red]error[/red]", escape(told))
    return 1


def denied(error: PermissionError) -> str:
    """What a person can do who may not open a file: be the user who owns the directory that stopped them."""
    place = Path(os.fsdecode(error.filename or "."))
    reached = next((one for one in (place, *place.parents) if os.path.lexists(one)), place)
    try:
        owner = reached.owner()
    except (OSError, KeyError):  # gone by now, or of a user without a name
        return f"{place}: permission denied"
    return f"{place}: permission denied: {reached} belongs to {owner}, so put `sudo -u {owner}` before the command"


@contextmanager
def counter(what: str, unit: str, total: float | None = None) -> Iterator[Callable[[int], None]]:
    """A call that counts on behind `what`, shown on stderr; silent when stderr is no terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} " + unit),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, total=total)
        yield lambda more: bar.advance(task, more)
