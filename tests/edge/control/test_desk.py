"""The desk: durable before it acts, an all-stop before everything, each fate told once, nothing twice over a kill."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.cell import Output
from edge_agent.control import desk as desks
from edge_agent.control.desk import FILE, FOLLOW_NS, Newest, OrderDesk
from edge_agent.control.order import CentralOrder, EmergencyOrder
from edge_agent.setpoint import Authority, Decision
from protos import sync_pb2 as pb
from protos.clock import NS, Anchor, SteppedClock
from tests.edge.control.stage import OUTPUT
from tests.edge.control.test_orders import GATE, VALVE
from tests.edge.control.test_rules import view_at
from tests.simulators.issuer import NOW_NS, Issuer

ISSUER = Issuer()


class Desk:
    """A desk at work, its clock, its link, what it tells, and what the control loop would have."""

    def __init__(self, folder: Path, outputs: Sequence[Output] = (OUTPUT, GATE)) -> None:
        self.clock = SteppedClock(50 * NS, NOW_NS)
        self.told: list[pb.OrderReceipt] = []
        self.newest: Newest | None = None
        self.desk = OrderDesk("gw-1", folder, self.clock, self, lambda: self.newest)
        self.bind(outputs)

    def receipt(self, receipt: pb.OrderReceipt) -> None:
        self.told.append(receipt)

    def check_signed(self, message: bytes, signature: bytes, chain_pem: bytes, at_ns: int) -> None:
        ISSUER.check(message, signature, chain_pem, at_ns)

    def anchor(self) -> Anchor:
        return Anchor(bytes(16), NOW_NS - 50 * NS, NS // 100, "aggregator")

    def bind(self, outputs: Sequence[Output]) -> None:
        self.emergency, self.usual = self.desk.bind(outputs)

    def wishes(self, controller: CentralOrder | None = None) -> dict[int, float]:
        one = controller or self.usual
        return {wish.output: wish.low for wish in one.decide(view_at(self.clock.monotonic_ns()), [])}

    def outcomes(self) -> list[tuple[str, str]]:
        told = [(one.order_id, one.outcome) for one in self.told]
        self.told.clear()
        return told

    async def settle(self) -> None:
        """Let the disk answer."""
        await self.desk._waiting.join()

    async def ticked(self, *decisions: Decision, shown: Sequence[float] = (math.nan, math.nan)) -> None:
        """A tick that decided so, and the time until the desk has looked at it."""
        await self.clock.advance(1)
        nobody = Decision(math.nan, Authority.NOBODY, "", "", 0)
        made = [*decisions, *[nobody] * (2 - len(decisions))]
        obeyed = [one.value == value for one, value in zip(made, shown, strict=True)]
        self.newest = Newest(made, shown, obeyed, self.clock.monotonic_ns())
        await self.clock.advance(FOLLOW_NS)


def play(folder: Path, body: Callable[[Desk], Awaitable[None]]) -> None:
    async def run() -> None:
        one = Desk(folder)
        working = asyncio.create_task(one.desk.run())
        await asyncio.sleep(0)
        try:
            await body(one)
        finally:
            working.cancel()
            await asyncio.wait([working])

    asyncio.run(asyncio.wait_for(run(), 20))


def by_order(value: float, limited: str = "", by: str = CentralOrder.name) -> Decision:
    return Decision(value, Authority.CENTRAL, by, "", 0, limited=limited)


def test_an_order_reaches_the_controllers_and_its_fate_is_told(tmp_path: Path) -> None:
    async def body(one: Desk) -> None:
        order, urgent = ISSUER.order(VALVE, 40.0), ISSUER.order("lock/gate", 1.0, emergency=True)
        one.desk.take(order)
        one.desk.take(urgent)
        await one.settle()
        assert (one.wishes(), one.wishes(one.emergency)) == ({0: 40.0}, {1: 1.0})
        assert one.outcomes() == [(order.id, "accepted"), (urgent.id, "accepted")]
        held = by_order(1.0, by=EmergencyOrder.name)
        await one.ticked(by_order(20.0, "slew"), held, shown=(20.0, 0.0))
        assert one.outcomes() == []  # on its way
        await one.ticked(by_order(40.0), held, shown=(40.0, 1.0))
        assert one.outcomes() == [(order.id, "applied"), (urgent.id, "applied")]
        await one.ticked(by_order(40.0), held, shown=(40.0, 1.0))
        assert one.outcomes() == []  # told once
        await one.ticked(by_order(30.0, "bounds"), held, shown=(30.0, 1.0))
        hand = Decision(10.0, Authority.HAND, "hand", "kim", 0, overruled=("order",))
        await one.ticked(hand, held, shown=(10.0, 1.0))
        assert [(a.outcome, a.value, a.reason) for a in one.told] == [
            ("clamped", 30.0, "limited by the bounds rule"),
            ("clamped", 10.0, "hand decides: kim"),
        ]
        one.outcomes()
        newer = ISSUER.order(VALVE, 50.0)
        one.desk.take(newer)
        await one.settle()
        assert one.outcomes() == [(order.id, "superseded"), (newer.id, "accepted")]
        await one.clock.advance(700 * NS)
        await one.ticked(by_order(50.0))
        assert one.outcomes() == [(urgent.id, "expired"), (newer.id, "expired")]
        assert not one.wishes()

    play(tmp_path, body)


def test_it_is_durable_before_it_may_act(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(one: Desk) -> None:
        order = ISSUER.order()
        one.desk.take(order)
        await one.settle()
        assert one.outcomes() == [(order.id, "rejected")]
        assert not one.wishes()

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(desks, "put_whole", full)
    play(tmp_path, body)
    assert not (tmp_path / FILE).exists()


def test_rule_04_killed_at_any_moment_it_executes_nothing_twice(tmp_path: Path) -> None:
    orders = [ISSUER.order(VALVE, 40.0), ISSUER.order("lock/gate", 1.0)]

    async def before(one: Desk) -> None:
        for order in orders:
            one.desk.take(order)
        await one.settle()
        assert one.wishes() == {0: 40.0, 1: 1.0}

    async def after(one: Desk) -> None:
        assert one.outcomes() == [(order.id, "expired") for order in orders]  # said at once: they are over
        for order in orders:
            one.desk.take(order)
        await one.settle()
        assert not one.wishes()
        assert one.outcomes() == [(order.id, "unknown") for order in orders]

    play(tmp_path, before)
    play(tmp_path, after)


def test_an_all_stop_does_not_wait_behind_orders(tmp_path: Path) -> None:
    async def body(one: Desk) -> None:
        first = ISSUER.order(VALVE, 40.0)
        one.desk.take(first)
        await one.settle()
        one.outcomes()
        waiting, stop = ISSUER.order("lock/gate", 1.0), ISSUER.stop()
        one.desk.take(waiting)
        one.desk.take(stop)
        assert not one.wishes()  # at once
        assert one.outcomes() == [(first.id, "superseded"), (f"all-stop-{stop.fence}", "applied")]
        await one.settle()
        assert not one.wishes()
        assert one.outcomes() == [(waiting.id, "rejected")]
        after = ISSUER.order(VALVE, 20.0)
        one.desk.take(after)
        await one.settle()
        assert one.wishes() == {0: 20.0}

    play(tmp_path, body)


def test_an_all_stop_that_nobody_signed_stops_nothing(tmp_path: Path) -> None:
    async def body(one: Desk) -> None:
        one.desk.take(ISSUER.order(VALVE, 40.0))
        await one.settle()
        one.outcomes()
        forged = ISSUER.stop()
        forged.fence += 1
        one.desk.take(forged)
        assert one.wishes() == {0: 40.0}
        assert one.outcomes() == [(f"all-stop-{forged.fence}", "rejected")]

    play(tmp_path, body)


def test_a_reload_keeps_the_orders_of_outputs_that_are_left(tmp_path: Path) -> None:
    async def body(one: Desk) -> None:
        kept, gone = ISSUER.order("lock/gate", 1.0), ISSUER.order(VALVE, 40.0)
        for order in (kept, gone):
            one.desk.take(order)
        await one.settle()
        one.outcomes()
        one.bind((GATE, replace(OUTPUT, high=50.0)))
        assert one.wishes() == {0: 1.0}  # the gate is the first now; the valve has other limits
        assert one.outcomes() == [(gone.id, "expired")]

    play(tmp_path, body)


def test_an_order_that_comes_again_is_told_its_fate_again(tmp_path: Path) -> None:
    async def body(one: Desk) -> None:
        order = ISSUER.order()
        one.desk.take(order)
        one.desk.take(order)
        await one.settle()
        assert one.outcomes() == [(order.id, "accepted")] * 2
        assert one.desk.accepted_total == 1

    play(tmp_path, body)


def test_a_flood_of_orders_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        one, order = Desk(tmp_path), ISSUER.order()
        for _ in range(desks.WAITING_MAX + 5):
            one.desk.take(order)
        assert one.outcomes() == [(order.id, "rejected")] * 5

    asyncio.run(run())
