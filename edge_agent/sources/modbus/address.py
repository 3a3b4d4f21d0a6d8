"""Where a Modbus line is: the connection string of a device, taken apart.

tcp://host:port   tls://host:802   rtu+tcp://host:port   rtu:///dev/ttyUSB0?baud=9600&parity=E&stop=1&bytes=8
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

PORTS = {"tcp": 502, "tls": 802, "rtu+tcp": 502, "rtu": 0}
BITS_PER_CHARACTER = 11  # start, 8 data, parity or a second stop, stop
FAST_BAUD = 19_200  # above it the silence between frames is fixed (Modbus over Serial Line v1.02, 2.5.1.1)
FAST_SILENCE_S = 0.00175


@dataclass(frozen=True, slots=True)
class Address:
    """One line. `path` is the serial port of `rtu`, `host` and `port` are of the others."""

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""
    baud: int = 9600
    parity: str = "N"
    stop: int = 1
    bits: int = 8

    @property
    def framed_as_rtu(self) -> bool:
        return self.scheme.startswith("rtu")

    @property
    def character_s(self) -> float:
        """Time of one character on the wire; RTU over TCP is taken for the same as a line of 9600 baud is not known."""
        return BITS_PER_CHARACTER / self.baud if self.scheme == "rtu" else 0.0

    @property
    def silence_s(self) -> float:
        """Silence that ends a frame: 3.5 characters."""
        if self.scheme != "rtu" or self.baud > FAST_BAUD:
            return FAST_SILENCE_S
        return 3.5 * self.character_s


def parse(text: str, options: Mapping[str, str]) -> Address:
    """Raises ValueError naming what is wrong."""
    parts = urlsplit(text)
    if parts.scheme not in PORTS:
        raise ValueError(f"connection {text!r}: begins with none of {', '.join(f'{s}://' for s in PORTS)}")
    if parts.scheme != "rtu":
        if not parts.hostname:
            raise ValueError(f"connection {text!r} names no host, as in {parts.scheme}://192.0.2.10:502")
        return Address(parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme])
    settings = {**options, **dict(parse_qsl(parts.query))}
    return Address(
        "rtu",
        path=parts.path,
        baud=int(settings.get("baud", 9600)),
        parity=settings.get("parity", "N"),
        stop=int(settings.get("stop", 1)),
        bits=int(settings.get("bytes", 8)),
    )
