"""Copy catalogue, log and history to a folder, while the server runs.

    aggregator backup --to /backups/2026-01-31
    aggregator backup --to /backups/2026-01-31 --with-keys     the certificate authority too

The copy is consistent and lists its files with their sha256. Without the authority's keys a lost machine means that
every gateway enrols again; with them, the copy must be kept as safe as the machine itself. The configuration file and a
root key that is kept offline are never part of it.
"""

import argparse
from pathlib import Path

from aggregator import config
from aggregator.screen import counter, fail
from aggregator.stores import StoreError
from aggregator.stores.backup import back_up


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="a folder that is empty or not there")
    parser.add_argument("--with-keys", action="store_true", help="the certificate authority's private keys too")
    config.argument(parser)


def run(args: argparse.Namespace) -> int:
    try:
        settings = config.load(args.config)
        if not settings.catalogue.exists():
            raise StoreError(f"{settings.state_dir}: no aggregator lives here; nothing to back up")
        with counter(f"backing up to {args.to}", "bytes") as count:
            size = back_up(settings.state_dir, settings.history, args.to, keys=args.with_keys, count=count)
    except (config.ConfigError, StoreError, OSError) as error:
        return fail(error)
    print(f"{args.to}: {size:,} bytes, whole")
    return 0
