"""The fleet: who is connected and how they are; approve one that comes back, revoke one that must not.

    aggregator gateways                      all of them
    aggregator gateways show gw-north        everything about one: certificates, clock, gauges, audit
    aggregator gateways approve gw-north     it expired while offline and asks to come back with its old key
    aggregator gateways revoke gw-north --reason stolen

A change is seen by the running server within two seconds; a revoked gateway's stream is cut.
received = stored + duplicate + quarantined, always.
"""

import argparse
import asyncio
import time

from aggregator import config
from aggregator.projections import fleet
from aggregator.screen import fail, show
from aggregator.security import registrar
from aggregator.stores import Counts, StoreError
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.identities import Identities
from aggregator.stores.log import SqliteLog
from aggregator.verbs.enrol_token import actor
from protos import tls

BRIEF = ("gateway", "state", "lag s", "backlog", "clock ±ms", "cert days", "stored", "quarantined", "readings")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("act", nargs="?", default="list", choices=("list", "show", "approve", "revoke"))
    parser.add_argument("gateway", nargs="?", default="")
    parser.add_argument("--reason", default="by the operator", help="of a revocation; told to the gateway")
    parser.add_argument("--json", action="store_true", help="as JSON")
    config.argument(parser)


def run(args: argparse.Namespace) -> int:
    if args.act != "list" and not args.gateway:
        return fail(f"gateways {args.act}: name a gateway; `aggregator gateways` lists them")
    try:
        settings = config.load(args.config)
        catalogue = Catalogue(settings.catalogue, read_only=args.act in ("list", "show"))
        if args.act == "list":
            rows = table(settings, catalogue)
            brief = [{name: row[name] for name in BRIEF} for row in rows]
            show(rows if args.json else brief, as_json=args.json, title="gateways")
        elif args.act == "show":
            one(settings, catalogue, args.gateway, args.json)
        else:
            change(catalogue, args)
        catalogue.close()
    except (config.ConfigError, tls.TlsError, StoreError) as error:
        return fail(error)
    return 0


def change(catalogue: Catalogue, args: argparse.Namespace) -> None:
    now = time.time_ns()
    if args.act == "revoke":
        count = registrar.revoke(catalogue, args.gateway, args.reason, now, actor())
        print(f"{args.gateway}: revoked, {count} certificates; its stream ends within seconds")
    else:
        registrar.approve(catalogue, args.gateway, now, actor())
        print(f"{args.gateway}: approved; it gets its certificate when it asks again")


def table(settings: config.Config, catalogue: Catalogue) -> list[dict[str, object]]:
    identities = Identities(catalogue)
    waiting = {one.gateway for one in identities.recoveries() if one.approved_ns is None}
    presence = fleet.read(settings.fleet) if settings.endpoints.exists() else {}
    return fleet.rows(catalogue.gateways(), presence, counts(settings), identities.newest(), waiting, time.time_ns())


def one(settings: config.Config, catalogue: Catalogue, gateway: str, as_json: bool) -> None:
    rows = [row for row in table(settings, catalogue) if row["gateway"] == gateway]
    if not rows:
        raise StoreError(f"no gateway {gateway!r}; `aggregator gateways` lists them")
    presence = fleet.read(settings.fleet).get(gateway, fleet.Presence())
    facts = rows[0] | {f"fact {name}": text for name, text in sorted(presence.facts.items())}
    facts |= {f"gauge {name}": value for name, value in sorted(presence.gauges.items())}
    for number, issued in enumerate(Identities(catalogue).certificates(gateway), 1):
        state = f"revoked: {issued.reason}" if issued.revoked_ns else "good"
        facts[f"certificate {number}"] = f"{issued.serial} until {tls.utc(issued.not_after_ns):%Y-%m-%d %H:%M} {state}"
    for act in [act for act in catalogue.audit() if act.subject == gateway][-10:]:
        facts[f"audit {act.number}"] = f"{tls.utc(act.at_ns):%Y-%m-%d %H:%M:%S} {act.actor}: {act.act} {act.detail}"
    if as_json:
        show([facts], as_json=True)
    else:
        show([{"of": name, gateway: value} for name, value in facts.items()], as_json=False)


def counts(settings: config.Config) -> dict[str, Counts]:
    """The log's own counters; none before the first start."""
    if not settings.log.exists():
        return {}

    async def read() -> dict[str, Counts]:
        log = SqliteLog(settings.log, read_only=True)
        try:
            return {one.gateway: one for one in await log.counts()}
        finally:
            await log.close()

    return asyncio.run(read())
