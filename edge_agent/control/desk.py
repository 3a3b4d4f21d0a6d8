"""The desk where orders arrive: judged by the book, remembered on disk, handed to the control loop, their fates told.

A thin shell in the agent's main loop around `orders.py` and `fates.py`. The number of an order is durable before the
order may act; an all-stop acts before it is durable.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from edge_agent.cell import Output
from edge_agent.control.fates import Fate, Fates
from edge_agent.control.order import CentralOrder, EmergencyOrder
from edge_agent.control.orders import Accepted, Fences, OrderBook, Refused
from edge_agent.files import put_whole
from edge_agent.setpoint import Decision
from protos import sync_pb2 as pb
from protos.clock import NS, Anchor, Clock
from protos.order import stop_id

FILE = "orders.json"  # in the state directory
WAITING_MAX = 1000  # orders that wait for the disk; more is no order but a flood
FOLLOW_NS = NS // 2  # how often the fates of orders are looked at

log = logging.getLogger(__name__)


class Newest(NamedTuple):
    """The newest tick, indexed like the outputs: what was decided, what each point reads and whether that is what was
    set, and when."""

    decisions: Sequence[Decision]
    shown: Sequence[float]
    obeyed: Sequence[bool]
    now_ns: int


class Link(Protocol):
    """What the desk needs of the link to the aggregator."""

    def anchor(self) -> Anchor: ...

    def check_signed(self, message: bytes, signature: bytes, chain_pem: bytes, at_ns: int) -> None:
        """Raise ValueError unless the aggregator's order signer signed it; by the gateway's own root."""

    def receipt(self, receipt: pb.OrderReceipt) -> None:
        """Send it, now or when the link is back."""


class OrderDesk:
    """`take` is called for each command of the link; `run` works until cancelled; `bind` begins a control loop.

    `newest` gives the newest tick, None while no loop runs.
    """

    def __init__(
        self, gateway: str, state_dir: Path, clock: Clock, link: Link, newest: Callable[[], Newest | None]
    ) -> None:
        self._gateway, self._file, self._clock, self._link = gateway, state_dir / FILE, clock, link
        self._newest = newest
        self._outputs: Sequence[Output] = ()
        self._book = OrderBook(gateway, (), link.check_signed, read(self._file))
        self._before = tuple(self._book.fences.last.values())  # accepted by an earlier life
        self._fates = Fates()
        self._usual, self._emergency = CentralOrder(), EmergencyOrder()
        self._waiting: asyncio.Queue[pb.Order | None] = asyncio.Queue(WAITING_MAX)  # None: only remember
        self.accepted_total = self.refused_total = self.stops_total = 0

    def bind(self, outputs: Sequence[Output]) -> tuple[EmergencyOrder, CentralOrder]:
        """The two controllers for a new control loop. Orders that may still act go on where their output is left."""
        now = {(one.point, one.low, one.high): place for place, one in enumerate(outputs)}
        before = [(one.point, one.low, one.high) for one in self._outputs]
        places = {place: now[key] for place, key in enumerate(before) if key in now}
        self._outputs = outputs
        self._book = OrderBook(self._gateway, outputs, self._link.check_signed, self._book.fences)
        self._usual, self._emergency = CentralOrder(), EmergencyOrder()
        self._say(self._fates.moved(places, "the output is no longer there, or has other limits"))
        for instruction, by in self._fates.open():
            (self._emergency if by == EmergencyOrder.name else self._usual).give(instruction)
        return self._emergency, self._usual

    # ---- from the link

    def take(self, command: pb.Order | pb.RevokeOrders) -> None:
        """An order waits for its turn; an all-stop does not."""
        if isinstance(command, pb.RevokeOrders):
            self._stop(command)
            return
        try:
            self._waiting.put_nowait(command)
        except asyncio.QueueFull:
            self._refuse(command, f"{WAITING_MAX} orders wait already")

    def _stop(self, stop: pb.RevokeOrders) -> None:
        try:
            self._book.stop(stop, self._clock.monotonic_ns(), self._link.anchor())
        except Refused as refused:
            log.warning("all-stop %d refused: %s", stop.fence, refused)
            self._say([self._fates.refused(stop_id(stop.fence), str(refused))])
            return
        for controller in (self._emergency, self._usual):
            controller.revoke(stop.fence)
        self.stops_total += 1
        log.warning("all-stop %d by %s: %s", stop.fence, stop.issuer, stop.reason)
        self._say([*self._fates.revoked(stop.fence), Fate(stop_id(stop.fence), "applied", "", float("nan"))])
        if not self._waiting.full():  # whatever waits will remember it too
            self._waiting.put_nowait(None)

    # ---- the work

    async def run(self) -> None:
        before, self._before = self._before, ()
        reason = "the gateway restarted: an order is never carried out twice"
        self._say(Fate(last.id, "expired", reason, float("nan")) for last in before)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._work())
            tasks.create_task(self._follow())

    async def _work(self) -> None:
        while True:
            order = await self._waiting.get()
            if order is None:
                await self._remember()
            else:
                await self._order(order)
            self._waiting.task_done()

    async def _order(self, order: pb.Order) -> None:
        try:
            accepted = self._book.accept(order, self._clock.monotonic_ns(), self._link.anchor())
        except Refused as refused:
            if self._book.known(order):
                self._say([self._fates.again(order.id)])
            else:
                self._refuse(order, str(refused))
            return
        if why := await self._remember():
            self._refuse(order, f"it cannot be remembered: {why}")
        elif accepted.instruction.fence <= self._book.fences.floor:
            self._refuse(order, "revoked by an all-stop")
        else:
            self._give(accepted)

    def _give(self, accepted: Accepted) -> None:
        instruction, emergency, _ = accepted
        if not (self._emergency if emergency else self._usual).give(instruction):
            self._say([self._fates.refused(instruction.id, "the control loop takes nothing")])
            return
        self.accepted_total += 1
        log.info("order %s accepted: %s", instruction.id, instruction.why)
        self._say(self._fates.accepted(instruction, self._clock.monotonic_ns(), emergency=emergency))

    async def _remember(self) -> str:
        """Make the fences durable; returns why that failed, "" when it did not."""
        try:
            await asyncio.to_thread(put_whole, self._file, self._book.fences.pack())
        except OSError as error:
            log.error("%s: %s: orders are refused until it can be written", self._file, error)
            return str(error.strerror or error)
        return ""

    async def _follow(self) -> None:
        while True:
            await self._clock.sleep_until(self._clock.monotonic_ns() + FOLLOW_NS)
            if (newest := self._newest()) is not None:
                self._say(self._fates.follow(*newest))

    def _refuse(self, order: pb.Order, reason: str) -> None:
        self.refused_total += 1
        log.warning("order %.64s refused: %s", order.id, reason)
        self._say([self._fates.refused(order.id, reason)])

    def _say(self, fates: Iterable[Fate]) -> None:
        now = self._clock.monotonic_ns()
        for one in fates:
            self._link.receipt(
                pb.OrderReceipt(
                    order_id=one.id, outcome=one.outcome, reason=one.reason, value=one.value, monotonic_ns=now
                )
            )

    def gauges(self) -> dict[str, float]:
        return {
            "orders_accepted_total": self.accepted_total,
            "orders_refused_total": self.refused_total,
            "all_stops_total": self.stops_total,
            "orders_open": len(self._fates.open()),
            "orders_fences_lost": float(self._book.fences.lost),
        }


def read(file: Path) -> Fences:
    """What an earlier life accepted. A file that cannot be read is as bad as a damaged one."""
    try:
        fences = Fences.unpack(file.read_bytes())
    except FileNotFoundError:
        return Fences()
    except OSError as error:
        log.error("%s: %s", file, error)
        fences = Fences(lost=True)
    if fences.lost:
        log.error("%s is damaged: orders are refused until an all-stop sets their numbers anew", file)
    return fences
