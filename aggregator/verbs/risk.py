"""What may go wrong in the whole city, the worst first, and which plan lowers each most.

    aggregator risk                       the next hour: probability × consequence, in the city's unit
    aggregator risk --horizon 6h --limit 50
    aggregator risk --critical            what hangs on each asset: loss, betweenness, what it cuts off
    aggregator risk --png risk.png
    aggregator risk --json                all of it

Forecasts are ensembles from the state that the server kept last, once as it is and once with each domain's own plan;
`with plan` is what is left of the expectation. N-1 is the loss of one asset.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from aggregator import config
from aggregator.city import CityError
from aggregator.decisions import ScenarioError
from aggregator.decisions.risks import Assessment, assess
from aggregator.screen import fail, show
from aggregator.stores import StoreError
from aggregator.verbs import checkpoint, selection
from aggregator.verbs.order import span_ns
from aggregator.verbs.pictures import PictureError, draw_risks


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--horizon", default="1h", metavar="TIME", help="how far to look: 30m, 6h (%(default)s)")
    parser.add_argument("--limit", type=int, default=20, help="the worst ones shown (%(default)s)")
    parser.add_argument("--critical", action="store_true", help="assets by what hangs on them")
    parser.add_argument("--seed", type=int, default=0, help="of the ensemble (%(default)s)")
    parser.add_argument("--json", action="store_true", help="as JSON, all of it")
    parser.add_argument("--png", type=Path, metavar="FILE", help="a picture beside (pip install 'citytwin[pictures]')")
    config.argument(parser)


def run(args: argparse.Namespace) -> int:
    try:
        if args.limit < 1 or args.seed < 0:
            raise StoreError("--limit: at least 1; --seed: from 0 on")
        horizon_ns = span_ns(args.horizon, "--horizon")
        settings = config.load(args.config)
        city = checkpoint.standing(settings, checkpoint.city_of(settings))
        found = checkpoint.watched(assess(city, horizon_ns, args.seed), "looking ahead")
        if args.json:
            print(json.dumps(asdict(found) | {"expected": found.expected}))
        else:
            told(found, args.limit, critical=args.critical)
        if args.png:
            draw_risks(args.png, found)
    except (config.ConfigError, CityError, ScenarioError, StoreError, PictureError) as error:
        return fail(error)
    return 0


def told(found: Assessment, limit: int, *, critical: bool) -> None:
    begun = selection.iso(found.t_ns)[:19]
    if critical:
        rows = [
            {
                "domain": one.domain,
                "asset": one.asset,
                "loss": f"{one.loss:.4g}",
                "betweenness": f"{one.betweenness:.3f}",
                "cuts off": f"{one.cut_off:.1%}",
            }
            for one in found.critical[:limit]
        ]
        show(rows, as_json=False, title=f"critical assets, {begun}")
    else:
        title = f"risks of the next {found.horizon_ns / 60e9:g} min, {begun}: {found.expected:.4g} in all"
        show(list(risks(found, limit)), as_json=False, title=title)
        show(list(plans(found)), as_json=False, title="plans")
    for note in found.notes:
        print(f"note: {note}")


def risks(found: Assessment, limit: int) -> Iterator[dict[str, object]]:
    for one in found.risks[:limit]:
        yield {
            "domain": one.domain,
            "asset": one.asset,
            "what": one.what if one.kind == "forecast" else f"{one.what} ({one.kind})",
            "P": f"{one.probability:.1%}",
            "consequence": f"{one.consequence:.4g}",
            "expected": f"{one.expected:.4g}",
            "with plan": "" if one.lowered is None else f"{one.lowered:.4g}",
            "whose": one.plan,
            "action": one.action,
        }


def plans(found: Assessment) -> Iterator[dict[str, object]]:
    for one in found.plans:
        yield {
            "domain": one.domain,
            "plan": one.status,
            "cost": f"{one.cost:.4g}",
            "without it": f"{one.without:.4g}",
            "all risks with it": f"{one.expected:.4g}",
            "why": one.why,
        }
