"""Enrolling as a gateway does, for tests of the aggregator: the verb's token, a key made here, the real service."""

import subprocess
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from aggregator.security import certificates
from protos import enrolment_pb2, enrolment_pb2_grpc, tls
from tests.simulators.fleet import channel
from tests.simulators.strangers import Papers

CALL_S = 10.0


def request(key: certificates.Key) -> bytes:
    """A signing request in PEM, with no names: the aggregator decides those."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


async def enrol(token: tls.Token, root: bytes, key: certificates.Key) -> enrolment_pb2.Certificate:
    async with channel(token.address, root) as link:
        stub = enrolment_pb2_grpc.EnrolmentStub(link)
        message = enrolment_pb2.EnrolRequest(gateway=token.gateway, token=token.secret, csr_pem=request(key))
        reply: enrolment_pb2.Certificate = await stub.Enrol(message, timeout=CALL_S)
        return reply


async def enrolled(state: Path, gateway: str) -> Papers:
    """The papers of a gateway that went the whole way, with a running aggregator in another process."""
    words = [sys.executable, "-m", "aggregator.cli", "enrol-token", gateway, "-c", str(state / "aggregator.toml")]
    line = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout
    key = certificates.new_key()
    reply = await enrol(tls.Token.decode(line), (state / "ca" / "root.pem").read_bytes(), key)
    return Papers(reply.certificate_pem, certificates.key_pem(key), gateway)
