"""Twins that are applied and twins on trial beside them: same views, exchanged between ticks, reported by seconds."""

from pathlib import Path

import numpy as np
import pytest

from edge_agent.image import View
from edge_agent.pair import DEADLINE_SHARE, VITALS_NS, Pair, Side
from edge_agent.twin.twins import Twins
from protos.clock import SteppedClock
from tests.edge.twin.setting import PERIOD_NS, Site, tank


class Slow(SteppedClock):
    """Time that passes while it is looked at: so long takes each step."""

    def __init__(self, step_ns: int) -> None:
        super().__init__()
        self.step_ns = step_ns

    def monotonic_ns(self) -> int:
        self._now += self.step_ns
        return self._now


class Scene:
    """The tank of `Site`, whose twin is stepped by a pair."""

    def __init__(self, folder: Path, step_ns: int = 0) -> None:
        self.folder = folder
        self.site = Site([tank(folder)])
        self.pair = Pair(Slow(step_ns), PERIOD_NS, Side(self.site.twins))

    def twins(self, version: str, *, network: bool = False) -> Twins:
        return self.site.build([tank(self.folder, version=version, network=network)])

    def view(self) -> View:
        """The plant a period on, seen."""
        self.site.now_ns += PERIOD_NS
        for device, value in (("tank-0", 1.7 + self.site.random.normal(0, 1e-3)), ("pump-0", 50.0)):
            self.site.show(device, value)
        return self.site.image.freeze(self.site.now_ns)

    def tick(self, count: int = 1) -> float:
        """Ticks; the level that was estimated last."""
        level = np.nan
        for _ in range(count):
            for frame in self.pair.step(self.view()):
                self.site.image.take(frame)
                level = float(frame.values[0])
        return level

    def digest(self, version: str, *, network: bool = False) -> str:
        return tank(self.folder, version=version, network=network).digest


def test_without_twins_it_gives_nothing() -> None:
    view = View(1, np.zeros(0), np.zeros(0, np.uint8), np.zeros(0, np.int64))
    assert Pair(SteppedClock(), PERIOD_NS).step(view) == ()


def test_the_one_beside_sees_the_same_and_is_not_applied(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.tick(50)
    beside = scene.twins("2", network=True)
    scene.pair.exchange(scene.twins("1"), beside)
    frames = scene.pair.step(scene.view())
    assert [frame.layout.device for frame in frames] == ["twin-0"]
    assert scene.pair.beside.twins is beside
    scene.tick(20)
    for version, network in (("1", False), ("2", True)):
        report = scene.pair.report["twin-0"][scene.digest(version, network=network)]
        assert report.steps > 0
        assert report.nan == 0
        assert 0.2 < report.nis < 5.0
        assert 0.2 < report.residual < 5.0


def test_an_exchange_is_no_bump_and_waits_for_the_next_tick(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    before = scene.tick(100)
    applied, old = scene.twins("2"), scene.pair.applied.twins
    scene.pair.exchange(applied, None)
    assert scene.pair.applied.twins is old
    after = scene.tick()
    assert scene.pair.applied.twins is applied
    assert after == pytest.approx(before, abs=2e-3)
    assert scene.site.value("twin-0/level_sd") < 2e-3, "it knows what the one before knew"


def test_only_the_last_of_two_exchanges_counts(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    last = scene.twins("3")
    scene.pair.exchange(scene.twins("2"), None)
    scene.pair.exchange(last, None)
    scene.tick()
    assert scene.pair.applied.twins is last


def test_it_reports_once_a_second_and_replaces_the_report_whole(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.tick()
    first = scene.pair.report
    scene.tick(VITALS_NS // PERIOD_NS - 1)
    assert scene.pair.report is first
    scene.tick()
    assert scene.pair.report is not first
    (vitals,) = scene.pair.report["twin-0"].values()
    assert vitals.steps == VITALS_NS // PERIOD_NS


@pytest.mark.parametrize(("share", "late"), [(0.9, 0), (1.1, 10)])
def test_steps_that_take_too_long_are_counted_once(tmp_path: Path, share: float, late: int) -> None:
    scene = Scene(tmp_path, step_ns=int(share * DEADLINE_SHARE * PERIOD_NS))
    scene.tick(1 + VITALS_NS // PERIOD_NS)
    (vitals,) = scene.pair.report["twin-0"].values()
    assert vitals.late == late
    scene.tick(VITALS_NS // PERIOD_NS)
    (vitals,) = scene.pair.report["twin-0"].values()
    assert vitals.late == late, "since the last report"


def test_without_a_model_there_is_nothing_to_report(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.tick(5)
    scene.pair.exchange(None, None)
    assert np.isnan(scene.tick(2 * VITALS_NS // PERIOD_NS))
    assert scene.pair.report == {}


def test_one_beside_that_fails_costs_itself_only(tmp_path: Path) -> None:
    """A candidate is nobody's reason to stop acting: its steps count as without numbers, and it goes."""
    scene = Scene(tmp_path)
    beside = scene.twins("2")
    scene.pair.exchange(scene.twins("1"), beside)
    scene.tick(5)

    def broken(*_: object) -> None:
        raise RuntimeError("failed to invoke")

    beside.fleets[0].sensing.look = broken  # type: ignore[method-assign, assignment]
    assert np.isfinite(scene.tick(2 * VITALS_NS // PERIOD_NS))
    report = scene.pair.report["twin-0"]
    assert report[scene.digest("2")].nan == 10
    assert report[scene.digest("1")].nan == 0
