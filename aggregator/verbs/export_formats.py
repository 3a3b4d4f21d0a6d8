"""The three forms of an export: each opens a file and takes columns, piece by piece, in bounded memory."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aggregator.stores import StoreError
from aggregator.stores.history import Origin, Words
from aggregator.stores.history.reading import Table
from protos.quality import Quality, Reason


@dataclass(frozen=True, slots=True)
class Coded:
    """A column of few distinct words: their numbers (N,), and the words."""

    numbers: npt.NDArray[np.int32]
    words: Sequence[str]


Columns = dict[str, Any]  # name → array, list or Coded, all of one length
NAMES = (
    "gateway",
    "device",
    "point",
    "epoch",
    "sequence",
    "source_time",
    "receive_time",
    "value",
    "quality",
    "reason",
    "text",
)
QUALITIES = [Quality(n).name if n in Quality._value2member_map_ else str(n) for n in range(4)]
REASONS = [Reason(n).name if n in Reason._value2member_map_ else str(n) for n in range(64)]
GROUP_ROWS = 1 << 20  # of a Parquet row group


def of_table(table: Table, origins: dict[int, Origin], rows_max: int) -> Iterator[Columns]:
    """One reading per row, point by point."""
    keys = np.array([origins[one][2:4] for one in table.positions.tolist()], np.int64).reshape(-1, 2)
    for begin in range(0, len(keys), rows_max):
        cut = slice(begin, begin + rows_max)
        rows = len(keys[cut])
        same = np.zeros(rows, np.int32)
        for name, values, codes in zip(table.points, table.values, table.codes, strict=True):
            yield {
                "gateway": Coded(same, [table.gateway]),
                "device": Coded(same, [table.device]),
                "point": Coded(same, [name]),
                "epoch": keys[cut, 0],
                "sequence": keys[cut, 1],
                "source_time": table.source_ns[cut],
                "receive_time": table.receive_ns[cut],
                "value": values[cut],
                "quality": Coded((codes[cut] >> 6).astype(np.int32), QUALITIES),
                "reason": Coded((codes[cut] & 0x3F).astype(np.int32), REASONS),
                "text": [None] * rows,
            }


def of_words(strings: Sequence[tuple[Words, Origin]]) -> Columns:
    codes = np.array([one.code for one, _ in strings], np.uint8)
    return {
        "gateway": coded([one.point.gateway for one, _ in strings]),
        "device": coded([one.point.device for one, _ in strings]),
        "point": coded([one.point.name for one, _ in strings]),
        "epoch": np.array([origin.epoch for _, origin in strings], np.int64),
        "sequence": np.array([origin.sequence for _, origin in strings], np.int64),
        "source_time": np.array([one.source_ns for one, _ in strings], np.int64),
        "receive_time": np.array([one.receive_ns for one, _ in strings], np.int64),
        "value": np.full(len(strings), np.nan),
        "quality": Coded((codes >> 6).astype(np.int32), QUALITIES),
        "reason": Coded((codes & 0x3F).astype(np.int32), REASONS),
        "text": [one.value for one, _ in strings],
    }


def coded(words: Sequence[str]) -> Coded:
    distinct, numbers = np.unique(np.array(words, object), return_inverse=True)
    return Coded(numbers.astype(np.int32), distinct.tolist())


@contextmanager
def to_csv(path: Path) -> Iterator[Callable[[Columns], None]]:
    """Times as 2026-01-31T12:00:00.123456789Z; a value that is no number is empty."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(NAMES)

        def write(columns: Columns) -> None:
            writer.writerows(zip(*(plain(columns, name, "") for name in NAMES), strict=True))

        yield write


@contextmanager
def to_lines(path: Path) -> Iterator[Callable[[Columns], None]]:
    """One JSON object a line; null for what is no number."""
    with path.open("w", encoding="utf-8") as file:

        def write(columns: Columns) -> None:
            for row in zip(*(plain(columns, name, None) for name in NAMES), strict=True):
                file.write(json.dumps(dict(zip(NAMES, row, strict=True)), ensure_ascii=False) + "\n")

        yield write


def plain(columns: Columns, name: str, nothing: object) -> list[Any]:
    """A column as text formats have it."""
    column = columns[name]
    if isinstance(column, Coded):
        return [column.words[number] for number in column.numbers.tolist()]
    if name.endswith("_time"):
        stamps: list[str] = np.datetime_as_string(column.astype("datetime64[ns]")).tolist()
        return [stamp + "Z" for stamp in stamps]
    if name == "value":
        return [one if np.isfinite(one) else nothing for one in column.tolist()]
    if name == "text":
        return [nothing if one is None else one for one in column]
    return list(column.tolist() if isinstance(column, np.ndarray) else column)


@contextmanager
def to_parquet(path: Path) -> Iterator[Callable[[Columns], None]]:
    """zstd, names as dictionaries. Raises StoreError without pyarrow.

    Times are UTC in timestamp[ns] without a zone: DuckDB cuts those with a zone down to microseconds.
    """
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise StoreError(
            "Parquet needs pyarrow: pip install 'citytwin[analytics]', or export .csv or .jsonl"
        ) from error
    stamp, word = arrow.timestamp("ns"), arrow.dictionary(arrow.int32(), arrow.string())
    kinds = (word, word, word, arrow.int64(), arrow.int64(), stamp, stamp, arrow.float64(), word, word, arrow.string())
    schema = arrow.schema(list(zip(NAMES, kinds, strict=True)))
    waiting: list[Any] = []

    def flush(writer: Any) -> None:
        if waiting:
            writer.write_table(arrow.Table.from_batches(waiting, schema).unify_dictionaries(), GROUP_ROWS)
            waiting.clear()

    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:

        def write(columns: Columns) -> None:
            arrays = [
                arrow.DictionaryArray.from_arrays(columns[name].numbers, columns[name].words)
                if kind is word
                else arrow.array(columns[name], kind, from_pandas=True)  # no number becomes NULL
                for name, kind in zip(NAMES, kinds, strict=True)
            ]
            waiting.append(arrow.record_batch(arrays, schema=schema))
            if sum(batch.num_rows for batch in waiting) >= GROUP_ROWS:
                flush(writer)

        yield write
        flush(writer)


FORMATS: dict[str, Callable[[Path], AbstractContextManager[Callable[[Columns], None]]]] = {
    ".parquet": to_parquet,
    ".csv": to_csv,
    ".jsonl": to_lines,
}
