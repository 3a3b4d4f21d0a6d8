"""Certificates that must not get in, each wrong in one way; and one try to get in with them, over real TLS."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import grpc
import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from aggregator.security import certificates
from aggregator.security.authority import OwnAuthority
from protos import sync_pb2, sync_pb2_grpc, tls
from tests.simulators.fleet import channel, hello

CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
TRY_S = 5.0


@dataclass(frozen=True)
class Papers:
    """What a peer shows: chain and key in PEM, and the gateway that it says it is."""

    chain: bytes | None
    key: bytes | None
    claims: str


@dataclass(frozen=True)
class Forge:
    """The authority that counts, another of the same kind, the time, and the id that is to be had."""

    own: OwnAuthority
    root_key: certificates.Key
    other: OwnAuthority
    now: datetime
    gateway: str

    def good(self, gateway: str = "") -> Papers:
        return self.issued(self.own, self.now, gateway or self.gateway)

    def issued(self, authority: OwnAuthority, at: datetime, gateway: str, claims: str = "") -> Papers:
        key = certificates.new_key()
        leaf = authority.gateway(key.public_key(), gateway, at)
        return self.papers(leaf, authority.intermediate, key=key, claims=claims or gateway)

    def crafted(
        self,
        uris: list[str],
        usages: list[x509.ObjectIdentifier],
        issuer: x509.Name | None = None,
        signer: certificates.Key | None = None,
        common: str = "",
        above: tuple[x509.Certificate, ...] | None = None,
    ) -> Papers:
        """A leaf with exactly these names and usages; signed by our intermediate unless a signer is given."""
        key = certificates.new_key()
        signer = signer or self.own.key
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common or self.gateway)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer or self.own.intermediate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - timedelta(hours=1))
            .not_valid_after(self.now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        )
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if uris:
            names = [x509.UniformResourceIdentifier(one) for one in uris]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        leaf = builder.sign(signer, hashes.SHA256())
        return self.papers(leaf, *((self.own.intermediate,) if above is None else above), key=key)

    def self_signed(self, issuer: x509.Name | None = None) -> Papers:
        signer = certificates.new_key()
        mine = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.gateway)])
        return self.crafted([tls.gateway_uri(self.gateway)], [CLIENT], issuer or mine, signer, above=())

    def by_a_gateway(self) -> Papers:
        """Signed with an honest gateway's key, as if that were an authority."""
        key = certificates.new_key()
        honest = self.own.gateway(key.public_key(), "gw-honest", self.now)
        above = (honest, self.own.intermediate)
        return self.crafted([tls.gateway_uri(self.gateway)], [CLIENT], honest.subject, key, above=above)

    def server(self) -> Papers:
        key = certificates.new_key()
        leaf = self.own.server(key.public_key(), [], self.now)
        return self.papers(leaf, self.own.intermediate, key=key)

    def papers(self, *chain: x509.Certificate, key: certificates.Key, claims: str = "") -> Papers:
        return Papers(certificates.pem(*chain), certificates.key_pem(key), claims or self.gateway)


Case = Callable[[Forge], Papers]


def uri(forge: Forge) -> str:
    return tls.gateway_uri(forge.gateway)


BAD: dict[str, Case] = {
    "no certificate": lambda f: Papers(None, None, f.gateway),
    "wrong CA": lambda f: f.issued(f.other, f.now, f.gateway),
    "self-signed": lambda f: f.self_signed(),
    "self-signed in the intermediate's name": lambda f: f.self_signed(f.own.intermediate.subject),
    "signed by a gateway": lambda f: f.by_a_gateway(),
    "signed by the root itself": lambda f: f.crafted([uri(f)], [CLIENT], f.own.root.subject, f.root_key, above=()),
    "expired": lambda f: f.issued(f.own, f.now - certificates.GATEWAY_LIFE - timedelta(minutes=1), f.gateway),
    "future": lambda f: f.issued(f.own, f.now + timedelta(days=2), f.gateway),
    "no SAN": lambda f: f.crafted([], [CLIENT]),
    "SAN of another kind": lambda f: f.crafted(["urn:example:" + f.gateway], [CLIENT]),
    "aggregator's URI": lambda f: f.crafted([tls.AGGREGATOR_URI], [CLIENT]),
    "two ids": lambda f: f.crafted([uri(f), tls.gateway_uri("gw-second")], [CLIENT]),
    "malformed id": lambda f: f.crafted([tls.GATEWAY_PREFIX + "../etc"], [CLIENT]),
    "server certificate": lambda f: f.server(),
    "server usage": lambda f: f.crafted([uri(f)], [SERVER]),
    "client and server usage": lambda f: f.crafted([uri(f)], [CLIENT, SERVER]),
    "no usage": lambda f: f.crafted([uri(f)], []),
    "another id than it claims": lambda f: f.issued(f.own, f.now, "gw-other", claims=f.gateway),
    "right id, wrong gateway field": lambda f: f.issued(f.own, f.now, f.gateway, claims="gw-other"),
}


async def gets_in(address: str, root: bytes, papers: Papers) -> tuple[bool, str]:
    """Whether a stream with these papers is welcomed; and what was said if not."""
    async with channel(address, root, papers.key, papers.chain) as link:
        call = sync_pb2_grpc.SyncStub(link).Stream(timeout=TRY_S)
        try:
            await call.write(hello(papers.claims))
            answer = await call.read()
        except grpc.aio.AioRpcError as error:
            return False, f"{error.code().name}: {error.details()}"
        if isinstance(answer, sync_pb2.ToGateway) and answer.HasField("welcome"):
            return True, ""
        if isinstance(answer, sync_pb2.ToGateway):
            return False, answer.refusal.reason
        return False, f"{(await call.code()).name}: {await call.details()}"
