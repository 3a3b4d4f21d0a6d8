"""The acts of `aggregator models` by which a model spreads and comes back: rollout, approve, pause, resume, abort, …"""

import argparse
import hashlib
import json
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from aggregator import config
from aggregator.projections import fleet
from aggregator.rollout import RolloutError
from aggregator.rollout.course import Course
from aggregator.rollout.engine import begun
from aggregator.rollout.plan import Rollout, Stage, begin, packed, unpacked
from aggregator.rollout.reports import reports
from aggregator.rollout.wishes import change, newest_of
from aggregator.screen import fail, show
from aggregator.stores import StoreError
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.rollouts import Rollouts
from aggregator.verbs import selection
from aggregator.verbs.enrol_token import actor
from protos.bundle import BundleError, split
from protos.model import Manifest, ModelError

WHY_MAX = 80  # characters in a list
ACTS = {  # act → what its name is of, and one line of help
    "approve": ("ROLLOUT", "agree to the wave that waits, or to the next one"),
    "pause": ("ROLLOUT", "begin nothing new; what is wrong still goes back"),
    "resume": ("ROLLOUT", "go on"),
    "abort": ("ROLLOUT", "take it back everywhere"),
    "rollback": ("TWIN", "take back the newest rollout of a twin, done or not"),
}


def add(acts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The parsers of these acts; each leaves `do`."""
    line = "begin to bring a model to the gateways that have this twin"
    one = acts.add_parser("rollout", help=line, description=line)
    one.add_argument("file", type=Path, help="the bundle, as it was published")
    one.add_argument("--twin", required=True, help="the twin that is to run it, as gateways call it")
    _common(one, rollout)
    line = "how far rollouts are, and what each gateway made of them"
    one = acts.add_parser("rollouts", help=line, description=line)
    one.add_argument("name", nargs="?", default="", metavar="ROLLOUT", help="one of them, with its gateways")
    _common(one, shown)
    for act, (what, line) in ACTS.items():
        one = acts.add_parser(act, help=line, description=line)
        one.add_argument("name", metavar=what)
        one.add_argument("--why", default="", metavar="TEXT", help="kept, and shown to everybody")
        _common(one, changed)


def _common(parser: argparse.ArgumentParser, do: Callable[[config.Config, argparse.Namespace], int]) -> None:
    parser.add_argument("--as", dest="who", default="", metavar="NAME", help="who you are, for the audit (your login)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    config.argument(parser)
    parser.set_defaults(do=lambda args: _kept_from_faults(do, args))


def _kept_from_faults(do: Callable[[config.Config, argparse.Namespace], int], args: argparse.Namespace) -> int:
    try:
        return do(config.load(args.config), args)
    except (config.ConfigError, StoreError, RolloutError, BundleError, ModelError, OSError) as error:
        return fail(error)


def rollout(settings: config.Config, args: argparse.Namespace) -> int:
    """Gateways check who signed it; here it is only read, for its name."""
    data = args.file.read_bytes()
    manifest = Manifest.decode(split(data).manifest)
    one = begin(
        f"r-{secrets.token_hex(3)}",
        args.twin,
        str(args.file.resolve()),
        hashlib.sha256(data).hexdigest(),
        title=f"{manifest.name} {manifest.version}",
        person=args.who or actor(),
        now_ns=time.time_ns(),
        margin=settings.rollout.margin,
    )
    catalogue = Catalogue(settings.catalogue)
    try:
        begun(Rollouts(catalogue), one)
    finally:
        catalogue.close()
    print(json.dumps({"id": one.id}) if args.json else f"{one.id}: {one.title} for {one.twin} begins in the shadow")
    if not args.json:
        print(
            "this server has no way to bring bundles to gateways yet: it waits until one has (README)", file=sys.stderr
        )
    return 0


def shown(settings: config.Config, args: argparse.Namespace) -> int:
    catalogue = Catalogue(settings.catalogue, read_only=True)
    try:
        rows = Rollouts(catalogue)
        found = [unpacked(row.content) for row in ([rows.get(args.name)] if args.name else rows.newest())]
        gateways = catalogue.gateways()
    finally:
        catalogue.close()
    if args.json:
        print(json.dumps([json.loads(packed(one)) for one in found]))
        return 0
    presence, course = fleet.read(settings.fleet), Course(settings.rollout)
    show([brief(one, course) for one in found], as_json=False, title="rollouts")
    if args.name:
        told = reports(found[0].twin, gateways, presence)
        show([*members(found[0], set(told))], as_json=False, title=f"gateways of {args.name}")
    return 0


def brief(one: Rollout, course: Course) -> dict[str, object]:
    waits = course.waits_for(one, time.time_ns()) if one.state == "running" else ""
    return {
        "rollout": one.id,
        "model": one.title,
        "twin": one.twin,
        "state": one.state.value,
        "wave": one.wave_name,
        "good": f"{one.count(Stage.GOOD)} of {len(one.members)}",
        "back": one.count(Stage.BACK),
        "failed": one.count(Stage.FAILED),
        "as good?": f"error {_capital(one.error)}, KPI {_capital(one.kpi)}",
        "begun": selection.iso(one.made_ns)[:16],
        "why": (one.reason or (f"waits for {waits}" if waits else ""))[:WHY_MAX],
    }


def _capital(test: Any) -> str:
    """The evidence that it is not worse; 20 is enough."""
    return f"{min(test.fine.capital, 1e6):.3g} ×" if test.seen else "–"


def members(one: Rollout, known: set[str]) -> Iterator[dict[str, object]]:
    for name, member in sorted(one.members.items()):
        yield {
            "gateway": name,
            "cluster": member.cluster,
            "stage": member.stage.value,
            "may apply": member.apply,
            "told": member.given,
            "there": not member.away and name in known,
            "try": member.tries,
            "why": member.why,
        }


def changed(settings: config.Config, args: argparse.Namespace) -> int:
    """What a person wants of one; what is refused is noted too."""
    catalogue = Catalogue(settings.catalogue)
    try:
        rollouts = Rollouts(catalogue)
        row = newest_of(rollouts, args.name) if args.act == "rollback" else rollouts.get(args.name)
        one = change(rollouts, args.act, row, args.who or actor(), args.why, time.time_ns())
    finally:
        catalogue.close()
    print(packed(one) if args.json else f"{one.id}: {one.state.value} {one.reason}".rstrip())
    return 0
