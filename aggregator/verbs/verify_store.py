"""Look at every byte of the aggregator's stores: checksums, places, counts, log against history. Changes nothing.

    aggregator verify-store          a line for each thing that is damaged, exactly where; exit code 1 if there is any
    aggregator verify-store --json

May run beside the server. What to do about damage: a day of history is made again by `aggregator replay --day DAY` as
long as the log still covers it; a log or catalogue comes back by `aggregator restore`, and gateways send again.
"""

import argparse

from aggregator import config
from aggregator.screen import counter, fail, show
from aggregator.stores.verification import Stores, verify


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")
    config.argument(parser)


def run(args: argparse.Namespace) -> int:
    try:
        settings = config.load(args.config)
    except config.ConfigError as error:
        return fail(error)
    looked = 0

    def count(more: int) -> None:
        nonlocal looked
        looked += more
        advance(more)

    with counter("verifying", "blobs") as advance:
        damage = list(verify(Stores(settings.catalogue, settings.log, settings.history), count))
    rows = [{"file": one.file, "place": one.place, "fault": one.fault} for one in damage]
    if args.json or rows:
        show(rows, as_json=args.json, title="damage")
    else:
        print(f"all good: {looked} batches, parts and segments checked in {settings.state_dir}")
    return 1 if damage else 0
