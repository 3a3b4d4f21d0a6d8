"""Alarms after ISA-18.2: what is wrong, who knows, and when it may be quiet.

aggregator alarms                                             those that stand, most urgent first
aggregator alarms list --all                                  those too that are normal
aggregator alarms journal                                     what happened, newest last
aggregator alarms acknowledge ASSET CONDITION --as ada        I know
aggregator alarms shelve ASSET CONDITION --as ada --for 2h --why "sensor is being cleaned"
aggregator alarms unshelve | out-of-service | in-service ASSET CONDITION --as ada [--why …]
"""

import argparse
import time

from aggregator import config
from aggregator.screen import fail, show
from aggregator.stores import StoreError
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.city import AlarmRow, CityStore, TransitionRow
from aggregator.twin.alarms import SHELF_MAX_NS
from aggregator.verbs import selection
from aggregator.verbs.enrol_token import actor
from aggregator.verbs.order import span_ns

ACTS = {
    "acknowledge": "say that somebody knows",
    "shelve": "hide it for a time, with a reason",
    "unshelve": "show it again",
    "out-of-service": "hide it until it is put back, with a reason",
    "in-service": "put it back",
}
HIDDEN = ("normal", "shelved", "out of service")
PRIORITIES = {1: "urgent", 2: "high", 3: "medium", 4: "low"}
REASONED = ("shelve", "out-of-service")


def arguments(parser: argparse.ArgumentParser) -> None:
    config.argument(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")
    acts = parser.add_subparsers(dest="act", metavar=" | ".join(("list", "journal", *ACTS)))
    listed = acts.add_parser("list", help="alarms as they stand (when nothing else is said)")
    listed.add_argument("--all", action="store_true", help="also those that are normal, shelved or out of service")
    journal = acts.add_parser("journal", help="what happened")
    journal.add_argument("--limit", type=int, default=50, help="newest ones shown (%(default)s)")
    for act, line in ACTS.items():
        one = acts.add_parser(act, help=line)
        one.add_argument("asset")
        one.add_argument("condition")
        one.add_argument(
            "--as", dest="actor", default=actor(), metavar="NAME", help="who you are, for the record (%(default)s)"
        )
        one.add_argument("--why", default="", help="for the record")
        if act == "shelve":
            one.add_argument("--for", dest="lasts", required=True, metavar="2h", help="how long, at most 24 h")
    for one in acts.choices.values():
        config.argument(one, again=True)
        one.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="as JSON")


def run(args: argparse.Namespace) -> int:
    try:
        settings = config.load(args.config)
        if args.act in ACTS:
            return ask(settings, args)
        store = CityStore(settings.twin, read_only=True)
        if args.act == "journal":
            show([journal_row(one) for one in store.transitions(args.limit)], as_json=args.json, title="journal")
        else:
            every = getattr(args, "all", False)
            rows = [row_of(one) for one in store.alarms() if every or one.state not in HIDDEN]
            show(rows, as_json=args.json, title="alarms")
        store.close()
    except (config.ConfigError, StoreError, ValueError) as error:
        return fail(error)
    return 0


def row_of(one: AlarmRow) -> dict[str, object]:
    return {
        "priority": PRIORITIES[one.priority],
        "asset": one.asset,
        "condition": one.condition,
        "state": one.state,
        "since": selection.iso(one.since_ns)[:19],
        "value": None if one.value is None else round(one.value, 4),
        "limit": one.limit,
        "why": one.why,
        "what to do": one.action,
    }


def journal_row(one: TransitionRow) -> dict[str, object]:
    return {
        "at": selection.iso(one.at_ns)[:19],
        "asset": one.asset,
        "condition": one.condition,
        "from": one.before,
        "to": one.after,
        "told": "yes" if one.announced else "",
        "why": one.why,
    }


def ask(settings: config.Config, args: argparse.Namespace) -> int:
    """Put it where the server finds it, and in the audit. Raises StoreError for what cannot be done now."""
    now_ns = time.time_ns()
    until_ns = now_ns + span_ns(args.lasts) if args.act == "shelve" else 0
    if args.act in REASONED and not args.why.strip():
        raise StoreError(f"--why: say why; it is shown to everybody who asks where the alarm is ({args.act})")
    if until_ns - now_ns > SHELF_MAX_NS:
        raise StoreError(f"--for {args.lasts}: at most {SHELF_MAX_NS // (3600 * 10**9)} h")
    store = CityStore(settings.twin)
    known = {(one.asset, one.condition): one for one in store.alarms()}
    if (one := known.get((args.asset, args.condition))) is None:
        raise StoreError(f"{args.asset} {args.condition}: no such alarm; `aggregator alarms list --all` lists them")
    if args.act == "acknowledge" and one.state not in ("unacknowledged", "returned"):
        raise StoreError(f"{args.asset} {args.condition} is {one.state}: there is nothing to acknowledge")
    catalogue = Catalogue(settings.catalogue)
    catalogue.note(now_ns, args.actor, f"alarm {args.act}", args.asset, f"{args.condition} {args.why}".strip())
    catalogue.close()
    store.ask(args.act, args.asset, args.condition, args.actor, args.why, now_ns, until_ns)
    store.close()
    print(f"{args.act} {args.asset} {args.condition}: the server does it within a second of running")
    return 0
