"""The live city as verbs open it beside its server: from the checkpoint that was kept last, never more than read."""

import argparse
import json
import sys
import time
from collections.abc import Generator
from typing import TypeVar

from aggregator import config
from aggregator.city.file import City, load
from aggregator.decisions.checkpointed import Checkpointed, opened
from aggregator.decisions.run import Progress
from aggregator.screen import counter
from aggregator.stores.city import CityStore
from aggregator.verbs.city import file_of
from aggregator.verbs.enrol_token import actor

T = TypeVar("T")


def who_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--as", dest="who", default="", metavar="NAME", help="who you are, for the audit (your login)")


def who(args: argparse.Namespace) -> str:
    return str(args.who) or actor()


def city_of(settings: config.Config) -> City:
    """Raises StoreError or CityError."""
    return load(file_of(settings))


def standing(settings: config.Config, city: City, at_ns: int | None = None) -> Checkpointed:
    """Raises StoreError where nothing is kept of it."""
    store = CityStore(settings.twin, read_only=True)
    try:
        return opened(city, store, time.time_ns(), at_ns)
    finally:
        store.close()


def told(steps: Generator[Progress, None, T]) -> T:
    """Run to the end, and say on stderr how far it is, a line of JSON for each hundredth: for programs."""
    said = -1
    while True:
        try:
            at = next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        if (part := 100 * at.done // max(at.total, 1)) > said:
            said = part
            print(json.dumps({"done": at.done, "total": at.total}), file=sys.stderr, flush=True)


def watched(steps: Generator[Progress, None, T], what: str) -> T:
    """Run to the end behind a bar on stderr; Ctrl-C leaves it, and nothing is kept."""
    with counter(what, "steps") as count:
        done = 0
        while True:
            try:
                at = next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            count(at.done - done)
            done = at.done
