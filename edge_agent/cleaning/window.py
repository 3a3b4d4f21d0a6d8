"""What a check looks at: rows of frames of several layouts side by side, as one matrix.

Within one call each layout brings T frames; layouts that bring the same T stand side by side, so that a check runs
once over all their points and not once per frame. Rows keep the order in which the frames came.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

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


@dataclass(eq=False, slots=True)
class Part:
    """The columns of a window that one check is configured for. For a check of whole frames, one column a layout."""

    places: Columns  # (c,) where the check keeps the parameters and the state of each column
    values: Floats  # (T, c)
    usable: Mask | None  # (T, c) not BAD so far; None when all are
    frame_source_ns: Times  # (T, L) of the frames
    frame_receive_ns: Times  # (T, L)
    owners: Columns  # (c,) the layout of each column
    _source_ns: Times | None = None

    @property
    def source_ns(self) -> Times:
        """(T, c), or (T, 1) where all columns are of one layout."""
        if self._source_ns is None:
            self._source_ns = self.frame_source_ns[:, self.owners]
        return self._source_ns

    @property
    def receive_ns(self) -> Times:
        """As `source_ns`."""
        return self.frame_receive_ns[:, self.owners]

    def before(self, last: Floats, last_ns: Times) -> tuple[Floats, Times]:
        """Value and source time of the usable sample before each, (T, c); `last` (c,) are from before this window.

        Afterwards `last` and `last_ns` are written forward by the caller with `newest`.
        """
        values = np.vstack((last, self.values))
        times = np.vstack((last_ns, np.broadcast_to(self.source_ns, self.values.shape)))
        if self.usable is None:
            return values[:-1], times[:-1]
        rows = np.where(self.usable, np.arange(1, len(values))[:, None], 0)
        behind = np.maximum.accumulate(np.vstack((np.zeros_like(rows[:1]), rows)), axis=0)[:-1]
        return np.take_along_axis(values, behind, 0), np.take_along_axis(times, behind, 0)

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
        self.ends = np.cumsum(widths)
        self.starts = self.ends - widths
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


@dataclass(eq=False, slots=True)
class Window:
    """T rows over the columns of a plan."""

    plan: Plan
    frames: Sequence[Sequence[Frame]]  # of each layout, T each
    values: Floats = field(init=False)  # (T, C)
    source_ns: Times = field(init=False)  # (T, L)
    receive_ns: Times = field(init=False)  # (T, L)
    codes: Codes | None = field(init=False)  # (T, C); None: all GOOD
    _bad: bool = False  # whether any code is BAD

    def __post_init__(self) -> None:
        rows = list(zip(*self.frames, strict=True))
        self.source_ns = np.array([[frame.source_ns for frame in row] for row in rows], np.int64)
        self.receive_ns = np.array([[frame.receive_ns for frame in row] for row in rows], np.int64)
        flat = [frame.values for row in rows for frame in row]
        self.values = (np.concatenate(flat) if len(flat) > 1 else flat[0]).reshape(len(rows), -1)
        self.codes = None
        if any(frame.codes is not None for row in rows for frame in row):
            zero = np.zeros(self.values.shape[1], np.uint8)
            known = [zero[: len(f.values)] if f.codes is None else f.codes for row in rows for f in row]
            self.codes = np.concatenate(known).reshape(len(rows), -1).astype(np.uint8)
            self._bad = bool((self.codes >= BAD).any())

    def part(self, choice: Choice) -> Part:
        usable: Mask | None = None
        if self._bad and self.codes is not None:
            usable = self.codes[:, choice.columns] < BAD
        values = self.values[:, choice.columns]
        return Part(choice.places, values, usable, self.source_ns, self.receive_ns, choice.owners)

    def whole(self, choice: Choice) -> Part:
        """For a check of whole frames, which looks at times only: `values` are of no use."""
        values = self.values[:, : self.source_ns.shape[1]]
        return Part(choice.places, values, None, self.source_ns, self.receive_ns, choice.owners)

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
        doubtful = np.maximum.reduceat(codes, self.plan.starts, axis=1)
        for layout, (start, end) in enumerate(zip(self.plan.starts.tolist(), self.plan.ends.tolist(), strict=True)):
            for row, frame in enumerate(self.frames[layout]):
                frame.codes = codes[row, start:end] if doubtful[row, layout] else None
