"""Names and times that both ends of the sync link agree on; light, so that a gateway loads no cryptography for them."""

SERVER_NAME = "aggregator"  # the DNS name that gateways check, whatever the address they dial
AGGREGATOR_URI = "urn:citytwin:aggregator"
GATEWAY_PREFIX = "urn:citytwin:gateway:"
ORDERS_URI = "urn:citytwin:orders"  # whoever may sign orders

PROTOCOL = 1  # of the stream; in Hello and Welcome
STATUS_MAX = 200  # gauges and facts in one status; more ends the stream
HEARTBEAT_MS = 1000  # both ways
DEAD_AFTER_MS = 4000  # silence after which the other side is gone: four heartbeats, under the 5 s promised

# HTTP/2 keepalive finds a peer that stopped when even the event loop no longer sends heartbeats. grpc's default
# waits for TCP to give up; the ping timeout is an option of its own since 1.60 and defaults to a minute.
KEEPALIVE: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)
