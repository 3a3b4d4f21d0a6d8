"""What is signed of an order and of an all-stop: the same bytes on both sides, whatever protobuf makes of a message.

    label, then each field in the order below     text: length (4 bytes) and UTF-8    integers: 8 bytes, signed
                                                  value: IEEE 754 double              big endian all

The signature is ECDSA-SHA256 by a certificate that names `urn:citytwin:orders` (protos/tls.py checks it).
"""

import struct

from protos import sync_pb2

ORDER_LABEL = b"citytwin order v1"
STOP_LABEL = b"citytwin all-stop v1"
ID_MAX, TEXT_MAX = 64, 200  # characters of an id; of issuer, why and reason
FENCE_MAX = 2**63 - 1
LONGEST_NS = 24 * 3600 * 1_000_000_000  # an order that is to last longer is given again: a plan is no order


def order_message(order: sync_pb2.Order) -> bytes:
    """Everything of `order` but the signature and its chain. Raises ValueError for a fence beyond FENCE_MAX."""
    return ORDER_LABEL + b"".join(
        (
            *map(text, (order.id, order.gateway, order.device, order.point)),
            struct.pack(">d", order.value),
            *map(integer, (order.issued_utc_ns, order.not_after_utc_ns, order.lifetime_ms, order.fence)),
            text(order.issuer),
            integer(order.emergency),
            text(order.why),
        )
    )


def stop_message(stop: sync_pb2.RevokeOrders) -> bytes:
    """Everything of `stop` but the signature and its chain. Raises ValueError for a fence beyond FENCE_MAX."""
    return STOP_LABEL + b"".join(
        (
            integer(stop.fence),
            *map(text, (stop.reason, stop.gateway)),
            integer(stop.issued_utc_ns),
            text(stop.issuer),
        )
    )


def text(value: str) -> bytes:
    encoded = value.encode()
    return len(encoded).to_bytes(4) + encoded


def integer(value: int) -> bytes:
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"{value} does not fit into 8 bytes")
    return value.to_bytes(8, signed=True)


def stop_id(fence: int) -> str:
    """The order id under which the receipt of an all-stop comes."""
    return f"all-stop-{fence}"
