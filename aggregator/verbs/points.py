"""Every point of the city with its newest sample.

aggregator points                          all
aggregator points 'gw-north/*/power_w'     by name; * and ? match anything
aggregator points --district north --domain energy --json
"""

import argparse
import asyncio
import time

from aggregator import config
from aggregator.projections.latest import Sample
from aggregator.projections.query import Text
from aggregator.screen import fail, show
from aggregator.stores import StoreError
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.history import PointName
from aggregator.verbs import selection
from aggregator.verbs.selection import Selection
from protos import quality


def arguments(parser: argparse.ArgumentParser) -> None:
    selection.arguments(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    try:
        settings = config.load(args.config)
        catalogue = Catalogue(settings.catalogue, read_only=True)
        wanted = Selection(args, catalogue)
        catalogue.close()
        rows = asyncio.run(table(settings, wanted))
    except (config.ConfigError, StoreError) as error:
        return fail(error)
    show(rows, as_json=args.json, title="points")
    return 0


async def table(settings: config.Config, wanted: Selection) -> list[dict[str, object]]:
    query = selection.opened(settings)
    try:
        newest: dict[PointName, Sample | Text] = {one.point: one for one in await query.latest(wanted)}
        newest |= {one.point: one for one in await query.latest_words(wanted)}
    finally:
        query.close()
        await query.log.close()
    names = sorted({*newest, *(name for name in wanted.known if wanted(name))})
    return [row(name, wanted, newest.get(name)) for name in names]


def row(name: PointName, wanted: Selection, sample: Sample | Text | None) -> dict[str, object]:
    point = wanted.point(name)
    return {
        "point": str(name),
        "domain": point.domain if point else "",
        "quantity": point.quantity if point else "",
        "value": sample.value if sample else None,
        "unit": point.unit if point else "",
        "quality": quality.text(sample.code) if sample else "",
        "source time": selection.iso(sample.source_ns) if sample else "",
        "age s": round((time.time_ns() - sample.receive_ns) / 1e9, 1) if sample else None,
        "district": wanted.districts.get(name.gateway, ""),
    }
