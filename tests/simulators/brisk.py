"""The real aggregator that puts readings into history at once, so that a kill -9 meets that moment often.

With --two-transactions it breaks its promise: readings in one transaction, the cursor in another a moment later.
"""

import argparse
import asyncio
import time
from functools import partial
from pathlib import Path

import aggregator.app
from aggregator.projections.history import HistoryProjection
from aggregator.stores import sqlite
from aggregator.stores.history import Intake
from aggregator.stores.history.day import Day
from aggregator.verbs.serve import serve

AGE_NS = 200_000_000
GAP_S = 0.15  # between the two transactions of the broken one


def put_twice(day: Day, intake: Intake, upto: int) -> int:
    """What `Day.put` must not be: a crash in the gap leaves readings without their cursor."""
    before = day.cursor
    day.touched = set()
    with sqlite.transaction(day.connection):
        readings = day.write(intake, upto)
        day.mark(cursor=before)
    time.sleep(GAP_S)
    with sqlite.transaction(day.connection):
        day.mark(cursor=upto)
    return readings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--two-transactions", action="store_true")
    args = parser.parse_args()
    brisk = partial(HistoryProjection, age_ns=AGE_NS)
    setattr(aggregator.app, "HistoryProjection", brisk)  # noqa: B010
    if args.two_transactions:
        setattr(Day, "put", put_twice)  # noqa: B010
    asyncio.run(serve(args.config))


if __name__ == "__main__":
    main()
