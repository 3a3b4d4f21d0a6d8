"""Whoever signs orders, for tests and benches: a real authority in memory, and impostors under other names or roots."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from aggregator.security import certificates
from protos import sync_pb2, tls
from protos.order import order_message, stop_message

NS = 1_000_000_000
NOW_NS = 1_800_000_000 * NS  # a UTC of its own: no test depends on today
NOW = datetime.fromtimestamp(NOW_NS // NS, UTC)
Leaf = Callable[[x509.Certificate, certificates.Key, ec.EllipticCurvePublicKey, datetime], x509.Certificate]


@dataclass
class Issuer:
    """`leaf` makes the signer's certificate: `certificates.new_orders`, or what must not be able to sign."""

    leaf: Leaf = certificates.new_orders
    gateway: str = "gw-1"
    fence: int = 100
    now: datetime = NOW
    _root_key: certificates.Key = field(default_factory=certificates.new_key)
    _middle_key: certificates.Key = field(default_factory=certificates.new_key)
    _key: certificates.Key = field(default_factory=certificates.new_key)

    def __post_init__(self) -> None:
        self.root = certificates.new_root(self._root_key, self.now)
        self._middle = certificates.new_intermediate(self.root, self._root_key, self._middle_key, self.now)
        self.chain = certificates.pem(
            self.leaf(self._middle, self._middle_key, self._key.public_key(), self.now), self._middle
        )

    def order(self, point: str = "pump/valve", value: float = 40.0, **fields: object) -> sync_pb2.Order:
        """A signed order with the next fence, valid for ten minutes from NOW_NS; `fields` change it before signing."""
        self.fence += 1
        device, _, name = point.partition("/")
        order = sync_pb2.Order(
            id=f"order-{self.fence}",
            gateway=self.gateway,
            device=device,
            point=name,
            value=value,
            issued_utc_ns=NOW_NS,
            not_after_utc_ns=NOW_NS + 600 * NS,
            lifetime_ms=600_000,
            fence=self.fence,
            issuer="kim",
        )
        for key, one in fields.items():
            setattr(order, key, one)
        return self.sign(order)

    def stop(self, **fields: object) -> sync_pb2.RevokeOrders:
        self.fence += 1
        stop = sync_pb2.RevokeOrders(
            fence=self.fence, gateway=self.gateway, issued_utc_ns=NOW_NS, issuer="kim", reason="drill"
        )
        for key, one in fields.items():
            setattr(stop, key, one)
        stop.signature, stop.chain = self._signature(stop_message(stop)), self.chain
        return stop

    def sign(self, order: sync_pb2.Order) -> sync_pb2.Order:
        order.signature, order.chain = self._signature(order_message(order)), self.chain
        return order

    def check(self, message: bytes, signature: bytes, chain: bytes, at_ns: int) -> None:
        """As a gateway under this root does."""
        tls.check_signed(message, signature, chain, self.root, tls.utc(at_ns))

    def _signature(self, message: bytes) -> bytes:
        return self._key.sign(message, ec.ECDSA(hashes.SHA256()))


def as_gateway(
    middle: x509.Certificate, key: certificates.Key, leaf: ec.EllipticCurvePublicKey, now: datetime
) -> x509.Certificate:
    """A gateway's certificate: good for connecting, not for giving orders."""
    return certificates.new_gateway(middle, key, leaf, "gw-1", now)


def as_server(
    middle: x509.Certificate, key: certificates.Key, leaf: ec.EllipticCurvePublicKey, now: datetime
) -> x509.Certificate:
    return certificates.new_server(middle, key, leaf, (), now)
