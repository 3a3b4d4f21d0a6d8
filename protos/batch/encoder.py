"""From samples to a batch's bytes."""

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard

from protos.batch import schemes
from protos.batch.header import Header, seal
from protos.batch.plan import RETRY, Plan, Plans
from protos.batch.samples import Batch, Block, Text
from protos.batch.whole import pack

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MISSING = int(np.float64(np.nan).view(np.int64))  # the NaN that numpy gives; others are kept with all their bits
LEVEL = 3  # measured: level 1 is 1 to 6 % larger and saves a tenth of the time, level 9 is 1 % smaller at twice it
UNITS = (1_000_000, 1_000, 1)  # ns; times are kept exactly, and whole µs or ms take fewer bytes
COUNTS = struct.Struct("<IIIBB")  # bytes of names, blocks, texts, flags, place of the unit in UNITS
HAS_CODES, HAS_SOURCE, HAS_MISSING = 1, 2, 4
TEXT = struct.Struct("<qqBIII")
COUNT = struct.Struct("<I")
NUMBER_BYTES, ROW_BYTES = 9, 16  # of a reading and of a row's times, decoded


def flat(arrays: Sequence[npt.NDArray[Any]], plan: Plan) -> npt.NDArray[Any]:
    """(T, P) of each block as one new vector, column after column."""
    if plan.uniform:
        return np.concatenate(arrays, axis=1).T.ravel()
    return np.concatenate([array.T.ravel() for array in arrays])


def set_aside(values: Floats) -> Ints | None:
    """The places of missing values, which `values` (N,) has as zeros afterwards; None when there are none."""
    if not np.isnan(values).any():
        return None
    places = np.flatnonzero(values.view(np.int64) == MISSING)
    values[places] = 0.0
    return places


def bridge(whole: Ints, missing: Ints, plan: Plan) -> None:
    """Let each missing value be as the one before it in its column: no step costs less than a false one."""
    here = np.arange(len(whole))
    here[missing] = 0
    here = np.maximum.accumulate(here)
    whole[missing] = whole[np.maximum(here, np.repeat(plan.starts, plan.counts))[missing]]


def columns(values: Floats, plan: Plan, plans: Plans, blocks: Sequence[Block]) -> Ints:
    """The whole numbers of `values` (N,) under schemes that give the same bits back; `plan` learns which."""
    plan.uses += 1
    number, same = schemes.fit(values, plan.factor, plan.divisor, plan.towards, plan.outer)
    same[plan.raw] = True
    if len(plan.single):
        same[plan.single] = schemes.is_single(values[plan.single])
    again = plan.undecided if plan.uses % RETRY == 1 else plan.undecided[:0]
    if len(again) or not same.all():
        wrong = plan.columns_of(np.flatnonzero(~same), again)
        chosen = plan.chosen.copy()
        counts = plan.counts[wrong]
        starts = np.cumsum(counts) - counts
        cells = np.repeat(plan.starts[wrong] - starts, counts) + np.arange(counts.sum())
        chosen[wrong] = schemes.choose(values[cells], starts)
        plans.learn(plan, blocks, chosen)
        number, _ = schemes.fit(values, plan.factor, plan.divisor, plan.towards, plan.outer)
    bits = values.view(np.int64)
    if len(plan.raw) or len(plan.single):
        number[plan.raw] = 0.0
        number[plan.single] = 0.0
    whole = number.astype(np.int64)
    if len(plan.raw):
        whole[plan.raw] = bits[plan.raw]
    if len(plan.single):
        whole[plan.single] = values[plan.single].astype(np.float32).view(np.int32)
    return whole


def numbers(whole: Ints, plan: Plan) -> list[bytes]:
    """Four runs: the first of each column and the steps from row to row; narrow columns and those of raw bits."""
    at, wide = plan.step_narrow, plan.step_wide
    return [
        pack(whole[plan.first_narrow]),
        pack(whole[plan.first_wide]),
        pack(whole[at] - whole[at - 1]),
        pack(whole[wide] - whole[wide - 1]),
    ]


def unit_of(*times: Ints) -> int:
    """The place in UNITS of the largest unit that all times are whole multiples of."""
    for place, unit in enumerate(UNITS):
        if all(int(some[0]) % unit == 0 for some in times) and not any((some % unit).any() for some in times):
            return place  # the first of each says no at once for nearly all that have ns
    raise AssertionError("every time is a whole number of ns")


def steps(numbers: Ints) -> Ints:
    """Each number less the one before it; the first as it is."""
    moves = numbers.copy()
    moves[1:] -= numbers[:-1]
    return moves


def times(receive: Ints, source: Ints | None, plan: Plan) -> tuple[int, list[bytes]]:
    """The unit's place, and runs: first row of each block against the block before, steps, and receive - source."""
    behind = None if source is None else receive - source
    place = unit_of(receive) if behind is None else unit_of(receive, behind)
    if UNITS[place] > 1:
        receive = receive // UNITS[place]
    at = plan.row_steps
    runs = [pack(steps(receive[plan.row_starts])), pack(receive[at] - receive[at - 1])]
    if behind is not None:
        runs.append(pack(behind // UNITS[place]))
    return place, runs


def words(texts: Sequence[Text]) -> list[bytes]:
    parts = []
    for text in texts:
        spelled = [word.encode() for word in (text.device, text.point, text.value)]
        parts.append(TEXT.pack(text.receive_ns, text.source_ns, text.code, *map(len, spelled)))
        parts.extend(spelled)
    return parts


class Encoder:
    """Turns batches into bytes, faster for shapes that it has seen. For one thread."""

    def __init__(self, level: int = LEVEL) -> None:
        self._plans = Plans()
        self._zstd = zstandard.ZstdCompressor(level=level, write_content_size=True, write_checksum=False)

    def encode(self, batch: Batch) -> bytes:
        """The bytes of `batch`: every bit of every number comes back. Raises ValueError for what no batch can hold."""
        blocks = batch.blocks
        plan = self._plans.of(blocks)
        body, allocated = self._body(batch, plan)
        readings = plan.size + len(batch.texts)
        packed = self._zstd.compress(body)
        return seal(
            Header(batch.key, batch.priority, batch.anchor, readings, len(packed), len(body) + allocated), packed
        )

    def _body(self, batch: Batch, plan: Plan) -> tuple[bytes, int]:
        """The body, and the bytes of the arrays that decoding makes of it."""
        flags, unit, parts = self._blocks(batch.blocks, plan) if batch.blocks else (0, 0, [])
        head = COUNTS.pack(len(plan.names), len(batch.blocks), len(batch.texts), flags, unit)
        body = b"".join((head, plan.names, *parts, *words(batch.texts)))
        return body, NUMBER_BYTES * plan.size + ROW_BYTES * int(plan.rows.sum())

    def _blocks(self, blocks: Sequence[Block], plan: Plan) -> tuple[int, int, list[bytes]]:
        """Flags, the place of the times' unit, and the pieces of the body in their order."""
        plan.check(blocks)
        receive = np.concatenate([block.receive_ns for block in blocks])
        source = np.concatenate([block.source_ns for block in blocks])
        values = flat([block.values for block in blocks], plan)
        codes = flat([block.codes for block in blocks], plan)
        kinds = [array.dtype for array in (receive, source, values, codes)]
        if kinds != [np.int64, np.int64, np.float64, np.uint8]:
            raise ValueError(f"times are int64, values float64, codes uint8; these are {kinds}")
        flags = 0 if np.array_equal(receive, source) else HAS_SOURCE
        unit, runs = times(receive, source if flags else None, plan)
        missing = set_aside(values)
        whole = columns(values, plan, self._plans, blocks)
        if missing is not None:
            bridge(whole, missing, plan)
        parts = [plan.rows.astype(np.uint32).tobytes(), *runs, plan.chosen.tobytes(), *numbers(whole, plan)]
        if missing is not None:
            flags |= HAS_MISSING
            parts += [COUNT.pack(len(missing)), pack(steps(missing))]
        if codes.any():
            flags |= HAS_CODES
            parts.append(codes.tobytes())
        return flags, unit, parts


def encode(batch: Batch) -> bytes:
    """`Encoder.encode` without a memory: for single batches. A writer keeps an Encoder. Raises ValueError."""
    return Encoder().encode(batch)
