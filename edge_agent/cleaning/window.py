"""What a check looks at: rows of frames of several layouts side by side, as one matrix.

Within one call each layout brings T frames; layouts that bring the same T stand side by side, so that a check runs
once over all their points and not once per frame. Rows keep the order in which the frames came.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_agent.image import Frame, Layout
from protos.quality import Quality

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

BAD = Quality.BAD << 6


Columns = Ints | slice


def narrow(numbers: Ints) -> Columns:
    """The slice that takes what `numbers` take, where there is one: no copy is made of what it takes."""
    if len(numbers) and numbers[-1] - numbers[0] == len(numbers) - 1 and (np.diff(numbers) == 1).all():
        return slice(int(numbers[0]), int(numbers[-1]) + 1)
    return numbers


def behind(first: npt.NDArray[Any], rest: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """`first` (c,) as a row before the rows of `rest` (T, c) or (T, 1)."""
    both = np.empty((len(rest) + 1, len(first)), rest.dtype)
    both[0], both[1:] = first, rest
    return both


@dataclass(eq=False, slots=True)
class Part:
    """The columns of a window that one check is configured for. For a check of whole frames, one column a layout."""

    places: Columns  # (c,) where the check keeps the parameters and the state of each column
    values: Floats  # (T, c)
    usable: Mask | None  # (T, c) not BAD so far; None when all are
    window: "Window"
    owners: Columns  # (c,) the layout of each column
    _source_ns: Times | None = None

    @property
    def source_ns(self) -> Times:
        """(T, c), or (T, 1) where all columns are of one layout."""
        if self._source_ns is None:
            self._source_ns = self.window.source_ns[:, self.owners]
        return self._source_ns

    @property
    def receive_ns(self) -> Times:
        """As `source_ns`."""
        return self.window.receive_ns[:, self.owners]

    def set_aside(self, mask: Mask) -> None:
        """Take the marked samples, (T, c) or (T, 1), as not usable in what follows."""
        kept = np.broadcast_to(~mask, self.values.shape)
        self.usable = kept if self.usable is None else self.usable & kept

    def before(self, last: Floats, last_ns: Times) -> tuple[Floats, Times]:
        """Value and source time of the usable sample before each, (T, c); `last` (c,) are from before this window.

        Afterwards `last` and `last_ns` are written forward by the caller with `newest`.
        """
        if self.usable is None and len(self.values) == 1:
            return last[None], last_ns[None]
        values, times = behind(last, self.values), behind(last_ns, self.source_ns)
        if self.usable is None:
            return values[:-1], times[:-1]
        rows = np.where(self.usable, np.arange(1, len(values))[:, None], 0)
        newest = np.maximum.accumulate(behind(np.zeros_like(rows[0]), rows), axis=0)[:-1]
        return np.take_along_axis(values, newest, 0), np.take_along_axis(times, newest, 0)

    def newest(self, last: Floats, last_ns: Times) -> tuple[Floats, Times]:
        """Value and source time of the last usable sample of each column, or what was known before."""
        if self.usable is None:
            return self.values[-1], self.source_ns[-1]
        count = len(self.values)
        row = np.where(self.usable, np.arange(count)[:, None], -1).max(axis=0)
        seen, columns = row >= 0, np.arange(len(row))
        row = np.maximum(row, 0)
        return (
            np.where(seen, self.values[row, columns], last),
            np.where(seen, np.broadcast_to(self.source_ns, self.values.shape)[row, columns], last_ns),
        )


@dataclass(eq=False, slots=True)
class Choice:
    """Which columns of a window a check is configured for, and where it keeps them."""

    columns: Columns
    places: Columns
    owners: Columns  # the layout of each


class Plan:
    """Where the points of some layouts stand, side by side. Made once for each combination of layouts."""

    def __init__(self, layouts: Sequence[Layout]) -> None:
        self.layouts = tuple(layouts)  # kept, so that their identities stay theirs
        widths = [len(one.points) for one in layouts]
        self.ends: Ints = np.cumsum(widths)
        self.starts: Ints = self.ends - np.array(widths, np.int64)
        self.owner = np.repeat(np.arange(len(widths)), widths)
        self.index = np.concatenate([np.arange(one.span.start, one.span.stop) for one in layouts])
        self._choices: dict[int, Choice | None] = {}

    def choice(self, number: int, place_of: Ints, whole_frames: bool) -> Choice | None:
        """The columns of check `number`, whose `place_of` gives each point's place, -1 for none."""
        if number not in self._choices:
            self._choices[number] = self._choose(place_of, whole_frames)
        return self._choices[number]

    def _choose(self, place_of: Ints, whole_frames: bool) -> Choice | None:
        places = place_of[self.index]
        if whole_frames:
            places = places[self.starts]
        columns = np.flatnonzero(places >= 0)
        if not len(columns):
            return None
        owners = columns if whole_frames else self.owner[columns]
        one_layout = not whole_frames and owners[0] == owners[-1]
        return Choice(narrow(columns), narrow(places[columns]), narrow(owners[:1]) if one_layout else narrow(owners))


class Window:
    """T rows over the columns of a plan: of each layout T frames."""

    def __init__(self, plan: Plan, frames: Sequence[Sequence[Frame]]) -> None:
        self.plan, self.frames = plan, frames
        self.rows = list(zip(*frames, strict=True))  # T, each of L frames
        self.all = [frame for row in self.rows for frame in row]
        self.stamped = any(frame.source_ns != frame.receive_ns for frame in self.all)  # its device said the time
        flat = [frame.values for frame in self.all]
        self.values: Floats = (np.concatenate(flat) if len(flat) > 1 else flat[0]).reshape(len(self.rows), -1)
        self.codes: Codes | None = None  # (T, C); None: all GOOD
        self._bad = False  # whether any code is BAD
        if any(frame.codes is not None for frame in self.all):
            zero = np.zeros(self.values.shape[1], np.uint8)
            known = [zero[: len(f.values)] if f.codes is None else f.codes for f in self.all]
            self.codes = np.concatenate(known).reshape(self.values.shape).astype(np.uint8)
            self._bad = bool((self.codes >= BAD).any())

    @cached_property
    def source_ns(self) -> Times:
        """(T, L)"""
        return np.array([frame.source_ns for frame in self.all], np.int64).reshape(len(self.rows), -1)

    @cached_property
    def receive_ns(self) -> Times:
        """(T, L)"""
        return np.array([frame.receive_ns for frame in self.all], np.int64).reshape(len(self.rows), -1)

    def part(self, choice: Choice) -> Part:
        usable: Mask | None = None
        if self._bad and self.codes is not None:
            usable = self.codes[:, choice.columns] < BAD
        values = self.values[:, choice.columns]
        return Part(choice.places, values, usable, self, choice.owners)

    def whole(self, choice: Choice) -> Part:
        """For a check of whole frames, which looks at times only: `values` are of no use."""
        return Part(choice.places, self.values[:, : len(self.frames)], None, self, choice.owners)

    def lower(self, columns: Columns, mask: Mask, code: int) -> None:
        """Give the marked samples `code`, unless what they have is as bad or worse."""
        if self.codes is None:
            self.codes = np.zeros(self.values.shape, np.uint8)
        now = self.codes[:, columns]
        mask = mask & (now >> 6 < code >> 6)
        self.codes[:, columns] = np.where(mask, np.uint8(code), now)
        self._bad = self._bad or code >= BAD

    def spread(self, choice: Choice, mask: Mask) -> Mask:
        """A mask over layouts (T, L') as one over all columns (T, C)."""
        full = np.zeros(self.source_ns.shape, np.bool_)
        full[:, choice.columns] = mask
        return full[:, self.plan.owner]

    def hand_back(self) -> None:
        """Write the codes into the frames; those of frames that are all GOOD become None."""
        codes = self.codes
        if codes is None:
            return
        doubtful = np.bitwise_or.reduceat(codes, self.plan.starts, axis=1)
        for layout, (start, end) in enumerate(zip(self.plan.starts.tolist(), self.plan.ends.tolist(), strict=True)):
            for row, frame in enumerate(self.frames[layout]):
                frame.codes = codes[row, start:end] if doubtful[row, layout] else None
