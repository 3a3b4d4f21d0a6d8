"""Readings of the city's history, as they are now or as they were known at another time.

    aggregator query gw-north/meter/power_w                          the last hour
    aggregator query 'gw-north/*' --from 2026-01-31T08:00 --until 2026-01-31T09:00
    aggregator query gw-north/meter/power_w --from 7d --pixels 20    first, last, low, high, mean of 20 stretches
    aggregator query gw-north/meter/power_w --from 2h --as-of 1h     what was known an hour ago
    aggregator query gw-north/meter/power_w --keys --json            with epoch, sequence and arrival

Readings that are acknowledged but not yet in segments are there too. Damaged segments are named on stderr, exit code 1.
"""

import argparse
import asyncio
import math

from aggregator import config
from aggregator.projections.query import Query
from aggregator.screen import fail, show
from aggregator.stores import StoreError
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.history import PointName, Readings, Window
from aggregator.stores.history.downsampling import Buckets
from aggregator.verbs import selection
from aggregator.verbs.selection import Selection
from protos import quality

POINTS_MAX = 1_000  # of one query: more is an export
DAYS_MAX = 62  # of single readings: a point at 1 Hz has 5 million in so many, which still fit the memory


def arguments(parser: argparse.ArgumentParser) -> None:
    selection.arguments(parser)
    selection.time_arguments(parser, "1h")
    parser.add_argument("--pixels", type=int, default=0, help="reduce each point to so many stretches")
    parser.add_argument("--limit", type=int, default=1_000, help="newest readings shown of each point (%(default)s)")
    parser.add_argument("--keys", action="store_true", help="also gateway epoch, sequence and arrival of each reading")
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    try:
        if args.pixels < 0 or args.limit < 1:
            raise StoreError("--pixels and --limit: a positive number")
        settings = config.load(args.config)
        window = selection.window(args, args.keys)
        catalogue = Catalogue(settings.catalogue, read_only=True)
        wanted = Selection(args, catalogue)
        catalogue.close()
        return asyncio.run(answer(settings, wanted, window, args))
    except (config.ConfigError, StoreError) as error:
        return fail(error)


async def answer(settings: config.Config, wanted: Selection, window: Window, args: argparse.Namespace) -> int:
    query = selection.opened(settings)
    try:
        numbers = [one.point for one in await query.latest(wanted)]
        strings = [one.point for one in await query.latest_words(wanted)]
        if not numbers and not strings:
            raise StoreError("no point is so named and has readings; `aggregator points` lists them")
        if len(numbers) + len(strings) > POINTS_MAX:
            raise StoreError(f"{len(numbers) + len(strings)} points, at most {POINTS_MAX}: narrow it, or export")
        if not args.pixels and (days := query.archive.days_in(window)) > DAYS_MAX:
            raise StoreError(f"{days} days of single readings, at most {DAYS_MAX}: narrow it, --pixels, or export")
        rows: list[dict[str, object]] = []
        for point in numbers:
            rows += await of_point(query, point, window, args)
        for point in strings:
            rows += await of_strings(query, point, window, args.limit)
    finally:
        query.close()
        await query.log.close()
    show(rows, as_json=args.json, title="readings")
    if query.behind:
        fail(f"history is {query.behind} batches behind the log; the newest are not shown")
    for damage in query.archive.damage:
        fail(f"left out: {damage.file}: {damage.place}: {damage.fault}")
    return 1 if query.archive.damage else 0


async def of_point(query: Query, point: PointName, window: Window, args: argparse.Namespace) -> list[dict[str, object]]:
    if args.pixels:
        return stretches(point, await query.downsampled(point, query.archive.extent(window), args.pixels))
    return readings(point, await query.scan(point, window), args.limit)


async def of_strings(query: Query, point: PointName, window: Window, limit: int) -> list[dict[str, object]]:
    found = (await query.words(point, window))[-limit:]
    rows = []
    for one, origin in found:
        row: dict[str, object] = {
            "point": str(point),
            "source time": selection.iso(one.source_ns),
            "receive time": selection.iso(one.receive_ns),
            "value": one.value,
            "quality": quality.text(one.code),
        }
        if window.keys:
            row |= {"epoch": origin.epoch, "sequence": origin.sequence, "arrival": selection.iso(origin.arrived_ns)}
        rows.append(row)
    return rows


def readings(point: PointName, found: Readings, limit: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for i in range(max(0, len(found) - limit), len(found)):
        row: dict[str, object] = {
            "point": str(point),
            "source time": selection.iso(int(found.source_ns[i])),
            "receive time": selection.iso(int(found.receive_ns[i])),
            "value": number(found.values[i]),
            "quality": quality.text(int(found.codes[i])),
        }
        if found.epochs is not None and found.sequences is not None and found.arrived_ns is not None:
            row["epoch"], row["sequence"] = int(found.epochs[i]), int(found.sequences[i])
            row["arrival"] = selection.iso(int(found.arrived_ns[i]))
        rows.append(row)
    return rows


def stretches(point: PointName, found: Buckets) -> list[dict[str, object]]:
    return [
        {
            "point": str(point),
            "from": selection.iso(int(found.begin_ns[i])),
            "readings": int(found.readings[i]),
            "usable": int(found.usable[i]),
            "first": number(found.first[i]),
            "last": number(found.last[i]),
            "low": number(found.low[i]),
            "high": number(found.high[i]),
            "mean": number(found.mean[i]),
        }
        for i in range(len(found))
    ]


def number(value: float) -> float | None:
    """None for NaN: JSON has no word for it."""
    return None if math.isnan(value) else float(value)
