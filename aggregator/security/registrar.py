"""Who gets a certificate: the rules of enrolment, renewal, recovery and revocation, each act with its audit row.

Denied           not now and not so; the message is all that a stranger learns
├── TooMany      rate limited; the same question may be asked later
└── BadRequest   the request itself is wrong: damaged, another kind of key, a key known from before
"""

import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from aggregator.limits import NS, Bucket
from aggregator.security import certificates
from aggregator.security.authority import Authority, issuer_of
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.identities import Identities, Issued, TokenRow
from protos import tls
from protos.clock import Clock

TOKEN_HOURS = 24.0  # long enough to carry it to the cabinet, short enough to forget about it
TOKEN_HOURS_MAX = 24.0 * 30
TIME_FACTOR = 60.0  # signed time is cheap, tells no secret, and a whole district may ask from one address at once
PEERS_MAX = 10_000  # addresses remembered for rate limiting; the longest unseen is forgotten
NO_TOKEN = "token not valid: wrong, used, expired or for another gateway; ask for a new one"  # noqa: S105
NO_RECOVERY = "recovery refused: the certificate is not an expired one of ours, or is revoked; enrol with a new token"


class Denied(tls.TlsError):
    """Not now and not so."""


class TooMany(Denied):
    """Rate limited."""


class BadRequest(Denied):
    """The request itself is wrong."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a gateway gets. `chain` is empty while an operator has not approved."""

    chain: bytes
    epoch_floor: int = 0


class Registrar:
    """Uses the catalogue's connection; not for two threads at once."""

    def __init__(self, authority: Authority, catalogue: Catalogue, clock: Clock, per_minute: float) -> None:
        self._authority, self._catalogue, self._clock = authority, catalogue, clock
        self._identities = Identities(catalogue)
        self._per_minute = per_minute
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def enrol(self, gateway: str, secret: str, csr_pem: bytes, peer: str) -> Grant:
        """A one-time token and a request become a certificate. The same token and key again get the same answer,
        so that a reply lost on the way locks nobody out. Raises Denied."""
        self._limit(peer)
        key = self._key(csr_pem)
        now, digest, key_digest = self._clock.wall_ns(), token_digest(secret), certificates.key_digest(key)
        row = self._identities.token(digest)
        if row is None or row.gateway != gateway or row.expires_ns <= now:
            self._refused("enrol", gateway, f"{NO_TOKEN}; from {peer}")
            raise Denied(NO_TOKEN)
        repeated = row.used_ns is not None
        if repeated and not self._issued_with(row, key_digest):
            self._refused("enrol", gateway, f"used token offered again from {peer}")
            raise Denied(NO_TOKEN)
        if not repeated and self._identities.key_known(key_digest) is not None:
            self._refused("enrol", gateway, f"a key known from before was offered from {peer}")
            raise BadRequest("this key was certified before: make a new one on the device")
        with self._catalogue.act(now, peer, "enrol", gateway, f"key {key_digest[:16]}"):
            if not repeated:
                self._identities.use_token(digest, now)
                self._catalogue.put_gateway(gateway, "enrolled", now)
            chain = self._issue(gateway, key, row.used_ns or now)
        known = self._catalogue.gateway(gateway)
        return Grant(chain, known.highest_epoch + 1 if known and known.highest_epoch else 0)

    def renew(self, gateway: str, csr_pem: bytes) -> Grant:
        """For a gateway that just proved who it is by mTLS; a new key or the one it has. Raises Denied."""
        self._limit(gateway)
        key = self._key(csr_pem)
        key_digest, now = certificates.key_digest(key), self._clock.wall_ns()
        if self._identities.key_known(key_digest) not in (None, gateway):
            self._refused("renew", gateway, "the key of another gateway was offered")
            raise BadRequest("this key was certified before: make a new one on the device")
        with self._catalogue.act(now, gateway, "renew", gateway, f"key {key_digest[:16]}"):
            return Grant(self._issue(gateway, key, now))

    def recover(self, certificate_pem: bytes, csr_pem: bytes, peer: str) -> Grant:
        """An expired certificate and a request by the same key: pending until an operator approves. Raises Denied."""
        self._limit(peer)
        key = self._key(csr_pem)
        gateway, old = self._expired(certificate_pem, peer)
        key_digest, now = certificates.key_digest(key), self._clock.wall_ns()
        if key != old.public_key():
            self._refused("recover", gateway, f"another key than the certificate's, from {peer}")
            raise Denied(NO_RECOVERY)
        asked = self._identities.recovery(gateway, key_digest)
        if asked is None:
            with self._catalogue.act(now, peer, "ask recovery", gateway, f"key {key_digest[:16]}"):
                self._identities.ask_recovery(gateway, key_digest, now)
        if asked is None or asked.approved_ns is None:
            return Grant(b"")
        with self._catalogue.act(now, peer, "recover", gateway, f"key {key_digest[:16]}"):
            self._identities.use_recovery(gateway, key_digest, now)
            return Grant(self._issue(gateway, key, now))

    def signed_time(self, nonce: bytes, peer: str) -> tuple[int, bytes, bytes]:
        """(UTC ns, signature, signer's PEM) for a gateway whose clock is wrong. Raises Denied."""
        self._limit(f"time {peer}", TIME_FACTOR)
        shortest, longest = tls.NONCE_BYTES
        if not shortest <= len(nonce) <= longest:
            raise BadRequest(f"nonce of {len(nonce)} bytes: send {shortest}-{longest} random ones")
        now = self._clock.wall_ns()
        signature = self._authority.sign(tls.time_message(nonce, now))
        return now, signature, certificates.pem(self._authority.intermediate)

    def _issue(self, gateway: str, key: ec.EllipticCurvePublicKey, issued_ns: int) -> bytes:
        one = self._authority.gateway(key, gateway, tls.utc(self._clock.wall_ns()))
        self._identities.put_certificate(
            Issued(
                certificates.serial(one),
                gateway,
                wall_ns(one.not_valid_before_utc),
                wall_ns(one.not_valid_after_utc),
                certificates.key_digest(key),
                issued_ns,
            )
        )
        return certificates.pem(one, self._authority.intermediate)

    def _issued_with(self, row: TokenRow, key_digest: str) -> bool:
        return any(
            one.issued_ns == row.used_ns and one.key_sha256 == key_digest and one.revoked_ns is None
            for one in self._identities.certificates(row.gateway)
        )

    def _expired(self, certificate_pem: bytes, peer: str) -> tuple[str, x509.Certificate]:
        """The gateway of an expired certificate of ours, or Denied."""
        try:
            if len(certificate_pem) > certificates.PEM_MAX:
                raise tls.NotTrusted(f"certificate of {len(certificate_pem)} bytes")
            old = tls.load_chain(certificate_pem)[0]
            chain = [old, issuer_of(old, self._authority)]
            gateway = tls.check_client(chain, self._authority.root, old.not_valid_after_utc)
        except tls.TlsError as error:
            self._refused("recover", "", f"{error}; from {peer}")
            raise Denied(NO_RECOVERY) from error
        known, issued = self._catalogue.gateway(gateway), self._identities.certificate(certificates.serial(old))
        expired = wall_ns(old.not_valid_after_utc) < self._clock.wall_ns()
        revoked = issued is None or issued.revoked_ns is not None or known is None or known.state != "enrolled"
        if revoked or not expired or not certificates.is_for(old, ExtendedKeyUsageOID.CLIENT_AUTH):
            self._refused("recover", gateway, f"{'revoked' if revoked else 'not expired'}; from {peer}")
            raise Denied(NO_RECOVERY)
        return gateway, old

    def _key(self, csr_pem: bytes) -> ec.EllipticCurvePublicKey:
        try:
            return certificates.check_request(csr_pem)
        except certificates.RequestRefused as error:
            raise BadRequest(str(error)) from error

    def _limit(self, peer: str, factor: float = 1.0) -> None:
        now, most = self._clock.monotonic_ns(), self._per_minute * factor
        bucket = self._buckets.pop(peer, None) or Bucket(most / 60, most, now)
        self._buckets[peer] = bucket  # the newest last
        while len(self._buckets) > PEERS_MAX:
            self._buckets.popitem(last=False)
        if not bucket.try_take(1, now):
            raise TooMany(f"more than {most:g} requests a minute: wait a minute")

    def _refused(self, act: str, gateway: str, why: str) -> None:
        self._catalogue.note(self._clock.wall_ns(), "stranger", f"{act} refused", gateway, why)


def new_token(catalogue: Catalogue, gateway: str, hours: float, now_ns: int, actor: str) -> str:
    """Make a gateway expected and return the secret of its one-time token; only the digest is kept."""
    tls.gateway_uri(gateway)
    if not 0 < hours <= TOKEN_HOURS_MAX:
        raise tls.TlsError(f"token for {hours:g} hours: use more than 0, at most {TOKEN_HOURS_MAX:g}")
    secret = secrets.token_urlsafe(32)
    known = catalogue.gateway(gateway)
    with catalogue.act(now_ns, actor, "enrol-token", gateway, f"for {hours:g} h"):
        if known is None or known.state == "revoked":
            catalogue.put_gateway(gateway, "expected", now_ns)
        Identities(catalogue).put_token(
            TokenRow(token_digest(secret), gateway, now_ns, now_ns + int(hours * 3600 * NS))
        )
    return secret


def revoke(catalogue: Catalogue, gateway: str, reason: str, now_ns: int, actor: str) -> int:
    """End all that a gateway holds; the running server cuts its stream. Returns how many certificates it had."""
    if catalogue.gateway(gateway) is None:
        raise tls.TlsError(f"no gateway {gateway!r}; `aggregator gateways` lists them")
    with catalogue.act(now_ns, actor, "revoke", gateway, reason):
        catalogue.put_gateway(gateway, "revoked", now_ns)
        return Identities(catalogue).revoke(gateway, now_ns, reason)


def approve(catalogue: Catalogue, gateway: str, now_ns: int, actor: str) -> None:
    """Let a gateway that expired while offline come back with its key."""
    waiting: Sequence[str] = [r.gateway for r in Identities(catalogue).recoveries() if r.approved_ns is None]
    if gateway not in waiting:
        raise tls.TlsError(f"{gateway!r} has not asked for recovery; waiting: {', '.join(waiting) or 'none'}")
    with catalogue.act(now_ns, actor, "approve recovery", gateway):
        Identities(catalogue).approve_recovery(gateway, now_ns)


def token_digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def wall_ns(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp()) * NS
