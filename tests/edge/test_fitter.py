"""Which model runs: from the rules to the loop and back, with real bundles, trials and shelves."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent import field, plant
from edge_agent.config import Gateway, load
from edge_agent.fitter import Fitter
from edge_agent.pair import VITALS_NS, Pair, Side
from edge_agent.plant import Plant
from edge_agent.rollout import requests
from edge_agent.rollout.watch import Terms, Vitals
from edge_agent.twin.faults import ModelRefused
from protos.bundle import Untrusted
from protos.clock import SteppedClock
from tests.bench.acting import echo_bundle
from tests.edge.acting import site
from tests.edge.twin.setting import PERIOD_NS
from tests.simulators.bundles import signing_key, write_trust

PATIENCE_S = 20.0
TERMS = Terms(steps=1, shadow_s=2, probation_s=2)
GOOD = Vitals(10, residual=0.01, nis=1.0)


class Scene:
    """A fitter with the loop's pair, on a clock that moves when told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = site(folder, twins=1)
        self.clock = SteppedClock(10**12, wall_ns=1_700_000_000 * 10**9)
        self.again = 0
        self.fitter = Fitter(load(self.file), self.clock, self.ask_again)
        self.fitter.models.terms = TERMS
        self.pair = Pair(self.clock, PERIOD_NS)

    def ask_again(self) -> None:
        self.again += 1

    async def prepare(self, config: Gateway | None = None) -> Plant:
        await self.fitter.prepare(config or self.fitter.config)
        self.fitter.settle()
        config, around = self.fitter.config, field.build(self.fitter.config, self.clock)
        built = plant.build(config, self.clock, around, self.fitter.bundles)
        self.pair = Pair(self.clock, PERIOD_NS, Side(built.twins))
        return built

    def bundle(self, version: str) -> bytes:
        return echo_bundle(100, version)

    async def seconds(self, task: "asyncio.Task[None]", count: int = 1, **vitals: Vitals) -> None:
        """Each with a report of the bundles that run, `v1=…` by version."""
        for _ in range(count):
            now = [one for one in (self.fitter.fittings["echo0"].applied, self.fitter.fittings["echo0"].beside) if one]
            self.pair.report = {"echo0": {one.digest: vitals[f"v{one.manifest.version}"] for one in now}}
            await self.clock.advance(VITALS_NS)
            await asyncio.sleep(0.05)  # the shelf is written and models are loaded in threads
            assert not task.done()

    def shown(self) -> str:
        one = self.fitter.fittings["echo0"]
        return "/".join(b.manifest.version if b else "-" for b in (one.applied, one.beside))


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.fitter.models.close()


async def test_a_new_model_runs_beside_then_on_probation_then_for_good(scene: Scene) -> None:
    built = await scene.prepare()
    task = asyncio.create_task(scene.fitter.run(built, scene.pair))
    await scene.seconds(task, 5, v1=GOOD)
    assert (scene.shown(), scene.fitter.slot("echo0")) == ("1/-", "current")
    await scene.fitter.models.install("echo0", scene.bundle("2"), "a test")
    await scene.seconds(task, 1, v1=GOOD)
    assert scene.shown() == "1/2"
    _, beside = scene.pair._fresh or (None, None)
    assert beside is not None
    assert beside.bundle("echo0").manifest.version == "2"
    await scene.seconds(task, 3, v1=GOOD, v2=GOOD)
    assert (scene.shown(), scene.fitter.slot("echo0")) == ("2/1", "probation")
    await scene.seconds(task, 3, v1=GOOD, v2=GOOD)
    assert (scene.shown(), scene.fitter.slot("echo0")) == ("2/-", "current")
    assert scene.again == 0, "nothing had to be built anew"
    task.cancel()


async def test_what_is_held_stays_beside_until_it_may_go_on_and_is_told(scene: Scene) -> None:
    built = await scene.prepare()
    models = scene.fitter.models
    task = asyncio.create_task(scene.fitter.run(built, scene.pair))
    await scene.seconds(task, 5, v1=GOOD)
    bundle = await models.install("echo0", scene.bundle("2"), "a test", hold=True)
    await scene.seconds(task, 6, v1=GOOD, v2=GOOD)
    assert scene.shown() == "1/2"
    told = models.told()["echo0"]
    assert (told.phase, told.candidate, told.paired_total > 3) == (1, bundle.digest, True)
    answer = await requests.answer(models, {"do": "apply", "twin": "echo0", "digest": "0" * 64}, b"")
    assert (answer["ok"], "is not on trial" in str(answer["said"])) == (False, True)
    assert (await requests.answer(models, {"do": "apply", "twin": "echo0", "digest": bundle.digest}, b""))["ok"]
    await scene.seconds(task, 2, v1=GOOD, v2=GOOD)
    assert scene.shown() == "2/1"
    await models.rollback("echo0", "a test")
    told = models.told()["echo0"]
    assert (told.refused, told.rollbacks_total) == ((bundle.digest,), 1)
    task.cancel()


async def test_a_model_that_cannot_be_loaded_is_left_behind_and_reported(scene: Scene) -> None:
    await scene.prepare()
    bundle = scene.fitter.fittings["echo0"].applied
    assert bundle is not None
    broken = replace(bundle, network=b"no network")  # as a runtime of another version would find it
    scene.fitter.fittings["echo0"] = replace(scene.fitter.fittings["echo0"], applied=broken)
    await scene.fitter.refused(ModelRefused("cannot be loaded"))
    assert scene.shown() == "-/-"
    assert scene.fitter.slot("echo0") == "none"
    with pytest.raises(ModelRefused, match="by nobody"):
        await scene.fitter.refused(ModelRefused("by nobody"))


async def test_other_points_need_another_loop(scene: Scene) -> None:
    """Without a model a twin has the points that are asked for; with one it has those of its model."""
    built = await scene.prepare()
    scene.fitter.fittings["echo0"] = await scene.fitter.models.failed(
        "echo0", scene.fitter.bundles["echo0"].digest, "a test"
    )
    task = asyncio.create_task(scene.fitter.run(built, scene.pair))
    await asyncio.sleep(0)
    assert scene.again == 1
    task.cancel()


async def test_a_configuration_that_is_refused_is_taken_back(scene: Scene) -> None:
    """Preparing the old one again leaves models, trust and slots as they were: no start is counted, none is lost."""
    await scene.prepare()
    old, slots = scene.fitter.config, scene.fitter.models._kept["echo0"].slots.state
    none = replace(old, cell=replace(old.cell, twins=(), trust=()))
    await scene.fitter.prepare(none)
    assert scene.fitter.bundles == {}
    await scene.fitter.prepare(old)
    scene.fitter.settle()
    assert scene.shown() == "1/-"
    assert scene.fitter.models._kept["echo0"].slots.state == slots
    await scene.fitter.prepare(none)
    scene.fitter.settle()
    assert scene.fitter.models.gauges()["without"] == 0
    assert scene.fitter.slot("echo0") == "none"


async def test_a_key_that_cannot_be_read_changes_nothing(scene: Scene) -> None:
    await scene.prepare()
    old = scene.fitter.config
    torn = scene.folder / "torn.pem"
    torn.write_text("-----BEGIN")
    with pytest.raises(Untrusted, match=r"torn\.pem"):
        await scene.fitter.prepare(replace(old, cell=replace(old.cell, trust=(torn,))))
    assert scene.fitter.config is old
    assert scene.fitter.models.trusted
    other = write_trust(scene.folder / "other.pem", signing_key(2))
    await scene.prepare(replace(old, cell=replace(old.cell, trust=(other,))))
    assert scene.shown() == "-/-", "nobody trusts the one who signed it any more"
    with pytest.raises(Untrusted):
        await scene.fitter.models.install("echo0", scene.bundle("2"), "of the old key")


async def test_a_report_of_a_twin_that_is_no_longer_there_is_not_missed(scene: Scene) -> None:
    """While a reload is under way the old loop still reports its twins."""
    built = await scene.prepare()
    task = asyncio.create_task(scene.fitter.run(built, scene.pair))
    await scene.seconds(task, 1, v1=GOOD)
    config = scene.fitter.config
    await scene.fitter.prepare(replace(config, cell=replace(config.cell, twins=())))
    scene.fitter.settle()
    scene.pair.report = {"echo0": {"digest": GOOD}}
    await scene.clock.advance(2 * VITALS_NS)
    assert not task.done()
    assert scene.fitter.fittings == {}
    task.cancel()
