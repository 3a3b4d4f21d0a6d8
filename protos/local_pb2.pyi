from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WatchRequest(_message.Message):
    __slots__ = ("points", "least_ms", "changes_only")
    POINTS_FIELD_NUMBER: _ClassVar[int]
    LEAST_MS_FIELD_NUMBER: _ClassVar[int]
    CHANGES_ONLY_FIELD_NUMBER: _ClassVar[int]
    points: _containers.RepeatedScalarFieldContainer[str]
    least_ms: int
    changes_only: bool
    def __init__(self, points: _Optional[_Iterable[str]] = ..., least_ms: _Optional[int] = ..., changes_only: bool = ...) -> None: ...

class Reading(_message.Message):
    __slots__ = ("device", "point", "value", "code", "source_utc_ns", "not_after_utc_ns", "why", "model", "unit", "sd", "not_after_boottime_ns", "output", "authority", "applied", "by", "limited", "tick")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    POINT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_UTC_NS_FIELD_NUMBER: _ClassVar[int]
    NOT_AFTER_UTC_NS_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    SD_FIELD_NUMBER: _ClassVar[int]
    NOT_AFTER_BOOTTIME_NS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    AUTHORITY_FIELD_NUMBER: _ClassVar[int]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    LIMITED_FIELD_NUMBER: _ClassVar[int]
    TICK_FIELD_NUMBER: _ClassVar[int]
    device: str
    point: str
    value: float
    code: int
    source_utc_ns: int
    not_after_utc_ns: int
    why: str
    model: str
    unit: str
    sd: float
    not_after_boottime_ns: int
    output: str
    authority: str
    applied: float
    by: str
    limited: str
    tick: int
    def __init__(self, device: _Optional[str] = ..., point: _Optional[str] = ..., value: _Optional[float] = ..., code: _Optional[int] = ..., source_utc_ns: _Optional[int] = ..., not_after_utc_ns: _Optional[int] = ..., why: _Optional[str] = ..., model: _Optional[str] = ..., unit: _Optional[str] = ..., sd: _Optional[float] = ..., not_after_boottime_ns: _Optional[int] = ..., output: _Optional[str] = ..., authority: _Optional[str] = ..., applied: _Optional[float] = ..., by: _Optional[str] = ..., limited: _Optional[str] = ..., tick: _Optional[int] = ...) -> None: ...

class Tick(_message.Message):
    __slots__ = ("number", "utc_ns", "mode", "late", "missed", "readings")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    UTC_NS_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    READINGS_FIELD_NUMBER: _ClassVar[int]
    number: int
    utc_ns: int
    mode: str
    late: int
    missed: int
    readings: _containers.RepeatedCompositeFieldContainer[Reading]
    def __init__(self, number: _Optional[int] = ..., utc_ns: _Optional[int] = ..., mode: _Optional[str] = ..., late: _Optional[int] = ..., missed: _Optional[int] = ..., readings: _Optional[_Iterable[_Union[Reading, _Mapping]]] = ...) -> None: ...

class OverrideRequest(_message.Message):
    __slots__ = ("output", "value", "seconds", "who", "why")
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    output: str
    value: float
    seconds: int
    who: str
    why: str
    def __init__(self, output: _Optional[str] = ..., value: _Optional[float] = ..., seconds: _Optional[int] = ..., who: _Optional[str] = ..., why: _Optional[str] = ...) -> None: ...

class ReleaseRequest(_message.Message):
    __slots__ = ("output", "who")
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    output: str
    who: str
    def __init__(self, output: _Optional[str] = ..., who: _Optional[str] = ...) -> None: ...

class HandReply(_message.Message):
    __slots__ = ("output", "value", "seconds")
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    output: str
    value: float
    seconds: int
    def __init__(self, output: _Optional[str] = ..., value: _Optional[float] = ..., seconds: _Optional[int] = ...) -> None: ...
