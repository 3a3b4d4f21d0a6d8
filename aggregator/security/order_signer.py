"""Who signs orders: a certificate of our own intermediate, for nothing else, renewed at two thirds of its life.

    <state>/ca/orders.pem    key, certificate, intermediate; mode 0600

A gateway checks it against its own root without asking anybody. The server's and the gateways' certificates cannot
sign orders, and this one can neither serve nor connect.
"""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from aggregator.security import authority, certificates
from aggregator.security.authority import Authority
from protos import sync_pb2, tls
from protos.clock import Clock
from protos.order import order_message, stop_message

RENEW_AT = 2 / 3  # of its life: a month is left to notice that renewal fails


class OrderSigner:
    """Signs orders and all-stops in place. Makes its key and certificate when there is none, or none of ours."""

    def __init__(self, directory: Path, signer: Authority, clock: Clock) -> None:
        self._path, self._signer, self._clock = directory / "orders.pem", signer, clock
        self._key: certificates.Key
        self._chain: list[x509.Certificate] = []
        if not self._load():
            self.renew()

    def sign(self, order: sync_pb2.Order) -> None:
        self._renew_if_due()
        order.signature, order.chain = self._signature(order_message(order)), certificates.pem(*self._chain)

    def sign_stop(self, stop: sync_pb2.RevokeOrders) -> None:
        self._renew_if_due()
        stop.signature, stop.chain = self._signature(stop_message(stop)), certificates.pem(*self._chain)

    def renew(self) -> None:
        """A new key and certificate, on disk and for the next signature."""
        key = certificates.new_key()
        leaf = self._signer.orders(key.public_key(), tls.utc(self._clock.wall_ns()))
        chain = [leaf, self._signer.intermediate]
        authority.write_secret(self._path, certificates.key_pem(key) + certificates.pem(*chain))
        self._key, self._chain = key, chain

    def _signature(self, message: bytes) -> bytes:
        return self._key.sign(message, ec.ECDSA(hashes.SHA256()))

    def _renew_if_due(self) -> None:
        leaf, now = self._chain[0], tls.utc(self._clock.wall_ns())
        if now >= leaf.not_valid_before_utc + RENEW_AT * (leaf.not_valid_after_utc - leaf.not_valid_before_utc):
            self.renew()

    def _load(self) -> bool:
        """False for none, and for one of an intermediate that was replaced."""
        if not self._path.exists():
            return False
        self._key = authority.load_key(self._path)
        self._chain = tls.load_chain(self._path.read_bytes()[len(certificates.key_pem(self._key)) :])
        return self._chain[1:] == [self._signer.intermediate]
