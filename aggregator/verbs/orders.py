"""Orders and all-stops, newest first, each with its fate.

    aggregator orders                        of all gateways
    aggregator orders gw-north --limit 20
    aggregator orders --json                 everything about each

waiting, sent: on its way · accepted: the gateway has it · applied: the device shows it · clamped: limited there, and by
whom · rejected, expired, superseded: over · undelivered, revoked: never reached it · unknown: nobody said
"""

import argparse
import time
from dataclasses import asdict

from aggregator import config
from aggregator.screen import fail, show
from aggregator.stores import StoreError
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.orders import EVER_NS, SHOWN_MAX, OrderRow, Orders
from aggregator.verbs.selection import iso

NS = 1_000_000_000


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("gateway", nargs="?", default="", help="only of this one")
    parser.add_argument("--limit", type=int, default=50, help="newest ones shown (%(default)s)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    config.argument(parser)


def run(args: argparse.Namespace) -> int:
    try:
        if not 1 <= args.limit <= SHOWN_MAX:
            raise StoreError(f"--limit: 1 to {SHOWN_MAX}")
        settings = config.load(args.config)
        catalogue = Catalogue(settings.catalogue, read_only=True)
        rows = Orders(catalogue).newest(args.gateway, args.limit)
        catalogue.close()
    except (config.ConfigError, StoreError) as error:
        return fail(error)
    if args.json:
        show([asdict(row) for row in rows], as_json=True)
    else:
        show([brief(row, time.time_ns()) for row in rows], as_json=False, title="orders")
    return 0


def brief(row: OrderRow, now_ns: int) -> dict[str, object]:
    left_s = (row.not_after_ns - now_ns) / NS
    wanted = "all-stop" if row.stops else f"{row.device}/{row.point} = {row.value:g}"
    return {
        "issued": iso(row.issued_ns)[:19],
        "gateway": row.gateway,
        "order": ("! " if row.emergency and not row.stops else "") + wanted,
        "fate": row.fate,
        "set to": row.decided,
        "left s": None if row.not_after_ns == EVER_NS or left_s < 0 else round(left_s),
        "by": row.issuer,
        "why": row.reason or row.why,
    }
