"""The calls by which a gateway gets its identity, keeps it and gets it back, and learns the time."""

import logging
import secrets
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from edge_agent.sync.faults import Refused, SyncError, Unreachable, Untrusted
from edge_agent.sync.identity import Facts, Identity, server_context
from edge_agent.sync.trusted import TrustedTime
from edge_agent.sync.tunnel import Tunnel, check_server, dial, drop, socket_place
from protos import enrolment_pb2 as pb
from protos import enrolment_pb2_grpc as services
from protos.clock import Clock
from protos.link import SERVER_NAME

if TYPE_CHECKING:
    from protos.tls import Token

CALL_S = 10.0  # a person may sign somewhere, but not within a call
OPTIONS = (("grpc.default_authority", SERVER_NAME), ("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1))
NO_SOONER = (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNIMPLEMENTED)

log = logging.getLogger(__name__)
Say = Callable[[str], None]


class Registry:
    """The aggregator's enrolment side, as one gateway sees it."""

    def __init__(
        self, identity: Identity, time: TrustedTime, clock: Clock, name: str = SERVER_NAME, address: str = ""
    ) -> None:
        """`address` (host:port) counts more than the one that a token tells; empty where that is right."""
        self._identity, self._time, self._clock, self._name = identity, time, clock, name
        self._address = address

    async def enrol(self, line: str, gateway: str, say: Say = log.info) -> Facts:
        """A token's line becomes the identity of `gateway`. Raises SyncError, which says what to do."""
        from protos import tls

        try:
            token = tls.Token.decode(line)
        except tls.TlsError as error:
            raise Refused(str(error), final=True) from error
        if token.gateway != gateway:
            raise Refused(f"the token is for gateway {token.gateway!r}, this one is {gateway!r}: ask for its own")
        address = self._address or token.address
        say(f"asking {address} for its root certificate")
        root = await self._root(address, token.root_sha256)
        say("its root is the one that the token names")
        await self.learn_time(address, root)
        say(f"asking for a certificate for {token.gateway}; its key was made here and stays here")
        try:
            answer = await self._enrol(token, address, root)
        except Refused as refused:
            if "key was certified before" not in str(refused):
                raise
            self._identity.forget_pending()  # an answer once got lost, and its token is no longer good
            answer = await self._enrol(token, address, root)
        return self._identity.adopt(
            answer.certificate_pem,
            root,
            enrol_address=address,
            sync_address=answer.sync_address,
            epoch_floor=answer.epoch_floor,
        )

    async def _enrol(self, token: "Token", address: str, root: bytes) -> pb.Certificate:
        request = pb.EnrolRequest(
            gateway=token.gateway, token=token.secret, csr_pem=self._identity.request(token.gateway)
        )
        async with self._call(address, self._server(root)) as channel:
            answer: pb.Certificate = await services.EnrolmentStub(channel).Enrol(request, timeout=CALL_S)
        return answer

    async def renew(self, address: str) -> Facts:
        """A new key and a certificate for it, proved by the old one. Raises SyncError."""
        facts = self._identity.facts()
        request = pb.RenewRequest(csr_pem=self._identity.request(facts.gateway))
        context = self._identity.context(check_time=self._time.wall_is_right)
        async with self._call(address, context) as channel:
            answer = await services.RenewalStub(channel).Renew(request, timeout=CALL_S)
        return self._adopt(facts, answer)

    async def recover(self, address: str) -> Facts | None:
        """The expired certificate's key asks for a new one; None while nobody has approved. Raises SyncError."""
        facts, root = self._identity.facts(), self._identity.root()
        request = pb.RecoverRequest(
            certificate_pem=self._identity.chain(), csr_pem=self._identity.request_again(facts.gateway)
        )
        async with self._call(address, self._server(root)) as channel:
            answer = await services.EnrolmentStub(channel).Recover(request, timeout=CALL_S)
        return None if answer.pending else self._adopt(facts, answer)

    async def learn_time(self, address: str, root: bytes) -> None:
        """Ask for signed time, believe it, and only then check the server's certificate at it. Raises SyncError."""
        from protos import tls

        nonce = secrets.token_bytes(32)
        context = server_context(root, check_time=False)
        async with self._call(address, context, check_time=False) as channel:
            sent = self._clock.monotonic_ns()
            answer = await services.EnrolmentStub(channel).Time(pb.TimeRequest(nonce=nonce), timeout=CALL_S)
            received = self._clock.monotonic_ns()
        try:
            signer, trust = tls.load_chain(answer.chain_pem), tls.load_chain(root)[0]
            tls.check_time(nonce, answer.utc_ns, answer.signature, signer, trust)
        except tls.TlsError as error:
            raise Untrusted(f"{address}: {error}") from error
        self._time.signed(sent, answer.utc_ns, received)
        _, writer = await dial(address, context, self._name)
        try:
            check_server(writer, self._time.utc_ns())
        finally:
            await drop(writer)
        log.info("signed time from %s taken; our own clock is %s", address, self._told())

    def _told(self) -> str:
        off_s = (self._clock.wall_ns() - self._time.utc_ns()) / 1e9
        return "right" if abs(off_s) < 1 else f"off by {off_s:+.0f} s"

    def _server(self, root: bytes) -> ssl.SSLContext:
        return server_context(root, check_time=self._time.wall_is_right)

    async def _root(self, address: str, fingerprint: str) -> bytes:
        """The aggregator's root: from a connection that proves nothing, believed for its fingerprint alone."""
        from protos import tls

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        async with self._call(address, context, check=False) as channel:
            answer = await services.EnrolmentStub(channel).Authority(pb.AuthorityRequest(), timeout=CALL_S)
        try:
            found = tls.fingerprint(tls.load_chain(answer.root_pem)[0])
        except (tls.TlsError, IndexError) as error:
            raise Untrusted(f"{address}: sends no root certificate: {error}") from error
        if not secrets.compare_digest(found, fingerprint):
            raise Untrusted(f"{address}: its root is not the one that the token names: wrong address or an impostor")
        root: bytes = answer.root_pem
        return root

    def _adopt(self, old: Facts, answer: pb.Certificate) -> Facts:
        return self._identity.adopt(
            answer.certificate_pem,
            self._identity.root(),
            enrol_address=old.enrol_address,
            sync_address=answer.sync_address or old.sync_address,
            epoch_floor=max(old.epoch_floor, answer.epoch_floor),
        )

    @asynccontextmanager
    async def _call(
        self, address: str, context: ssl.SSLContext, *, check: bool = True, check_time: bool = True
    ) -> AsyncIterator[grpc.aio.Channel]:
        """A channel to `address`; gRPC's errors in it become ours."""
        reader, writer = await dial(address, context, self._name)
        async with Tunnel(reader, writer, self._clock, socket_place(self._identity.directory, "call.sock")) as way:
            if check:
                check_server(writer, self._time.utc_ns() if check_time else None)
            try:
                async with grpc.aio.insecure_channel(way.target, options=OPTIONS) as channel:
                    yield channel
            except grpc.aio.AioRpcError as error:
                raise meaning(error, address, way.fault) from error


def meaning(error: grpc.aio.AioRpcError, address: str, fault: SyncError | None) -> SyncError:
    """A failed call in our own words; what the tunnel saw is nearer to the cause."""
    code, details = error.code(), error.details() or ""
    if code == grpc.StatusCode.UNAVAILABLE:
        return fault or Unreachable(f"{address}: connection lost: {details}")
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return Unreachable(f"{address}: no answer within {CALL_S:g} s")
    if code in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED, *NO_SOONER):
        return Refused(f"{address}: {details}", final=code in NO_SOONER)
    return Refused(f"{address}: {code.name.lower()}: {details}")
