"""The one way in for a model, with real bundles and real trials; what the agent is told to run; the way back."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.cell import TwinSpec
from edge_agent.rollout.faults import Busy, Damaged, NoSuchTwin, Overran, ShelfFault, TakenBack, Unfit
from edge_agent.rollout.models import Fitting, Models
from edge_agent.rollout.shelf import Shelf
from edge_agent.rollout.trial import Limits
from edge_agent.rollout.watch import Terms, Vitals
from edge_agent.twin.points import wrong_with
from protos.bundle import Bundle, Untrusted
from protos.clock import NS, SteppedClock
from tests.simulators.bundles import other_tank, signing_key, tank_bundle

KEY = signing_key()
TRUSTED = [KEY.public_key()]
GOOD, BAD = Vitals(10, residual=0.01, nis=1.0), Vitals(10, nan=1)
TERMS = Terms(steps=50, shadow_s=5, probation_s=10)


def fit(spec: TwinSpec, bundle: Bundle) -> list[str]:
    """A gateway that connects a level and a speed."""
    known = {"a/level": "water_level", "a/speed": "pump_speed"}
    return [f"{one.key} {one.wrong}" for one in wrong_with(spec, bundle, known)]


class Site:
    """A gateway with one twin, `tank`, on a clock that moves when told; each life of the agent is a `start`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, SteppedClock(wall_ns=1_700_000_000 * NS)
        self.spec = TwinSpec("tank", tank_bundle(folder / "first.ctb", KEY), {"level": "a/level", "speed": "a/speed"})
        self.models: Models | None = None
        self.now = Fitting()

    async def start(self) -> Models:
        if self.models is not None:
            self.models.close()  # what a kill does: the kernel gives the lock back
        self.models = Models(self.folder, TRUSTED, self.clock, fit, TERMS)
        await self.models.adopt([self.spec])
        self.now = await self.models.fitted("tank")
        return self.models

    async def seconds(self, count: int, **versions: Vitals) -> list[str]:
        """Reports of bundles by version; what was to be run after each change, as applied/beside."""
        assert self.models is not None
        told = []
        for _ in range(count):
            await self.clock.advance(NS)
            there = {b.digest: versions[f"v{b.manifest.version}"] for b in (self.now.applied, self.now.beside) if b}
            new = await self.models.report("tank", there)
            if new is not None:
                self.now = new
                told.append(shown(new))
        return told

    def bundle(self, version: str, *, network: bool = False) -> bytes:
        return tank_bundle(self.folder / f"{version}.ctb", KEY, version=version, network=network).read_bytes()


def shown(fitting: Fitting) -> str:
    return "/".join(one.manifest.version if one else "-" for one in (fitting.applied, fitting.beside))


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(tmp_path)
    yield site
    if site.models is not None:
        site.models.close()


async def test_the_bundle_of_the_file_serves_when_the_shelf_is_empty(site: Site) -> None:
    models = await site.start()
    assert shown(await models.fitted("tank")) == "1/-"
    assert await site.seconds(11, v1=GOOD) == []
    site.spec = replace(site.spec, bundle=site.folder / "gone.ctb")
    models = await site.start()
    assert shown(await models.fitted("tank")) == "1/-", "later it comes from the shelf"


async def test_shadow_probation_commit_and_the_agent_starts_again(site: Site) -> None:
    models = await site.start()
    await site.seconds(11, v1=GOOD)
    await models.install("tank", site.bundle("2", network=True), "better")
    assert await site.seconds(1, v1=GOOD, v2=GOOD) == ["1/2"]
    assert await site.seconds(16, v1=GOOD, v2=GOOD) == ["2/1", "2/-"]
    models = await site.start()
    assert shown(await models.fitted("tank")) == "2/-"
    await models.rollback("tank", "asked")
    assert await site.seconds(1, v1=GOOD, v2=GOOD) == ["1/-"]


async def test_a_bad_one_takes_itself_back_and_is_not_tried_again(site: Site) -> None:
    models = await site.start()
    await site.seconds(11, v1=GOOD)
    await models.install("tank", site.bundle("2"), "worse")
    assert await site.seconds(3, v1=GOOD, v2=BAD) == ["1/2", "1/-"]
    with pytest.raises(TakenBack, match="tank 2 was taken back before: in shadow: 1 of 10 outputs"):
        await models.install("tank", site.bundle("2"), "worse")
    await models.install("tank", site.bundle("2"), "looked at", again=True)


async def test_a_crash_loop_of_the_agent_takes_the_candidate_back(site: Site) -> None:
    models = await site.start()
    await site.seconds(11, v1=GOOD)
    await models.install("tank", site.bundle("2"), "crashes the agent")
    for _ in range(2):
        models = await site.start()
        assert shown(await models.fitted("tank")) == "1/2"
    models = await site.start()
    assert shown(await models.fitted("tank")) == "1/-"


async def test_starts_that_were_told_to_end_are_no_crashes(site: Site) -> None:
    models = await site.start()
    await site.seconds(11, v1=GOOD)
    await models.install("tank", site.bundle("2"), "fine")
    for _ in range(5):
        models = await site.start()
        await models.leave()
    assert shown(await models.fitted("tank")) == "1/2"


async def test_a_bundle_that_the_agent_cannot_run_goes_back(site: Site) -> None:
    models = await site.start()
    await site.seconds(11, v1=GOOD)
    bundle = await models.install("tank", site.bundle("2"), "cannot be run")
    assert shown(await models.failed("tank", bundle.digest, "does not load")) == "1/-"


async def test_what_is_damaged_on_the_shelf_is_left_behind(site: Site) -> None:
    models = await site.start()
    await site.seconds(11, v1=GOOD)
    await models.install("tank", site.bundle("2"), "fine")
    await site.seconds(16, v1=GOOD, v2=GOOD)
    current = (await models.fitted("tank")).applied
    assert current is not None
    path = site.folder / "models" / "tank" / f"{current.digest}.ctb"
    path.write_bytes(b"x" + path.read_bytes()[1:])
    assert shown(await models.fitted("tank")) == "1/-"
    with pytest.raises(Damaged):
        Shelf(site.folder, "tank").take(current.digest)


async def test_a_signer_who_is_no_longer_trusted_is_left_behind(site: Site) -> None:
    models = await site.start()
    models.trusted = [signing_key(9).public_key()]
    assert shown(await models.fitted("tank")) == "-/-"


async def test_only_models_of_this_twin(site: Site) -> None:
    models = await site.start()
    with pytest.raises(Untrusted, match="none of the 1 keys"):
        await models.install("tank", tank_bundle(site.folder / "s.ctb", signing_key(2)).read_bytes(), "a stranger's")
    with pytest.raises(
        Unfit, match=r"tank 1 is no model of tank: points\.speed is nothing of tank 1; points\.lift is miss"
    ):
        await models.install("tank", other_tank(site.folder / "o.ctb", KEY).read_bytes(), "of something else")
    with pytest.raises(NoSuchTwin, match=r"pump: no such twin; the gateway's file has tank"):
        await models.install("pump", site.bundle("2"), "typed wrong")
    with pytest.raises(TakenBack, match="is on trial already"):
        await models.install("tank", site.spec.bundle.read_bytes(), "twice")
    assert models.gauges() == {"trials_total": 4, "rejected_total": 3, "on_trial": 1, "without": 0}


async def test_a_file_bundle_that_fails_leaves_the_twin_without(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.spec.bundle.write_bytes(b"no bundle")
    models = await site.start()
    assert shown(await models.fitted("tank")) == "-/-"
    assert "twin tank runs without a model" in caplog.text
    await models.adopt([replace(site.spec, bundle=site.folder / "gone.ctb")])
    assert "No such file" in caplog.text


async def test_a_slow_trial_is_refused(site: Site) -> None:
    models = await site.start()
    models.limits = Limits(wall_s=0.01)
    with pytest.raises(Overran):
        await models.install("tank", site.bundle("2"), "slow")


async def test_a_full_disk_refuses_an_installation_and_stops_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = await site.start()
    await site.seconds(5, v1=GOOD)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ShelfFault, match="No space left"):
        await models.install("tank", site.bundle("2"), "fine")
    assert await site.seconds(7, v1=GOOD) == []
    assert Shelf(site.folder, "tank").read().phase == "probation", "the commit could not be written down"
    monkeypatch.undo()
    await site.seconds(1, v1=GOOD)
    assert Shelf(site.folder, "tank").read().phase == "rest", "and is, as soon as there is room"


async def test_installing_while_reports_go_on(site: Site) -> None:
    """A report never sees a candidate whose bundle is not on the disk yet."""
    models = await site.start()
    await site.seconds(11, v1=GOOD)
    task = asyncio.create_task(models.install("tank", site.bundle("2"), "fine"))
    told: list[str] = []
    async with asyncio.timeout(30):
        while not task.done():
            told += await site.seconds(1, v1=GOOD, v2=GOOD)
            await asyncio.sleep(0.001)
    told += await site.seconds(1, v1=GOOD, v2=GOOD)
    assert told == ["1/2"]


async def test_two_agents_do_not_share_models(site: Site) -> None:
    await site.start()
    with pytest.raises(Busy):
        Models(site.folder, TRUSTED, site.clock, fit)
