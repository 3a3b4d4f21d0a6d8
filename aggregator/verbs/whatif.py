"""What if: run scenarios from the city as it is, or as it was, side by side. Nothing of it can become an order.

    aggregator whatif storm.toml                       what becomes of the city
    aggregator whatif storm.toml --compare             … against the city as it is
    aggregator whatif dry.toml storm.toml --compare    one against the other: differences and probabilities
    aggregator whatif storm.toml --at 08:15            from a past moment; --at 2h is two hours ago
    aggregator whatif Storm                            a scenario that was run before, by its name, from now
    aggregator whatif Storm --kept                     its newest result, without running it
    aggregator whatif --list                           what was run
    aggregator whatif --keys                           what a scenario file may say
    aggregator whatif storm.toml --compare --png storm.png

Scenarios that are compared are run from one state with one chance, so that they differ by what was changed alone.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from aggregator import config
from aggregator.city import CityError
from aggregator.city.file import City
from aggregator.decisions import ScenarioError, scenario_file
from aggregator.decisions.checkpointed import Checkpointed
from aggregator.decisions.comparison import Comparison, compare
from aggregator.decisions.imagined import Imagined, pack, unpack
from aggregator.decisions.run import run as steps_of
from aggregator.decisions.scenario import Scenario
from aggregator.screen import fail, show
from aggregator.stores import StoreError
from aggregator.stores.scenarios import ScenarioRow, Scenarios
from aggregator.verbs import checkpoint, selection
from aggregator.verbs.pictures import PictureError, draw_scenarios

AS_IT_IS = "as it is"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scenarios", nargs="*", metavar="FILE", help="scenario files, or names of kept scenarios")
    parser.add_argument("--compare", action="store_true", help="two of them, or one with the city as it is")
    parser.add_argument("--at", metavar="TIME", help="begin then, whatever the file says: a time, or 2h ago")
    parser.add_argument("--kept", action="store_true", help="show the newest kept result, run nothing")
    parser.add_argument("--list", action="store_true", help="what was run, the newest first")
    parser.add_argument("--keys", action="store_true", help="what a scenario file may say")
    parser.add_argument("--json", action="store_true", help="as JSON, every step")
    parser.add_argument("--progress", action="store_true", help="how far it is, as JSON lines on stderr")
    parser.add_argument("--png", type=Path, metavar="FILE", help="a picture beside (pip install 'citytwin[pictures]')")
    checkpoint.who_argument(parser)
    config.argument(parser)


def run(args: argparse.Namespace) -> int:
    try:
        if args.keys:
            print(scenario_file.__doc__)
            return 0
        settings = config.load(args.config)
        if args.list:
            listed(settings, as_json=args.json)
            return 0
        if not args.scenarios or (args.compare and len(args.scenarios) > 2):
            raise StoreError("name scenario files, or kept scenarios; with --compare one or two. --list shows them")
        results = kept(settings, args) if args.kept else fresh(settings, args)
        found = compare(results[0], results[1]) if args.compare else None
        told(results, found, as_json=args.json)
        if args.png:
            draw_scenarios(args.png, results)
    except (config.ConfigError, CityError, ScenarioError, StoreError, PictureError) as error:
        return fail(error)
    return 0


def listed(settings: config.Config, *, as_json: bool) -> None:
    store = Scenarios(settings.scenarios, read_only=True)
    rows = [
        {
            "number": one.number,
            "name": one.name,
            "run": selection.iso(one.run_ns)[:19],
            "by": one.by,
            "begun from": selection.iso(one.begun_ns)[:19],
            "state": one.digest[:12],
            "seed": one.seed,
            "members": one.members,
        }
        for one in store.results()
    ]
    store.close()
    show(rows, as_json=as_json, title="scenarios")


def kept(settings: config.Config, args: argparse.Namespace) -> list[Imagined]:
    store = Scenarios(settings.scenarios, read_only=True)
    try:
        names = [AS_IT_IS, *args.scenarios] if args.compare and len(args.scenarios) == 1 else args.scenarios
        return [unpack(store.result(name)) for name in names]
    finally:
        store.close()


def fresh(settings: config.Config, args: argparse.Namespace) -> list[Imagined]:
    """Run all of them, from one state where they begin at one time, and keep what became of each."""
    city, store = checkpoint.city_of(settings), Scenarios(settings.scenarios)
    try:
        wanted = [scenario_of(city, store, name) for name in args.scenarios]
        if args.at:
            at_ns = selection.moment("--at", args.at, time.time_ns())
            wanted = [replace(one, at_ns=at_ns) for one in wanted]
        if args.compare and len(wanted) == 1:
            wanted = [plain(wanted[0]), *wanted]
        if len({one.name for one in wanted}) < len(wanted):
            raise StoreError(f"{wanted[0].name}: two scenarios of this name; results are kept by names, give others")
        moments = {at_ns: checkpoint.standing(settings, city, at_ns) for at_ns in {one.at_ns for one in wanted}}
        return [ran(moments[one.at_ns], one, store, args) for one in wanted]
    finally:
        store.close()


def scenario_of(city: City, store: Scenarios, name: str) -> Scenario:
    """A file, or the text that is kept under a name. Raises ScenarioError."""
    path = Path(name)
    if path.suffix == ".toml" or path.exists():
        return scenario_file.load(path, city)
    row = store.scenario(name)
    if row is None:
        raise ScenarioError(f"{name}: no file, and no scenario of this name; --list shows those that are kept")
    if not row.text:
        return Scenario(name, 3_600_000_000_000)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kept.toml"
        file.write_text(row.text)
        return scenario_file.load(file, city)


def plain(other: Scenario) -> Scenario:
    """The city as it is, over the same time, with the same chance, and looked at in the same way."""
    return Scenario(
        AS_IT_IS, other.horizon_ns, other.at_ns, other.members, other.seed, other.times, watches=other.watches
    )


def ran(city: Checkpointed, scenario: Scenario, store: Scenarios, args: argparse.Namespace) -> Imagined:
    steps = steps_of(city, scenario)
    result = checkpoint.told(steps) if args.progress else checkpoint.watched(steps, scenario.name)
    row = ScenarioRow(scenario.name, scenario.text, time.time_ns(), checkpoint.who(args))
    store.keep(row, result.begun_ns, result.digest, result.seed, result.members, pack(result))
    return result


def told(results: Sequence[Imagined], found: Comparison | None, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"results": [whole(one) for one in results], "comparison": asdict(found) if found else None}))
        return
    for one in results:
        begun = selection.iso(one.begun_ns)[:19]
        show(list(indicators(one)), as_json=False, title=f"{one.name}: {one.members} members from {begun}")
        for name, track in one.tracks.items():
            if track.plan:
                print(f"{name} carries out its plan: {track.plan}")
        for note in one.notes:
            print(f"note: {note}")
    if found:
        show(list(lines(found)), as_json=False, title=f"{found.second} against {found.first}")
        show(list(states(found)), as_json=False, title="largest differences of states")


def indicators(one: Imagined) -> Iterator[dict[str, object]]:
    """Means over the whole time, and how likely each watched limit is crossed."""
    for name, track in one.tracks.items():
        for each in track.indicators:
            q = each.quantiles
            yield row(name, each.name, each.mean.mean(), q[:, 0].mean(), q[:, -1].mean(), each.mean[-1])
        for watch in track.exceedances:
            at = watch.at_step
            yield row(name, f"P({watch.name})", watch.ever.mean(), at.min(), at.max(), at[-1])


def row(domain: str, what: str, mean: float, low: float, high: float, end: float) -> dict[str, object]:
    numbers = {"mean, or P at any step": mean, "5 %, or least": low, "95 %, or most": high, "at the end": end}
    return {"domain": domain, "what": what, **{key: f"{value:.4g}" for key, value in numbers.items()}}


def lines(found: Comparison) -> Iterator[dict[str, object]]:
    watched = [replace(one, what=f"P({one.what})") for one in found.exceedances]
    for one in (*found.indicators, *watched):
        yield {
            "domain": one.domain,
            "what": one.what,
            found.first: f"{one.first:.4g}",
            found.second: f"{one.second:.4g}",
            "difference": f"{one.difference:+.4g}",
            "5 … 95 %": f"{one.low:+.4g} … {one.high:+.4g}",
            "P(lower)": f"{one.lower:.0%}",
        }


def states(found: Comparison) -> Iterator[dict[str, object]]:
    for one in found.states:
        yield {
            "domain": one.domain,
            "asset": one.asset,
            "quantity": f"{one.quantity}, {one.unit}",
            "at": selection.iso(one.t_ns)[:19],
            "first": f"{one.first:.4g}",
            "second": f"{one.second:.4g}",
            "σ apart": f"{one.sigmas:.1f}",
        }


def whole(one: Imagined) -> dict[str, object]:
    """Every step, and every kept state."""
    return {
        "name": one.name,
        "begun": selection.iso(one.begun_ns),
        "seed": one.seed,
        "members": one.members,
        "state": one.digest,
        "notes": list(one.notes),
        "domains": {
            name: {
                "t": [selection.iso(int(t_ns)) for t_ns in track.t_ns],
                "plan": track.plan,
                "indicators": {
                    each.name: {"mean": each.mean.tolist(), "quantiles": each.quantiles.tolist()}
                    for each in track.indicators
                },
                "exceedances": {
                    each.name: {"at_step": each.at_step.tolist(), "ever": float(each.ever.mean())}
                    for each in track.exceedances
                },
                "states": [state._asdict() for state in track.states],
                "kept": track.kept.tolist(),
                **{key: getattr(track, key).tolist() for key in ("mean", "sd", "low", "high")},
            }
            for name, track in one.tracks.items()
        },
    }
