"""What a verb prints: a table for people, JSON for programs, a progress bar for long work. The one home of rich.

rich is loaded when something is drawn: a running agent draws nothing and saves 5 MiB.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    from rich.table import Table

T = TypeVar("T")
DIGITS = 10  # of a number in a table: more are noise of binary fractions
PIPE_COLUMNS = 1_000  # a table takes what it needs; a program or a file has no edge
Rows = Sequence[Mapping[str, object]]


def show(rows: Rows, *, as_json: bool, title: str = "") -> None:
    """Print `rows` (all with the same keys, which head the columns) as a table, or as one JSON array."""
    if as_json:
        print(json.dumps(list(rows), default=str))
        return
    from rich.console import Console

    Console(emoji=False, width=width()).print(table_of(rows, title) if rows else f"{title or 'rows'}: none")


def table_of(rows: Rows, title: str = "") -> "Table":
    from rich.markup import escape
    from rich.table import Table

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
    """A terminal that is drawn again and again in place; on a pipe, one drawing below the other."""

    def __init__(self, *, live: bool = True) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(emoji=False, highlight=False, width=width())
        live = live and sys.stdout.isatty()
        self._live = Live(console=self._console, auto_refresh=False, screen=True) if live else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def draw(self, head: str, tables: Mapping[str, Rows]) -> None:
        from rich.console import Group
        from rich.markup import escape

        drawing = Group(escape(head), *(table_of(rows, title) for title, rows in tables.items() if rows))
        if self._live is not None:
            self._live.update(drawing, refresh=True)
        else:
            self._console.print(drawing)


def progress(items: Iterable[T], what: str, total: float | None = None) -> Iterator[T]:
    """Pass `items` on behind a bar on stderr; silent when stderr is no terminal."""
    from rich.console import Console
    from rich.progress import track

    yield from track(items, what, total=total, console=Console(stderr=True), disable=not sys.stderr.isatty())


def fail(message: object) -> int:
    """Say on stderr what is wrong and return the exit code for it."""
    told = denied(message) if isinstance(message, PermissionError) else str(message)
    from rich.console import Console
    from rich.markup import escape

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
