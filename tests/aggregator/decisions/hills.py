"""The city of two hills, watered by its readings, as scenarios and decisions begin from it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aggregator.city.file import City, load
from aggregator.city.live import Live
from aggregator.decisions.checkpointed import Checkpointed, of_live
from aggregator.decisions.imagined import Imagined
from aggregator.decisions.run import finished, run
from aggregator.decisions.scenario import NS, Scenario
from tests.aggregator.city.ponds import START_NS, batches, stamp, two_hills

SECONDS = 300
PUMPED = """
[[point]]
point = "gw-a/pump/rate"
asset = "upper"
quantity = "water_flow"
sets = true
"""


@contextmanager
def hills(folder: Path, patch: pytest.MonkeyPatch, more: str = PUMPED) -> Iterator[City]:
    with two_hills(folder, patch) as path:
        path.write_text(path.read_text() + more)
        yield load(path)


def watered(city: City, seconds: int = SECONDS) -> Live:
    live = Live(city, START_NS)
    for one in batches(seconds):
        live.accept(one, stamp())
        live.advance(START_NS + int(one.blocks[0].receive_ns[-1]) - 10 * NS)
    live.advance(START_NS + seconds * NS)
    return live


def standing(city: City) -> Checkpointed:
    return of_live(watered(city))


def ran(city: Checkpointed, scenario: Scenario) -> Imagined:
    return finished(run(city, scenario))
