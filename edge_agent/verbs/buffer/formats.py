"""The forms of an export: CSV, JSON lines, Parquet. Each opens a file and takes sheets, in bounded memory."""

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np

from edge_agent.buffer import BufferFault
from edge_agent.verbs.buffer.sheets import NAMES, Sheet

Write = Callable[[Sheet], None]
TIMES = ("source_time", "receive_time")
GROUP_ROWS = 250_000  # of one Parquet row group


def plain(one: Sheet) -> Iterator[tuple[object, ...]]:
    """Rows of plain values: times as ISO 8601 with ns, a value that is no number as None."""
    columns: list[list[object]] = []
    for name in NAMES:
        values = one[name]
        if name in TIMES:
            columns.append([None if text == "NaT" else f"{text}Z" for text in np.datetime_as_string(values)])
        elif name == "value":
            columns.append([value if np.isfinite(value) else None for value in values.tolist()])
        else:
            columns.append(values.tolist())
    yield from zip(*columns, strict=True)


@contextmanager
def to_csv(path: Path) -> Iterator[Write]:
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(NAMES)
        yield lambda one: out.writerows(plain(one))


@contextmanager
def to_json_lines(path: Path) -> Iterator[Write]:
    with path.open("w", encoding="utf-8") as file:
        yield lambda one: file.writelines(json.dumps(dict(zip(NAMES, row, strict=True))) + "\n" for row in plain(one))


@contextmanager
def to_parquet(path: Path) -> Iterator[Write]:
    try:
        import pyarrow as arrow  # late: not part of a gateway's own packages
        import pyarrow.parquet as parquet
    except ImportError:
        raise BufferFault(f"{path}: Parquet needs pyarrow: pip install 'citytwin[analytics]', or use .csv") from None
    time = arrow.timestamp("ns")  # UTC; with a zone DuckDB would cut it down to µs
    kinds = {"epoch": arrow.int64(), "sequence": arrow.int64(), "value": arrow.float64()} | dict.fromkeys(TIMES, time)
    schema = arrow.schema([(name, kinds.get(name, arrow.string())) for name in NAMES])
    waiting: list[Sheet] = []

    def table() -> object:
        columns = {name: np.concatenate([one[name] for one in waiting]) for name in NAMES}
        return arrow.table(
            {name: arrow.array(columns[name], kinds.get(name, arrow.string())) for name in NAMES}, schema
        )

    with parquet.ParquetWriter(path, schema, compression="zstd") as out:

        def write(one: Sheet) -> None:
            waiting.append(one)
            if sum(len(some["value"]) for some in waiting) >= GROUP_ROWS:
                out.write_table(table())
                waiting.clear()

        yield write
        if waiting:
            out.write_table(table())


FORMATS: dict[str, Callable[[Path], AbstractContextManager[Write]]] = {
    ".csv": to_csv,
    ".jsonl": to_json_lines,
    ".parquet": to_parquet,
}
