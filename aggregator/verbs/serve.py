"""Run the aggregator until SIGTERM or Ctrl-C. Everything acknowledged is durable: SIGKILL is safe too."""

import argparse
import asyncio
import logging
from pathlib import Path

from aggregator.app import App
from aggregator.config import DEFAULT, ConfigError, load
from aggregator.screen import fail
from aggregator.stores import StoreError
from protos.tls import TlsError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, nargs="?", default=DEFAULT, help="the configuration file (%(default)s)")
    parser.add_argument("-v", "--verbose", action="store_true", help="say more")


def run(args: argparse.Namespace) -> int:
    logging.basicConfig(
        level=logging.DEBUG if args.verbose else logging.INFO, format="%(levelname)s %(name)s: %(message)s"
    )
    try:
        asyncio.run(serve(args.config))
    except (ConfigError, StoreError, TlsError, OSError) as error:
        return fail(error)
    return 0


async def serve(path: Path) -> None:
    app = App(load(path))
    await app.run(lambda: print(f"sync {app.address('sync')}  enrolment {app.address('enrolment')}", flush=True))
