"""The way to the aggregator: gRPC speaks plaintext on a private Unix socket, this carries it over mutual TLS.

Why not gRPC's own TLS: it cannot be told what time it is, so that a gateway whose clock says 1970 would stay out for
ever. Python's can check the chain alone, and the time is checked here against the time that may be believed. On the
way the bytes are counted and, where a cap is set, held back.
"""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from edge_agent.sync.bucket import Bucket
from edge_agent.sync.faults import Dead, Expired, SyncError, Unreachable, Untrusted, WrongTime
from protos.clock import Clock
from protos.link import AGGREGATOR_URI
from protos.validity import wrong_with

DIAL_S = 5.0  # a connection and its handshake; more is a link on which heartbeats would not live either
CHUNK = 16_384  # one TLS record; also the grain of the bandwidth cap
RECORD_BYTES = 22  # header, tag and type of a TLS 1.3 record
SEND_BUFFER = 262_144  # more than any batch that is not far too large; less, and the kernel hides a slow link
USER_TIMEOUT_MS = 20_000  # TCP gives up on unacknowledged bytes; the heartbeat is faster while the agent runs
TIME_CODES = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED


@dataclass(slots=True)
class Traffic:
    """Bytes of TLS, both ways, since the start; without TCP's own headers and the handshakes."""

    sent: int = 0
    received: int = 0


def socket_place(private: Path, name: str) -> Path:
    """Where a tunnel's socket goes: the service manager's folder on memory, else a private one."""
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return (Path(runtime) if runtime else private) / name


def address_of(text: str) -> tuple[str, int]:
    """host:port, the host in brackets when it is an IPv6 address. Raises Unreachable, with the text, for others."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise Unreachable(f"address {text!r}: write host:port")
    return host.strip("[]"), int(port)


async def dial(address: str, context: ssl.SSLContext, name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A TLS connection whose chain and host name are good. Raises Unreachable, Untrusted or WrongTime."""
    host, port = address_of(address)
    try:
        async with asyncio.timeout(DIAL_S):
            return await asyncio.open_connection(
                host, port, ssl=context, server_hostname=name, limit=4 * CHUNK, ssl_shutdown_timeout=1.0
            )
    except TimeoutError as error:
        raise Unreachable(f"{address}: no answer within {DIAL_S:g} s") from error
    except ssl.SSLCertVerificationError as error:
        kind = WrongTime if error.verify_code in TIME_CODES else Untrusted
        raise kind(f"{address}: certificate refused: {error.verify_message}") from error
    except ssl.SSLError as error:
        raise Unreachable(f"{address}: TLS handshake failed: {error.reason or error}") from error
    except OSError as error:
        raise Unreachable(f"{address}: {error.strerror or error}") from error


def check_server(writer: asyncio.StreamWriter, utc_ns: int | None) -> None:
    """Raise Untrusted unless the peer names itself an aggregator; WrongTime unless it is valid at `utc_ns`.

    For the case that OpenSSL checked the chain without the time. Our authority gives no leaf a life beyond its
    intermediate's, so the leaf's own times decide.
    """
    certificate = writer.get_extra_info("peercert") or {}
    if ("URI", AGGREGATOR_URI) not in certificate.get("subjectAltName", ()):
        raise Untrusted(f"the server's certificate does not name {AGGREGATOR_URI}: not an aggregator")
    if utc_ns is None:
        return
    if wrong := wrong_with(certificate, utc_ns):
        raise WrongTime(f"the server's certificate is {wrong}")


async def drop(writer: asyncio.StreamWriter) -> None:
    """Close at once and wait until the socket is given back."""
    writer.transport.abort()
    with contextlib.suppress(OSError):  # how it ended does not matter any more
        await writer.wait_closed()


def tune(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)


class Tunnel:
    """One open way: `target` is what gRPC dials, once. `fault` says why it ended, where that is known."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        clock: Clock,
        place: Path,
        traffic: Traffic | None = None,
        cap: Bucket | None = None,
    ) -> None:
        """`place` is the socket's path; one that a killed agent left there is replaced."""
        self._far, self._place = (reader, writer), place
        self._clock, self._cap = clock, cap
        self.traffic = traffic or Traffic()
        self.fault: SyncError | None = None
        self._near: asyncio.StreamWriter | None = None
        self._folder = -1
        self._carrier: asyncio.Task[None] | None = None

    @property
    def target(self) -> str:
        """By the folder's descriptor: a Unix socket's address holds 107 bytes, a state directory may need more."""
        return f"unix:/proc/self/fd/{self._folder}/{self._place.name}"

    async def __aenter__(self) -> Self:
        tune(self._far[1])
        self._place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._place.unlink(missing_ok=True)
        self._folder = os.open(self._place.parent, os.O_PATH | os.O_DIRECTORY)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        listener.bind(self.target.removeprefix("unix:"))
        self._place.chmod(0o600)  # nobody else dials it; until `listen` nobody can
        listener.listen(1)
        self._carrier = asyncio.create_task(self._carry(listener))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._carrier is not None:
            self._carrier.cancel()
            await asyncio.gather(self._carrier, return_exceptions=True)
        for writer in filter(None, (self._near, self._far[1])):
            await drop(writer)
        self._place.unlink(missing_ok=True)
        os.close(self._folder)

    def cut(self) -> None:
        """End now, without the goodbyes that a dead peer would never answer."""
        for writer in filter(None, (self._near, self._far[1])):
            writer.transport.abort()

    async def _carry(self, listener: socket.socket) -> None:
        """Take one connection - gRPC must not come back behind our backs - and carry it until one end is gone."""
        with listener:
            near, _ = await asyncio.get_running_loop().sock_accept(listener)
        reader, self._near = await asyncio.open_unix_connection(sock=near, limit=4 * CHUNK)
        out = asyncio.create_task(self._pump(reader, self._far[1], self._count_out))
        back = asyncio.create_task(self._pump(self._far[0], self._near, self._count_in))
        try:
            await asyncio.wait((out, back), return_when=asyncio.FIRST_COMPLETED)
        finally:
            out.cancel()
            back.cancel()
            await asyncio.gather(out, back, return_exceptions=True)
            self.cut()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, count: Callable[[int], int]
    ) -> None:
        try:
            while data := await source.read(CHUNK):
                if (free_ns := count(len(data) + RECORD_BYTES)) > self._clock.monotonic_ns():
                    await self._clock.sleep_until(free_ns)
                sink.write(data)
                await sink.drain()
        except ssl.SSLError as error:
            self.fault = alert(error)
        except TimeoutError:  # TCP_USER_TIMEOUT
            self.fault = Dead("the aggregator's side of the connection does not acknowledge")
        except OSError as error:
            self.fault = self.fault or Unreachable(f"connection lost: {error.strerror or error}")

    def _count_out(self, count: int) -> int:
        self.traffic.sent += count
        return 0 if self._cap is None else self._cap.take(count, self._clock.monotonic_ns())

    def _count_in(self, count: int) -> int:
        self.traffic.received += count
        return 0


def alert(error: ssl.SSLError) -> SyncError:
    """What the other side's TLS alert means; TLS 1.3 tells a client only after the handshake that it is refused."""
    reason = (error.reason or str(error)).replace("_", " ").lower()
    if "expired" in reason:
        return Expired(f"the aggregator says that our certificate has expired: {reason}")
    if "certificate" in reason or "unknown ca" in reason:
        return Untrusted(f"the aggregator refuses our certificate: {reason}")
    return Unreachable(f"TLS connection lost: {reason}")
