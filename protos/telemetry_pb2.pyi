from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Point(_message.Message):
    __slots__ = ("device", "name", "unit", "domain", "quantity", "asset", "writable", "text")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    WRITABLE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    device: str
    name: str
    unit: str
    domain: str
    quantity: str
    asset: str
    writable: bool
    text: bool
    def __init__(self, device: _Optional[str] = ..., name: _Optional[str] = ..., unit: _Optional[str] = ..., domain: _Optional[str] = ..., quantity: _Optional[str] = ..., asset: _Optional[str] = ..., writable: bool = ..., text: bool = ...) -> None: ...

class Catalogue(_message.Message):
    __slots__ = ("district", "points", "digest")
    DISTRICT_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    district: str
    points: _containers.RepeatedCompositeFieldContainer[Point]
    digest: bytes
    def __init__(self, district: _Optional[str] = ..., points: _Optional[_Iterable[_Union[Point, _Mapping]]] = ..., digest: _Optional[bytes] = ...) -> None: ...

class Batch(_message.Message):
    __slots__ = ("epoch", "sequence", "blob", "live")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    BLOB_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    sequence: int
    blob: bytes
    live: bool
    def __init__(self, epoch: _Optional[int] = ..., sequence: _Optional[int] = ..., blob: _Optional[bytes] = ..., live: bool = ...) -> None: ...

class Range(_message.Message):
    __slots__ = ("epoch", "first", "last")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    first: int
    last: int
    def __init__(self, epoch: _Optional[int] = ..., first: _Optional[int] = ..., last: _Optional[int] = ...) -> None: ...
