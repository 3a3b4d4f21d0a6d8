"""Who may see the page, and what they may do there.

aggregator users invite mei operator         a one-time link: whoever opens it chooses the password
aggregator users list
aggregator users role mei engineer           viewer, operator, engineer, admin; auditor sees all and changes nothing
aggregator users disable mei                 signed out at once; enable lets in again
aggregator users remove mei
"""

import argparse
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager

from aggregator import config
from aggregator.access import AccessError
from aggregator.access.doors import GRANTED, LINK_H, Doors
from aggregator.access.settings import address
from aggregator.access.throttle import Throttle
from aggregator.screen import fail, show
from aggregator.stores import StoreError
from aggregator.stores.access import AccessStore
from aggregator.stores.catalogue import Catalogue
from aggregator.verbs.enrol_token import actor
from aggregator.verbs.selection import iso
from protos.clock import SystemClock


def arguments(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", required=True, metavar="invite | list | role | disable | enable | remove")
    acts.add_parser("list", help="everybody")
    invite = acts.add_parser("invite", help="a one-time link for a user, new or locked out")
    invite.add_argument("--hours", type=float, default=LINK_H, help="how long it is good (%(default)g)")
    lines = {
        "role": "another role",
        "disable": "let out and not in again",
        "enable": "let in again",
        "remove": "forget",
    }
    others = [acts.add_parser(act, help=line) for act, line in lines.items()]
    for one in (invite, *others):
        one.add_argument("name")
    for one in (invite, others[0]):
        one.add_argument("role", choices=[str(role) for role in GRANTED])
    for one in acts.choices.values():
        one.add_argument("--json", action="store_true", help="as JSON")
        config.argument(one)


def run(args: argparse.Namespace) -> int:
    try:
        with doors_of(config.load(args.config)) as (settings, doors):
            if args.act == "invite":
                if not settings.web.listen:
                    raise AccessError(f'{args.config}: there is no page; write [web] and listen = "127.0.0.1:7480"')
                secret = doors.invite(args.name, args.role, actor(), args.hours)
                show([{"name": args.name, "role": args.role, "link": link_of(settings, secret)}], as_json=args.json)
                return 0
            if args.act == "role":
                doors.set_role(args.name, args.role, actor())
            elif args.act in ("disable", "enable"):
                doors.enable(args.name, args.act == "enable", actor())
            elif args.act == "remove":
                doors.remove(args.name, actor())
            rows = [
                {
                    "name": one.name,
                    "role": one.role,
                    "enabled": "yes" if one.enabled else "no",
                    "seen": seen(one.seen_ns),
                    "from": one.origin,
                }
                for one in doors.store.users()
            ]
            show(rows, as_json=args.json, title="users")
    except (config.ConfigError, StoreError, AccessError) as error:
        return fail(error)
    return 0


@contextmanager
def doors_of(settings: config.Config) -> Iterator[tuple[config.Config, Doors]]:
    """Raises StoreError where no aggregator lives."""
    if not settings.catalogue.exists():
        raise StoreError(f"{settings.state_dir}: no aggregator lives here; run `aggregator init`")
    clock = SystemClock()
    with closing(Catalogue(settings.catalogue)) as catalogue, closing(AccessStore(settings.access)) as store:

        def note(actor: str, act: str, subject: str, detail: str) -> None:
            catalogue.note(clock.wall_ns(), actor, act, subject, detail)

        yield settings, Doors(store, note, clock, Throttle())


def link_of(settings: config.Config, secret: str) -> str:
    """Where the page of the running server takes it, else where it is configured to be."""
    endpoints = json.loads(settings.endpoints.read_text()) if settings.endpoints.exists() else {}
    return f"{address(settings.web, endpoints.get('web', settings.web.listen))}/welcome#{secret}"


def seen(utc_ns: int) -> str:
    return iso(utc_ns) if utc_ns else "never"
