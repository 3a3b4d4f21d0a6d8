"""Order a value for an output of a gateway, for a time. The gateway decides: its interlocks and people come first.

    aggregator order gw-north pump-1/speed_setpoint 40 --for 10m
    aggregator order gw-north battery/power_setpoint -5000 --for 1h --why "evening peak"
    aggregator order gw-north gate/position 0 --for 30m --emergency --why "flood warning"

The value is in the point's unit of `aggregator points`. A running server signs and sends it within a second; one that
cannot be delivered before its end is never delivered. `aggregator orders` shows what became of it.
"""

import argparse
import json
import math
import re
import time
from dataclasses import asdict

from aggregator import config
from aggregator.screen import fail
from aggregator.stores import StoreError
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.orders import Orders
from aggregator.verbs.enrol_token import actor
from aggregator.verbs.selection import iso

SPAN = re.compile(r"(\d+(?:\.\d+)?)(s|m|min|h)")
UNIT_S = {"s": 1, "m": 60, "min": 60, "h": 3600}
NS = 1_000_000_000


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("gateway", help="its id; `aggregator gateways` lists them")
    parser.add_argument("point", help="what is to be set, as device/point")
    parser.add_argument("value", type=float, help="in the unit of `aggregator points`")
    parser.add_argument(
        "--for", dest="lasts", required=True, metavar="TIME", help="until it ends: 30s, 10m, 2h; 24h at most"
    )
    parser.add_argument(
        "--emergency", action="store_true", help="above the usual orders, below the person at the gateway"
    )
    parser.add_argument("--why", default="", metavar="TEXT", help="shown at the gateway and kept")
    parser.add_argument("--json", action="store_true", help="as JSON")
    config.argument(parser)


def run(args: argparse.Namespace) -> int:
    try:
        lasts_ns = span_ns(args.lasts)
        if not math.isfinite(args.value):
            raise StoreError(f"{args.value} is no value that can be set")
        settings = config.load(args.config)
        catalogue = Catalogue(settings.catalogue)
        row = Orders(catalogue).give(
            args.gateway,
            args.point,
            args.value,
            lasts_ns,
            actor(),
            time.time_ns(),
            emergency=args.emergency,
            why=args.why,
        )
        catalogue.close()
    except (config.ConfigError, StoreError) as error:
        return fail(error)
    if args.json:
        print(json.dumps(asdict(row)))
        return 0
    kind = "emergency order" if row.emergency else "order"
    print(f"{kind} {row.id}: {args.gateway} {args.point} = {args.value:g} until {iso(row.not_after_ns)}")
    print(told(settings))
    return 0


def told(settings: config.Config) -> str:
    """Who sends it."""
    if settings.endpoints.exists():
        return "the server sends it now; `aggregator orders` shows what becomes of it"
    return f"no server runs: it is sent once `aggregator serve {settings.path}` does, if that is in time"


def span_ns(text: str, option: str = "--for") -> int:
    """Raises StoreError."""
    found = SPAN.fullmatch(text)
    if not found:
        raise StoreError(f"{option} {text}: give a number and s, m or h, as 10m")
    return int(float(found[1]) * UNIT_S[found[2]] * NS)
