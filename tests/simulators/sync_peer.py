"""An aggregator for tests: real certificates, enrolment and renewal; the stream by itself, with faults on demand.

It keeps what it got in memory. `ack_lost` is the broken promise of the negative controls: it acknowledges a share of
the batches without keeping them.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from aggregator.ingest.servicer import OPTIONS
from aggregator.security import authority
from aggregator.security.admission import Admission
from aggregator.security.enrolment import Enrolment, Renewal, add_enrolment, add_renewal
from aggregator.security.registrar import Registrar, new_token
from aggregator.security.server_identity import ServerIdentity
from aggregator.stores.catalogue import Catalogue
from protos import sync_pb2 as pb
from protos import sync_pb2_grpc as services
from protos import tls
from protos.clock import Clock, SystemClock
from protos.link import PROTOCOL
from protos.span import join, merge, ranges

Key = tuple[int, int]


@dataclass(slots=True)
class Arrived:
    """One batch as it came."""

    key: Key
    live: bool
    at: float  # monotonic seconds


@dataclass(eq=False)
class SyncPeer(services.SyncServicer):
    """The stream. Everything is for one gateway at a time."""

    window: int = 64
    heartbeat_ms: int = 1000
    batch_max: int = 4 << 20
    ack_delay_s: float = 0.0
    ack_lost: int = 0  # negative control: every so many batches acknowledged and thrown away; 0: none
    refuse: dict[Key, str] = field(default_factory=dict)
    refusal: str = ""
    silent: asyncio.Event = field(default_factory=asyncio.Event)
    stored: dict[Key, bytes] = field(default_factory=dict)
    arrived: list[Arrived] = field(default_factory=list)
    heard: list[pb.FromGateway] = field(default_factory=list)  # everything but batches and heartbeats
    answers: "asyncio.Queue[pb.ToGateway | None]" = field(default_factory=asyncio.Queue)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    utc_ns: Any = time.time_ns
    streams: int = 0
    highest_epoch: int = 0

    async def Stream(self, requests: Any, context: Any) -> AsyncIterator[pb.ToGateway]:  # noqa: N802
        self.streams += 1
        answers: asyncio.Queue[pb.ToGateway | None] = asyncio.Queue()
        self.answers = answers
        reading = asyncio.create_task(self._read(requests, answers))
        try:
            while (message := await answers.get()) is not None:
                if not self.silent.is_set():
                    yield message
        finally:
            reading.cancel()

    async def until(self, what: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait until `what()` is true, looked at whenever something has come."""
        async with asyncio.timeout(seconds):
            while not what():
                self.news.clear()
                await self.news.wait()

    async def _read(self, requests: Any, answers: "asyncio.Queue[pb.ToGateway | None]") -> None:
        try:
            async for message in requests:
                kind = message.WhichOneof("body")
                if kind == "batch":
                    asyncio.get_running_loop().call_later(self.ack_delay_s, self._batch, message.batch, answers)
                elif kind == "heartbeat":
                    beat = pb.Heartbeat(monotonic_ns=message.heartbeat.monotonic_ns, utc_ns=self.utc_ns())
                    answers.put_nowait(pb.ToGateway(heartbeat=beat))
                else:
                    self.heard.append(message)
                    if kind == "hello":
                        self._hello(message.hello, answers)
                self.news.set()
        finally:
            answers.put_nowait(None)

    def _hello(self, hello: pb.Hello, answers: "asyncio.Queue[pb.ToGateway | None]") -> None:
        if self.refusal:
            answers.put_nowait(pb.ToGateway(refusal=pb.Refusal(reason=self.refusal)))
            answers.put_nowait(None)
            return
        welcome = pb.Welcome(
            protocol=PROTOCOL,
            software="test",
            utc_ns=self.utc_ns(),
            echo_monotonic_ns=hello.monotonic_ns,
            heartbeat_ms=max(self.heartbeat_ms, hello.heartbeat_ms if hello.heartbeat_ms > 1000 else 0),
            window_batches=self.window,
            max_batch_bytes=self.batch_max,
            highest_epoch=max(self.highest_epoch, *(key[0] for key in self.stored), 0),
            stored=ranges(join(self.stored)),
        )
        answers.put_nowait(pb.ToGateway(welcome=welcome))

    def _batch(self, batch: Any, answers: "asyncio.Queue[pb.ToGateway | None]") -> None:
        key = (batch.epoch, batch.sequence)
        self.arrived.append(Arrived(key, batch.live, time.monotonic()))
        if key in self.refuse:
            refused = pb.Refused(epoch=key[0], sequence=key[1], reason=self.refuse[key])
            answers.put_nowait(pb.ToGateway(ack=pb.Ack(refused=[refused])))
            return
        if not (self.ack_lost and len(self.arrived) % self.ack_lost == 0):
            self.stored[key] = bytes(batch.blob)
        span = ranges(merge(join([key])))
        answers.put_nowait(pb.ToGateway(ack=pb.Ack(stored=span, settled=span)))
        self.news.set()


@dataclass(eq=False)
class Home:
    """A running aggregator for tests: two listeners, an authority, a catalogue."""

    peer: SyncPeer
    catalogue: Catalogue
    signer: authority.OwnAuthority
    clock: Clock
    sync_address: str = ""
    enrol_address: str = ""

    def token(self, gateway: str) -> str:
        """One line for `edge-agent enrol`."""
        secret = new_token(self.catalogue, gateway, 1.0, self.clock.wall_ns(), "test")
        return tls.Token(self.enrol_address, gateway, secret, tls.fingerprint(self.signer.root)).encode()


@asynccontextmanager
async def serve(state: Path, peer: SyncPeer | None = None, clock: Clock | None = None) -> AsyncIterator[Home]:
    """Run it on free ports of the loopback for as long as the context is open."""
    clock = clock or SystemClock()
    signer = authority.create(state / "ca", tls.utc(clock.wall_ns()))
    catalogue = Catalogue(state / "catalogue.sqlite")
    home = Home(peer or SyncPeer(), catalogue, signer, clock)
    identity = ServerIdentity(state / "ca", signer, ["127.0.0.1"], clock)
    registrar = Registrar(signer, catalogue, clock, per_minute=1000)
    admission = Admission(signer, catalogue, clock)
    enrolment = Enrolment(registrar, signer, "")
    renewal = Renewal(registrar, admission, signer, "")
    servers = [grpc.aio.server(options=OPTIONS), grpc.aio.server(options=OPTIONS)]
    add_enrolment(enrolment)(servers[0])
    services.add_SyncServicer_to_server(home.peer, servers[1])
    add_renewal(renewal)(servers[1])
    ports = [
        server.add_secure_port("127.0.0.1:0", identity.credentials(clients=clients))
        for server, clients in zip(servers, (False, True), strict=True)
    ]
    home.enrol_address, home.sync_address = (f"127.0.0.1:{port}" for port in ports)
    enrolment.sync_address = renewal.sync_address = home.sync_address
    for server in servers:
        await server.start()
    try:
        yield home
    finally:
        for server in servers:
            await server.stop(0)
        catalogue.close()
