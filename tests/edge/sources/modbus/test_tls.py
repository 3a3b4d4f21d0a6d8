"""Modbus over TLS with throw-away certificates: the device verified, our own certificate shown."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edge_agent.image import NEVER
from tests.edge.sources.modbus.rig import device, point, running
from tests.simulators.modbus import faulty_line, pymodbus_line


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate of 127.0.0.1 and its key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    paths[1].write_bytes(secret)
    return paths


async def test_both_sides_verified(tmp_path: Path) -> None:
    server, server_key = certificate(tmp_path, "server")
    client, client_key = certificate(tmp_path, "client")
    options = {"ca_file": str(server), "certificate_file": str(client), "key_file": str(client_key)}
    with faulty_line("tls", certificate=server, key=server_key, client_ca=client) as (line,):
        async with running(line.connection, device(point("a", 10), options=options)) as rig:
            assert (await rig.next()).values.tolist() == [10]


@pytest.mark.parametrize("known", ["another", ""])
async def test_a_device_that_cannot_be_verified_is_not_spoken_to(tmp_path: Path, known: str) -> None:
    server, server_key = certificate(tmp_path, "server")
    options = {"ca_file": str(certificate(tmp_path, known)[0])} if known else {}
    with faulty_line("tls", certificate=server, key=server_key) as (line,):
        async with running(line.connection, device(point("a", 10), options=options)) as rig:
            frame = await rig.next()
            assert frame.codes is not None
            assert frame.codes.tolist() == [NEVER]


async def test_pymodbus_over_tls(tmp_path: Path) -> None:
    server, key = certificate(tmp_path, "server")
    one = device(point("a", 10, function=4), unit=3, options={"ca_file": str(server)})
    with pymodbus_line("tls://127.0.0.1:0", "eastron-sdm630@3", certificate=server, key=key) as (line,):
        async with running(line.connection, one) as rig:
            assert (await rig.next()).values.tolist() == [10]
