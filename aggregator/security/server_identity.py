"""The aggregator's own certificate: made on first start, renewed at two thirds of its life, without a restart."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import grpc
from cryptography import x509

from aggregator.security import authority, certificates
from aggregator.security.authority import Authority
from protos import tls
from protos.clock import Clock

RENEW_AT = 2 / 3  # of its life: a month is left to notice that renewal fails


class ServerIdentity:
    """Key and chain for both listeners. gRPC asks for news at every handshake, so a new one serves at once."""

    def __init__(self, directory: Path, signer: Authority, names: Sequence[str], clock: Clock) -> None:
        self._directory, self._signer, self._names, self._clock = directory, signer, tuple(names), clock
        self._served: dict[bool, grpc.ServerCertificateConfiguration] = {}
        self._chain: list[x509.Certificate] = []
        self._pair = (b"", b"")
        if not self._load() or self._due(tls.utc(clock.wall_ns())):
            self.renew()

    @property
    def not_after(self) -> datetime:
        return self._chain[0].not_valid_after_utc

    @property
    def serial(self) -> str:
        return certificates.serial(self._chain[0])

    def renew_if_due(self) -> bool:
        due = self._due(tls.utc(self._clock.wall_ns()))
        if due:
            self.renew()
        return due

    def renew(self) -> None:
        """A new key and certificate, on disk and from the next handshake on."""
        key = certificates.new_key()
        leaf = self._signer.server(key.public_key(), self._names, tls.utc(self._clock.wall_ns()))
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        key_pem, chain_pem = certificates.key_pem(key), certificates.pem(leaf, self._signer.intermediate)
        # one file, so that a crash can never leave the key of one certificate beside another
        authority.write_secret(self._directory / "server.pem", key_pem + chain_pem)
        self._take(key_pem, chain_pem)

    def credentials(self, *, clients: bool) -> grpc.ServerCredentials:
        """For a listener; with `clients`, only peers with a certificate under our root pass the handshake."""
        given = [self._served[clients]]

        def newer() -> grpc.ServerCertificateConfiguration | None:
            """None while nothing is new: gRPC then keeps the context that its other handshakes are using."""
            if given[0] is self._served[clients]:
                return None
            given[0] = self._served[clients]
            return given[0]

        # the stubs leave out None, which gRPC's own documentation allows
        return grpc.dynamic_ssl_server_credentials(given[0], newer, clients)  # type: ignore[arg-type]

    def _take(self, key_pem: bytes, chain_pem: bytes) -> None:
        self._chain, self._pair = tls.load_chain(chain_pem), (key_pem, chain_pem)
        root = certificates.pem(self._signer.root)
        self._served = {
            True: grpc.ssl_server_certificate_configuration([self._pair], root_certificates=root),
            False: grpc.ssl_server_certificate_configuration([self._pair]),
        }

    def _load(self) -> bool:
        path = self._directory / "server.pem"
        if not path.exists():
            return False
        key = certificates.key_pem(authority.load_key(path))
        chain = path.read_bytes()[len(key) :]
        leaf = tls.load_chain(chain)[0]
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        wanted = {certificates.general_name(one) for one in self._names}
        if not wanted <= set(names) or tls.load_chain(chain)[1:] != [self._signer.intermediate]:
            return False  # the configuration or the intermediate has changed
        self._take(key, chain)
        return True

    def _due(self, now: datetime) -> bool:
        leaf = self._chain[0]
        return now >= leaf.not_valid_before_utc + RENEW_AT * (leaf.not_valid_after_utc - leaf.not_valid_before_utc)
