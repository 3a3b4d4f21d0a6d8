"""Whom a stream belongs to: the certificate behind a connection, checked once more by our own rules, and watched.

The TLS library has checked chain and time against the root at the handshake. Here: issued by an intermediate of ours,
for client use alone, naming one gateway, at this time, not revoked. `revoked` is asked again while the stream lives.
"""

from dataclasses import dataclass

from cryptography.x509.oid import ExtendedKeyUsageOID

from aggregator.security import certificates
from aggregator.security.authority import Authority, issuer_of
from aggregator.security.registrar import wall_ns
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.identities import Identities
from protos import tls
from protos.clock import Clock


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end; `not_after_ns` is UTC."""

    gateway: str
    serial: str
    not_after_ns: int


class Admission:
    def __init__(self, authority: Authority, catalogue: Catalogue, clock: Clock) -> None:
        self._authority, self._catalogue, self._clock = authority, catalogue, clock
        self._identities = Identities(catalogue)
        self._revoked = self._identities.revoked()

    def check(self, certificate_pem: bytes) -> Peer:
        """Raises NotTrusted, with an audit row, for any certificate that is not a good one of a gateway of ours."""
        try:
            return self._check(certificate_pem)
        except tls.TlsError as error:
            self._catalogue.note(self._clock.wall_ns(), "stranger", "stream refused", "", str(error))
            raise

    def _check(self, certificate_pem: bytes) -> Peer:
        certificate = tls.load_chain(certificate_pem)[0]
        chain, now = [certificate, issuer_of(certificate, self._authority)], tls.utc(self._clock.wall_ns())
        gateway = tls.check_client(chain, self._authority.root, now)
        if not certificates.is_for(certificate, ExtendedKeyUsageOID.CLIENT_AUTH):
            raise tls.NotTrusted("client certificate refused: it is not for client use alone")
        peer = Peer(gateway, certificates.serial(certificate), wall_ns(certificate.not_valid_after_utc))
        if why := self.ended(peer):
            raise tls.NotTrusted(f"client certificate refused: {why}")
        self._known(gateway)
        return peer

    def _known(self, gateway: str) -> None:
        """A gateway that we certified but do not know came after the backup that we were restored from."""
        known, now = self._catalogue.gateway(gateway), self._clock.wall_ns()
        if known is None:
            with self._catalogue.act(
                now, gateway, "came back", gateway, "certified by us, not on file: after a restore"
            ):
                self._catalogue.put_gateway(gateway, "enrolled", now)
        elif known.state == "revoked":
            raise tls.NotTrusted(f"client certificate refused: {gateway} is revoked")

    def ended(self, peer: Peer) -> str:
        """Why this peer may no longer be connected; empty while it may."""
        if peer.serial in self._revoked:
            return f"certificate of {peer.gateway} is revoked: {self._revoked[peer.serial]}"
        if peer.not_after_ns < self._clock.wall_ns():
            return f"certificate of {peer.gateway} has expired: ask for recovery"
        return ""

    def refresh(self) -> None:
        """Read again what a verb in another process may have revoked."""
        self._revoked = self._identities.revoked()
