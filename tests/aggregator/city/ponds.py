"""A city of two domains for tests: ponds above, ponds below, and what overflows above runs in below."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from aggregator import domains
from aggregator.twin.measurement import Stamp
from protos.batch import Batch
from tests.aggregator.stores.batches import batch, block

BLUEPRINT = "aggregator.domains._blueprint"
NS = 1_000_000_000
START_NS = 1_800_000_000 * NS
CITY = """
[city]
name = "Two hills"

[blueprint]
step_s = 10
lag_s = 600

[[blueprint.pond]]
id = "upper"
at = [13.40, 52.50]
rim_m = "100 cm"
pump_m = 0.2

[below]
step_s = 20
lag_s = 600

[[below.pond]]
id = "lower"
at = [13.41, 52.50]
rim_m = 1.5

[[point]]
point = "gw-a/gauge/level"
asset = "upper"
quantity = "water_level"
sd = "5 cm"

[[point]]
point = "gw-b/gauge/level"
asset = "lower"
quantity = "water_level"
sd = 0.05

[[feed]]
point = "gw-a/weather/rain"
takes = "blueprint.rain"

[[coupling]]
gives = "blueprint.overflow"
takes = "below.rain"
map = "to nearest"
factor = 0.5
"""


@contextmanager
def two_hills(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The city file, and a second domain made as the blueprint says: copied, its name changed."""
    (folder / "below").mkdir()
    for file in Path(domains.__file__).parent.joinpath("_blueprint").glob("*.py"):
        text = file.read_text().replace(BLUEPRINT, "below").replace('"blueprint"', '"below"')
        (folder / "below" / file.name).write_text(text)
    patch.syspath_prepend(folder)
    patch.setitem(domains.DOMAINS, "below", "below")
    (folder / "city.toml").write_text(CITY)
    try:
        importlib.import_module("below")
        yield folder / "city.toml"
    finally:
        for name in [one for one in sys.modules if one.split(".")[0] == "below"]:
            del sys.modules[name]


def batches(seconds: int, seed: int = 1) -> list[Batch]:
    """What two gateways send: a batch each ten seconds, two readings of a level, one of the rain."""
    noise, made = np.random.default_rng(seed), []
    for sequence, start in enumerate(range(0, seconds, 10)):
        times = [(start + 4) * NS, (start + 9) * NS]
        level = 0.9 + 0.3 * np.sin(np.array(times) / (50 * NS)) + 0.05 * noise.standard_normal(2)
        rain = np.full((1, 1), 0.02 * (start // 50 % 3))
        gauge, below = (block("gauge", ["level"], times, share * level[:, None]) for share in (1.0, 0.8))
        made.append(batch("gw-a", 1, sequence, [gauge, block("weather", ["rain"], times[:1], rain)]))
        made.append(batch("gw-b", 1, sequence, [below]))
    return made


def stamp(arrived_s: float = 0.0) -> Stamp:
    """Gateways whose monotonic zero is START_NS."""
    return Stamp(START_NS + int(arrived_s * NS), START_NS, 1_000_000)
