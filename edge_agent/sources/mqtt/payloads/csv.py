"""Rows of values: the path is a column, counted from 0 or named by a first row of names.

The separator is the first of `;`, tab, `,` that the payload holds; with `;` and tab a comma is a decimal point. With
a time column each row is a reading of its own time; without one only the last row counts, the others have no time.
"""

import csv
import re
from collections.abc import Sequence
from typing import cast

from edge_agent.sources.mqtt.limits import PAYLOAD_MAX, READINGS_MAX
from edge_agent.sources.mqtt.payloads.kind import Kind, Moment, Place
from edge_agent.sources.mqtt.reading import MISSING, NOTHING, PayloadError, Report

NUMBER = re.compile(r"[-+]?\d+(,\d+)?([eE][-+]?\d+)?")

Row = tuple[dict[str, int], list[str]]  # columns by name, cells


def separator(text: str) -> str:
    return next((one for one in ";\t" if one in text), ",")


def table(payload: bytes) -> list[Row]:
    """Rows of a payload, without the one of names. Raises PayloadError."""
    if len(payload) > PAYLOAD_MAX:
        raise PayloadError(f"has {len(payload)} bytes, the limit is {PAYLOAD_MAX}")
    try:
        text = payload.decode("utf-8-sig")
        mark = separator(text)
        rows = [row for row in csv.reader(text.splitlines(), delimiter=mark) if any(row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise PayloadError(f"is no CSV: {error}") from error
    if not rows or len(rows) > READINGS_MAX:
        raise PayloadError(f"has {len(rows)} rows, 1 to {READINGS_MAX} can be")
    cells = [[cell.strip() for cell in row] for row in rows]
    if mark != ",":
        cells = [[cell.replace(",", ".") if NUMBER.fullmatch(cell) else cell for cell in row] for row in cells]
    names: dict[str, int] = {}
    if len(cells) > 1 and not any(cell[:1].isdigit() or cell[:1] in "+-." for cell in cells[0]):
        names = {name: at for at, name in enumerate(cells.pop(0))}
    return [(names, row) for row in cells]


class Csv(Kind):
    def place(self, text: str) -> Place:
        if not text:
            raise ValueError("names no column: give its number, from 0, or its name in the first row")

        def cell(found: object) -> object:
            names, row = cast(Row, found)
            at = int(text) if text.isdigit() else names.get(text, -1)
            return MISSING if not 0 <= at < len(row) else row[at] or NOTHING

        return cell

    def read(self, heard: str, payload: bytes, moment: Moment) -> Sequence[Report]:
        rows = table(payload)
        if self.manners.time_path:
            return [report for row in rows for report in self.pick(heard, row, self.time_of(row, moment))]
        return self.pick(heard, rows[-1], None)
