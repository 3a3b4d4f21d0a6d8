"""One tick as a function of what it is given: estimates first, then wishes by rank, the guard last."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import pytest

from edge_agent.cell import Output
from edge_agent.control.arbiter import Arbiter, in_order
from edge_agent.control.conduct import STRIKES
from edge_agent.control.guard import Guard
from edge_agent.control.hand import Hand
from edge_agent.cycle import Tick, cycle
from edge_agent.image import Frame, View, lay_out
from edge_agent.setpoint import FAULTS, Authority, Controller, Port, Rank, Standing, Wish
from protos.quality import Quality, Reason, code
from tests.edge.control.stage import OUTPUT, PERIOD_NS, S

ESTIMATED = code(Quality.UNCERTAIN, Reason.ESTIMATED)
(SENSOR, TWIN), IMAGE = lay_out([("tank", ("level",)), ("twin", ("level",))])


class Twin:
    """Says twice what the sensor says."""

    def step(self, view: View) -> Sequence[Frame]:
        values = 2.0 * view.values[SENSOR.span]
        return [Frame(TWIN, view.now_ns, view.now_ns, values, np.array([ESTIMATED], np.uint8))]


@dataclass
class Follow:
    """Wishes what a point reads; raises `error` where there is one."""

    port: Port
    name: str = "follow"
    error: type[Exception] | None = None
    asked: int = 0
    seen: list[float] = field(default_factory=list)
    KIND: ClassVar[str] = "follow"
    RANK: ClassVar[Rank] = Rank.OPTIMISER
    FALLBACK: ClassVar[str] = "wishes nothing"

    def decide(self, view: View, standing: Sequence[Standing]) -> Sequence[Wish]:
        self.asked += 1
        self.seen.append(standing[0].value)
        if self.error is not None:
            raise self.error("on purpose")
        return [Wish.exactly(0, self.port.value(view), "follows")] if self.port.good(view) else []


class Scene:
    def __init__(self, *controllers: Controller, output: Output = OUTPUT) -> None:
        self.controllers = in_order(controllers)
        self.arbiter, self.guard, self.now_ns = Arbiter([output]), Guard([output], PERIOD_NS), 1000 * S
        self.guard.seen(0, 10.0, self.now_ns - 1)

    def tick(self, level: float, twin: Twin | None = None, after_ns: int = PERIOD_NS) -> Tick:
        self.now_ns += after_ns
        IMAGE.take(Frame(SENSOR, self.now_ns, self.now_ns, np.array([level])))
        return cycle(IMAGE.freeze(self.now_ns), twin, self.controllers, self.arbiter, self.guard)


def test_controllers_see_the_estimates_of_this_very_tick() -> None:
    tick = Scene(Follow(Port(TWIN.start, 0))).tick(15.0, Twin())
    assert [frame.values.tolist() for frame in tick.estimates] == [[30.0]]
    (decision,) = tick.decisions
    assert (decision.value, decision.by, decision.authority) == (30.0, "follow", Authority.LOCAL)
    assert tick.view.codes[TWIN.start] == ESTIMATED


def test_without_twins_there_are_no_estimates() -> None:
    tick = Scene(Follow(Port(SENSOR.start, S))).tick(15.0)
    assert (tick.estimates, tick.decisions[0].value) == ((), 15.0)


def test_the_guard_has_the_last_word() -> None:
    scene = Scene(Follow(Port(SENSOR.start, S)), output=replace(OUTPUT, slew_per_s=10.0))
    decision = scene.tick(50.0).decisions[0]
    assert (decision.value, decision.limited) == (11.0, "slew")
    assert scene.guard.standing()[0].value == 11.0


def test_each_controller_is_shown_what_is_really_applied() -> None:
    follow = Follow(Port(SENSOR.start, S))
    scene = Scene(follow)
    scene.tick(500.0)
    scene.tick(20.0)
    assert follow.seen == [10.0, 100.0]


@pytest.mark.parametrize("error", FAULTS)
def test_a_controller_that_raises_costs_its_own_wishes_only(error: type[Exception]) -> None:
    bad, good = Follow(Port(SENSOR.start, S), "bad", error), Follow(Port(SENSOR.start, S), "good")
    scene = Scene(bad, good)
    for _ in range(2 * STRIKES):
        assert scene.tick(40.0).decisions[0].by == "good"
    assert (bad.asked, good.asked) == (STRIKES, 2 * STRIKES), "who misbehaves in a row is not asked any more"
    assert scene.arbiter.conduct.disabled(scene.now_ns) == {"bad": f"{error.__name__}: {error('on purpose')}"}
    bad.error = None
    scene.tick(40.0, after_ns=61 * S)
    assert bad.asked == STRIKES + 1


def test_who_raises_leaves_the_output_to_its_ttl_and_then_to_safety() -> None:
    bad = Follow(Port(SENSOR.start, S))
    scene = Scene(bad)
    assert scene.tick(40.0).decisions[0].value == 40.0
    bad.error = ValueError
    assert scene.tick(40.0).decisions[0].value == 40.0
    assert scene.tick(40.0, after_ns=OUTPUT.ttl_ns).decisions[0].authority is Authority.FAILSAFE


def test_ranks_are_heard_in_their_order_whatever_the_list_says() -> None:
    hand = Hand([OUTPUT])
    scene = Scene(Follow(Port(SENSOR.start, S)), hand)
    hand.set("valve", 70.0, 60 * S, "ann", "", scene.now_ns)
    decision = scene.tick(40.0).decisions[0]
    assert (decision.value, decision.by, decision.overruled) == (70.0, "hand", ("follow",))
