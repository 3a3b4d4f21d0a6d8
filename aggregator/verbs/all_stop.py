"""Revoke every order at once: what gateways have got, what is on its way, what waits. Theirs is the say again.

    aggregator all-stop                      the whole city
    aggregator all-stop gw-north --why TEXT  one gateway

Outputs fall to the gateway's own controllers, or to their safe values. A gateway that is away is told when it comes
back, before anything else; nothing that was ordered before can act there any more. Later orders are not affected.
"""

import argparse
import json
import time
from dataclasses import asdict

from aggregator import config
from aggregator.screen import fail
from aggregator.stores import StoreError
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.orders import Orders
from aggregator.verbs.enrol_token import actor
from aggregator.verbs.order import told


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("gateway", nargs="?", default="", help="one gateway (all of them)")
    parser.add_argument("--why", default="", metavar="TEXT", help="shown at the gateways and kept")
    parser.add_argument("--json", action="store_true", help="as JSON")
    config.argument(parser)


def run(args: argparse.Namespace) -> int:
    try:
        settings = config.load(args.config)
        catalogue = Catalogue(settings.catalogue)
        enrolled = [one.id for one in catalogue.gateways() if one.state == "enrolled"]
        if args.gateway and args.gateway not in enrolled:
            raise StoreError(f"{args.gateway}: no enrolled gateway; `aggregator gateways` lists them")
        rows = Orders(catalogue).stop([args.gateway] if args.gateway else enrolled, actor(), time.time_ns(), args.why)
        catalogue.close()
    except (config.ConfigError, StoreError) as error:
        return fail(error)
    if args.json:
        print(json.dumps([asdict(row) for row in rows]))
        return 0
    print(f"all-stop for {len(rows)} gateways: {', '.join(row.gateway for row in rows) or 'none is enrolled'}")
    print(told(settings))
    return 0
