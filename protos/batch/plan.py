"""What the encoder knows of batches of one shape: their names as bytes, where columns begin, which schemes they took.

Gateways write batches of the same few shapes for months, so this is worked out once and then only checked.
"""

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from protos.batch import schemes
from protos.batch.names import check_names, write_names
from protos.batch.samples import Block

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Shape = tuple[tuple[str, int, int], ...]  # device, identity of the tuple of points, rows; per block

CELLS_MAX = 100_000  # readings in all shapes remembered, at about 60 bytes each; the newest shape is always kept
MEMORIES_MAX = 4096  # devices' schemes remembered, a byte for each point
RETRY = 64  # after so many batches a column that found no decimals may try again


class Plan:
    """One shape. `blocks` are only looked at for their names and rows."""

    def __init__(self, blocks: Sequence[Block], chosen: Bytes) -> None:
        self.points = [block.points for block in blocks]  # kept alive, so that their identities stay theirs
        self.rows = np.array([len(block.receive_ns) for block in blocks], np.int64)
        width = [len(names) for names in self.points]
        self.names = write_names([block.device for block in blocks], self.points)
        self.counts = np.repeat(self.rows, width)  # rows of each column
        self.starts = np.cumsum(self.counts) - self.counts
        self.row_starts = np.cumsum(self.rows) - self.rows
        self.row_steps = others(self.row_starts, int(self.rows.sum()))
        self.size = int(self.counts.sum())
        self.edges = np.cumsum(width)  # of the blocks among the columns
        self.shapes = [(len(block.receive_ns), len(block.points)) for block in blocks]
        self.lengths = [shape[:1] for shape in self.shapes]
        self.uniform = len(set(self.rows.tolist())) == 1
        self.uses = 0
        self.take(chosen)

    def take(self, chosen: Bytes) -> None:
        """Use the schemes `chosen` (C,) from now on."""
        self.chosen = chosen
        cells = np.repeat(chosen, self.counts)
        self.raw = np.flatnonzero(cells == schemes.RAW)
        self.single = np.flatnonzero(cells == schemes.SINGLE)
        self.undecided = np.flatnonzero(chosen < schemes.FIRST)
        one = cells[:1] if len(cells) and (chosen == chosen[0]).all() else cells  # 24 of 44 bytes each are then none
        self.factor, self.divisor, self.towards = schemes.FACTOR[one], schemes.DIVISOR[one], schemes.TOWARDS[one]
        self.outer = schemes.OUTER[one] if schemes.OUTER[chosen].any() else None
        wide = chosen == schemes.RAW
        self.first_narrow = self.starts[~wide] if wide.any() else self.starts
        self.first_wide = self.starts[wide]
        steps = others(self.starts, self.size)
        wide_steps = cells[steps] == schemes.RAW
        self.step_narrow, self.step_wide = steps[~wide_steps], steps[wide_steps]

    def check(self, blocks: Sequence[Block]) -> None:
        """Raises ValueError when the arrays of a block are not of its rows and points."""
        if [block.values.shape for block in blocks] != self.shapes:
            raise ValueError("values of a block are not rows × points")
        if [block.codes.shape for block in blocks] != self.shapes:
            raise ValueError("codes of a block are not rows × points")
        if [block.source_ns.shape for block in blocks] != self.lengths:
            raise ValueError("source times of a block are not one for each row")

    def columns_of(self, cells: Ints, more: Ints) -> Ints:
        """The columns that hold these cells, and `more` columns: each once, ascending.

        Without np.unique: that loads numpy.ma, 7 MiB for as long as a gateway runs.
        """
        these = np.zeros(len(self.starts), np.bool_)
        these[np.searchsorted(self.starts, cells, side="right") - 1] = True
        these[more] = True
        return np.flatnonzero(these)


def others(starts: Ints, size: int) -> Ints:
    """0 … size - 1 without `starts`."""
    mask = np.ones(size, np.bool_)
    mask[starts] = False
    return np.flatnonzero(mask)


class Plans:
    """The newest plans, and for each device and tuple of points the schemes that its columns took last."""

    def __init__(self) -> None:
        self._plans: OrderedDict[Shape, Plan] = OrderedDict()
        self._cells = 0
        self._memories: OrderedDict[tuple[str, int], tuple[tuple[str, ...], Bytes]] = OrderedDict()

    def of(self, blocks: Sequence[Block]) -> Plan:
        """The plan for blocks of this shape. Raises ValueError when a block's shape is not its arrays'."""
        shape = tuple([(block.device, id(block.points), len(block.receive_ns)) for block in blocks])
        plan = self._plans.get(shape)
        if plan is None:
            check_names(blocks)
            plan = self._plans[shape] = Plan(blocks, self._remembered(blocks))
            self._cells += plan.size
            while self._cells > CELLS_MAX and len(self._plans) > 1:
                self._cells -= self._plans.popitem(last=False)[1].size
        else:
            self._plans.move_to_end(shape)
        return plan

    def cells(self) -> int:
        """Readings in the shapes remembered."""
        return self._cells

    def _remembered(self, blocks: Sequence[Block]) -> Bytes:
        chosen = []
        for block in blocks:
            names, last = self._memories.get((block.device, id(block.points)), (None, None))
            if last is None or names is not block.points:
                last = np.full(len(block.points), schemes.FIRST, np.uint8)
            chosen.append(last)
        return np.concatenate(chosen) if chosen else np.zeros(0, np.uint8)

    def learn(self, plan: Plan, blocks: Sequence[Block], chosen: Bytes) -> None:
        """The columns of `plan` took these schemes; batches of other shapes start from them."""
        plan.take(chosen)
        for block, part in zip(blocks, np.split(chosen, plan.edges[:-1]), strict=True):
            self._memories[block.device, id(block.points)] = block.points, part
            self._memories.move_to_end((block.device, id(block.points)))
        while len(self._memories) > MEMORIES_MAX:
            self._memories.popitem(last=False)
