"""The link to the aggregator, kept up for as long as the agent lives."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Self

import grpc
import grpc.aio

from edge_agent.sync.backoff import Backoff
from edge_agent.sync.bucket import Bucket
from edge_agent.sync.enrolment import OPTIONS, Registry
from edge_agent.sync.faults import Expired, SyncError, WrongTime
from edge_agent.sync.identity import Facts, Identity
from edge_agent.sync.priors import Priors
from edge_agent.sync.session import Counts
from edge_agent.sync.settings import Config, Settings
from edge_agent.sync.store import Buffer
from edge_agent.sync.stream import Stream
from edge_agent.sync.surroundings import OUTBOX_MAX, Command, Surroundings
from edge_agent.sync.trusted import TrustedTime
from edge_agent.sync.tunnel import CHUNK, Traffic, Tunnel, check_server, dial, drop, socket_place
from edge_agent.sync.vouching import Vouching
from protos import sync_pb2 as pb
from protos import sync_pb2_grpc as services
from protos import telemetry_pb2 as telemetry
from protos.clock import NS, Anchor, Clock
from protos.link import KEEPALIVE

STEADY_NS = 10 * NS  # a session that lived so long was no failure
LOOK_NS = 3600 * NS  # how often the certificate's age is looked at
RENEW_AGAIN_NS = 600 * NS
BURST_S = 0.25  # of the bandwidth cap, sent at once
CHANNEL = (*OPTIONS, *KEEPALIVE)

log = logging.getLogger(__name__)


class Renewed(SyncError):
    """Not a fault: the session ends so that the next one uses the new certificate."""


class Sync:
    """Sends what the buffer holds, live first, and keeps identity and time good on the way."""

    def __init__(
        self,
        settings: Settings,
        identity: Identity,
        buffer: Buffer,
        clock: Clock,
        time: TrustedTime,
        catalogue: telemetry.Catalogue,
        status: Callable[[], pb.Status],
        on_order: Callable[[Command], None] | None = None,
        witness: Vouching | None = None,
    ) -> None:
        self._settings, self._identity, self._clock, self._time = settings, identity, clock, time
        self.counts, self.traffic, self.priors = Counts(), Traffic(), Priors()
        self._around = Surroundings(
            gateway="",
            settings=settings,
            buffer=buffer,
            time=time,
            clock=clock,
            catalogue=catalogue,
            on_order=on_order or self._no_orders,
            status=status,
            counts=self.counts,
            priors=self.priors,
            witness=witness,
            outbox=deque(maxlen=OUTBOX_MAX),
        )
        self._registry = Registry(identity, time, clock, settings.name)
        self._backoff = Backoff(cap_s=settings.retry_cap_s)
        self._stream: Stream | None = None
        self._not_after_ns = 0
        self._address = settings.address
        rate = settings.bandwidth_kbit * 1000 / 8
        self._cap = Bucket(rate, max(CHUNK, rate * BURST_S), clock.monotonic_ns()) if rate else None

    @classmethod
    def of(
        cls,
        config: Config,
        buffer: Buffer,
        clock: Clock,
        time: TrustedTime,
        catalogue: telemetry.Catalogue,
        status: Callable[[], pb.Status],
        on_order: Callable[[Command], None] | None = None,
    ) -> Self:
        """The link of a configured gateway; its identity is below `state_dir`."""
        identity = Identity(config.state_dir / "identity")
        witness = Vouching(config.state_dir / "witness")
        return cls(Settings.of(config), identity, buffer, clock, time, catalogue, status, on_order, witness)

    # ---- what others ask of it

    def anchor(self) -> Anchor:
        """The best known mapping of this boot's monotonic clock to UTC, with its error bound."""
        return self._time.anchor()

    def renew_catalogue(self, catalogue: telemetry.Catalogue) -> None:
        """The gateway's points have changed; told to the aggregator at once, or at the next session."""
        self._around.catalogue = catalogue
        self._wake()

    def receipt(self, receipt: pb.OrderReceipt) -> None:
        """What became of an order; sent now or when the link is back. The oldest of 1,000 waiting ones is dropped."""
        self._around.outbox.append(pb.FromGateway(receipt=receipt))
        self._wake()

    def check_signed(self, message: bytes, signature: bytes, chain_pem: bytes, at_ns: int) -> None:
        """Raise ValueError unless the aggregator's order signer signed `message`; checked here, without the link."""
        self._identity.check_signed(message, signature, chain_pem, at_ns)

    @property
    def connected(self) -> bool:
        return self._stream is not None and self._stream.session is not None

    def gauges(self) -> dict[str, float]:
        """Figures for health, Prometheus and the status verb; seconds, bytes, counts."""
        session = self._stream.session if self._stream else None
        anchor, counts = self._time.anchor(), self.counts
        utc = self._time.utc_ns()
        return {
            "connected": float(session is not None),
            "in_flight": float(session.in_flight if session else 0),
            "live_lag_seconds": session.live_lag_ns / NS if session else 0.0,
            "clock_error_seconds": anchor.error_ns / NS,
            "clock_wall_off_seconds": (self._clock.wall_ns() - utc) / NS,
            "clock_disagreements_total": float(self._time.estimator.disagreements_total),
            "certificate_days": (self._not_after_ns - utc) / NS / 86_400 if self._not_after_ns else 0.0,
            "bytes_sent_total": float(self.traffic.sent),
            "bytes_received_total": float(self.traffic.received),
            "sessions_total": float(counts.sessions_total),
            "failures_total": float(counts.failures_total),
            "dead_peers_total": float(counts.dead_peers_total),
            "batches_sent_total": float(counts.batches_sent_total),
            "batches_acked_total": float(counts.batches_acked_total),
            "batches_refused_total": float(counts.batches_refused_total),
            "resent_on_request_total": float(counts.resent_on_request_total),
            "renewals_total": float(counts.renewals_total),
            "orders_total": float(counts.orders_total),
            "ledger_cosigned_total": float(self._around.witness.cosigned_total if self._around.witness else 0),
            "ledger_conflicts": float(self._around.witness.conflicts if self._around.witness else 0),
        }

    def report(self) -> dict[str, object]:
        """What a person wants to know, beside the gauges."""
        anchor = self._time.anchor()
        return {
            "connected": self.connected,
            "address": self._address,
            "last_error": self.counts.last_error,
            "clock_source": anchor.source,
        }

    # ---- the work

    async def run(self) -> None:
        """Keep the link until cancelled; a lost one is tried again after a wait of full jitter."""
        while True:
            begun, acked = self._clock.monotonic_ns(), self.counts.batches_acked_total
            try:
                await self._session()
            except Renewed:
                continue
            except SyncError as error:
                wait_s = self._failed(error, begun, acked)
            await self._clock.sleep_until(self._clock.monotonic_ns() + int(wait_s * NS))

    def _failed(self, error: SyncError, begun_ns: int, acked: int) -> float:
        """Note a failure; seconds until the next attempt."""
        if self.counts.batches_acked_total > acked or self._clock.monotonic_ns() - begun_ns > STEADY_NS:
            self._backoff.reset()
        wait_s = self._backoff.next_s(final=error.final)
        told = f"{type(error).__name__}: {error}"
        # the same fault again is no news: an outage of days must not fill the log
        log.log(
            logging.DEBUG if told == self.counts.last_error else logging.WARNING, "%s; again in %.1f s", told, wait_s
        )
        self.counts.last_error = told
        self.counts.failures_total += 1
        return wait_s

    async def _session(self) -> None:
        """One attempt and, if it succeeds, one session. Raises SyncError at its end."""
        facts = await self._good_identity()
        if facts.epoch_floor > self._around.buffer.epoch:
            await self._around.buffer.raise_epoch(facts.epoch_floor)
        self._around.gateway, self._around.epoch_floor = facts.gateway, facts.epoch_floor
        address = self._address = self._settings.address or facts.sync_address
        try:
            reader, writer = await self._dial(address)
        except WrongTime as error:
            log.warning("%s: asking for signed time", error)
            await self._learn_time(facts)
            reader, writer = await self._dial(address)
        sessions = self.counts.sessions_total
        try:
            place = socket_place(self._identity.directory, "session.sock")
            await self._talk(Tunnel(reader, writer, self._clock, place, self.traffic, self._cap), facts, address)
        except SyncError:
            # refused before any welcome, perhaps without a word: with a clock that nobody vouches for, our certificate
            # may be over without our knowing. With good time the next attempt asks for recovery.
            if self.counts.sessions_total == sessions and not self._time.sure:
                await self._learn_time(facts)
            raise

    async def _talk(self, way: Tunnel, facts: Facts, address: str) -> None:
        async with way, grpc.aio.insecure_channel(way.target, options=CHANNEL) as channel:
            self._stream = Stream(services.SyncStub(channel).Stream(), self._around, lambda: way.fault)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._stream.run())
                    tasks.create_task(self._renew(facts, address))
            except* SyncError as group:
                raise leaf(group) from group
            finally:
                self._stream = None
                way.cut()

    async def _dial(self, address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        context = self._identity.context(check_time=self._time.wall_is_right)
        reader, writer = await dial(address, context, self._settings.name)
        try:
            check_server(writer, self._time.utc_ns())
        except SyncError:
            await drop(writer)
            raise
        return reader, writer

    async def _good_identity(self) -> Facts:
        """The identity, recovered first if it has expired while we were away."""
        facts = self._identity.facts()
        self._not_after_ns = facts.not_after_ns
        if self._time.utc_ns() < facts.not_after_ns:
            return facts
        if not self._time.sure:
            await self._learn_time(facts)
            if self._time.utc_ns() < facts.not_after_ns:
                return facts
        recovered = await self._registry.recover(self._enrol_address(facts))
        if recovered is None:
            raise Expired("our certificate has expired; waiting until a person approves our recovery at the aggregator")
        log.warning("back with a new certificate after the old one had expired")
        self._not_after_ns = recovered.not_after_ns
        return recovered

    async def _learn_time(self, facts: Facts) -> None:
        await self._registry.learn_time(self._enrol_address(facts), self._identity.root())

    def _enrol_address(self, facts: Facts) -> str:
        return self._settings.enrol_address or facts.enrol_address

    async def _renew(self, facts: Facts, address: str) -> None:
        """Wait for a third of the certificate's life, then get a new one and end the session for it."""
        while True:
            now, left_ns = self._clock.monotonic_ns(), facts.renew_ns - self._time.utc_ns()
            if left_ns > 0:
                await self._clock.sleep_until(now + min(left_ns, LOOK_NS))
                continue
            try:
                renewed = await self._registry.renew(address)
            except SyncError as error:
                log.warning("certificate not renewed, again in 10 minutes: %s", error)
                await self._clock.sleep_until(now + RENEW_AGAIN_NS)
                continue
            self.counts.renewals_total += 1
            log.info("certificate renewed")
            self._not_after_ns = renewed.not_after_ns
            raise Renewed("certificate renewed")

    def _wake(self) -> None:
        if self._stream is not None:
            self._stream.wake()

    def _no_orders(self, command: Command) -> None:
        """Nobody here carries out orders: say so rather than be silent."""
        if isinstance(command, pb.Order):
            self.receipt(
                pb.OrderReceipt(order_id=command.id, outcome="rejected", reason="this gateway takes no orders")
            )


def leaf(group: BaseExceptionGroup[SyncError]) -> SyncError:
    """The fault inside; a renewal counts only when nothing else happened."""
    faults: list[SyncError] = []
    waiting: list[BaseException] = [group]
    while waiting:
        one = waiting.pop()
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
        elif isinstance(one, SyncError):
            faults.append(one)
    return min(faults, key=lambda fault: isinstance(fault, Renewed))
