"""What can go wrong between a request and its answer.

ModbusError
├── NoAnswer        nothing usable came in time: refused, silent, broken, garbled, out of step
│   ├── Garbled     bytes came, but no frame that could be the answer
│   └── Guarded     not even asked: an answer still under way could be taken for this one
└── Refused         the device answered with an exception code
"""

EXCEPTIONS = {
    1: "illegal function",
    2: "illegal address",
    3: "illegal value",
    4: "device failure",
    5: "acknowledged, still working",
    6: "busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target does not answer",
}


class ModbusError(Exception):
    """The root of this source's errors."""


class NoAnswer(ModbusError):
    """No usable answer within the time allowed."""


class Garbled(NoAnswer):
    """Bytes came that are no answer to the request."""


class Guarded(NoAnswer):
    """The request was held back until `until_ns`: a late answer of the same shape may still come."""

    def __init__(self, until_ns: int) -> None:
        super().__init__("a late answer of the same shape may still come")
        self.until_ns = until_ns


class Refused(ModbusError):
    """The device answered with the exception `code`."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}, {EXCEPTIONS.get(code, 'unknown')}")
        self.code = code
