"""The sending side of a session: carries out what the rules of `session.py` allow, live first."""

import asyncio
from collections.abc import Callable
from typing import TypeAlias

import grpc.aio

from edge_agent.sync.session import READ_BATCHES, READ_BYTES, Key, Session, Verdict, answered
from edge_agent.sync.store import Stored
from edge_agent.sync.surroundings import Surroundings
from protos import sync_pb2 as pb
from protos import telemetry_pb2 as telemetry
from protos.batch import Priority
from protos.clock import NS, Anchor
from protos.link import STATUS_MAX
from protos.span import ranges

CLOCK_NEWS_NS = 50_000_000  # a change of our idea of UTC that the aggregator should hear of

Call: TypeAlias = "grpc.aio.StreamStreamCall[pb.FromGateway, pb.ToGateway]"


class Sender:
    """The one task that writes to the stream. `judge` takes what is decided here about a batch."""

    def __init__(
        self, call: Call, around: Surroundings, session: Session, digest: bytes, judge: Callable[[Verdict], None]
    ) -> None:
        self._call, self._a, self._session, self._judge = call, around, session, judge
        self._wake = asyncio.Event()
        self._beats = 0
        self._told: Anchor | None = None
        self._told_digest = digest  # of the catalogue that the aggregator has
        self._status_ns = 0
        self._looked_at: Key = (0, 0)

    def wake(self) -> None:
        """There is something new to send."""
        self._wake.set()

    async def run(self) -> None:
        while True:
            self._wake.clear()
            await self._speak()
            if await self._live() or await self._asked() or await self._backlog():
                continue
            await self._rest()

    async def _rest(self) -> None:
        now = self._a.clock.monotonic_ns()
        try:
            async with asyncio.timeout(max(0, self._session.deadline_ns(now) - now) / NS):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _speak(self) -> None:
        """Everything but batches."""
        await self._clock_reading()
        if self._told_digest != self._a.catalogue.digest:
            self._told_digest = self._a.catalogue.digest
            await self._send(pb.FromGateway(catalogue=self._a.catalogue))
        now = self._a.clock.monotonic_ns()
        if self._session.beat(now):
            self._beats += 1
            await self._send(pb.FromGateway(heartbeat=pb.Heartbeat(monotonic_ns=now, count=self._beats)))
        if now >= self._status_ns:
            self._status_ns = now + int(self._a.settings.status_every_s * NS)
            await self._send(pb.FromGateway(status=bounded(self._a.status())))
        while self._a.outbox:
            await self._send(self._a.outbox[0])
            self._a.outbox.popleft()

    async def _clock_reading(self) -> None:
        """Tell our clock before the first batch, and again when we know it noticeably better or otherwise."""
        anchor, told = self._a.time.anchor(), self._told
        if (
            told is None
            or anchor.source != told.source
            or abs(anchor.offset_ns - told.offset_ns) > CLOCK_NEWS_NS
            or anchor.error_ns * 2 < told.error_ns
        ):
            self._told = anchor
            reading = pb.ClockReading(
                boot_id=anchor.boot_id, offset_ns=anchor.offset_ns, error_ns=anchor.error_ns, source=anchor.source
            )
            await self._send(pb.FromGateway(clock=reading))

    async def _live(self) -> bool:
        newest = (self._a.buffer.epoch, self._a.buffer.newest)
        if newest <= self._session.live_after:
            return False
        batches, size = self._session.live_room(self._a.clock.monotonic_ns())
        if not batches and await self._alarm():
            batches, size = self._session.live_room(self._a.clock.monotonic_ns(), urgent=True)
        if not batches:
            return False
        found = await self._a.buffer.newer(*self._session.live_after, batches, size)
        for one in found:
            self._session.passed((one.epoch, one.sequence), live=True)
            await self._batch(one, live=True)
        if not found:  # dropped before they could be sent
            self._session.passed(newest, live=True)
        if (self._a.buffer.epoch, self._a.buffer.newest) <= self._session.live_after:
            self._session.burst_over(self._a.clock.monotonic_ns())
        return bool(found)

    async def _alarm(self) -> bool:
        """Whether an alarm has come while a metered link rests; each batch is looked at once."""
        if not self._a.settings.metered:
            return False
        self._looked_at = max(self._looked_at, self._session.live_after)
        found = await self._a.buffer.newer(*self._looked_at, READ_BATCHES, READ_BYTES)
        for one in found:
            self._looked_at = (one.epoch, one.sequence)
        return any(one.priority >= Priority.ALARM for one in found)

    async def _backlog(self) -> bool:
        batches, size = self._session.backlog_room(self._a.clock.monotonic_ns())
        if not batches or (after := self._backlog_after()) is None:
            return False
        found = await self._a.buffer.newer(*after, batches, size)
        ours = [one for one in found if self._session.is_backlog((one.epoch, one.sequence))]
        for one in ours:
            self._session.passed((one.epoch, one.sequence), live=False)
            await self._batch(one, live=False)
        if len(ours) < len(found) or not found:
            self._session.backlog_done()
        return bool(ours)

    def _backlog_after(self) -> Key | None:
        """Where the walk through the backlog stands; None while there is nothing to walk for."""
        if self._session.backlog_after is None:
            buffer = self._a.buffer
            self._session.walk_again(buffer.backlog().batches, (buffer.epoch, buffer.newest))
        return self._session.backlog_after

    async def _asked(self) -> bool:
        """Send again what the aggregator lost; say what is no longer kept."""
        batches, size = self._session.backlog_room(self._a.clock.monotonic_ns())
        if not batches or (span := self._session.next_asked(batches)) is None:
            return False
        found = await self._a.buffer.read(span, batches, size)
        gone, rest = answered(span, [one.sequence for one in found])
        if gone:
            await self._send(pb.FromGateway(unavailable=pb.Unavailable(ranges=ranges(gone))))
        if rest is not None:
            self._session.ask_first(rest)
        for one in found:
            self._a.counts.resent_on_request_total += 1
            await self._batch(one, live=False)
        return True

    async def _batch(self, one: Stored, *, live: bool) -> None:
        key = (one.epoch, one.sequence)
        if self._session.flying(key):
            return
        if self._session.too_large(len(one.blob)):
            refused = pb.Refused(epoch=one.epoch, sequence=one.sequence, reason="larger than the aggregator takes")
            self._judge(self._session.ack(pb.Ack(refused=[refused]), self._a.clock.monotonic_ns()))
            return
        self._session.sent(key, len(one.blob), self._a.clock.monotonic_ns(), live=live)
        await self._send(pb.FromGateway(batch=telemetry.Batch(epoch=key[0], sequence=key[1], blob=one.blob, live=live)))

    async def _send(self, message: pb.FromGateway) -> None:
        message.gateway = self._a.gateway
        await self._call.write(message)

    async def arrivals(self) -> None:
        """Wake the sender when a batch is durable."""
        while True:
            async with self._a.buffer.arrival:
                await self._a.buffer.arrival.wait()
            self._wake.set()


def bounded(status: pb.Status) -> pb.Status:
    """No more gauges than the aggregator takes: what a status cannot carry is no reason to lose the stream."""
    room = max(0, STATUS_MAX - len(status.facts))
    if len(status.gauges) <= room:
        return status
    return pb.Status(
        gauges=dict(sorted(status.gauges.items())[:room]), facts=dict(sorted(status.facts.items())[:STATUS_MAX])
    )
