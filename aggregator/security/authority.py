"""The certificate authority behind an interface: ours on files here; a hardware module or a company's elsewhere.

<state>/ca/root.pem  root.key (may be moved offline)  intermediate.pem  intermediate.key  server.pem (its key too)
    <state>/ca/orders.pem             key and certificate that sign orders
    <state>/ca/former/<serial>.pem    earlier intermediates: what they signed stays good until it expires
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from aggregator.security import certificates
from protos import tls


class AuthorityError(tls.TlsError):
    """The authority's files are not there or not usable; the message names the file and the remedy."""


class Authority(Protocol):
    """Signs for gateways and for the aggregator's own listeners. Its intermediate is online, its root need not be."""

    @property
    def root(self) -> x509.Certificate: ...
    @property
    def intermediate(self) -> x509.Certificate: ...
    @property
    def former(self) -> tuple[x509.Certificate, ...]: ...  # earlier intermediates
    def gateway(self, key: ec.EllipticCurvePublicKey, gateway: str, now: datetime) -> x509.Certificate: ...
    def server(self, key: ec.EllipticCurvePublicKey, names: Sequence[str], now: datetime) -> x509.Certificate: ...
    def orders(self, key: ec.EllipticCurvePublicKey, now: datetime) -> x509.Certificate: ...
    def sign(self, message: bytes) -> bytes: ...  # ECDSA-SHA256 by the intermediate, DER


@dataclass(frozen=True, slots=True)
class OwnAuthority:
    """The intermediate and its key in memory, from files."""

    root: x509.Certificate
    intermediate: x509.Certificate
    key: certificates.Key
    former: tuple[x509.Certificate, ...] = ()

    @classmethod
    def load(cls, directory: Path) -> "OwnAuthority":
        """Raises AuthorityError for missing, damaged or mismatched files, and for a key that others may read."""
        root = tls.load_chain(read(directory / "root.pem"))[0]
        intermediate = tls.load_chain(read(directory / "intermediate.pem"))[0]
        key = load_key(directory / "intermediate.key")
        if key.public_key() != intermediate.public_key():
            raise AuthorityError(f"{directory}: intermediate.key is not the key of intermediate.pem: restore both")
        former = tuple(tls.load_chain(read(one))[0] for one in sorted((directory / "former").glob("*.pem")))
        for one in (intermediate, *former):
            if not signed(one, root):
                raise AuthorityError(f"{directory}: root.pem did not sign {certificates.serial(one)}: restore both")
        return cls(root, intermediate, key, former)

    def gateway(self, key: ec.EllipticCurvePublicKey, gateway: str, now: datetime) -> x509.Certificate:
        return certificates.new_gateway(self.intermediate, self.key, key, gateway, now)

    def server(self, key: ec.EllipticCurvePublicKey, names: Sequence[str], now: datetime) -> x509.Certificate:
        return certificates.new_server(self.intermediate, self.key, key, names, now)

    def orders(self, key: ec.EllipticCurvePublicKey, now: datetime) -> x509.Certificate:
        return certificates.new_orders(self.intermediate, self.key, key, now)

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message, ec.ECDSA(hashes.SHA256()))

    def __repr__(self) -> str:
        return f"OwnAuthority({certificates.serial(self.intermediate)})"


def create(directory: Path, now: datetime, root_directory: Path | None = None) -> OwnAuthority:
    """Make root and intermediate. The root's key goes to `root_directory` (a stick that is then taken away).

    Raises AuthorityError rather than overwrite anything.
    """
    offline = root_directory or directory
    for path in (directory / "root.pem", directory / "intermediate.pem", offline / "root.key"):
        if path.exists():
            raise AuthorityError(f"{path}: is there already and is never overwritten; use another state directory")
    for folder in (directory, offline):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    root_key, key = certificates.new_key(), certificates.new_key()
    root = certificates.new_root(root_key, now)
    intermediate = certificates.new_intermediate(root, root_key, key, now)
    write_secret(offline / "root.key", certificates.key_pem(root_key))
    write_secret(directory / "intermediate.key", certificates.key_pem(key))
    write(directory / "root.pem", certificates.pem(root))
    write(directory / "intermediate.pem", certificates.pem(intermediate))
    return OwnAuthority(root, intermediate, key)


def renew_intermediate(directory: Path, root_key: Path, now: datetime) -> OwnAuthority:
    """A new intermediate under the same root, whose key is fetched for this one act. Old leaves stay valid."""
    root = tls.load_chain(read(directory / "root.pem"))[0]
    old, signer, key = (
        tls.load_chain(read(directory / "intermediate.pem"))[0],
        load_key(root_key),
        certificates.new_key(),
    )
    if signer.public_key() != root.public_key():
        raise AuthorityError(f"{root_key}: not the key of {directory / 'root.pem'}")
    intermediate = certificates.new_intermediate(root, signer, key, now)
    (directory / "former").mkdir(exist_ok=True, mode=0o700)
    write(directory / "former" / f"{certificates.serial(old)}.pem", certificates.pem(old))
    write_secret(directory / "intermediate.key", certificates.key_pem(key))
    write(directory / "intermediate.pem", certificates.pem(intermediate))
    return OwnAuthority.load(directory)


def signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer` signed it."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def issuer_of(certificate: x509.Certificate, authority: Authority) -> x509.Certificate:
    """The intermediate of ours, present or former, that signed it. Raises NotTrusted for anything else."""
    for one in (authority.intermediate, *authority.former):
        if signed(certificate, one):
            return one
    raise tls.NotTrusted("client certificate refused: not issued by our intermediate")


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise AuthorityError(
            f"{path}: {error.strerror}; run `aggregator init`, or restore the state directory"
        ) from error


def load_key(path: Path) -> certificates.Key:
    """An EC private key in PEM, readable by its owner alone."""
    content = read(path)
    if path.stat().st_mode & 0o077:
        raise AuthorityError(f"{path}: others may read it: chmod 600 {path}")
    try:
        key = serialization.load_pem_private_key(content, None)
    except (ValueError, TypeError) as error:
        raise AuthorityError(f"{path}: no private key in PEM without a password: restore it") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise AuthorityError(f"{path}: not an elliptic curve key: restore it")
    return key


def write_secret(path: Path, content: bytes) -> None:
    write(path, content, 0o600)


def write(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Whole or not at all: a new file beside it, synced, then renamed over it."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
