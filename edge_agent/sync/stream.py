"""One session on one gRPC stream: a thin shell that carries out the rules of `session.py`."""

import asyncio
import logging
from collections.abc import Callable
from typing import NoReturn

import grpc
import grpc.aio

from edge_agent.sync.faults import Dead, Refused, SyncError, Unreachable, Untrusted
from edge_agent.sync.sender import Call, Sender
from edge_agent.sync.session import Key, Session, Verdict, reused, stored_by
from edge_agent.sync.surroundings import SOFTWARE, Surroundings
from protos import sync_pb2 as pb
from protos.link import DEAD_AFTER_MS, PROTOCOL
from protos.span import merge, of

WELCOME_S = DEAD_AFTER_MS / 1000
REFUSED_LOGGED = 3  # of one ack; the counter has them all

log = logging.getLogger(__name__)


class Stream:
    """Runs one session; ends only by raising SyncError, or by being cancelled."""

    def __init__(self, call: Call, around: Surroundings, fault: Callable[[], SyncError | None]) -> None:
        self._call, self._a, self._fault = call, around, fault
        self.session: Session | None = None
        self._sender: Sender | None = None
        self._judged = asyncio.Event()
        self._verdict = Verdict()
        self._shown = asyncio.Event()
        self._checkpoint: pb.Checkpoint | None = None

    def wake(self) -> None:
        """There is something new to send."""
        if self._sender is not None:
            self._sender.wake()

    async def run(self) -> None:
        try:
            session, sender = await self._greet()
            self.session, self._sender = session, sender
            async with asyncio.TaskGroup() as tasks:
                for work in (
                    sender.run(),
                    sender.arrivals(),
                    self._read(session),
                    self._watch(session),
                    self._mark(session),
                    self._witness(),
                ):
                    tasks.create_task(work)
        except* grpc.aio.AioRpcError as group:
            raise self._meaning(group.exceptions[0]) from group
        except* asyncio.InvalidStateError as group:  # the call ended between two writes
            raise self._fault() or Unreachable("the aggregator ended the stream") from group
        finally:
            self._call.cancel()
            self.session = None

    # ---- the beginning

    async def _greet(self) -> tuple[Session, Sender]:
        buffer, clock = self._a.buffer, self._a.clock
        start: Key = (buffer.epoch, buffer.newest)
        waiting = await self._oldest_waiting()
        backlog = buffer.backlog()
        sent_ns = clock.monotonic_ns()
        hello = pb.Hello(
            protocol=PROTOCOL,
            software=SOFTWARE,
            boot_id=clock.boot_id,
            epoch=start[0],
            newest_sequence=start[1],
            backlog_batches=backlog.batches,
            backlog_bytes=backlog.bytes,
            monotonic_ns=sent_ns,
            wall_ns=clock.wall_ns(),
            catalogue_digest=self._a.catalogue.digest,
            waiting_epoch=waiting[0],
            waiting_sequence=waiting[1],
            heartbeat_ms=self._a.settings.heartbeat_ms,
        )
        try:
            async with asyncio.timeout(WELCOME_S):
                await self._call.write(pb.FromGateway(gateway=self._a.gateway, hello=hello))
                first = await self._hear()
        except TimeoutError:
            raise Dead(f"no welcome within {WELCOME_S:g} s") from None
        if first is None:
            await self._ended()
        return await self._welcomed(first, start, sent_ns)

    async def _welcomed(self, first: pb.ToGateway, start: Key, sent_ns: int) -> tuple[Session, Sender]:
        now = self._a.clock.monotonic_ns()
        if first.HasField("refusal"):
            raise Refused(first.refusal.reason, final=first.refusal.final)
        if not first.HasField("welcome"):
            raise Untrusted("the aggregator does not begin with a welcome: another protocol")
        welcome = first.welcome
        if welcome.protocol != PROTOCOL:
            raise Untrusted(f"the aggregator speaks protocol {welcome.protocol}, this gateway {PROTOCOL}: update")
        if welcome.echo_monotonic_ns == sent_ns:
            self._a.time.echo(sent_ns, welcome.utc_ns, now)
        if welcome.highest_epoch > start[0] or reused(welcome, *start):
            try:
                epoch = await self._a.buffer.raise_epoch(welcome.highest_epoch)
            except ValueError as error:
                raise Untrusted(str(error)) from error
            log.warning("epoch %d was used before; going on in %d", start[0], epoch)
        if known := stored_by(welcome, start, self._a.epoch_floor):
            await self._a.buffer.mark(merge(known.stored), merge(known.settled), known.refused)
        self._a.counts.sessions_total += 1
        session = Session(welcome, start, self._a.settings, self._a.counts, now)
        return session, Sender(self._call, self._a, session, welcome.catalogue_digest, self._judge)

    async def _oldest_waiting(self) -> Key:
        for one in await self._a.buffer.newer(0, 0, 1, 1):
            return one.epoch, one.sequence
        return self._a.buffer.epoch, self._a.buffer.newest + 1

    # ---- what we hear

    async def _read(self, session: Session) -> None:
        handlers: dict[str, Callable[[Session, pb.ToGateway], None]] = {
            "ack": self._ack,
            "heartbeat": self._heartbeat,
            "resend": self._resend,
            "order": self._command,
            "revoke_orders": self._command,
            "desired": self._command,
            "checkpoint": self._show,
            "prior": self._prior,
            "refusal": self._refusal,
        }
        while (message := await self._hear()) is not None:
            session.heard(self._a.clock.monotonic_ns())
            kind = message.WhichOneof("body")
            if (handle := handlers.get(kind or "")) is not None:  # a newer aggregator may say more
                handle(session, message)
        await self._ended()

    async def _hear(self) -> pb.ToGateway | None:
        """The next message; None at the end."""
        message = await self._call.read()
        return message if isinstance(message, pb.ToGateway) else None

    def _ack(self, session: Session, message: pb.ToGateway) -> None:
        self._judge(session.ack(message.ack, self._a.clock.monotonic_ns()))

    def _judge(self, verdict: Verdict) -> None:
        for span, reason in verdict.refused[:REFUSED_LOGGED]:
            log.warning("batch %d/%d refused by the aggregator: %s", span.epoch, span.first, reason)
        self._verdict.add(verdict)
        self._judged.set()
        self.wake()

    def _heartbeat(self, session: Session, message: pb.ToGateway) -> None:
        beat, counts = message.heartbeat, self._a.counts
        counts.heartbeats_total += 1
        counts.heartbeat_ns = self._a.clock.monotonic_ns()
        if beat.monotonic_ns and beat.utc_ns:
            self._a.time.echo(beat.monotonic_ns, beat.utc_ns, self._a.clock.monotonic_ns())

    def _resend(self, session: Session, message: pb.ToGateway) -> None:
        spans = list(of(message.resend.ranges))
        log.warning("the aggregator asks again for %d batches", sum(map(len, spans)))
        session.ask(spans)
        self.wake()

    def _command(self, session: Session, message: pb.ToGateway) -> None:
        self._a.counts.orders_total += 1
        self._a.on_order(getattr(message, str(message.WhichOneof("body"))))

    def _show(self, session: Session, message: pb.ToGateway) -> None:
        """Only the newest counts: each extends all before it."""
        self._checkpoint = message.checkpoint
        self._shown.set()

    async def _witness(self) -> None:
        """Judge checkpoints of the ledger, off the loop: the disk must not hold up batches."""
        while True:
            await self._shown.wait()
            self._shown.clear()
            witness, checkpoint = self._a.witness, self._checkpoint
            if witness is None or checkpoint is None or not self._a.time.sure:
                continue
            try:
                told = await witness.answer(self._a.gateway, checkpoint, self._a.time.utc_ns())
            except OSError as error:
                log.error("the ledger is not witnessed: %s", error)
                continue
            self._a.outbox.append(pb.FromGateway(gateway=self._a.gateway, cosignature=told))
            self.wake()

    def _prior(self, session: Session, message: pb.ToGateway) -> None:
        if not self._a.priors.take(message.prior):
            log.warning("what the city believes of %s makes no sense: left out", message.prior.domain[:40])

    def _refusal(self, session: Session, message: pb.ToGateway) -> None:
        raise Refused(message.refusal.reason, final=message.refusal.final)

    async def _mark(self, session: Session) -> None:
        """Write verdicts into the buffer, many at once."""
        while True:
            await self._judged.wait()
            self._judged.clear()
            verdict, self._verdict = self._verdict, Verdict()
            await self._a.buffer.mark(merge(verdict.stored), merge(verdict.settled), verdict.refused)
            if not self._verdict:
                session.marked()

    async def _watch(self, session: Session) -> None:
        """Raise Dead when the other side has been silent for too long."""
        while (now := self._a.clock.monotonic_ns()) < session.dead_at_ns:
            if session.stuck(now):
                raise Unreachable("batches are not acknowledged any more, though the aggregator is there")
            await self._a.clock.sleep_until(session.dead_at_ns)
        self._a.counts.dead_peers_total += 1
        raise Dead(f"the aggregator has been silent for {session.patience_s:g} s")

    # ---- the end

    async def _ended(self) -> NoReturn:
        code, details = await self._call.code(), await self._call.details()
        raise meaning(code, details or "", self._fault())

    def _meaning(self, error: BaseException) -> SyncError:
        if isinstance(error, grpc.aio.AioRpcError):
            return meaning(error.code(), error.details() or "", self._fault())
        return Unreachable(str(error))


def meaning(code: grpc.StatusCode, details: str, fault: SyncError | None) -> SyncError:
    """Why a stream ended, in our own words; what the tunnel saw is nearer to the cause."""
    if code in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED):
        return Refused(details, final=True)
    if fault is not None:
        return fault
    if code == grpc.StatusCode.OK:
        return Unreachable("the aggregator ended the stream")
    return Unreachable(f"stream ended: {code.name.lower()}: {details}")
