"""Who this gateway is: a key that never leaves it, its certificate, and the aggregator's root.

    <state_dir>/identity/gateway.pem    a line of facts, the key, the certificate, its intermediate; mode 0600
    <state_dir>/identity/root.pem       the aggregator's root, checked against the token at enrolment
    <state_dir>/identity/pending.key    a key whose certificate is still asked for

Key and certificate share one file, so that one rename changes both: no crash leaves a key without its certificate.
`cryptography` is loaded only where a key is made or a certificate is read: an agent that just runs does without.
"""

import json
import os
import ssl
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.files import put_whole, seal, unseal
from edge_agent.sync.faults import IdentityError
from protos.clock import NS
from protos.validity import NO_CHECK_TIME

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

FACTS = b"# citytwin identity "


@dataclass(frozen=True, slots=True)
class Facts:
    """What the certificate says and where it is for. Times are UTC ns."""

    gateway: str
    enrol_address: str
    sync_address: str
    epoch_floor: int
    not_before_ns: int
    not_after_ns: int

    @property
    def renew_ns(self) -> int:
        """At a third of its life: two thirds are left for an aggregator that is away."""
        return self.not_before_ns + (self.not_after_ns - self.not_before_ns) // 3


class Identity:
    """The files of one gateway's identity. `directory` is <state_dir>/identity."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.gateway_pem = directory / "gateway.pem"
        self.root_pem = directory / "root.pem"
        self._pending = directory / "pending.key"

    @property
    def exists(self) -> bool:
        return self.gateway_pem.exists()

    def facts(self) -> Facts:
        """Raises IdentityError when the gateway is not enrolled or the file is damaged."""
        return self._read()[0]

    def chain(self) -> bytes:
        """The certificate and its intermediate, PEM. Raises IdentityError."""
        text = self._read()[1]
        return text[text.index(b"-----BEGIN CERTIFICATE-----") :]

    def root(self) -> bytes:
        """PEM of the aggregator's root. Raises IdentityError."""
        try:
            return self.root_pem.read_bytes()
        except OSError as error:
            raise IdentityError(f"{self.root_pem}: {error.strerror}: enrol again with --again") from error

    def check_signed(self, message: bytes, signature: bytes, chain_pem: bytes, at_ns: int) -> None:
        """Raise ValueError unless somebody who may sign orders under our root, at UTC `at_ns`, signed `message`."""
        from protos import tls

        try:
            root = tls.load_chain(self.root())[0]
        except IdentityError as error:
            raise ValueError(str(error)) from error
        tls.check_signed(message, signature, chain_pem, root, tls.utc(at_ns))

    def context(self, *, check_time: bool, client: bool = True) -> ssl.SSLContext:
        """TLS 1.3 towards the aggregator under our root; with our certificate where `client`. Raises IdentityError."""
        context = server_context(self.root(), check_time=check_time)
        if client:
            try:
                context.load_cert_chain(self.gateway_pem)
            except (OSError, ssl.SSLError) as error:
                raise IdentityError(
                    f"{self.gateway_pem}: key and certificate cannot be used ({error}): enrol again with --again"
                ) from error
        return context

    def request(self, gateway: str) -> bytes:
        """A certificate request (PEM) for the pending key, made now unless one waits already. Raises IdentityError."""
        key = self._pending_key()
        return csr(key, gateway)

    def request_again(self, gateway: str) -> bytes:
        """A request by the key that we have: what proves who we are after the certificate has expired."""
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(self._read()[1], None)
        except (ValueError, TypeError) as error:
            raise IdentityError(f"{self.gateway_pem}: the key cannot be read: enrol again with --again") from error
        put_whole(self._pending, key_pem(key))  # type: ignore[arg-type]
        return csr(key, gateway)  # type: ignore[arg-type]

    def forget_pending(self) -> None:
        """The next request is for a new key."""
        self._pending.unlink(missing_ok=True)

    def adopt(
        self, chain_pem: bytes, root_pem: bytes, *, enrol_address: str, sync_address: str, epoch_floor: int = 0
    ) -> Facts:
        """Take the certificate for the pending key into use. Raises IdentityError when it is not for that key."""
        from cryptography.hazmat.primitives.serialization import Encoding

        from protos import tls

        key = self._pending_key()
        try:
            chain = tls.load_chain(chain_pem)
            gateway = tls.gateway_of(tls.uris(chain[0]))
        except tls.TlsError as error:
            raise IdentityError(f"the aggregator's answer cannot be used: {error}") from error
        if gateway is None or chain[0].public_key() != key.public_key():
            raise IdentityError("the aggregator's answer is not for the key of this gateway: enrol again with --again")
        facts = Facts(
            gateway,
            enrol_address,
            sync_address,
            epoch_floor,
            int(chain[0].not_valid_before_utc.timestamp()) * NS,
            int(chain[0].not_valid_after_utc.timestamp()) * NS,
        )
        if not self.root_pem.exists() or self.root_pem.read_bytes() != root_pem:
            put_whole(self.root_pem, root_pem)
        certificates = b"".join(one.public_bytes(Encoding.PEM) for one in chain)
        put_whole(self.gateway_pem, line_of(facts) + key_pem(key) + certificates)
        self._pending.unlink(missing_ok=True)
        return facts

    def move(self, *, sync_address: str) -> None:
        """Remember that the aggregator says it is elsewhere now."""
        facts, text = self._read()
        if sync_address and sync_address != facts.sync_address:
            rest = text[text.index(b"\n") + 1 :]
            put_whole(self.gateway_pem, line_of(replace(facts, sync_address=sync_address)) + rest)

    def _read(self) -> tuple[Facts, bytes]:
        try:
            text = self.gateway_pem.read_bytes()
        except FileNotFoundError:
            raise IdentityError(
                f"{self.gateway_pem}: this gateway is not enrolled: `edge-agent enrol` with a token from the aggregator"
            ) from None
        except OSError as error:
            raise IdentityError(f"{self.gateway_pem}: {error.strerror}: check owner and mode (0600)") from error
        if os.stat(self.gateway_pem).st_mode & 0o077:
            raise IdentityError(f"{self.gateway_pem}: others may read the key: chmod 600, or better enrol --again")
        try:
            line, _, _ = text.partition(b"\n")
            if not line.startswith(FACTS) or b"-----BEGIN CERTIFICATE-----" not in text:
                raise ValueError("no facts or no certificate")
            return Facts(**json.loads(unseal(line.removeprefix(FACTS)))), text
        except (ValueError, TypeError) as error:
            raise IdentityError(f"{self.gateway_pem}: damaged ({error}): enrol again with --again") from error

    def _pending_key(self) -> "EllipticCurvePrivateKey":
        """The key that waits for its certificate, kept from an earlier try: so a lost answer costs no token."""
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(self._pending.read_bytes(), None)
            if isinstance(key, ec.EllipticCurvePrivateKey):
                return key
        except (FileNotFoundError, ValueError):  # none, or one that a power cut damaged: nobody knows it yet
            pass
        fresh = ec.generate_private_key(ec.SECP256R1())
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            put_whole(self._pending, key_pem(fresh))
        except OSError as error:
            raise IdentityError(f"{self.directory}: {error.strerror}: run as the agent's user") from error
        return fresh


def line_of(facts: Facts) -> bytes:
    return FACTS + seal(json.dumps(asdict(facts)).encode()) + b"\n"


def key_pem(key: "EllipticCurvePrivateKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def csr(key: "EllipticCurvePrivateKey", gateway: str) -> bytes:
    """PEM of a request for `gateway`, signed by `key` (RFC 2986); the aggregator fills in all names itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    from protos import tls

    names = [x509.UniformResourceIdentifier(tls.gateway_uri(gateway))]
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, gateway)]))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )


def server_context(root_pem: bytes, *, check_time: bool) -> ssl.SSLContext:
    """TLS 1.3 towards a server under `root_pem`, HTTP/2; host name checked. Raises IdentityError for a bad root."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])
    if not check_time:
        context.verify_flags |= ssl.VerifyFlags(NO_CHECK_TIME)
    try:
        context.load_verify_locations(cadata=root_pem.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise IdentityError(f"the aggregator's root certificate cannot be used ({error}): enrol --again") from error
    return context
