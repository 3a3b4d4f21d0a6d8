"""The two services of identity over gRPC: a thin shell over the registrar."""

from collections.abc import Callable
from typing import Any, NoReturn

import grpc
import grpc.aio

from aggregator.security import certificates
from aggregator.security.admission import Admission
from aggregator.security.authority import Authority
from aggregator.security.registrar import BadRequest, Denied, Grant, Registrar, TooMany
from protos import enrolment_pb2 as pb
from protos import enrolment_pb2_grpc as services
from protos import tls

Context = grpc.aio.ServicerContext[Any, Any]
CODES: dict[type[tls.TlsError], grpc.StatusCode] = {
    TooMany: grpc.StatusCode.RESOURCE_EXHAUSTED,
    BadRequest: grpc.StatusCode.INVALID_ARGUMENT,
}


def peer_of(context: Context) -> str:
    """The peer's address without its port: what rate limits count by."""
    return str(context.peer()).rpartition(":")[0]


class Enrolment(services.EnrolmentServicer):
    """On the enrolment listener: the server is authenticated, the client by token, by old key, or not at all."""

    def __init__(self, registrar: Registrar, authority: Authority, sync_address: str) -> None:
        self._registrar, self.sync_address = registrar, sync_address
        self._root = certificates.pem(authority.root)

    async def Authority(self, request: pb.AuthorityRequest, context: Context) -> pb.AuthorityReply:  # noqa: N802
        return pb.AuthorityReply(root_pem=self._root)

    async def Enrol(self, request: pb.EnrolRequest, context: Context) -> pb.Certificate:  # noqa: N802
        try:
            grant = self._registrar.enrol(request.gateway, request.token, request.csr_pem, peer_of(context))
        except Denied as error:
            await refuse(context, error)
        return self._reply(grant)

    async def Recover(self, request: pb.RecoverRequest, context: Context) -> pb.Certificate:  # noqa: N802
        try:
            grant = self._registrar.recover(request.certificate_pem, request.csr_pem, peer_of(context))
        except Denied as error:
            await refuse(context, error)
        return self._reply(grant)

    async def Time(self, request: pb.TimeRequest, context: Context) -> pb.TimeReply:  # noqa: N802
        try:
            utc_ns, signature, chain = self._registrar.signed_time(request.nonce, peer_of(context))
        except Denied as error:
            await refuse(context, error)
        return pb.TimeReply(utc_ns=utc_ns, signature=signature, chain_pem=chain)

    def _reply(self, grant: Grant) -> pb.Certificate:
        return pb.Certificate(
            certificate_pem=grant.chain,
            root_pem=self._root,
            epoch_floor=grant.epoch_floor,
            pending=not grant.chain,
            sync_address=self.sync_address,
        )


class Renewal(services.RenewalServicer):
    """On the sync listener: the gateway is who its certificate says."""

    def __init__(self, registrar: Registrar, admission: Admission, authority: Authority, sync_address: str) -> None:
        self._registrar, self._admission, self.sync_address = registrar, admission, sync_address
        self._root = certificates.pem(authority.root)

    async def Renew(self, request: pb.RenewRequest, context: Context) -> pb.Certificate:  # noqa: N802
        try:
            peer = self._admission.check(b"".join(context.auth_context().get("x509_pem_cert", ())))
            grant = self._registrar.renew(peer.gateway, request.csr_pem)
        except tls.TlsError as error:
            await refuse(context, error)
        return pb.Certificate(certificate_pem=grant.chain, root_pem=self._root, sync_address=self.sync_address)


async def refuse(context: Context, error: tls.TlsError) -> NoReturn:
    """End the call with the error's code."""
    await context.abort(CODES.get(type(error), grpc.StatusCode.PERMISSION_DENIED), str(error))


def add_enrolment(service: Enrolment) -> Callable[[grpc.aio.Server], None]:
    return lambda server: services.add_EnrolmentServicer_to_server(service, server)


def add_renewal(service: Renewal) -> Callable[[grpc.aio.Server], None]:
    return lambda server: services.add_RenewalServicer_to_server(service, server)
