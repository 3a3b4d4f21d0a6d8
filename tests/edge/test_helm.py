"""The main loop's side of the control loop: what outlives a configuration, and what its failures do not take along."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge_agent import field, helm
from edge_agent.config import Gateway, load
from edge_agent.fitter import Fitter
from edge_agent.health import Health
from edge_agent.helm import AUDIT_NS, WRITES, Helm, read_writes, write_writes
from edge_agent.image import Frame, Layout, lay_out
from edge_agent.intake import Intake, Pace
from edge_agent.setpoint import Authority
from edge_agent.snapshot import Mode
from edge_agent.supervisor import Supervisor
from protos.clock import NS, Anchor, Clock, SteppedClock, SystemClock
from tests.bench.acting import Devices, devices, site

PATIENCE_S = 15.0
DECIDED = Layout("control", ())


class Scene:
    """A helm as the agent has it: a supervisor, an intake, an audit that can be stuck."""

    def __init__(self, file: Path, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.config = load(file)
        self.health = Health(self.clock)
        self.supervisor = Supervisor(self.health, self.clock)
        self.again = asyncio.Event()
        self.fitter = Fitter(self.config, self.clock, self.again.set)
        self.audited: list[Frame] = []
        self.stuck: OSError | None = None
        anchor = Anchor(bytes(16), 0, 10 * NS, "none")
        keep: Callable[[str, Callable[[], Awaitable[object]]], object] = self.supervisor.keep
        self.helm = Helm(self.config, self.clock, lambda: anchor, self.audit, self.fitter, keep)  # type: ignore[arg-type]

    async def audit(self, frames: Sequence[Frame]) -> None:
        if self.stuck is not None:
            raise self.stuck
        self.audited.extend(frames)

    async def kept(self, frames: Sequence[Frame]) -> bool:
        return True

    @asynccontextmanager
    async def running(
        self, config: Gateway | None = None, after: Callable[[], Gateway] | None = None
    ) -> AsyncIterator["asyncio.Task[None]"]:
        """`after`: the configuration that a reload takes next."""
        self.config = config or self.config
        await self.fitter.prepare(self.config)
        self.fitter.settle()
        around = field.build(self.config, self.clock)
        intake = Intake(around.cleaning.apply, around.image, self.kept, self.clock, Pace())
        task = asyncio.create_task(self.helm.run(self.config, around, intake))
        try:
            await self.until(lambda: self.helm.snapshot() is not None or task.done())
            yield task
        finally:
            self.helm.stop(safe=False, after=None if after is None else after())
            await asyncio.wait([task], timeout=PATIENCE_S)
            assert task.done()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not true():
                await asyncio.sleep(0.005)

    def authority(self) -> Authority | None:
        snapshot = self.helm.snapshot()
        return None if snapshot is None else snapshot.decisions[0].authority


def actuators(found: Devices) -> list[int]:
    values: list[int] = found.ask()["actuators"]
    return values


async def test_a_person_keeps_an_output_over_a_reload(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with devices("--ports", "2", "--echo-ms", "50") as found:
        file = site(tmp_path, found.ports, period_ms=20, outputs=2)
        scene = Scene(file)
        async with scene.running():
            hands = scene.helm.hands
            assert hands is not None
            for name, value in (("out0", 55.0), ("out1", 66.0)):
                hands.set(name, value, 60 * NS, "ann", "repair", scene.clock.monotonic_ns())
            await scene.until(lambda: actuators(found) == [550, 660])
            ticks = scene.helm.counts.ticks
        assert scene.helm.hands is None, "nobody takes a person's word between two loops"
        file.write_text(file.read_text().replace('name = "out1"', 'name = "other"').replace('"out1" }', '"other" }'))
        async with scene.running(load(file)):
            await scene.until(lambda: scene.authority() is Authority.HAND)
            snapshot = scene.helm.snapshot()
            assert snapshot is not None
            assert [(one.output, one.value, one.who) for one in snapshot.holds] == [(0, 55.0, "ann")]
            assert actuators(found)[0] == 550
            assert scene.helm.counts.ticks > ticks, "totals go on"
        assert "out1 (d1/actuator) is no output any more; ann held it at 66" in caplog.text
        done = [value for _, value in found.ask()["log"][0]]
        assert set(done[done.index(550) :]) == {550}, "and it never moved"


async def test_an_output_that_a_reload_takes_away_is_left_safe(tmp_path: Path) -> None:
    """Nobody would answer for it any more; those that stay are left alone."""
    with devices("--ports", "2", "--echo-ms", "50") as found:
        file = site(tmp_path, found.ports, period_ms=20, outputs=2)
        scene = Scene(file)

        def without() -> Gateway:
            text = file.read_text()
            file.write_text(text.replace('name = "out1"', 'name = "other"').replace('"out1" }', '"other" }'))
            return load(file)

        async with scene.running(after=without):
            hands = scene.helm.hands
            assert hands is not None
            for name, value in (("out0", 55.0), ("out1", 66.0)):
                hands.set(name, value, 60 * NS, "ann", "repair", scene.clock.monotonic_ns())
            await scene.until(lambda: actuators(found) == [550, 660])
        assert actuators(found) == [550, 0]


async def test_hands_end_where_there_is_no_loop_any_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with devices("--echo-ms", "50") as found:
        scene = Scene(site(tmp_path, found.ports, period_ms=20, outputs=1))
        async with scene.running():
            hands = scene.helm.hands
            assert hands is not None
            hands.set("out0", 55.0, 60 * NS, "ann", "repair", scene.clock.monotonic_ns())
        scene.helm.rest()
        assert "out0 (d0/actuator) is no output any more; ann held it at 55" in caplog.text
        assert scene.helm.hand.active == ()


async def test_models_that_fail_do_not_take_the_loop_along(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with devices("--echo-ms", "50") as found:
        scene = Scene(site(tmp_path, found.ports, period_ms=50, outputs=1, twins=1))
        try:
            async with scene.running() as task:
                await scene.until(lambda: scene.authority() is Authority.LOCAL)

                async def fail(*_: object) -> None:
                    raise LookupError("a fault that nobody has thought of")

                scene.fitter.models.report = fail  # type: ignore[method-assign, assignment]
                await scene.until(lambda: scene.health.tasks[helm.MODELS].restarts >= 1)
                ticks = scene.helm.counts.ticks
                await scene.until(lambda: scene.helm.counts.ticks > ticks + 5)
                assert not task.done()
                assert scene.authority() is Authority.LOCAL
        finally:
            scene.fitter.models.close()
    assert "models failed; again in 1 s" in caplog.text


async def test_how_often_each_output_was_written_survives_the_agent(tmp_path: Path) -> None:
    with devices("--echo-ms", "20") as found:
        file = site(tmp_path, found.ports, period_ms=10, outputs=1)
        first = Scene(file)
        async with first.running():
            await first.until(lambda: len(found.ask()["log"][0]) >= 5)
        written = json.loads((tmp_path / "edge" / WRITES).read_text())["out0"]
        assert written >= 5
        first.fitter.models.close()
        second = Scene(file)
        async with second.running():
            await second.until(lambda: second.helm.snapshot() is not None)
            snapshot = second.helm.snapshot()
            assert snapshot is not None
            assert snapshot.applied[0].writes >= written


async def test_decisions_wait_for_the_disk_and_the_oldest_go_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helm, "AUDIT_MAX", 5)
    clock = SteppedClock(10**12)
    scene = Scene(site(tmp_path, [50201], period_ms=100, outputs=1), clock)
    keeping = asyncio.create_task(scene.supervisor.keep("audit", scene.helm.keep))

    def told(*names: str) -> None:
        scene.helm._tell([Frame(DECIDED, 0, 0, lay_out(())[1].values, texts=[(name, "")]) for name in names])

    told("a", "b")
    await clock.advance(AUDIT_NS)
    assert [frame.texts[0][0] for frame in scene.audited] == ["a", "b"]
    scene.stuck = OSError("no room")
    told(*"cdefghi")
    await clock.advance(3 * AUDIT_NS)
    assert scene.helm.lost == 2
    assert scene.helm.gauges()["audit_lost_total"] == 2
    scene.stuck = None
    await clock.advance(60 * NS)
    assert [frame.texts[0][0] for frame in scene.audited] == list("abefghi")
    keeping.cancel()


async def test_only_a_completed_cycle_is_progress(tmp_path: Path) -> None:
    scene = Scene(site(tmp_path, [50201], period_ms=100, outputs=1))
    assert not scene.helm.progressed()
    scene.helm.counts.ticks += 1
    assert scene.helm.progressed()
    assert not scene.helm.progressed()


async def test_without_a_loop_nothing_is_shown_and_nothing_breaks(tmp_path: Path) -> None:
    scene = Scene(site(tmp_path, [50201], period_ms=100, outputs=1))
    assert (scene.helm.snapshot(), scene.helm.tick(), scene.helm.hands) == (None, None, None)
    scene.helm.mirror(Frame(DECIDED, 0, 0, lay_out(())[1].values))
    scene.helm.stop(safe=True)
    assert scene.helm.gauges() == {"audit_lost_total": 0}


async def test_the_mode_says_what_the_outputs_do(tmp_path: Path) -> None:
    with devices("--dead", "1") as found:
        scene = Scene(site(tmp_path, found.ports, period_ms=20, outputs=1))
        async with scene.running():
            snapshot = scene.helm.snapshot()
            assert snapshot is not None
            assert (snapshot.mode, scene.authority()) == (Mode.STARTING, Authority.NOBODY)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"out0": "x", "out1": NaN, "out2": null}'])
def test_a_count_of_writes_that_is_lost_begins_anew(tmp_path: Path, text: str) -> None:
    file = tmp_path / WRITES
    assert read_writes(file) == {}
    file.write_text(text)
    assert read_writes(file) == {}
    write_writes(file, {"out0": 7})
    assert read_writes(file) == {"out0": 7}


def test_a_full_disk_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_writes(tmp_path / "away" / WRITES, {"out0": 7})
    assert "away/writes.json cannot be written" in caplog.text
