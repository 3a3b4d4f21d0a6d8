from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class AuthorityRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AuthorityReply(_message.Message):
    __slots__ = ("root_pem",)
    ROOT_PEM_FIELD_NUMBER: _ClassVar[int]
    root_pem: bytes
    def __init__(self, root_pem: _Optional[bytes] = ...) -> None: ...

class EnrolRequest(_message.Message):
    __slots__ = ("gateway", "token", "csr_pem")
    GATEWAY_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    CSR_PEM_FIELD_NUMBER: _ClassVar[int]
    gateway: str
    token: str
    csr_pem: bytes
    def __init__(self, gateway: _Optional[str] = ..., token: _Optional[str] = ..., csr_pem: _Optional[bytes] = ...) -> None: ...

class RenewRequest(_message.Message):
    __slots__ = ("csr_pem",)
    CSR_PEM_FIELD_NUMBER: _ClassVar[int]
    csr_pem: bytes
    def __init__(self, csr_pem: _Optional[bytes] = ...) -> None: ...

class RecoverRequest(_message.Message):
    __slots__ = ("certificate_pem", "csr_pem")
    CERTIFICATE_PEM_FIELD_NUMBER: _ClassVar[int]
    CSR_PEM_FIELD_NUMBER: _ClassVar[int]
    certificate_pem: bytes
    csr_pem: bytes
    def __init__(self, certificate_pem: _Optional[bytes] = ..., csr_pem: _Optional[bytes] = ...) -> None: ...

class Certificate(_message.Message):
    __slots__ = ("certificate_pem", "root_pem", "epoch_floor", "pending", "sync_address")
    CERTIFICATE_PEM_FIELD_NUMBER: _ClassVar[int]
    ROOT_PEM_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FLOOR_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    SYNC_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    certificate_pem: bytes
    root_pem: bytes
    epoch_floor: int
    pending: bool
    sync_address: str
    def __init__(self, certificate_pem: _Optional[bytes] = ..., root_pem: _Optional[bytes] = ..., epoch_floor: _Optional[int] = ..., pending: bool = ..., sync_address: _Optional[str] = ...) -> None: ...

class TimeRequest(_message.Message):
    __slots__ = ("nonce",)
    NONCE_FIELD_NUMBER: _ClassVar[int]
    nonce: bytes
    def __init__(self, nonce: _Optional[bytes] = ...) -> None: ...

class TimeReply(_message.Message):
    __slots__ = ("utc_ns", "signature", "chain_pem")
    UTC_NS_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    CHAIN_PEM_FIELD_NUMBER: _ClassVar[int]
    utc_ns: int
    signature: bytes
    chain_pem: bytes
    def __init__(self, utc_ns: _Optional[int] = ..., signature: _Optional[bytes] = ..., chain_pem: _Optional[bytes] = ...) -> None: ...
