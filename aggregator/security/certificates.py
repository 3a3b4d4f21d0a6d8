"""The shape of every certificate we issue or accept: EC P-256, RFC 5280 profiles. Pure: no files, no clock.

root (CA, path length 1, 20 years) → intermediate (CA, path length 0, 3 years) → server | gateway | orders
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protos import tls

ROOT_LIFE = timedelta(days=20 * 365)
INTERMEDIATE_LIFE = timedelta(days=3 * 365)
SERVER_LIFE = timedelta(days=90)
GATEWAY_LIFE = timedelta(days=30)
ORDERS_LIFE = timedelta(days=90)
DOCUMENT_SIGNING = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")  # RFC 9336: signs what people and machines act on
BACKDATED = timedelta(hours=1)  # a gateway's clock may be behind by up to this and still accept what it just got
PEM_MAX = 16 << 10  # bytes of a chain or request that a stranger sends

Key = ec.EllipticCurvePrivateKey


class RequestRefused(tls.TlsError):
    """A certificate signing request that is not what we sign; the message says what and what to do."""


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def pem(*chain: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain)


def key_digest(key: ec.EllipticCurvePublicKey) -> str:
    """SHA-256 of the SubjectPublicKeyInfo, in hex."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return sha256(der).hexdigest()


def serial(certificate: x509.Certificate) -> str:
    return f"{certificate.serial_number:x}"


def new_root(key: Key, now: datetime) -> x509.Certificate:
    builder = _builder("citytwin root", "citytwin root", key.public_key(), key.public_key(), now, ROOT_LIFE)
    return _authority(builder, path_length=1).sign(key, hashes.SHA256())


def new_intermediate(root: x509.Certificate, root_key: Key, key: Key, now: datetime) -> x509.Certificate:
    end = min(now + INTERMEDIATE_LIFE, root.not_valid_after_utc) - now
    builder = _builder(
        f"citytwin intermediate {now:%Y-%m}", "citytwin root", key.public_key(), root_key.public_key(), now, end
    )
    return _authority(builder, path_length=0).sign(root_key, hashes.SHA256())


def new_server(
    issuer: x509.Certificate, issuer_key: Key, key: ec.EllipticCurvePublicKey, names: Sequence[str], now: datetime
) -> x509.Certificate:
    """For the aggregator's listeners; `names` are further DNS names and IP addresses."""
    alternative: list[x509.GeneralName] = [x509.DNSName(tls.SERVER_NAME)]
    alternative += [general_name(one) for one in names if one != tls.SERVER_NAME]
    alternative.append(x509.UniformResourceIdentifier(tls.AGGREGATOR_URI))
    return _leaf(
        issuer, issuer_key, key, "citytwin aggregator", alternative, ExtendedKeyUsageOID.SERVER_AUTH, now, SERVER_LIFE
    )


def new_gateway(
    issuer: x509.Certificate, issuer_key: Key, key: ec.EllipticCurvePublicKey, gateway: str, now: datetime
) -> x509.Certificate:
    name = x509.UniformResourceIdentifier(tls.gateway_uri(gateway))
    return _leaf(issuer, issuer_key, key, gateway, [name], ExtendedKeyUsageOID.CLIENT_AUTH, now, GATEWAY_LIFE)


def new_orders(
    issuer: x509.Certificate, issuer_key: Key, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.Certificate:
    """For whoever signs orders to gateways; good for nothing else."""
    name = x509.UniformResourceIdentifier(tls.ORDERS_URI)
    return _leaf(issuer, issuer_key, key, "citytwin orders", [name], DOCUMENT_SIGNING, now, ORDERS_LIFE)


def general_name(name: str) -> x509.GeneralName:
    """An IP address or a DNS name."""
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def check_request(csr_pem: bytes) -> ec.EllipticCurvePublicKey:
    """The key that a request proves to hold. Nothing else of the request is used: we decide every name in it.

    Raises RequestRefused for what is too large, damaged, not P-256, or not signed by its own key.
    """
    if len(csr_pem) > PEM_MAX:
        raise RequestRefused(f"request of {len(csr_pem)} bytes: at most {PEM_MAX}")
    try:
        request = x509.load_pem_x509_csr(csr_pem)
        key = request.public_key()
        good = request.is_signature_valid
    except (ValueError, TypeError) as error:
        raise RequestRefused("request cannot be read: send a PKCS#10 request in PEM") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise RequestRefused("request for another kind of key: make an EC P-256 key")
    if not good:
        raise RequestRefused("request is not signed by its own key")
    return key


def is_for(certificate: x509.Certificate, usage: x509.ObjectIdentifier) -> bool:
    """Whether the extended key usage names exactly this one."""
    try:
        return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [usage]
    except x509.ExtensionNotFound:
        return False


def _builder(
    subject: str,
    issuer: str | x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(issuer if isinstance(issuer, x509.Name) else _name(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before((now - BACKDATED).replace(microsecond=0))
        .not_valid_after((now + life).replace(microsecond=0))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _authority(builder: x509.CertificateBuilder, path_length: int) -> x509.CertificateBuilder:
    return builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True).add_extension(
        _usage(signs_certificates=True), critical=True
    )


def _leaf(
    issuer: x509.Certificate,
    issuer_key: Key,
    key: ec.EllipticCurvePublicKey,
    subject: str,
    names: Sequence[x509.GeneralName],
    usage: x509.ObjectIdentifier,
    now: datetime,
    life: timedelta,
) -> x509.Certificate:
    end = min(now + life, issuer.not_valid_after_utc) - now  # a leaf never outlives its issuer
    return (
        _builder(subject, issuer.subject, key, issuer_key.public_key(), now, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,  # an authority's too: the intermediate signs the time
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])
