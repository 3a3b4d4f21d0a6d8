"""A simulated Modbus line: units behind one TCP port, RTU-over-TCP port, TLS port or pseudo-terminal.

The framing and the messages are pymodbus's, an implementation of its own beside the one that the gateway polls with.
Faults come at a given rate: silence, exceptions, garbled, late and repeated answers.
"""

import asyncio
import os
import random
import ssl
import tty
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerType
from pymodbus.logging import pymodbus_apply_logging_config
from pymodbus.pdu import ExceptionResponse, ModbusPDU
from pymodbus.pdu.mei_message import ReadDeviceInformationRequest, ReadDeviceInformationResponse
from pymodbus.server import ModbusSerialServer, ModbusTcpServer, ModbusTlsServer
from pymodbus.server.requesthandler import ServerRequestHandler
from pymodbus.simulator import DataType, SimData, SimDevice

from edge_agent.verbs.simulate.memory import Memory

FAULTS = ("timeout", "exception", "garbage", "late", "duplicate")
WRITES = (5, 6, 15, 16, 22, 23)
LATE_S = (0.3, 3.0)  # beyond the usual timeouts of a second, and within them
VENDOR = "citytwin simulator"

Wrote = Callable[[int, int, int, Sequence[int]], None]  # (unit, function, address, values)


@dataclass(eq=False)
class Line:
    """The units of one line and what goes wrong on it. Takes the place of pymodbus's own data store."""

    units: Mapping[int, Memory]
    faults: Mapping[str, float] = field(default_factory=dict)  # kind → share of the requests
    dead: frozenset[int] = frozenset()  # units that never answer
    seed: int = 0
    wrote: Wrote = lambda unit, function, address, values: None
    requests: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311  faults at a rate, no secrets

    def device_ids(self) -> list[int]:
        return list(self.units)

    async def async_getValues(  # noqa: N802  the name that pymodbus calls
        self, device_id: int, func_code: int, address: int, count: int = 1
    ) -> list[int] | ExcCodes:
        try:
            return self.units[device_id].read(func_code, address, count)
        except LookupError:
            return ExcCodes.ILLEGAL_ADDRESS

    async def async_setValues(  # noqa: N802
        self, device_id: int, func_code: int, address: int, values: list[int]
    ) -> ExcCodes | None:
        try:
            self.units[device_id].write(func_code, address, values)
        except LookupError:
            return ExcCodes.ILLEGAL_ADDRESS
        self.wrote(device_id, func_code, address, [int(value) for value in values])
        return None

    def identity(self, unit: int) -> dict[int, bytes]:
        """Objects of function 43/14: vendor, product code, revision, ..., model."""
        profile = self.units[unit].profile
        return {0: VENDOR.encode(), 1: profile.id.encode(), 2: b"1.0", 4: profile.name.encode()[:100]}

    def draw(self) -> str:
        """The fault of this request, or nothing."""
        self.requests += 1
        at = self.chance.random()
        for kind, share in self.faults.items():
            if at < share:
                return kind
            at -= share
        return ""


def identify(line: Line, request: ReadDeviceInformationRequest) -> ModbusPDU:
    """Function 43/14 answered per unit; pymodbus knows one identity for the whole process."""
    objects = line.identity(request.dev_id)
    if request.read_code == 4:
        if request.object_id not in objects:
            return ExceptionResponse(request.function_code, ExcCodes.ILLEGAL_ADDRESS)
        objects = {request.object_id: objects[request.object_id]}
    elif request.read_code == 1:
        objects = {key: value for key, value in objects.items() if key <= 2}
    return ReadDeviceInformationResponse(read_code=request.read_code, information=objects)


class Answers(ServerRequestHandler):
    """One connection: every request answered with its own transaction id, or not, as the line's faults say."""

    def handle_later(self) -> None:
        pdu, addr = self.last_pdu, self.last_addr
        if pdu is not None:
            task = self.loop.create_task(self.answer(pdu, addr))
            self.server.tasks.add(task)
            task.add_done_callback(self.server.tasks.discard)

    async def answer(self, pdu: ModbusPDU, addr: Any) -> None:
        line: Any = self.server.context  # a Line, which pymodbus asks as it asks its own store
        fault = line.draw()
        if pdu.dev_id not in line.units or pdu.dev_id in line.dead or fault == "timeout":
            return
        if fault == "exception":
            response: ModbusPDU = ExceptionResponse(pdu.function_code, ExcCodes.DEVICE_BUSY)
        elif isinstance(pdu, ReadDeviceInformationRequest):
            response = identify(line, pdu)
        else:
            response = await pdu.datastore_update(line, pdu.dev_id)
        response.transaction_id, response.dev_id = pdu.transaction_id, pdu.dev_id
        packet = self.framer.buildFrame(response)
        if fault == "garbage":
            packet = self.garble(packet, line.chance)
        if fault == "late":
            self.loop.call_later(line.chance.uniform(*LATE_S), self.put, packet, addr)
            return
        self.put(packet, addr)
        if fault == "duplicate":
            self.put(packet, addr)

    def garble(self, packet: bytes, chance: random.Random) -> bytes:
        """Flip bits where the receiver can know: anywhere under a CRC, in the header without one."""
        under_crc = self.server.framing is FramerType.RTU
        garbled = bytearray(packet)
        garbled[chance.randrange(len(packet) if under_crc else min(4, len(packet)))] ^= chance.randrange(1, 256)
        return bytes(garbled)

    def put(self, packet: bytes, addr: Any) -> None:
        if self.transport is not None:
            self.send(packet, addr=addr)


def serving(kind: type[Any]) -> type[Any]:
    """A pymodbus server of this kind with our line and our answers."""

    class Serving(kind):  # type: ignore[misc]
        def __init__(self, line: Line, framing: FramerType, **options: Any) -> None:
            nothing = SimDevice(1, simdata=[SimData(0, values=0, datatype=DataType.REGISTERS)])
            super().__init__(nothing, framer=framing, **options)
            self.context = line
            self.framing = framing
            self.tasks: set[asyncio.Task[None]] = set()

        def callback_new_connection(self) -> Any:
            handler: Any = Answers
            return handler(self, self.trace_packet, self.trace_pdu, self.trace_connect)

    return Serving


async def listen(line: Line, place: str, tls: ssl.SSLContext | None = None) -> tuple[Any, str]:
    """Serve the line at tcp://, rtu+tcp://, tls:// host:port, at `rtu` (a pseudo-terminal) or rtu:///dev/tty….

    Returns the server and the connection that a gateway's file would name. Raises OSError, ValueError.
    """
    pymodbus_apply_logging_config("CRITICAL")
    if place == "rtu" or place.startswith("rtu://"):
        return await listen_serial(line, place.removeprefix("rtu://").removeprefix("rtu"))
    scheme, _, address = place.partition("://")
    host, _, port = address.rpartition(":")
    options: dict[str, Any] = {"address": (host.strip("[]"), int(port))}
    if scheme == "tls":
        server = serving(ModbusTlsServer)(line, FramerType.SOCKET, sslctx=tls, **options)
    elif scheme in ("tcp", "rtu+tcp"):
        framing = FramerType.SOCKET if scheme == "tcp" else FramerType.RTU
        server = serving(ModbusTcpServer)(line, framing, **options)
    else:
        raise ValueError(f"{place}: listen at tcp://host:port, rtu+tcp://host:port, tls://host:port or rtu")
    if not await server.listen():
        raise OSError(f"{place}: cannot listen there; is the port taken?")
    return server, f"{scheme}://{host}:{server.transport.sockets[0].getsockname()[1]}"


async def listen_serial(line: Line, path: str) -> tuple[Any, str]:
    own, theirs = (path, path) if path else wire()
    server = serving(ModbusSerialServer)(line, FramerType.RTU, port=own, baudrate=115200)
    if not await server.listen():
        raise OSError(f"{own}: cannot be opened")
    return server, f"rtu://{theirs}?baud=115200"


def wire() -> tuple[str, str]:
    """Two pseudo-terminals joined end to end: (ours, theirs). They stay open for as long as the process runs."""
    loop = asyncio.get_running_loop()
    (ours, near), (theirs, far) = os.openpty(), os.openpty()
    for end in (near, far):
        tty.setraw(end)
    for source, target in ((ours, theirs), (theirs, ours)):
        os.set_blocking(source, False)
        loop.add_reader(source, carry, source, target)
    return os.ttyname(near), os.ttyname(far)


def carry(source: int, target: int) -> None:
    os.write(target, os.read(source, 4096))
