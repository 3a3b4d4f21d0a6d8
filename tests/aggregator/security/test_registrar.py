"""Who gets a certificate, and who learns why not."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from aggregator.security import authority, certificates, registrar
from aggregator.security.authority import OwnAuthority
from aggregator.security.registrar import NO_RECOVERY, NO_TOKEN, BadRequest, Denied, Registrar, TooMany
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.identities import Identities
from protos import tls
from protos.clock import NS, SteppedClock
from tests.simulators.identity import request

DAY_NS = 86_400 * NS
NOW_NS = 1_800_000_000 * NS


@dataclass
class Desk:
    """A registrar on a real catalogue and authority, with a clock that the test moves."""

    own: OwnAuthority
    catalogue: Catalogue
    clock: SteppedClock
    registrar: Registrar

    def token(self, gateway: str = "gw-1", hours: float = 24) -> str:
        return registrar.new_token(self.catalogue, gateway, hours, self.clock.wall_ns(), "test")

    def enrolled(self, key: certificates.Key, gateway: str = "gw-1") -> bytes:
        return self.registrar.enrol(gateway, self.token(gateway), request(key), "peer").chain

    def later(self, ns: int) -> None:
        self.clock.step_wall(ns)

    def acts(self) -> list[str]:
        return [one.act for one in self.catalogue.audit()]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    clock = SteppedClock(wall_ns=NOW_NS)
    own = authority.create(tmp_path / "ca", tls.utc(NOW_NS))
    catalogue = Catalogue(tmp_path / "catalogue.sqlite")
    yield Desk(own, catalogue, clock, Registrar(own, catalogue, clock, per_minute=1_000))
    catalogue.close()


def test_token_and_request_become_a_certificate(desk: Desk) -> None:
    key = certificates.new_key()
    chain = tls.load_chain(desk.enrolled(key))
    assert tls.check_client(chain, desk.own.root, tls.utc(NOW_NS)) == "gw-1"
    assert chain[0].public_key() == key.public_key()
    assert chain[0].not_valid_after_utc - tls.utc(NOW_NS) == timedelta(days=30)
    assert desk.acts() == ["enrol-token", "enrol"]
    with pytest.raises(tls.NotTrusted):
        tls.check_client(chain, desk.own.root, tls.utc(NOW_NS + 31 * DAY_NS))


def test_every_wrong_token_gets_the_same_answer(desk: Desk) -> None:
    good, other, late = desk.token(), desk.token("gw-2"), desk.token("gw-3", hours=1)
    key = certificates.new_key()
    desk.registrar.enrol("gw-1", good, request(key), "peer")
    desk.later(2 * 3600 * NS)
    for gateway, secret in (("gw-1", good), ("gw-1", other), ("gw-3", late), ("gw-9", "guess"), ("gw-1", "")):
        with pytest.raises(Denied) as caught:
            desk.registrar.enrol(gateway, secret, request(certificates.new_key()), "peer")
        assert (type(caught.value), str(caught.value)) == (Denied, NO_TOKEN)
    assert desk.acts().count("enrol refused") == 5


def test_a_lost_reply_is_asked_for_again_with_the_same_key(desk: Desk) -> None:
    secret, key = desk.token(), certificates.new_key()
    first = desk.registrar.enrol("gw-1", secret, request(key), "peer").chain
    again = desk.registrar.enrol("gw-1", secret, request(key), "peer").chain
    assert tls.load_chain(first)[0].public_key() == tls.load_chain(again)[0].public_key()
    registrar.revoke(desk.catalogue, "gw-1", "stolen", desk.clock.wall_ns(), "test")
    with pytest.raises(Denied):
        desk.registrar.enrol("gw-1", secret, request(key), "peer")


def test_a_key_serves_one_gateway_and_one_enrolment(desk: Desk) -> None:
    key = certificates.new_key()
    desk.enrolled(key)
    secret = desk.token("gw-2")
    with pytest.raises(BadRequest, match="make a new one"):
        desk.registrar.enrol("gw-2", secret, request(key), "peer")
    assert desk.registrar.enrol("gw-2", secret, request(certificates.new_key()), "peer").chain  # not used up by that
    with pytest.raises(BadRequest, match="make a new one"):
        desk.registrar.renew("gw-2", request(key))


def weak_request() -> bytes:
    key = ec.generate_private_key(ec.SECP384R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def tampered_request() -> bytes:
    der = bytearray(x509.load_pem_x509_csr(request(certificates.new_key())).public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    return x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    ("csr", "told"),
    [
        (b"", "cannot be read"),
        (b"-----BEGIN", "cannot be read"),
        (b"x" * 20_000, "at most"),
        (weak_request(), "P-256"),
        (tampered_request(), "not signed by its own key"),
    ],
)
def test_only_a_good_request(csr: bytes, told: str, desk: Desk) -> None:
    secret = desk.token()
    with pytest.raises(BadRequest, match=told):
        desk.registrar.enrol("gw-1", secret, csr, "peer")
    assert desk.registrar.enrol("gw-1", secret, request(certificates.new_key()), "peer").chain  # still good


def test_guessing_is_slow(desk: Desk) -> None:
    slow = Registrar(desk.own, desk.catalogue, desk.clock, per_minute=2)
    key = request(certificates.new_key())
    for _ in range(2):
        with pytest.raises(Denied, match="token not valid"):
            slow.enrol("gw-1", "guess", key, "peer")
    with pytest.raises(TooMany):
        slow.enrol("gw-1", "guess", key, "peer")
    with pytest.raises(Denied, match="token not valid"):
        slow.enrol("gw-1", "guess", key, "another peer")


def test_the_time_is_told_to_a_whole_district(desk: Desk) -> None:
    slow = Registrar(desk.own, desk.catalogue, desk.clock, per_minute=1)
    for _ in range(60):
        slow.signed_time(bytes(16), "peer")
    with pytest.raises(TooMany):
        slow.signed_time(bytes(16), "peer")


def test_the_secret_is_not_kept(desk: Desk) -> None:
    secret = desk.token()
    desk.catalogue.connection.pragma("wal_checkpoint", "truncate")
    assert secret.encode() not in desk.catalogue.path.read_bytes()


def test_renewal_with_a_new_key_or_the_same(desk: Desk) -> None:
    key, fresh = certificates.new_key(), certificates.new_key()
    desk.enrolled(key)
    desk.later(10 * DAY_NS)
    for one in (key, fresh):
        chain = tls.load_chain(desk.registrar.renew("gw-1", request(one)).chain)
        assert chain[0].not_valid_after_utc == tls.utc(NOW_NS + 40 * DAY_NS)
    assert len(Identities(desk.catalogue).certificates("gw-1")) == 3


def test_an_expired_gateway_comes_back_when_an_operator_says_so(desk: Desk) -> None:
    key = certificates.new_key()
    chain = desk.enrolled(key)
    with pytest.raises(Denied):
        desk.registrar.recover(chain, request(key), "peer")  # not expired: renew
    desk.later(31 * DAY_NS)
    with pytest.raises(Denied):
        desk.registrar.recover(chain, request(certificates.new_key()), "peer")
    assert desk.registrar.recover(chain, request(key), "peer").chain == b""
    assert desk.registrar.recover(chain, request(key), "peer").chain == b""
    with pytest.raises(tls.TlsError, match="gw-1"):
        registrar.approve(desk.catalogue, "gw-2", desk.clock.wall_ns(), "test")
    registrar.approve(desk.catalogue, "gw-1", desk.clock.wall_ns(), "test")
    back = tls.load_chain(desk.registrar.recover(chain, request(key), "peer").chain)
    assert tls.check_client(back, desk.own.root, tls.utc(desk.clock.wall_ns())) == "gw-1"
    assert desk.registrar.recover(chain, request(key), "peer").chain == b""  # once for one approval
    assert desk.acts()[-4:] == ["ask recovery", "approve recovery", "recover", "ask recovery"]


def test_no_recovery_for_strangers_or_the_revoked(desk: Desk, tmp_path: Path) -> None:
    key, other = certificates.new_key(), authority.create(tmp_path / "other", tls.utc(NOW_NS))
    chain = desk.enrolled(key)
    forged = certificates.pem(other.gateway(key.public_key(), "gw-1", tls.utc(NOW_NS)), other.intermediate)
    desk.later(31 * DAY_NS)
    registrar.revoke(desk.catalogue, "gw-1", "stolen", desk.clock.wall_ns(), "test")
    for papers in (chain, forged, b"", b"x" * 20_000):
        with pytest.raises(Denied) as caught:
            desk.registrar.recover(papers, request(key), "peer")
        assert str(caught.value) == NO_RECOVERY


def test_signed_time(desk: Desk) -> None:
    nonce = bytes(range(32))
    utc_ns, signature, signer = desk.registrar.signed_time(nonce, "peer")
    assert utc_ns == NOW_NS
    tls.check_time(nonce, utc_ns, signature, tls.load_chain(signer), desk.own.root)
    for wrong in ((b"another nonce", utc_ns), (nonce, utc_ns + 1)):
        with pytest.raises(tls.NotTrusted):
            tls.check_time(*wrong, signature, tls.load_chain(signer), desk.own.root)
    for size in (0, 15, 65):
        with pytest.raises(BadRequest):
            desk.registrar.signed_time(bytes(size), "peer")


def test_tokens_have_an_end(desk: Desk) -> None:
    for hours in (0.0, -1.0, 1e6):
        with pytest.raises(tls.TlsError, match="hours"):
            desk.token(hours=hours)
    with pytest.raises(tls.TlsError, match="gateway id"):
        desk.token("No Such Name")
