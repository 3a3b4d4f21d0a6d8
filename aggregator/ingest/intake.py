"""From a live stream to the durable log: reads, meters, commits, acknowledges. The rules are in `session.py`.

An acknowledgement leaves only after the log has answered, and the log answers only after its commit.
"""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Protocol

from aggregator.ingest.line import Line
from aggregator.ingest.room import Room
from aggregator.ingest.session import WELCOME_RANGES_MAX, Breach, Session
from aggregator.ingest.streams import Streams
from aggregator.limits import Limits
from aggregator.stores import Arrival, Fate, Log, Reject, StoreError
from aggregator.stores.catalogue import POINTS_MAX, Catalogue, ClockRow, Point
from aggregator.stores.received import without
from protos import sync_pb2, telemetry_pb2
from protos.clock import Clock
from protos.link import PROTOCOL, STATUS_MAX
from protos.span import of, ranges

SOFTWARE = "0.1.0"
UNAVAILABLE_MAX = 1_000  # ranges in one message
Hello = tuple[str, int, str, int]  # gateway, UTC ns, software, epoch
Handler = Callable[[Line, Session, sync_pb2.FromGateway], Awaitable[None]]


class Watcher(Protocol):
    """Who wants to know what the streams tell: the fleet projection."""

    def joined(self, gateway: str, at_ns: int, not_after_ns: int, hello: sync_pb2.Hello) -> None: ...
    def left(self, gateway: str, at_ns: int, why: str) -> None: ...
    def clock(self, gateway: str, row: ClockRow) -> None: ...
    def status(self, gateway: str, at_ns: int, status: sync_pb2.Status) -> None: ...
    def batch(self, gateway: str, at_ns: int, live: bool) -> None: ...


class Intake:
    def __init__(
        self, log: Log, catalogue: Catalogue, streams: Streams, watcher: Watcher, limits: Limits, clock: Clock
    ) -> None:
        self._log, self._catalogue, self._streams, self._watcher = log, catalogue, streams, watcher
        self.limits, self.clock = limits, clock
        self._room = Room(limits.in_flight_bytes)
        self._commits: set[asyncio.Task[None]] = set()
        self._hellos: list[Hello] = []
        self._clocks: dict[tuple[str, bytes], ClockRow] = {}
        self.receipts: Callable[[str, sync_pb2.OrderReceipt], None] = lambda gateway, receipt: None
        self.cosignatures: Callable[[str, sync_pb2.Cosignature], None] = lambda gateway, cosignature: None
        self._others: dict[str, Handler] = {
            "hello": self._hello,
            "clock": self._clock_reading,
            "heartbeat": self._heartbeat,
            "catalogue": self._catalogue_sent,
            "status": self._status,
            "unavailable": self._unavailable,
            "receipt": self._receipt,
            "cosignature": self._cosignature,
        }

    async def read(self, line: Line, session: Session, requests: AsyncIterable[sync_pb2.FromGateway]) -> None:
        """Take in one stream until its end; says why on the line when it breaks a rule."""
        try:
            async for message in requests:
                line.heard_ns = self.clock.monotonic_ns()
                kind = session.admit(message, self.clock.wall_ns())
                if kind == "batch":
                    await self._batch(line, session, message.batch)
                elif handle := self._others.get(kind):
                    await handle(line, session, message)
        except Breach as breach:
            line.end(breach.reason, final=breach.final)
        except StoreError as error:
            line.end(f"cannot store now, come back later: {error}")
        finally:
            line.end()

    async def drain(self) -> None:
        """Wait for what is on its way into the log."""
        await asyncio.gather(*self._commits)

    def flush(self) -> None:
        """Write down what hellos and clock readings told; called now and then, so that a thousand cost one commit."""
        hellos, self._hellos = self._hellos, []
        clocks, self._clocks = self._clocks, {}
        if hellos:
            self._catalogue.seen(hellos)
        if clocks:
            self._catalogue.put_clocks(((key[0], row) for key, row in clocks.items()), self.clock.wall_ns())

    def clocks(self, gateway: str) -> list[ClockRow]:
        """The readings on file and those not yet written down."""
        fresh = [row for key, row in self._clocks.items() if key[0] == gateway]
        return self._catalogue.clocks(gateway) + fresh

    async def _hello(self, line: Line, session: Session, message: sync_pb2.FromGateway) -> None:
        hello, now = message.hello, self.clock.wall_ns()
        stored = await self._log.stored(line.gateway)
        pending = await self._log.pending(line.gateway, self._streams.checkpoint)
        known = self._catalogue.gateway(line.gateway)
        lost = session.lost(stored, self._catalogue.unavailable(line.gateway))
        line.say(
            sync_pb2.ToGateway(
                welcome=sync_pb2.Welcome(
                    protocol=PROTOCOL,
                    software=SOFTWARE,
                    utc_ns=self.clock.wall_ns(),
                    echo_monotonic_ns=hello.monotonic_ns,
                    heartbeat_ms=line.wish(hello.heartbeat_ms),
                    window_batches=self.limits.window_batches,
                    max_batch_bytes=self.limits.batch_bytes,
                    max_batch_raw_bytes=self.limits.batch_raw_bytes,
                    catalogue_digest=known.catalogue_digest if known else b"",
                    highest_epoch=max((one.epoch for one in stored), default=0),
                    stored=ranges(stored[-WELCOME_RANGES_MAX:]),
                    settled=ranges(without(stored, pending)[-WELCOME_RANGES_MAX:]),
                )
            )
        )
        if lost:
            line.say(sync_pb2.ToGateway(resend=sync_pb2.Resend(ranges=ranges(lost))))
        line.greeted = True
        self._hellos.append((line.gateway, now, hello.software, hello.epoch))
        self._watcher.joined(line.gateway, now, line.not_after_ns, hello)

    async def _clock_reading(self, line: Line, session: Session, message: sync_pb2.FromGateway) -> None:
        row = session.take_clock(message.clock)
        self._clocks[line.gateway, row.boot_id] = row
        if session.hello is not None and row.boot_id == session.hello.boot_id:
            self._watcher.clock(line.gateway, row)

    async def _heartbeat(self, line: Line, session: Session, message: sync_pb2.FromGateway) -> None:
        beat = sync_pb2.Heartbeat(
            monotonic_ns=message.heartbeat.monotonic_ns, utc_ns=self.clock.wall_ns(), count=message.heartbeat.count
        )
        line.beat(beat)

    async def _catalogue_sent(self, line: Line, session: Session, message: sync_pb2.FromGateway) -> None:
        sent = message.catalogue
        if len(sent.points) > POINTS_MAX:
            raise Breach(f"{len(sent.points)} points: at most {POINTS_MAX} of one gateway", final=True)
        points = [
            Point(
                line.gateway,
                one.device,
                one.name,
                one.unit,
                one.domain,
                one.quantity,
                one.asset,
                one.writable,
                one.text,
                True,
            )
            for one in sent.points
        ]
        if not all(one.device and one.name and "/" not in one.device + one.name for one in points):
            raise Breach("catalogue: every point needs a device and a name, without a slash", final=True)
        self._catalogue.put_points(line.gateway, sent.district, points, sent.digest)
        told = f"{len(points)} points, digest {sent.digest.hex()[:64]}"
        self._catalogue.note(self.clock.wall_ns(), line.gateway, "points", line.gateway, told)

    async def _status(self, line: Line, session: Session, message: sync_pb2.FromGateway) -> None:
        if len(message.status.gauges) + len(message.status.facts) > STATUS_MAX:
            raise Breach(f"status: at most {STATUS_MAX} gauges and facts", final=True)
        self._watcher.status(line.gateway, self.clock.wall_ns(), message.status)

    async def _unavailable(self, line: Line, session: Session, message: sync_pb2.FromGateway) -> None:
        spans = list(of(message.unavailable.ranges))
        if len(spans) > UNAVAILABLE_MAX:
            raise Breach(f"unavailable: at most {UNAVAILABLE_MAX} ranges", final=True)
        self._catalogue.put_unavailable(line.gateway, spans)

    async def _receipt(self, line: Line, session: Session, message: sync_pb2.FromGateway) -> None:
        self.receipts(line.gateway, message.receipt)

    async def _cosignature(self, line: Line, session: Session, message: sync_pb2.FromGateway) -> None:
        self.cosignatures(line.gateway, message.cosignature)

    async def _batch(self, line: Line, session: Session, batch: telemetry_pb2.Batch) -> None:
        judged = session.judge(batch, self.clock.wall_ns())
        await self._metered(line, len(batch.blob))
        await self._room.enter(len(batch.blob))
        line.waiting.append(judged)
        if line.committing is None:
            line.committing = asyncio.create_task(self._commit(line))
            self._commits.add(line.committing)
            line.committing.add_done_callback(self._commits.discard)
        while line.committing is not None and len(line.waiting) >= self.limits.window_batches:
            await asyncio.wait([line.committing], return_when=asyncio.FIRST_COMPLETED)
        if isinstance(judged, Arrival):
            self._watcher.batch(line.gateway, judged.received_ns, batch.live)

    async def _metered(self, line: Line, size: int) -> None:
        """Over its quota a gateway is read more slowly: flow control tells it, and nothing is lost."""
        now = self.clock.monotonic_ns()
        wait_ns = max(line.batches.take(1, now), line.bytes.take(size, now))
        if wait_ns:
            line.throttled = True
            await self.clock.sleep_until(now + wait_ns)
            line.heard_ns, line.throttled = self.clock.monotonic_ns(), False

    async def _commit(self, line: Line) -> None:
        """Everything that waits, again and again until nothing does. One such task per line."""
        try:
            while line.waiting:
                batch, line.waiting = line.waiting, []
                try:
                    await self._store(line, batch)
                finally:
                    await self._room.leave(sum(len(one.blob) for one in batch))
        except StoreError as error:
            line.end(f"cannot store now, come back later: {error}")
            dropped, line.waiting = line.waiting, []  # never acknowledged, so the gateway still has them
            await self._room.leave(sum(len(one.blob) for one in dropped))
        finally:
            line.committing = None

    async def _store(self, line: Line, batch: list[Arrival | Reject]) -> None:
        arrivals = [one for one in batch if isinstance(one, Arrival)]
        rejects = [one for one in batch if isinstance(one, Reject)]
        outcomes = await self._log.append(arrivals) if arrivals else []
        for arrival, outcome in zip(arrivals, outcomes, strict=True):
            key = arrival.key
            if outcome.fate is Fate.QUARANTINED:
                line.refused(key.epoch, key.sequence, outcome.reason)
            else:
                line.stored(key.epoch, key.sequence, outcome.position, self._streams.checkpoint)
        if rejects:
            await self._log.quarantine(rejects)
        for one in rejects:
            line.refused(one.epoch, one.sequence, one.reason)
