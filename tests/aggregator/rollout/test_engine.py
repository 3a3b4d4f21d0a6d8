"""The engine on a real table, killed at any point between deciding, writing and telling: nothing is lost or doubled."""

from pathlib import Path

import numpy as np
import pytest

from aggregator.rollout.engine import Engine, begun, row_of
from aggregator.rollout.plan import Rollout, State, begin, unpacked
from aggregator.stores import StoreError
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.rollouts import RolloutRow, Rollouts
from protos.clock import SteppedClock
from tests.aggregator.rollout.test_course import NEW, QUICK
from tests.aggregator.rollout.world import Kind, World

NS = 1_000_000_000


class Killed(Exception):
    """The process is gone, between two of its steps."""


class Mortal:
    """A director, and a table, in which the process may die before or after each call."""

    def __init__(self, world: World, seed: int, share: float) -> None:
        self.world, self.random, self.share = world, np.random.default_rng(seed), share
        self.kills = 0

    def die(self) -> None:
        if self.random.random() < self.share:
            self.kills += 1
            raise Killed

    def desire(self, gateway: str, one: Rollout, slot: str) -> None:
        self.die()
        self.world.desire(gateway, one, slot)
        self.die()

    def withdraw(self, gateway: str, one: Rollout) -> None:
        self.die()
        self.world.withdraw(gateway, one)
        self.die()


class MortalRollouts(Rollouts):
    def __init__(self, catalogue: Catalogue, mortal: Mortal) -> None:
        super().__init__(catalogue)
        self.mortal = mortal

    def change(self, row: RolloutRow, who: str, entries: object = ()) -> bool:
        self.mortal.die()
        done = super().change(row, who, entries)  # type: ignore[arg-type]
        self.mortal.die()
        return done


def new(number: int = 1, twin: str = "tank") -> Rollout:
    return begin(f"r-{number}", twin, "t.ctb", NEW, title="tank 2", person="ada", now_ns=NS, margin=0.05)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("kind", "end"), [(Kind(error=0.5), State.DONE), (Kind(kpi=3.0), State.ABORTED)])
async def test_killed_at_any_point(tmp_path: Path, seed: int, kind: Kind, end: State) -> None:
    world, clock = World(20, {NEW: kind}, seed=seed), SteppedClock(wall_ns=60 * NS)
    mortal = Mortal(world, seed, 0.03)
    path = tmp_path / "catalogue.sqlite"
    catalogue = Catalogue(path)
    begun(Rollouts(catalogue), new())
    engine: Engine | None = None
    for _ in range(2000):
        world.tick()
        await clock.advance(NS)
        engine = engine or Engine(MortalRollouts(catalogue, mortal), mortal, world.reports, QUICK, clock)
        try:
            await engine.tick()
        except Killed:
            catalogue.close()
            catalogue, engine = Catalogue(path), None
        if Rollouts(catalogue).get("r-1").state == end:
            break
    one = unpacked(Rollouts(catalogue).get("r-1").content)
    acts = [entry.act for entry in catalogue.audit()]
    catalogue.close()
    assert mortal.kills >= 2
    assert one.state is end, one.reason
    assert world.running(NEW) == (set(world.fleet) if end is State.DONE else set())
    assert acts.count("rollout promote") == (3 if end is State.DONE else 1)  # each once, whatever was killed
    assert acts.count("rollout abort") == (end is State.ABORTED)


async def test_a_persons_word_between_two_looks_is_not_overwritten(tmp_path: Path) -> None:
    world, clock = World(6, {NEW: Kind()}), SteppedClock(wall_ns=60 * NS)
    catalogue = Catalogue(tmp_path / "catalogue.sqlite")
    rollouts = Rollouts(catalogue)
    begun(rollouts, new())
    engine = Engine(rollouts, world, world.reports, QUICK, clock)
    await engine.tick()
    row = rollouts.get("r-1")
    stale = unpacked(row.content)
    assert rollouts.change(row_of(stale.pause("wait"), row.version, 5), "ada")
    assert not rollouts.change(row_of(stale, row.version, 6), "aggregator")
    for _ in range(60):
        await clock.advance(NS)
        world.tick()
        await engine.tick()
    assert rollouts.get("r-1").state == "paused"
    catalogue.close()


def test_one_at_a_time_for_a_twin(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path / "catalogue.sqlite")
    rollouts = Rollouts(catalogue)
    begun(rollouts, new(1))
    begun(rollouts, new(2, "pump"))
    with pytest.raises(StoreError, match="r-1 is under way for tank"):
        begun(rollouts, new(3))
    catalogue.close()
