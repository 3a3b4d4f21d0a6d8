"""The Sync service over gRPC: a thin shell that gives each stream its line, its session and its reader."""

import asyncio
import contextlib
from collections.abc import AsyncIterable, Callable, Sequence
from typing import Any, Protocol

import grpc
import grpc.aio

from aggregator.ingest.intake import Intake, Watcher
from aggregator.ingest.line import Line
from aggregator.ingest.session import Session
from aggregator.ingest.streams import Streams
from protos import sync_pb2
from protos import sync_pb2_grpc as services
from protos.link import KEEPALIVE
from protos.tls import TlsError

Context = grpc.aio.ServicerContext[Any, Any]

OPTIONS: tuple[tuple[str, int], ...] = (
    *KEEPALIVE,
    ("grpc.so_reuseport", 0),  # a second server on the same port must fail, not steal gateways
    ("grpc.max_concurrent_streams", 8),  # per connection: one sync stream and a renewal
    ("grpc.http2.min_ping_interval_without_data_ms", 4_000),
    ("grpc.max_metadata_size", 16 << 10),
    # memory, times a thousand connections: small TLS frames (gateways only get acks), small first reads
    ("grpc.tsi.max_frame_size", 2_048),
    ("grpc.experimental.tcp_read_chunk_size", 1_024),
    ("grpc.experimental.tcp_min_read_chunk_size", 256),
)


class Peer(Protocol):
    """Who is at the other end, by certificate."""

    @property
    def gateway(self) -> str: ...
    @property
    def serial(self) -> str: ...
    @property
    def not_after_ns(self) -> int: ...


class Sync(services.SyncServicer):
    """`admit` turns a peer's certificate into who it is, or raises TlsError."""

    def __init__(self, intake: Intake, streams: Streams, watcher: Watcher, admit: Callable[[bytes], Peer]) -> None:
        self._intake, self._streams, self._watcher, self._admit = intake, streams, watcher, admit

    async def Stream(self, requests: AsyncIterable[sync_pb2.FromGateway], context: Context) -> None:  # noqa: N802
        try:
            peer = self._admit(b"".join(context.auth_context().get("x509_pem_cert", ())))
        except TlsError as error:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error))
        line = Line(
            peer.gateway, peer.serial, peer.not_after_ns, self._intake.limits, self._intake.clock.monotonic_ns()
        )
        if not self._streams.join(line):
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no room for another gateway: come back later")
        session = Session(peer.gateway, self._intake.limits, self._intake.clocks(peer.gateway))
        reading = asyncio.create_task(self._intake.read(line, session, requests))
        try:
            await self._write(line, context)
        finally:
            if self._streams.is_current(line):
                self._watcher.left(line.gateway, self._intake.clock.wall_ns(), line.end_reason or "")
            self._streams.leave(line)
            await stop(reading)

    async def _write(self, line: Line, context: Context) -> None:
        line.writer = asyncio.current_task()
        while (message := await line.next()) is not None:
            await context.write(message)
            line.spoke_ns = self._intake.clock.monotonic_ns()


async def stop(task: asyncio.Task[None]) -> None:
    """Cancel and wait; a fault of its own is raised here."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def add_sync(service: Sync) -> Callable[[grpc.aio.Server], None]:
    return lambda server: services.add_SyncServicer_to_server(service, server)


def listener(
    address: str, credentials: grpc.ServerCredentials, add: Sequence[Callable[[grpc.aio.Server], None]], message: int
) -> tuple[grpc.aio.Server, int]:
    """A server on host:port (port 0: any free one) and its port, not yet started. Raises OSError when it is taken."""
    server = grpc.aio.server(options=(*OPTIONS, ("grpc.max_receive_message_length", message)))
    for one in add:
        one(server)
    try:
        port = server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise OSError(f"cannot listen on {address}: {error}") from error
    return server, port
