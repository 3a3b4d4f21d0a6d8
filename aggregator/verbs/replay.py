"""Make history again from the log: all of it, or some days.

    aggregator replay                       every day that the log still covers whole
    aggregator replay --day 2026-01-31      one day, such as one that verify-store found damaged

Stop the server first. Days of which the log has been trimmed in part are left as they are, and named. A day that could
not be read at all is given back as far as the log goes.
"""

import argparse
import asyncio
import contextlib
import time

from aggregator import config
from aggregator.app import lock
from aggregator.projections.history import HistoryProjection
from aggregator.projections.rebuild import Rebuilt, rebuild
from aggregator.screen import counter, fail
from aggregator.stores import StoreError
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.history.segments import SegmentHistory
from aggregator.stores.log import SqliteLog
from aggregator.verbs.enrol_token import actor


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--day", action="append", metavar="YYYY-MM-DD", help="only this day; may be given again")
    config.argument(parser)


def run(args: argparse.Namespace) -> int:
    try:
        settings = config.load(args.config)
        with contextlib.closing(lock(settings)):
            result, lost = asyncio.run(replay(settings, args.day))
            with contextlib.closing(Catalogue(settings.catalogue)) as catalogue:
                told = f"made again: {', '.join(result.whole) or 'none'}; in part: {', '.join(result.partly) or 'none'}"
                catalogue.note(time.time_ns(), actor(), "replay history", ", ".join(args.day or ["all"]), told)
    except (config.ConfigError, StoreError, OSError) as error:
        return fail(error)
    print(f"{result.batches} batches read, {result.readings} readings: {len(result.whole)} days made again")
    for day in result.partly:
        print(f"{day}: the log no longer has all of it; what it has is back")
    for day in result.kept:
        print(f"{day}: left as it was: the log no longer has all of it")
    for day in sorted(lost):
        fail(f"{day}: could not be read, and the log has nothing of it")
    return 1 if lost or result.partly else 0


async def replay(settings: config.Config, days: list[str] | None) -> tuple[Rebuilt, set[str]]:
    """What was done, and the days that stay lost."""
    log = SqliteLog(settings.log)
    history = SegmentHistory(settings.history, retention_days=settings.retention_days)
    try:
        await HistoryProjection(log, history).catch_up()
        wanted = None if days is None else {*days, *history.lost}
        with counter("replaying the log", "batches", history.checkpoint - log.trimmed) as count:
            result = await rebuild(history, log, wanted, count)
        return result, set(history.lost)
    finally:
        history.close()
        await log.close()
