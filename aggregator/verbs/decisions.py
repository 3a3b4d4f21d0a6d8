"""Decisions: plans that become orders. Propose, look, approve, reject, take back.

    aggregator decisions                                       those of late, with what became of them
    aggregator decisions show d-1f3a                           why, from which state, by which model, what it gains
    aggregator decisions propose [DOMAIN …]                    plan from the state that was kept last
    aggregator decisions propose --every 5m                    … again and again, and measure what the ended ones gained
    aggregator decisions approve d-1f3a --as ada               city-wide ones need two persons
    aggregator decisions reject d-1f3a --as ada --why TEXT
    aggregator decisions stop [d-1f3a] --as ada --why TEXT     take back what runs; without a name: everything
    aggregator decisions show d-1f3a --png plan.png

proposed → approved → dispatched → acknowledged → effective | expired | rejected. A running server gives the orders: to
one gateway first, then to some, then to all, and halts by itself. `aggregator all-stop` revokes every decision too.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

from aggregator import config
from aggregator.city import CityError
from aggregator.decisions import DecisionError
from aggregator.decisions.decision import Decision, State, packed, unpacked
from aggregator.decisions.wishes import change
from aggregator.screen import fail, show
from aggregator.stores import StoreError
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.decisions import Decisions, Told
from aggregator.verbs import checkpoint, planning, selection
from aggregator.verbs.order import span_ns
from aggregator.verbs.pictures import PictureError, draw_decision

ACTS = ("list", "show", "propose", "approve", "reject", "stop")
WHY_MAX = 80  # characters in a list; `show` says all of it


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("act", nargs="?", default="list", choices=ACTS, help="what to do (%(default)s)")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="decisions; for propose: domains (all that have plans)"
    )
    parser.add_argument("--every", metavar="TIME", help="with propose: go on until Ctrl-C, so often: 60s, 5m")
    parser.add_argument("--horizon", default="1h", metavar="TIME", help="with propose: how far to plan (%(default)s)")
    parser.add_argument("--why", default="", metavar="TEXT", help="kept, and shown to everybody")
    parser.add_argument("--limit", type=int, default=20, help="the newest ones listed (%(default)s)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--png", type=Path, metavar="FILE", help="with show: a picture beside (citytwin[pictures])")
    checkpoint.who_argument(parser)
    config.argument(parser)


def run(args: argparse.Namespace) -> int:
    try:
        settings = config.load(args.config)
        if args.act in ("list", "show"):
            return shown(settings, args)
        if args.act == "propose":
            return proposed(settings, args)
        return changed(settings, args)
    except (config.ConfigError, CityError, DecisionError, StoreError, PictureError) as error:
        return fail(error)


def shown(settings: config.Config, args: argparse.Namespace) -> int:
    if not 1 <= args.limit <= 200 or (args.act == "show") != bool(args.names):
        raise StoreError("--limit: 1 to 200; `show` takes the names of decisions, `list` none")
    catalogue = Catalogue(settings.catalogue, read_only=True)
    decisions = Decisions(catalogue)
    rows = [decisions.get(name) for name in args.names] or decisions.newest(args.limit)
    told = {row.id: decisions.told(row.id) for row in rows}
    catalogue.close()
    found = [(unpacked(row.content), told[row.id]) for row in rows]
    if args.json:
        print(json.dumps([json.loads(packed(one)) | {"orders": orders(each)} for one, each in found]))
    elif args.act == "list":
        show([brief(one, each) for one, each in found], as_json=False, title="decisions")
    else:
        for one, each in found:
            whole(one, each)
    if args.png and found:
        draw_decision(args.png, found[0][0])
    return 0


def orders(told: dict[int, Told]) -> dict[int, dict[str, str]]:
    return {act: one._asdict() for act, one in told.items()}


def brief(one: Decision, told: dict[int, Told]) -> dict[str, object]:
    first = one.basis.expects[0]
    reached = {one.acts[act].gateway for act in told}
    return {
        "decision": one.id,
        "domain": one.basis.domain,
        "state": one.state.value,
        "by": ", ".join(each.person for each in one.approvals) or f"{one.needs.persons} needed",
        "gateways": f"{len(reached)} of {len(one.gateways)}",
        "expects": f"{first.without:.4g} → {first.planned:.4g}",
        "gained": None if one.gained is None else f"{one.gained:.4g}",
        "why": (one.reason or f"{first.name}: {one.basis.why}")[:WHY_MAX],
    }


def whole(one: Decision, told: dict[int, Told]) -> None:
    basis = one.basis
    print(f"decision {one.id}: {one.state.value}{': ' if one.reason else ''}{one.reason}")
    print(f"  why           {basis.why} ({basis.plan}; cost {basis.cost:.4g}, without it {basis.without:.4g})")
    print(f"  from          the state of {basis.domain} at {selection.iso(basis.t_ns)}, {basis.digest[:16]}")
    print(f"  by            the model {basis.model[:16]}, proposed by {one.proposer}")
    print(f"  needs         {one.needs.persons} persons: {one.needs.why}")
    for each in one.approvals:
        print(f"  approved by   {each.person}, {selection.iso(each.at_ns)[:19]}")
    print(
        f"  to begin by   {selection.iso(one.decide_by_ns)[:19]}; the last order ends {selection.iso(one.end_ns)[:19]}"
    )
    if one.settled:
        came = "cannot be told" if one.gained is None else f"{one.gained:.4g} of {basis.expects[0].name} per step"
        print(f"  gained        {came}")
    show(list(expected(one)), as_json=False, title="expected")
    show(list(acts(one, told)), as_json=False, title="orders")


def expected(one: Decision) -> Iterator[dict[str, object]]:
    for each in one.basis.expects:
        yield {
            "domain": each.domain,
            "indicator": each.name,
            "without": f"{each.without:.4g}",
            "with it": f"{each.planned:.4g}",
            "gain": f"{each.without - each.planned:+.4g}",
            "5 … 95 %": f"{each.low:+.4g} … {each.high:+.4g}",
        }


def acts(one: Decision, told: dict[int, Told]) -> Iterator[dict[str, object]]:
    for place, act in enumerate(one.acts[:200]):
        order = told.get(place)
        yield {
            "point": f"{act.gateway}/{act.point}",
            "value": f"{act.value:.4g}",
            "from": selection.iso(act.start_ns)[11:19],
            "until": selection.iso(act.end_ns)[11:19],
            "order": order.order if order else "",
            "fate": f"{order.fate} {order.reason}".strip() if order else "not given",
        }


def proposed(settings: config.Config, args: argparse.Namespace) -> int:
    """Once, or again and again."""
    horizon_ns = span_ns(args.horizon, "--horizon")
    if args.every:
        asyncio.run(
            planning.go_on(settings, args.names, horizon_ns, checkpoint.who(args), span_ns(args.every, "--every"))
        )
        return 0
    rows = planning.propose_all(settings, args.names, horizon_ns, checkpoint.who(args))
    show(rows, as_json=args.json, title="proposed")
    return 0


def changed(settings: config.Config, args: argparse.Namespace) -> int:
    """What a person wants of some decisions; also what is refused is noted."""
    catalogue = Catalogue(settings.catalogue)
    decisions, by = Decisions(catalogue), checkpoint.who(args)
    try:
        names = args.names or ([row.id for row in decisions.open()] if args.act == "stop" else [])
        if not names and args.act != "stop":
            raise StoreError(f"{args.act}: name a decision; `aggregator decisions` lists them")
        found = [change(decisions, catalogue, name, args.act, by, args.why, time.time_ns()) for name in names]
    finally:
        catalogue.close()
    if args.json:
        print(json.dumps([json.loads(packed(one)) for one in found]))
        return 0
    for one in found:
        missing = one.needs.persons - len(one.approvals) if one.state is State.PROPOSED else 0
        rest = f"; {missing} more must agree: {one.needs.why}" if missing else ""
        print(f"{one.id}: {one.state.value}{' ' if one.reason else ''}{one.reason}{rest}")
    return 0
