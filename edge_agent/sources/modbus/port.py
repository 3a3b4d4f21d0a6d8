"""The wire under a line: a TCP or TLS connection, or a serial port, each driving one asyncio protocol."""

import asyncio
import os
import ssl
from collections.abc import Mapping
from typing import Protocol

from edge_agent.sources.modbus.address import Address

TLS_END_S = 2.0  # how long a device may take to say goodbye
READ_BYTES = 4096  # more than a line ever holds


class Wire(Protocol):
    """What a link needs of a transport."""

    def write(self, data: bytes, /) -> None: ...
    def close(self) -> None: ...


class SerialPort:
    """A serial port (or a pseudo-terminal) read by the event loop; tells its protocol like a transport does."""

    def __init__(self, address: Address, protocol: asyncio.Protocol) -> None:
        """Open the port for this process alone. Raises OSError (pyserial's errors are)."""
        import serial  # only a gateway with a serial line needs pyserial

        self._port = serial.Serial(
            address.path,
            address.baud,
            address.bits,
            address.parity,
            address.stop,
            timeout=0,
            write_timeout=0,
            exclusive=True,
        )
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._port.fileno(), self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._port.fileno(), READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:  # unplugged
            self._lost(error)
            return
        if data:
            self._protocol.data_received(data)
        else:
            self._lost(ConnectionResetError("the serial port hung up"))

    def write(self, data: bytes) -> None:
        try:
            sent = os.write(self._port.fileno(), data)
        except OSError as error:
            self._lost(error)
            return
        if sent < len(data):
            self._lost(ConnectionResetError("the serial port takes no more bytes"))

    def close(self) -> None:
        if self._port.is_open:
            self._loop.remove_reader(self._port.fileno())
            self._port.close()

    def _lost(self, error: OSError) -> None:
        self.close()
        self._loop.call_soon(self._protocol.connection_lost, error)


def tls_context(options: Mapping[str, str]) -> ssl.SSLContext:
    """Modbus/TCP Security: the peer verified against `ca_file`, our own certificate shown. Raises OSError."""
    context = ssl.create_default_context(cafile=options.get("ca_file"))
    if "certificate_file" in options:
        context.load_cert_chain(options["certificate_file"], options.get("key_file"))
    return context


async def connect(address: Address, options: Mapping[str, str], protocol: asyncio.Protocol) -> Wire:
    """Raises OSError (ssl.SSLError is one) when the other end cannot be reached or verified."""
    if address.scheme == "rtu":
        return SerialPort(address, protocol)
    loop = asyncio.get_running_loop()
    context = tls_context(options) if address.scheme == "tls" else None
    name = options.get("server_name", address.host) if context else None
    transport, _ = await loop.create_connection(
        lambda: protocol,
        address.host,
        address.port,
        ssl=context,
        server_hostname=name,
        ssl_shutdown_timeout=TLS_END_S if context else None,
    )
    return transport
