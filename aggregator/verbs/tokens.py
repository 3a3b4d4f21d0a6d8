"""Tokens for programs: Authorization: Bearer TOKEN.

aggregator tokens make grafana viewer        told once, good for 90 days
aggregator tokens list
aggregator tokens revoke grafana
"""

import argparse

from aggregator import config
from aggregator.access import AccessError
from aggregator.access.doors import GRANTED, TOKEN_DAYS
from aggregator.screen import fail, show
from aggregator.stores import StoreError
from aggregator.verbs.enrol_token import actor
from aggregator.verbs.users import doors_of, seen


def arguments(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", required=True, metavar="make | list | revoke")
    acts.add_parser("list", help="all of them; never the secrets")
    make, revoke = acts.add_parser("make", help="a new one"), acts.add_parser("revoke", help="from now on nobody's")
    for one in (make, revoke):
        one.add_argument("name")
    make.add_argument("role", choices=[str(role) for role in GRANTED])
    make.add_argument("--days", type=float, default=TOKEN_DAYS, help="how long it is good (%(default)g)")
    for one in acts.choices.values():
        one.add_argument("--json", action="store_true", help="as JSON")
        config.argument(one)


def run(args: argparse.Namespace) -> int:
    try:
        with doors_of(config.load(args.config)) as (_, doors):
            if args.act == "make":
                secret = doors.make_token(args.name, args.role, actor(), args.days)
                show([{"name": args.name, "role": args.role, "token": secret}], as_json=args.json)
                return 0
            if args.act == "revoke":
                doors.revoke_token(args.name, actor())
            rows = [
                {
                    "name": one.name,
                    "role": one.role,
                    "until": seen(one.until_ns),
                    "used": seen(one.seen_ns),
                }
                for one in doors.store.tokens()
            ]
            show(rows, as_json=args.json, title="tokens")
    except (config.ConfigError, StoreError, AccessError) as error:
        return fail(error)
    return 0
