"""The city's twin: its file, its state at any time, its forecasts, and how far its numbers can be trusted.

aggregator city check city.toml                every fault at once: file, line, key, value, remedy
aggregator city keys traffic                   what a city file may say, with units and defaults
aggregator city state                          every number of the city now, with its uncertainty
aggregator city state --asset bus-3 --at 08:15                    as known now
aggregator city state --asset bus-3 --at 08:15 --known 08:16      … and as it was known then
aggregator city forecast --asset bus-3         what is expected of it
aggregator city health                         calibration of each domain; may it decide by itself?
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path

import numpy as np

from aggregator import config
from aggregator.city import CityError
from aggregator.city.file import TWIN, City, load
from aggregator.city.night import points_of, smoothed, spans
from aggregator.domains import DOMAINS, module_of
from aggregator.screen import fail, progress, show
from aggregator.stores import StoreError
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.city import CityStore
from aggregator.stores.history import Window
from aggregator.twin.domain import Domain
from aggregator.twin.part import Key
from aggregator.verbs import selection
from protos.vocabulary import QUANTITIES

Z90 = 1.6448536269514722
ROWS_MAX = 100_000
UNSEEN_SHOWN = 10


def arguments(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", required=True, metavar="check | keys | state | forecast | smooth | health")
    check = acts.add_parser("check", help="look a city file over")
    check.add_argument("file", type=Path, nargs="?", help="the city file (the configured one)")
    keys = acts.add_parser("keys", help="what a city file may say")
    keys.add_argument("domain", nargs="?", choices=list(DOMAINS), help="only of this domain")
    for act, line in (("state", "what is believed of the city"), ("forecast", "what is expected of it")):
        one = acts.add_parser(act, help=line)
        one.add_argument("--domain", default="", help="only of this one")
        one.add_argument("--asset", default="*", help="by id; * and ? match anything")
        one.add_argument("--known", help="only what was known by then: a time, or 15m for so long ago")
        if act == "state":
            one.add_argument("--at", help="the moment that is asked about: a time, or 2h for so long ago (now)")
    night = acts.add_parser("smooth", help="make the pictures of a time again from all of its readings (each night)")
    night.add_argument("--from", dest="first", default="1d", metavar="TIME", help="a time, or 1d for so long ago (1d)")
    night.add_argument("--until", default="15min", metavar="TIME", help="the same (15min)")
    acts.add_parser("health", help="how far the numbers can be trusted")
    for one in acts.choices.values():
        config.argument(one)
        one.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    try:
        if args.act == "keys":
            show(list(keys_of(args.domain)), as_json=args.json, title="keys of a city file")
            return 0
        if args.act == "check":
            return check(args)
        settings = config.load(args.config)
        city = load(file_of(settings))
        if args.act == "smooth":
            show(asyncio.run(smooth(settings, city, args)), as_json=args.json, title=f"{city.name}: smoothed")
            return 0
        store = CityStore(settings.twin, read_only=True)
        rows = {"state": states, "forecast": forecasts, "health": health}[args.act](city, store, args)
        show(list(islice(rows, ROWS_MAX)), as_json=args.json, title=f"{city.name}: {args.act}")
        store.close()
    except (config.ConfigError, CityError, StoreError, ValueError) as error:
        return fail(error)
    return 0


def file_of(settings: config.Config) -> Path:
    if settings.city is None:
        raise StoreError(f'{settings.path}: no city; write [city] and file = "city.toml"')
    return settings.city


def check(args: argparse.Namespace) -> int:
    city = load(args.file or file_of(config.load(args.config)))
    rows = []
    for name, domain in city.domains().items():
        part = city.parts[name]
        rows.append(
            {
                "domain": name,
                "assets": len(part.assets),
                "states": domain.n,
                "sensors": len(part.sensors),
                "actuators": len(part.actuators),
                "step s": domain.dt_ns / 1e9,
                "takes": ", ".join(one.takes.flow for one in city.couplings if one.takes.domain == name),
            }
        )
    show(rows, as_json=args.json, title=f"{city.name}: no fault")
    if args.config.exists():
        return against(city, config.load(args.config))
    return 0


def against(city: City, settings: config.Config) -> int:
    """Beside what gateways have announced: points of another quantity are faults, unknown ones may still come."""
    catalogue = Catalogue(settings.catalogue, read_only=True)
    known = {f"{one.gateway}/{one.device}/{one.name}": one for one in catalogue.points()}
    catalogue.close()
    wires = [one for part in city.parts.values() for one in part.wires]
    plain = [one for one in wires if one.point in known and (one.scale, one.offset) == (1.0, 0.0)]
    wrong = [one for one in plain if not alike(known[one.point].quantity, one.quantity)]
    shut = [one for one in wires if one.does == "sets" and one.point in known and not known[one.point].writable]
    for one in wrong:
        fail(f"{one.point} measures {known[one.point].quantity}, the city file says {one.quantity}: mend one of them")
    for one in shut:
        fail(f"{one.point} cannot be set: declare it as an [[output]] of its gateway, or leave `sets` out")
    unseen = [name for name in (*(one.point for one in wires), *(one.point for one in city.feeds)) if name not in known]
    if unseen:
        some = ", ".join(unseen[:UNSEEN_SHOWN]) + (" …" if len(unseen) > UNSEEN_SHOWN else "")
        print(f"{len(unseen)} points that no gateway has announced yet: {some}", file=sys.stderr)
    return 1 if wrong or shut else 0


def alike(one: str, other: str) -> bool:
    """Whether numbers of both mean the same, but for what they are of: a water level and a flood's."""
    return one == other or (
        one in QUANTITIES and other in QUANTITIES and QUANTITIES[one].unit == QUANTITIES[other].unit
    )


def keys_of(only: str | None) -> Iterator[dict[str, object]]:
    for name in [only] if only else DOMAINS:
        module = module_of(name)
        for key, one in {**module.SETTINGS, **TWIN}.items():
            yield row_of(f"[{name}]", key, one)
        for kind, about in module.KINDS.items():
            ends = f"from and to: {', '.join(about.ends)}" if about.ends else ""
            yield {"table": f"[[{name}.{kind}]]", "key": "", "unit": "", "default": "", "what": about.doc}
            for key, one in about.keys.items():
                yield row_of("", key, one)
            for key, words in (("from, to", ends), ("measured", about.measured), ("set", about.commanded)):
                if words:
                    told = words if isinstance(words, str) else ", ".join(words)
                    yield {"table": "", "key": key, "unit": "", "default": "", "what": told}
        for key, flows in (("gives", module.GIVES), ("takes", module.TAKES)):
            for flow, what in flows.items():
                yield {"table": key, "key": f"{name}.{flow}", "unit": what.unit, "default": "", "what": what.doc}


def row_of(table: str, key: str, one: Key) -> dict[str, object]:
    default = "" if one.default is None else one.default
    what = one.doc + (f": {', '.join(one.words)}" if one.words and one.words != ("*",) else "")
    return {"table": table, "key": key, "unit": "" if one.words else one.unit, "default": default, "what": what}


def wanted(city: City, args: argparse.Namespace) -> Iterator[tuple[str, Domain, Sequence[int]]]:
    """Every domain that is asked for, with the places of the states that are."""
    if args.domain and args.domain not in city.parts:
        raise StoreError(f"{args.domain}: no such domain; this city has {', '.join(city.parts)}")
    found = False
    for name, domain in city.domains().items():
        places = [i for i, one in enumerate(domain.states) if fnmatch(one.asset, args.asset)]
        if places and args.domain in ("", name):
            found = True
            yield name, domain, places
    if not found:
        raise StoreError(f"no asset is called {args.asset}; `aggregator city state` lists all")


def time_of(name: str, args: argparse.Namespace) -> int | None:
    given = getattr(args, name)
    return selection.moment(f"--{name}", given, time.time_ns()) if given else None


def states(city: City, store: CityStore, args: argparse.Namespace) -> Iterator[dict[str, object]]:
    at_ns, known_ns = (time_of(name, args) for name in ("at", "known"))
    for name, domain, places in wanted(city, args):
        moment = store.moment(name, at_ns, known_ns)
        for i in places:
            one = domain.states[i]
            yield {
                "domain": name,
                "asset": one.asset,
                "quantity": one.quantity,
                "value": round(float(moment.x[i]), 6),
                "sd": round(float(moment.sd[i]), 6),
                "unit": one.unit,
                "at": selection.iso(moment.t_ns)[:19],
                "known": selection.iso(moment.known_ns)[:19],
            }


def forecasts(city: City, store: CityStore, args: argparse.Namespace) -> Iterator[dict[str, object]]:
    known_ns = time_of("known", args)
    for name, domain, places in wanted(city, args):
        series = store.forecast(name, known_ns)
        for i in places:
            one = domain.states[i]
            for step in range(len(series.mean)):
                mean, sd = float(series.mean[step, i]), float(series.sd[step, i])
                yield {
                    "asset": one.asset,
                    "quantity": one.quantity,
                    "at": selection.iso((series.k + 1 + step) * series.dt_ns)[:19],
                    "mean": round(mean, 6),
                    "sd": round(sd, 6),
                    "90 % from": round(mean - Z90 * sd, 6),
                    "to": round(mean + Z90 * sd, 6),
                    "unit": one.unit,
                }


async def smooth(settings: config.Config, city: City, args: argparse.Namespace) -> list[dict[str, object]]:
    """Window by window from history into the store, as what is known now."""
    now_ns = time.time_ns()
    first, last = (
        selection.moment(f"--{name}", given, now_ns) for name, given in (("from", args.first), ("until", args.until))
    )
    if first >= last:
        raise StoreError(f"--from {args.first} is not before --until {args.until}")
    query, store = selection.opened(settings), CityStore(settings.twin, keep_steps=settings.keep_steps)
    steps, changed = Counter[str](), Counter[str]()
    for span in progress(spans(first, last), "windows"):
        window = Window(span.from_ns, span.until_ns, keys=True)
        readings = [await query.scan(point, window) for point in points_of(city)]
        for lane, beliefs in smoothed(city, span, readings):
            pictures = [(one.k, one.x.astype(np.float32), one.sd.astype(np.float32)) for one in beliefs]
            steps[lane.name] += len(pictures)
            changed[lane.name] += store.record(lane.name, lane.domain.dt_ns, time.time_ns(), pictures)
    query.close()
    await query.log.close()
    store.close()
    return [{"domain": name, "steps": steps[name], "changed": changed[name]} for name in city.parts]


def health(city: City, store: CityStore, args: argparse.Namespace) -> Iterator[dict[str, object]]:
    for name in city.parts:
        at_ns, told = store.shown(name, "health") or (0, {})
        yield {
            "domain": name,
            "NIS per reading": rounded(told.get("nis_per_reading")),
            "90 % covers": rounded(told.get("coverage_90")),
            "CRPS": rounded(told.get("crps")),
            "forecast's": rounded(told.get("crps_forecast")),
            "persistence's": rounded(told.get("crps_persistence")),
            "late share": rounded(told.get("late_share")),
            "too old": told.get("too_old"),
            "decides by itself": "yes" if told.get("automatic") == "" else f"no: {told.get('automatic', 'not begun')}",
            "at": selection.iso(at_ns)[:19] if at_ns else "",
        }


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
