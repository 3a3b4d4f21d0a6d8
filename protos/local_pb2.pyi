from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class WatchRequest(_message.Message):
    __slots__ = ("points",)
    POINTS_FIELD_NUMBER: _ClassVar[int]
    points: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, points: _Optional[_Iterable[str]] = ...) -> None: ...

class Reading(_message.Message):
    __slots__ = ("device", "point", "value", "code", "source_utc_ns", "not_after_utc_ns", "why", "model")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    POINT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_UTC_NS_FIELD_NUMBER: _ClassVar[int]
    NOT_AFTER_UTC_NS_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    device: str
    point: str
    value: float
    code: int
    source_utc_ns: int
    not_after_utc_ns: int
    why: str
    model: str
    def __init__(self, device: _Optional[str] = ..., point: _Optional[str] = ..., value: _Optional[float] = ..., code: _Optional[int] = ..., source_utc_ns: _Optional[int] = ..., not_after_utc_ns: _Optional[int] = ..., why: _Optional[str] = ..., model: _Optional[str] = ...) -> None: ...
