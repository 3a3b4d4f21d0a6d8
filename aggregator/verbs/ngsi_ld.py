"""Serve the NGSI-LD API (ETSI GS CIM 009) alone, on this machine only, without access control: for trials and
conformance suites. The city's own broker is part of `aggregator serve`, under /ngsi-ld/v1 of [web].

    aggregator ngsi-ld --state /tmp/broker
    curl http://127.0.0.1:9090/ngsi-ld/v1/types

@contexts are never downloaded. The core's and those of the Smart Data Models that the city uses are there; others are
files of a directory: index.json says which URL each has ({"https://example.org/a.jsonld": "a.jsonld"}), or they lie
below it as example.org/a.jsonld.
"""

import argparse
import asyncio
import logging
from pathlib import Path

from aggregator.screen import fail
from aggregator.stores import StoreError

SHORT = 10  # instances an answer: small, so that a trial sees how histories are paged


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--listen", default="127.0.0.1:9090", help="host:port of this machine (%(default)s)")
    parser.add_argument("--state", type=Path, required=True, help="where everything is kept; made where it is not")
    parser.add_argument("--contexts", type=Path, help="a directory of further @contexts")
    parser.add_argument("--page", type=int, default=20, help="entities a page, where no limit is asked (%(default)s)")
    parser.add_argument(
        "--instances", type=int, default=SHORT, help="of an attribute in one answer about its history (%(default)s)"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="say more")


def run(args: argparse.Namespace) -> int:
    from aggregator.api.ngsi.alone import serve  # the web is loaded where it is served
    from aggregator.api.ngsi.broker import Settings
    from aggregator.api.ngsi.errors import Problem

    logging.basicConfig(
        level=logging.DEBUG if args.verbose else logging.INFO, format="%(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    if args.page < 1 or args.instances < 1:
        return fail(ValueError("--page and --instances: write 1 or more"))
    if args.contexts is not None and not args.contexts.is_dir():
        return fail(ValueError(f"--contexts: {args.contexts}: no such directory"))
    settings = Settings(page=args.page, instances=args.instances, contexts=args.contexts)

    def ready(port: int) -> None:
        host = args.listen.rpartition(":")[0]
        print(f"http://{host}:{port}/ngsi-ld/v1", flush=True)

    try:
        asyncio.run(serve(args.listen, args.state, settings, ready))
    except (StoreError, OSError, ValueError) as error:
        return fail(error)
    except Problem as error:
        return fail(ValueError(error.detail))
    return 0
