"""Certificates of a small test authority, for brokers: server and client, made anew for each test."""

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOUR_AGO = dt.timedelta(hours=-1)


@dataclass(frozen=True)
class Certificates:
    ca: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path


def make(folder: Path, begins: dt.timedelta = HOUR_AGO) -> Certificates:
    """An authority, a server certificate for 127.0.0.1 and a client certificate, as PEM files.

    All are good from `begins` after now, for 25 hours.
    """
    first = dt.datetime.now(dt.UTC) + begins
    folder.mkdir(parents=True, exist_ok=True)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = certificate("test authority", ca_key, "test authority", ca_key, True, first)
    paths = {"ca": save(folder / "ca.pem", ca)}
    for name in ("server", "client"):
        key = ec.generate_private_key(ec.SECP256R1())
        paths[name] = save(folder / f"{name}.pem", certificate(name, key, "test authority", ca_key, False, first))
        paths[f"{name}_key"] = folder / f"{name}.key"
        paths[f"{name}_key"].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    return Certificates(**paths)


def save(path: Path, made: x509.Certificate) -> Path:
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return path


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    authority: bool,
    first: dt.datetime,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(first)
        .not_valid_after(first + dt.timedelta(hours=25))
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    )
    return builder.sign(issuer_key, hashes.SHA256())
