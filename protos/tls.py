"""What both ends of a TLS connection must agree on: names, the enrolment token, signed time, channel settings.

A gateway is the URI `urn:citytwin:gateway:<id>` in its client certificate; the aggregator is the DNS name
`aggregator` and the URI `urn:citytwin:aggregator` in its server certificate (RFC 6125, RFC 8705 in spirit). Chains
are root → intermediate → leaf, EC P-256; a peer sends leaf first, then the intermediate.

    TlsError            a certificate, token or signature that is not what it should be
    └── NotTrusted      the chain does not lead to the root, or not at this time, or not for this use
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import verification

# These are also here for whoever needs both.
from protos.link import AGGREGATOR_URI as AGGREGATOR_URI
from protos.link import DEAD_AFTER_MS as DEAD_AFTER_MS
from protos.link import GATEWAY_PREFIX as GATEWAY_PREFIX
from protos.link import HEARTBEAT_MS as HEARTBEAT_MS
from protos.link import KEEPALIVE as KEEPALIVE
from protos.link import ORDERS_URI as ORDERS_URI
from protos.link import SERVER_NAME as SERVER_NAME

GATEWAY_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")  # a DNS label's length; fits file names, topics and URIs unquoted
TIME_LABEL = b"citytwin time v1"
NONCE_BYTES = (16, 64)  # a signed time is for one question only; the upper end bounds what a stranger has signed
CHAIN_BYTES_MAX = 16 << 10  # of a signer and its intermediate: 1.5 kB in earnest
TOKEN_BYTES_MAX = 2048  # a token is a line that a person copies

UNREADABLE = (  # what reading and checking a stranger's certificate may raise
    InvalidSignature,
    UnsupportedAlgorithm,
    ValueError,
    TypeError,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


class TlsError(ValueError):
    """Not what it should be; the message says what and what to do."""


class NotTrusted(TlsError):
    """The chain does not lead to the root at this time and for this use."""


def gateway_uri(gateway: str) -> str:
    """The URI SAN of a gateway. Raises TlsError for an id that cannot be one."""
    if not GATEWAY_ID.fullmatch(gateway):
        raise TlsError(f"gateway id {gateway!r}: use 1-63 of a-z 0-9 . _ - and begin with a letter or digit")
    return GATEWAY_PREFIX + gateway


def gateway_of(uris: Iterable[str]) -> str | None:
    """The gateway that a certificate with these URI SANs names; None unless exactly one well-formed name is there."""
    names = [uri.removeprefix(GATEWAY_PREFIX) for uri in uris if uri.startswith(GATEWAY_PREFIX)]
    return names[0] if len(names) == 1 and GATEWAY_ID.fullmatch(names[0]) else None


def uris(certificate: x509.Certificate) -> list[str]:
    """The URI SANs of a certificate; none without the extension."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return list(names.get_values_for_type(x509.UniformResourceIdentifier))


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the DER, in hex."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def load_chain(pem: bytes) -> list[x509.Certificate]:
    """Every certificate of a PEM text, leaf first. Raises TlsError when there is none or one is damaged."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except (ValueError, x509.InvalidVersion) as error:
        raise TlsError(f"certificate chain cannot be read: {error}") from error


def check_server(chain: Sequence[x509.Certificate], root: x509.Certificate, at: datetime) -> None:
    """Raise NotTrusted unless `chain` is the aggregator's under `root`, valid at `at`, for server use."""
    builder = verification.PolicyBuilder().store(verification.Store([root])).time(at)
    try:
        builder.build_server_verifier(x509.DNSName(SERVER_NAME)).verify(chain[0], list(chain[1:]))
    except (verification.VerificationError, IndexError) as error:
        raise NotTrusted(f"server certificate refused: {error}") from error
    if AGGREGATOR_URI not in uris(chain[0]):
        raise NotTrusted(f"server certificate refused: it does not name {AGGREGATOR_URI}")


def check_client(chain: Sequence[x509.Certificate], root: x509.Certificate, at: datetime) -> str:
    """The gateway that `chain` names. Raises NotTrusted unless it is under `root`, valid at `at`, for client use."""
    builder = verification.PolicyBuilder().store(verification.Store([root])).time(at)
    try:
        builder.build_client_verifier().verify(chain[0], list(chain[1:]))
    except (verification.VerificationError, IndexError) as error:
        raise NotTrusted(f"client certificate refused: {error}") from error
    if (gateway := gateway_of(uris(chain[0]))) is None:
        raise NotTrusted(f"client certificate refused: it does not name one gateway as {GATEWAY_PREFIX}<id>")
    return gateway


def check_signed(message: bytes, signature: bytes, chain_pem: bytes, root: x509.Certificate, at: datetime) -> None:
    """Raise TlsError unless `message` is signed by a certificate that may sign orders: issued by an intermediate of
    `root`, both valid at `at`, naming ORDERS_URI (path validation of RFC 5280, for a path of this one shape)."""
    if len(chain_pem) > CHAIN_BYTES_MAX:
        raise NotTrusted(f"signature refused: a chain of {len(chain_pem)} bytes, at most {CHAIN_BYTES_MAX}")
    leaf, *issuers = load_chain(chain_pem)
    if len(issuers) != 1:
        raise NotTrusted("signature refused: the chain is not a signer and its intermediate")
    try:
        issuers[0].verify_directly_issued_by(root)
        leaf.verify_directly_issued_by(issuers[0])
        named = is_authority(issuers[0]) and not is_authority(leaf) and uris(leaf) == [ORDERS_URI]
        key = leaf.public_key()
        if not named or not isinstance(key, ec.EllipticCurvePublicKey):
            raise NotTrusted(f"signature refused: the signer is not named {ORDERS_URI}")
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except UNREADABLE as error:
        if isinstance(error, TlsError):
            raise
        raise NotTrusted(f"signature refused: {type(error).__name__} {error}") from error
    if not all(one.not_valid_before_utc <= at <= one.not_valid_after_utc for one in (leaf, issuers[0])):
        raise NotTrusted("signature refused: the signer's certificate is not valid at this time")


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it may issue certificates."""
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except x509.ExtensionNotFound:
        return False


def utc(wall_ns: int) -> datetime:
    """A wall clock's nanoseconds as the datetime that certificates speak; whole seconds."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=wall_ns // 1_000_000_000)


def time_message(nonce: bytes, utc_ns: int) -> bytes:
    """What the intermediate signs to tell `utc_ns` to whoever drew `nonce`."""
    return TIME_LABEL + nonce + utc_ns.to_bytes(8, "big", signed=True)


def check_time(
    nonce: bytes, utc_ns: int, signature: bytes, chain: Sequence[x509.Certificate], root: x509.Certificate
) -> None:
    """Raise NotTrusted unless `signature` over the nonce and time is the intermediate's, itself signed by `root`
    and valid at the time it tells (a certificate can only vouch for times at which it is good)."""
    if not chain:
        raise NotTrusted("signed time refused: no signer's certificate")
    signer = chain[0]
    try:
        signer.verify_directly_issued_by(root)
        key = signer.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise NotTrusted("signed time refused: the signer's key is not an elliptic curve's")
        key.verify(signature, time_message(nonce, utc_ns), ec.ECDSA(hashes.SHA256()))
        is_ca = signer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound) as error:
        raise NotTrusted(f"signed time refused: {type(error).__name__} {error}") from error
    if not is_ca or not signer.not_valid_before_utc <= utc(utc_ns) <= signer.not_valid_after_utc:
        raise NotTrusted("signed time refused: the signer is no authority at the time it tells")


@dataclass(frozen=True, slots=True)
class Token:
    """An enrolment token: one line that an operator carries to the gateway. `root_sha256` pins the aggregator."""

    address: str  # host:port of the enrolment listener
    gateway: str
    secret: str
    root_sha256: str  # of the root certificate's DER, in hex

    def encode(self) -> str:
        plain = {"address": self.address, "gateway": self.gateway, "secret": self.secret, "root": self.root_sha256}
        return base64.urlsafe_b64encode(json.dumps(plain, separators=(",", ":")).encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, line: str) -> "Token":
        """Raises TlsError for anything but a whole token."""
        word = line.strip()
        if len(word) > TOKEN_BYTES_MAX:
            raise TlsError(
                f"token of {len(word)} characters: at most {TOKEN_BYTES_MAX}; copy the whole line, nothing else"
            )
        try:
            plain = json.loads(base64.b64decode(word + "=" * (-len(word) % 4), altchars=b"-_", validate=True))
            fields = [plain[name] for name in ("address", "gateway", "secret", "root")]
        except (binascii.Error, ValueError, KeyError, TypeError) as error:
            raise TlsError("token cannot be read: copy the whole line that `aggregator enrol-token` printed") from error
        if not all(isinstance(one, str) and one for one in fields):
            raise TlsError("token cannot be read: a field is empty or no text; ask for a new one")
        gateway_uri(fields[1])
        return cls(*fields)

    def __repr__(self) -> str:  # a token's secret must not reach a log
        return f"Token(address={self.address!r}, gateway={self.gateway!r}, secret=…, root_sha256={self.root_sha256!r})"
