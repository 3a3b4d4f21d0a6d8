"""Plants to learn from, with chance of their own, and a state directory whose history they wrote."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aggregator import config
from aggregator.learning.stretch import Stretch
from aggregator.projections.history import HistoryProjection
from aggregator.stores import Arrival
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.history.segments import SegmentHistory
from aggregator.stores.log import SqliteLog
from protos.batch import Batch, Block, encode
from tests.aggregator.stores.batches import NOON, NS, batch

Floats = npt.NDArray[np.float64]

ROWS = 500  # of one batch
STUCK_CODE = 1 << 6 | 3
BAD_CODE = 2 << 6 | 10

TANK_RECIPE = """\
[model]
name = "tank"
asset_class = "level-tank"
period_s = 10
horizon_s = {horizon}
[[channel]]
name = "level"
quantity = "water_level"
[[input]]
name = "speed"
quantity = "pump_speed"
[[site]]
name = "harbour"
level = "gw/tank/level"
speed = "gw/tank/speed"
[train]
kind = "{kind}"
hidden = [16, 16]
epochs = {epochs}
lags = 1
"""


def steps_of(levels: Sequence[float], steps: int, hold: int, seed: int) -> Floats:
    """An input that jumps between `levels` each `hold` steps (steps, 1)."""
    chance = np.random.default_rng(seed)
    jumps = chance.uniform(min(levels), max(levels), -(-steps // hold))
    return np.asarray(np.repeat(jumps, hold)[:steps, None])


def draining_tank(steps: int, seed: int = 1, noise: float = 0.002) -> Stretch:
    """Torricelli: what flows out goes with the root of the level, so that no linear twin is right everywhere."""
    chance = np.random.default_rng(seed)
    u = steps_of((20.0, 80.0), steps, 20, seed)
    level, y = 1.0, []
    for one in u[:, 0]:
        y.append([level + noise * chance.standard_normal()])
        level += 0.02 * one / 50 - 0.02 * max(level, 0.0) ** 0.5
    return Stretch("a", 0, np.asarray(y), u)


def known_system(steps: int, seed: int = 1, noise: float = 0.02) -> tuple[Floats, Stretch]:
    """A of two states of which one is seen, and what it showed."""
    chance = np.random.default_rng(seed)
    A, B, C = np.array([[0.9, 0.1], [-0.2, 0.8]]), np.array([[0.5], [1.0]]), np.array([[1.0, 0.0]])
    u, x, y = chance.standard_normal((steps, 1)), np.zeros(2), []
    for one in u:
        y.append(C @ x + 5.0 + noise * chance.standard_normal(1))
        x = A @ x + B @ one
    return A, Stretch("a", 0, np.asarray(y), u)


@dataclass(frozen=True, slots=True)
class Place:
    """A state directory with history, as a server leaves it."""

    settings: config.Config
    recipe: Path

    @property
    def times(self) -> list[str]:
        """The options that take all of it."""
        return ["--from", "2020-01-01", "--until", "2040-01-01", "-c", str(self.settings.path)]


def place(folder: Path, one: Stretch, *, kind: str = "none", epochs: int = 20, horizon: int = 300) -> Place:
    """The tank's readings each 10 s, one stuck and one without an answer among them, and a hole of ten minutes."""
    file = folder / "aggregator.toml"
    file.write_text(f'[aggregator]\nstate_dir = "{folder}"\n')
    settings = config.load(file)
    catalogue = Catalogue(settings.catalogue)
    catalogue.put_gateway("gw", "enrolled", 0)
    catalogue.close()
    asyncio.run(_fill(settings, one))
    recipe = folder / "tank.toml"
    recipe.write_text(TANK_RECIPE.format(kind=kind, epochs=epochs, horizon=horizon))
    return Place(settings, recipe)


async def _fill(settings: config.Config, one: Stretch) -> None:
    log, history = SqliteLog(settings.log), SegmentHistory(settings.history)
    values = np.hstack((one.y, one.u))
    codes = np.zeros(values.shape, np.uint8)
    codes[50, 0], codes[60, 0] = STUCK_CODE, BAD_CODE
    keep = np.ones(len(values), bool)
    keep[100:160] = False
    times = NOON + np.arange(len(values), dtype=np.int64) * 10 * NS
    for n, rows in enumerate(np.array_split(np.flatnonzero(keep), max(1, len(values) // ROWS)), 1):
        block = Block("tank", ("level", "speed"), times[rows], times[rows], values[rows], codes[rows])
        made: Batch = batch("gw", 1, n, [block], [])
        await log.append([Arrival(made.key, int(times[rows][-1]), 0, 0, len(rows), encode(made))])
    await HistoryProjection(log, history).catch_up()
    history.close()
    await log.close()
