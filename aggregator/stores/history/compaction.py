"""Parts of an hour that is over become segments: one column per point, one axis for the points that share it."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from aggregator.stores import sqlite
from aggregator.stores.history import Codes, DamagedPart, Floats
from aggregator.stores.history.day import Day, Place, axis_identity, members, part_identity, segment_identity
from aggregator.stores.history.segment import (
    Axis,
    decode_axis,
    decode_part,
    decode_segment,
    encode_axis,
    encode_segment,
    roll_up,
)

READINGS_MAX = 4_000_000  # in one set of segments: what compaction holds in memory is about 20 bytes each
AXES_MAX = 8  # sets of segments of one hour before they are made one: a late trickle must not make reading slow
PARTS = """
    SELECT layout, hour, number, rows, first_ns, last_ns, first_arrival_ns, last_arrival_ns, blob FROM part
    WHERE layout = ? AND hour = ? ORDER BY number"""
AXIS = """
    SELECT layout, hour, number, rows, first_ns, last_ns, first_arrival_ns, last_arrival_ns, blob FROM axis
    WHERE layout = ? AND hour = ? AND number = ?"""
SET = """
    SELECT place, point, rows, usable, low, high, mean, last, last_ns, blob
    FROM segment JOIN member USING (point, layout) WHERE layout = ? AND hour = ? AND number = ? ORDER BY place"""

Loaded = tuple[Place, Axis, Floats, Codes]


def compact(day: Day, layout: int, hour: int) -> int:
    """Move the parts of one layout and hour into segments, in one transaction; returns the readings moved.

    A part that is damaged stays where it is, for `verify-store` to name and `replay` to replace.
    """
    with sqlite.transaction(day.connection):
        moved = 0
        for group in groups(load_parts(day, layout, hour)):
            moved += sum(values.size for _, _, values, _ in group)
            write(day, layout, hour, group)
            for place, *_ in group:
                day.connection.execute(
                    "DELETE FROM part WHERE layout = ? AND hour = ? AND number = ?", (layout, hour, place[2])
                )
        sets = day.connection.execute("SELECT count(*) FROM axis WHERE layout = ? AND hour = ?", (layout, hour)).get
        if moved and int(sets) > AXES_MAX:
            merge(day, layout, hour)
        return moved


def load_parts(day: Day, layout: int, hour: int) -> Iterator[Loaded]:
    found: list[tuple[Any, ...]] = day.connection.execute(PARTS, (layout, hour)).fetchall()
    for row in found:
        place: Place = row[:8]
        try:
            axis, values, codes = decode_part(day.press, part_identity(place), row[8])
        except DamagedPart:
            continue
        yield place, axis, values, codes


def groups(loaded: Iterator[Loaded]) -> Iterator[list[Loaded]]:
    """Runs of parts that together stay below READINGS_MAX."""
    group: list[Loaded] = []
    size = 0
    for one in loaded:
        if group and size + one[2].size > READINGS_MAX:
            yield group
            group, size = [], 0
        group.append(one)
        size += one[2].size
    if group:
        yield group


def write(day: Day, layout: int, hour: int, group: list[Loaded]) -> None:
    """One axis and its segments of all that is in `group`, in its order."""
    axis = Axis(
        np.concatenate([one.source_ns for _, one, _, _ in group]),
        np.concatenate([one.receive_ns for _, one, _, _ in group]),
        np.concatenate([one.positions for _, one, _, _ in group]),
        np.concatenate([one.counts for _, one, _, _ in group]),
    )
    values = np.concatenate([one for _, _, one, _ in group], axis=1)
    codes = np.concatenate([one for _, _, _, one in group], axis=1)
    last = day.connection.execute(
        "SELECT coalesce(max(number), 0) FROM axis WHERE layout = ? AND hour = ?", (layout, hour)
    ).get
    rows = len(axis.source_ns)
    place: Place = (
        layout,
        hour,
        int(last) + 1,
        rows,
        int(axis.source_ns.min()),
        int(axis.source_ns.max()),
        min(where[6] for where, *_ in group),
        max(where[7] for where, *_ in group),
    )
    blob = encode_axis(day.press, axis_identity(place), axis)
    day.connection.execute("INSERT INTO axis VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*place, blob))
    day.connection.executemany(
        "INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", segments(day, place, axis, values, codes)
    )


def segments(day: Day, place: Place, axis: Axis, values: Floats, codes: Codes) -> Iterator[tuple[object, ...]]:
    """The rows of the table `segment` of one axis."""
    layout, hour, number, rows = place[:4]
    rollup = roll_up(axis.source_ns, values, codes)
    for column, point in enumerate(members(day.connection, layout)):
        usable, last_ns = int(rollup.usable[column]), int(rollup.last_ns[column])
        numbers = [float(one[column]) for one in (rollup.low, rollup.high, rollup.mean, rollup.last)]
        identity = segment_identity(point, layout, hour, number, rows, usable, numbers, last_ns)
        blob = encode_segment(day.press, identity, values[column], codes[column])
        yield point, layout, hour, number, rows, usable, *numbers, last_ns, blob


def merge(day: Day, layout: int, hour: int) -> None:
    """Make one set of segments of all that are there, as far as READINGS_MAX allows; damaged ones stay as they are."""
    numbers = [
        n
        for (n,) in day.connection.execute(
            "SELECT number FROM axis WHERE layout = ? AND hour = ? ORDER BY number", (layout, hour)
        )
    ]
    loaded = [one for number in numbers if (one := load_set(day, layout, hour, number)) is not None]
    for group in groups(iter(loaded)):
        if len(group) == 1:
            continue
        write(day, layout, hour, group)
        for place, *_ in group:
            key = (layout, hour, place[2])
            day.connection.execute("DELETE FROM axis WHERE layout = ? AND hour = ? AND number = ?", key)
            day.connection.execute("DELETE FROM segment WHERE layout = ? AND hour = ? AND number = ?", key)


def load_set(day: Day, layout: int, hour: int, number: int) -> Loaded | None:
    """An axis with all its columns, (P, T); None when any of it is damaged."""
    key = (layout, hour, number)
    row: tuple[Any, ...] = day.connection.execute(AXIS, key).get
    place: Place = row[:8]
    rows: list[tuple[Any, ...]] = day.connection.execute(SET, key).fetchall()
    columns = []
    try:
        axis = decode_axis(day.press, axis_identity(place), row[8])
        for _, point, count, usable, low, high, mean, last, last_ns, data in rows:
            identity = segment_identity(point, *key, count, usable, (low, high, mean, last), last_ns)
            columns.append(decode_segment(day.press, identity, data))
    except DamagedPart:
        return None
    if [row[1] for row in rows] != members(day.connection, layout):
        return None
    return place, axis, np.stack([v for v, _ in columns]), np.stack([c for _, c in columns])
