"""Run the aggregator until SIGTERM or Ctrl-C. Everything acknowledged is durable: SIGKILL is safe too."""

import argparse
import asyncio
import logging
from pathlib import Path

from aggregator.city import CityError
from aggregator.config import DEFAULT, ConfigError, load
from aggregator.memory import forget_start_up_code, keep_empty_buffers_out
from aggregator.stores import StoreError
from protos.tls import TlsError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, nargs="?", default=DEFAULT, help="the configuration file (%(default)s)")
    parser.add_argument("-v", "--verbose", action="store_true", help="say more")


def run(args: argparse.Namespace) -> int:
    logging.basicConfig(
        level=logging.DEBUG if args.verbose else logging.INFO, format="%(levelname)s %(name)s: %(message)s"
    )
    keep_empty_buffers_out()
    try:
        asyncio.run(serve(args.config))
    except (ConfigError, CityError, StoreError, TlsError, OSError) as error:
        from aggregator.screen import fail  # what draws for people is not kept in a server's memory

        return fail(error)
    return 0


async def serve(path: Path) -> None:
    from aggregator.app import App  # loaded after the heap was told how to treat large blocks

    app = App(load(path))

    def ready() -> None:
        print(f"sync {app.address('sync')}  enrolment {app.address('enrolment')}", flush=True)
        if app.web is not None:
            print(f"page {app.web.address}", flush=True)
            if link := app.web.first_link():
                print(f"nobody may come in yet; the first admin, once, within a day: {link}", flush=True)
        forget_start_up_code()

    await app.run(ready)
