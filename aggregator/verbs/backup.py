"""Copy catalogue, log, history and certificate authority to a folder, while the server runs.

    aggregator backup --to /backups/2026-01-31

The copy is consistent and lists its files with their sha256. It holds private keys: keep it as safe as the machine
itself. A root key that is kept offline is not part of it, nor is the configuration file.
"""

import argparse
from pathlib import Path

from aggregator import config
from aggregator.screen import counter, fail
from aggregator.stores import StoreError
from aggregator.stores.backup import back_up


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="a folder that is empty or not there")
    config.argument(parser)


def run(args: argparse.Namespace) -> int:
    try:
        settings = config.load(args.config)
        if not settings.catalogue.exists():
            raise StoreError(f"{settings.state_dir}: no aggregator lives here; nothing to back up")
        with counter(f"backing up to {args.to}", "bytes") as count:
            size = back_up(settings.state_dir, settings.history, args.to, count)
    except (config.ConfigError, StoreError, OSError) as error:
        return fail(error)
    print(f"{args.to}: {size:,} bytes, whole")
    return 0
