"""Bring back a backup: every file is checked first; what was there is moved aside, never deleted.

    aggregator restore /backups/2026-01-31             where nothing is yet
    aggregator restore /backups/2026-01-31 --force     an existing state is moved to <state>.before-<time>

Stop the server first. After the next start it asks the gateways for what came after the backup, as far as they keep it.
"""

import argparse
from pathlib import Path

from aggregator import config
from aggregator.app import lock
from aggregator.screen import counter, fail
from aggregator.stores import StoreError
from aggregator.stores.backup import restore


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("backup", type=Path, help="the folder that `aggregator backup` made")
    parser.add_argument("--force", action="store_true", help="also over an existing state, which is moved aside")
    config.argument(parser)


def run(args: argparse.Namespace) -> int:
    try:
        settings = config.load(args.config)
        held = lock(settings) if settings.catalogue.exists() else None
        try:
            with counter(f"restoring {settings.state_dir}", "bytes") as count:
                files = restore(args.backup, settings.state_dir, force=args.force, count=count)
        finally:
            if held is not None:
                held.close()
    except (config.ConfigError, StoreError, OSError) as error:
        return fail(error)
    print(f"{settings.state_dir}: {files} files restored; start `aggregator serve`, gateways send what is missing")
    return 0
