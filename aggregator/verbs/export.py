"""Write readings to a file: Parquet (.parquet), CSV (.csv) or JSON lines (.jsonl), by its ending.

    aggregator export city.parquet --from 2026-01-01 --until 2026-02-01
    aggregator export north.csv --district north --from 7d
    aggregator export all.jsonl --from ever 'gw-north/*'

One row per reading: gateway, device, point, epoch, sequence, source_time, receive_time (UTC, ns), value, quality,
reason, text (the value of a string point). (gateway, epoch, sequence) is the batch that brought it: no batch is there
twice, and a gap in the sequences of an epoch is a loss. In DuckDB:

    SELECT point, avg(value) FROM 'city.parquet' WHERE quality = 'GOOD' GROUP BY point;

Written beside its name and renamed when it is whole. Damaged segments are named on stderr, exit code 1.
"""

import argparse
import asyncio
from collections.abc import Callable
from pathlib import Path

from aggregator import config
from aggregator.projections.query import Query
from aggregator.screen import counter, fail
from aggregator.stores import StoreError
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.history import Window
from aggregator.verbs import selection
from aggregator.verbs.export_formats import FORMATS, Columns, of_table, of_words
from aggregator.verbs.selection import Selection

ROWS = 250_000  # handed on at once: what bounds the memory


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help=f"ends in {', '.join(FORMATS)}")
    selection.arguments(parser)
    selection.time_arguments(parser, "1d")
    parser.add_argument("--force", action="store_true", help="replace a file that is there")


def run(args: argparse.Namespace) -> int:
    try:
        if args.file.suffix not in FORMATS:
            raise StoreError(f"{args.file}: no format ends in {args.file.suffix!r}; there are: {', '.join(FORMATS)}")
        if args.file.exists() and not args.force:
            raise StoreError(f"{args.file}: is there already; --force replaces it")
        settings = config.load(args.config)
        window = selection.window(args, keys=True)
        catalogue = Catalogue(settings.catalogue, read_only=True)
        wanted = Selection(args, catalogue)
        catalogue.close()
        return asyncio.run(export(settings, wanted, window, args.file))
    except (config.ConfigError, StoreError, OSError) as error:
        return fail(error)


async def export(settings: config.Config, wanted: Selection, window: Window, file: Path) -> int:
    query = selection.opened(settings)
    part = file.with_name(file.name + ".part")
    try:
        with FORMATS[file.suffix](part) as write, counter(f"exporting to {file}", "readings") as count:
            await copy(query, wanted, window, write, count)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
        query.close()
        await query.log.close()
    for damage in query.archive.damage:
        fail(f"left out: {damage.file}: {damage.place}: {damage.fault}")
    return 1 if query.archive.damage else 0


async def copy(
    query: Query,
    wanted: Selection,
    window: Window,
    write: Callable[[Columns], None],
    count: Callable[[int], None],
) -> None:
    async for table, origins in query.sheets(window, wanted):
        for columns in of_table(table, origins, ROWS):
            write(columns)
            count(len(columns["value"]))
    strings = [(one, origin) for one, origin in await query.words(None, window) if wanted(one.point)]
    for begin in range(0, len(strings), ROWS):
        write(of_words(strings[begin : begin + ROWS]))
        count(len(strings[begin : begin + ROWS]))
