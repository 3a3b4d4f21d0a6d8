from protos import telemetry_pb2 as _telemetry_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FromGateway(_message.Message):
    __slots__ = ("gateway", "hello", "clock", "heartbeat", "catalogue", "batch", "status", "receipt", "cosignature", "unavailable", "desired_receipt")
    GATEWAY_FIELD_NUMBER: _ClassVar[int]
    HELLO_FIELD_NUMBER: _ClassVar[int]
    CLOCK_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    CATALOGUE_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    COSIGNATURE_FIELD_NUMBER: _ClassVar[int]
    UNAVAILABLE_FIELD_NUMBER: _ClassVar[int]
    DESIRED_RECEIPT_FIELD_NUMBER: _ClassVar[int]
    gateway: str
    hello: Hello
    clock: ClockReading
    heartbeat: Heartbeat
    catalogue: _telemetry_pb2.Catalogue
    batch: _telemetry_pb2.Batch
    status: Status
    receipt: OrderReceipt
    cosignature: Cosignature
    unavailable: Unavailable
    desired_receipt: DesiredReceipt
    def __init__(self, gateway: _Optional[str] = ..., hello: _Optional[_Union[Hello, _Mapping]] = ..., clock: _Optional[_Union[ClockReading, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., catalogue: _Optional[_Union[_telemetry_pb2.Catalogue, _Mapping]] = ..., batch: _Optional[_Union[_telemetry_pb2.Batch, _Mapping]] = ..., status: _Optional[_Union[Status, _Mapping]] = ..., receipt: _Optional[_Union[OrderReceipt, _Mapping]] = ..., cosignature: _Optional[_Union[Cosignature, _Mapping]] = ..., unavailable: _Optional[_Union[Unavailable, _Mapping]] = ..., desired_receipt: _Optional[_Union[DesiredReceipt, _Mapping]] = ...) -> None: ...

class ToGateway(_message.Message):
    __slots__ = ("welcome", "heartbeat", "ack", "resend", "order", "desired", "checkpoint", "refusal", "revoke_orders", "prior")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    RESEND_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    DESIRED_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    REVOKE_ORDERS_FIELD_NUMBER: _ClassVar[int]
    PRIOR_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    heartbeat: Heartbeat
    ack: Ack
    resend: Resend
    order: Order
    desired: DesiredState
    checkpoint: Checkpoint
    refusal: Refusal
    revoke_orders: RevokeOrders
    prior: Prior
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., ack: _Optional[_Union[Ack, _Mapping]] = ..., resend: _Optional[_Union[Resend, _Mapping]] = ..., order: _Optional[_Union[Order, _Mapping]] = ..., desired: _Optional[_Union[DesiredState, _Mapping]] = ..., checkpoint: _Optional[_Union[Checkpoint, _Mapping]] = ..., refusal: _Optional[_Union[Refusal, _Mapping]] = ..., revoke_orders: _Optional[_Union[RevokeOrders, _Mapping]] = ..., prior: _Optional[_Union[Prior, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("protocol", "software", "boot_id", "epoch", "newest_sequence", "backlog_batches", "backlog_bytes", "monotonic_ns", "wall_ns", "catalogue_digest", "waiting_epoch", "waiting_sequence", "heartbeat_ms")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    NEWEST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    BACKLOG_BATCHES_FIELD_NUMBER: _ClassVar[int]
    BACKLOG_BYTES_FIELD_NUMBER: _ClassVar[int]
    MONOTONIC_NS_FIELD_NUMBER: _ClassVar[int]
    WALL_NS_FIELD_NUMBER: _ClassVar[int]
    CATALOGUE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    WAITING_EPOCH_FIELD_NUMBER: _ClassVar[int]
    WAITING_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_MS_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    software: str
    boot_id: bytes
    epoch: int
    newest_sequence: int
    backlog_batches: int
    backlog_bytes: int
    monotonic_ns: int
    wall_ns: int
    catalogue_digest: bytes
    waiting_epoch: int
    waiting_sequence: int
    heartbeat_ms: int
    def __init__(self, protocol: _Optional[int] = ..., software: _Optional[str] = ..., boot_id: _Optional[bytes] = ..., epoch: _Optional[int] = ..., newest_sequence: _Optional[int] = ..., backlog_batches: _Optional[int] = ..., backlog_bytes: _Optional[int] = ..., monotonic_ns: _Optional[int] = ..., wall_ns: _Optional[int] = ..., catalogue_digest: _Optional[bytes] = ..., waiting_epoch: _Optional[int] = ..., waiting_sequence: _Optional[int] = ..., heartbeat_ms: _Optional[int] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("protocol", "software", "utc_ns", "echo_monotonic_ns", "heartbeat_ms", "window_batches", "max_batch_bytes", "max_batch_raw_bytes", "catalogue_digest", "highest_epoch", "stored", "settled")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_FIELD_NUMBER: _ClassVar[int]
    UTC_NS_FIELD_NUMBER: _ClassVar[int]
    ECHO_MONOTONIC_NS_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_MS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_BATCHES_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_RAW_BYTES_FIELD_NUMBER: _ClassVar[int]
    CATALOGUE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    HIGHEST_EPOCH_FIELD_NUMBER: _ClassVar[int]
    STORED_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    software: str
    utc_ns: int
    echo_monotonic_ns: int
    heartbeat_ms: int
    window_batches: int
    max_batch_bytes: int
    max_batch_raw_bytes: int
    catalogue_digest: bytes
    highest_epoch: int
    stored: _containers.RepeatedCompositeFieldContainer[_telemetry_pb2.Range]
    settled: _containers.RepeatedCompositeFieldContainer[_telemetry_pb2.Range]
    def __init__(self, protocol: _Optional[int] = ..., software: _Optional[str] = ..., utc_ns: _Optional[int] = ..., echo_monotonic_ns: _Optional[int] = ..., heartbeat_ms: _Optional[int] = ..., window_batches: _Optional[int] = ..., max_batch_bytes: _Optional[int] = ..., max_batch_raw_bytes: _Optional[int] = ..., catalogue_digest: _Optional[bytes] = ..., highest_epoch: _Optional[int] = ..., stored: _Optional[_Iterable[_Union[_telemetry_pb2.Range, _Mapping]]] = ..., settled: _Optional[_Iterable[_Union[_telemetry_pb2.Range, _Mapping]]] = ...) -> None: ...

class ClockReading(_message.Message):
    __slots__ = ("boot_id", "offset_ns", "error_ns", "source")
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_NS_FIELD_NUMBER: _ClassVar[int]
    ERROR_NS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    boot_id: bytes
    offset_ns: int
    error_ns: int
    source: str
    def __init__(self, boot_id: _Optional[bytes] = ..., offset_ns: _Optional[int] = ..., error_ns: _Optional[int] = ..., source: _Optional[str] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("monotonic_ns", "utc_ns", "count")
    MONOTONIC_NS_FIELD_NUMBER: _ClassVar[int]
    UTC_NS_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    monotonic_ns: int
    utc_ns: int
    count: int
    def __init__(self, monotonic_ns: _Optional[int] = ..., utc_ns: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("stored", "settled", "refused")
    STORED_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    stored: _containers.RepeatedCompositeFieldContainer[_telemetry_pb2.Range]
    settled: _containers.RepeatedCompositeFieldContainer[_telemetry_pb2.Range]
    refused: _containers.RepeatedCompositeFieldContainer[Refused]
    def __init__(self, stored: _Optional[_Iterable[_Union[_telemetry_pb2.Range, _Mapping]]] = ..., settled: _Optional[_Iterable[_Union[_telemetry_pb2.Range, _Mapping]]] = ..., refused: _Optional[_Iterable[_Union[Refused, _Mapping]]] = ...) -> None: ...

class Refused(_message.Message):
    __slots__ = ("epoch", "sequence", "reason")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    sequence: int
    reason: str
    def __init__(self, epoch: _Optional[int] = ..., sequence: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class Resend(_message.Message):
    __slots__ = ("ranges",)
    RANGES_FIELD_NUMBER: _ClassVar[int]
    ranges: _containers.RepeatedCompositeFieldContainer[_telemetry_pb2.Range]
    def __init__(self, ranges: _Optional[_Iterable[_Union[_telemetry_pb2.Range, _Mapping]]] = ...) -> None: ...

class Unavailable(_message.Message):
    __slots__ = ("ranges",)
    RANGES_FIELD_NUMBER: _ClassVar[int]
    ranges: _containers.RepeatedCompositeFieldContainer[_telemetry_pb2.Range]
    def __init__(self, ranges: _Optional[_Iterable[_Union[_telemetry_pb2.Range, _Mapping]]] = ...) -> None: ...

class Status(_message.Message):
    __slots__ = ("gauges", "facts")
    class GaugesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class FactsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    GAUGES_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    gauges: _containers.ScalarMap[str, float]
    facts: _containers.ScalarMap[str, str]
    def __init__(self, gauges: _Optional[_Mapping[str, float]] = ..., facts: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Order(_message.Message):
    __slots__ = ("id", "gateway", "device", "point", "value", "issued_utc_ns", "not_after_utc_ns", "lifetime_ms", "fence", "issuer", "signature", "chain", "emergency", "why")
    ID_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    POINT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    ISSUED_UTC_NS_FIELD_NUMBER: _ClassVar[int]
    NOT_AFTER_UTC_NS_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_MS_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    EMERGENCY_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    id: str
    gateway: str
    device: str
    point: str
    value: float
    issued_utc_ns: int
    not_after_utc_ns: int
    lifetime_ms: int
    fence: int
    issuer: str
    signature: bytes
    chain: bytes
    emergency: bool
    why: str
    def __init__(self, id: _Optional[str] = ..., gateway: _Optional[str] = ..., device: _Optional[str] = ..., point: _Optional[str] = ..., value: _Optional[float] = ..., issued_utc_ns: _Optional[int] = ..., not_after_utc_ns: _Optional[int] = ..., lifetime_ms: _Optional[int] = ..., fence: _Optional[int] = ..., issuer: _Optional[str] = ..., signature: _Optional[bytes] = ..., chain: _Optional[bytes] = ..., emergency: bool = ..., why: _Optional[str] = ...) -> None: ...

class OrderReceipt(_message.Message):
    __slots__ = ("order_id", "outcome", "reason", "value", "monotonic_ns")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    MONOTONIC_NS_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    outcome: str
    reason: str
    value: float
    monotonic_ns: int
    def __init__(self, order_id: _Optional[str] = ..., outcome: _Optional[str] = ..., reason: _Optional[str] = ..., value: _Optional[float] = ..., monotonic_ns: _Optional[int] = ...) -> None: ...

class RevokeOrders(_message.Message):
    __slots__ = ("fence", "reason", "gateway", "issued_utc_ns", "issuer", "signature", "chain")
    FENCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_FIELD_NUMBER: _ClassVar[int]
    ISSUED_UTC_NS_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    fence: int
    reason: str
    gateway: str
    issued_utc_ns: int
    issuer: str
    signature: bytes
    chain: bytes
    def __init__(self, fence: _Optional[int] = ..., reason: _Optional[str] = ..., gateway: _Optional[str] = ..., issued_utc_ns: _Optional[int] = ..., issuer: _Optional[str] = ..., signature: _Optional[bytes] = ..., chain: _Optional[bytes] = ...) -> None: ...

class DesiredState(_message.Message):
    __slots__ = ("version", "kind", "digest", "manifest")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    version: int
    kind: str
    digest: str
    manifest: bytes
    def __init__(self, version: _Optional[int] = ..., kind: _Optional[str] = ..., digest: _Optional[str] = ..., manifest: _Optional[bytes] = ...) -> None: ...

class DesiredReceipt(_message.Message):
    __slots__ = ("version", "outcome", "reason")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    version: int
    outcome: str
    reason: str
    def __init__(self, version: _Optional[int] = ..., outcome: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class Checkpoint(_message.Message):
    __slots__ = ("note", "consistency", "old_size", "vkey")
    NOTE_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    OLD_SIZE_FIELD_NUMBER: _ClassVar[int]
    VKEY_FIELD_NUMBER: _ClassVar[int]
    note: bytes
    consistency: _containers.RepeatedScalarFieldContainer[bytes]
    old_size: int
    vkey: str
    def __init__(self, note: _Optional[bytes] = ..., consistency: _Optional[_Iterable[bytes]] = ..., old_size: _Optional[int] = ..., vkey: _Optional[str] = ...) -> None: ...

class Cosignature(_message.Message):
    __slots__ = ("checkpoint_digest", "signature", "vkey", "held_size", "held_note", "conflict")
    CHECKPOINT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    VKEY_FIELD_NUMBER: _ClassVar[int]
    HELD_SIZE_FIELD_NUMBER: _ClassVar[int]
    HELD_NOTE_FIELD_NUMBER: _ClassVar[int]
    CONFLICT_FIELD_NUMBER: _ClassVar[int]
    checkpoint_digest: bytes
    signature: bytes
    vkey: str
    held_size: int
    held_note: bytes
    conflict: str
    def __init__(self, checkpoint_digest: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., vkey: _Optional[str] = ..., held_size: _Optional[int] = ..., held_note: _Optional[bytes] = ..., conflict: _Optional[str] = ...) -> None: ...

class Prior(_message.Message):
    __slots__ = ("domain", "k", "dt_ns", "states", "mean", "variance")
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    DT_NS_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    VARIANCE_FIELD_NUMBER: _ClassVar[int]
    domain: str
    k: int
    dt_ns: int
    states: _containers.RepeatedScalarFieldContainer[str]
    mean: _containers.RepeatedScalarFieldContainer[float]
    variance: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, domain: _Optional[str] = ..., k: _Optional[int] = ..., dt_ns: _Optional[int] = ..., states: _Optional[_Iterable[str]] = ..., mean: _Optional[_Iterable[float]] = ..., variance: _Optional[_Iterable[float]] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("reason", "final")
    REASON_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    reason: str
    final: bool
    def __init__(self, reason: _Optional[str] = ..., final: bool = ...) -> None: ...
