"""A Modbus TCP server for the controllers beside the gateway: the map of `registers.py`, read from the newest tick.

Functions 3 and 4 read; 6 and 16 write one register, the heartbeat of the other side. One answer is of one tick. Own
code because it is smaller than the dependency, and requests that arrive together must all be answered.

MODBUS Application Protocol 1.1b3 and Messaging on TCP/IP 1.0b (modbus.org).
"""

import asyncio
import logging
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import IntEnum

from edge_agent.local.registers import Registers
from edge_agent.local.slots import HEARTBEAT, Moment
from edge_agent.snapshot import Roster, Snapshot
from protos.clock import NS, Clock

log = logging.getLogger(__name__)
UNITS = (0, 1, 255)  # that mean "you" on TCP; others would be behind us, and nobody is
PDU_MAX = 253
MASTERS_MAX = 16  # connections; one more takes the place of the one that has been silent longest
REQUESTS_S, BURST = 300, 200  # of all masters together; what is faster waits: a flood is 5 % of a core, not all of it
ANSWER_S = 5.0  # a master that does not take its answer by then is gone

Newest = Callable[[], Snapshot | None]


class Refusal(IntEnum):
    """Exception codes of the protocol."""

    FUNCTION = 1
    ADDRESS = 2
    VALUE = 3
    BUSY = 6  # no tick has been decided yet
    NO_TARGET = 11


@dataclass(slots=True)
class OtherSide:
    """The heartbeat that the other side writes: alive is who changed it within the limit (0: nobody watches)."""

    limit_ns: int
    value: int = 0
    count: int = 0
    changed_ns: int | None = None

    def wrote(self, value: int, now_ns: int) -> None:
        if value != self.value or self.changed_ns is None:
            self.value, self.changed_ns = value, now_ns
            self.count += 1

    def age_ns(self, now_ns: int) -> int | None:
        return None if self.changed_ns is None else now_ns - self.changed_ns

    def alive(self, now_ns: int) -> bool:
        age = self.age_ns(now_ns)
        return age is not None and (not self.limit_ns or age <= self.limit_ns)


class Desk:
    """Answers requests, without IO."""

    def __init__(self, newest: Newest, other: OtherSide) -> None:
        self._newest = newest
        self._registers = Registers(Roster())
        self.other = other
        self.requests = 0
        self.refused = 0

    def answer(self, unit: int, pdu: bytes, now_ns: int) -> bytes:
        """The answer to one request, an exception where it cannot be served."""
        self.requests += 1
        refusal = Refusal.NO_TARGET
        if unit in UNITS:
            answer = self._serve(pdu, now_ns)
            if isinstance(answer, bytes):
                return answer
            refusal = answer
        self.refused += 1
        return bytes((pdu[0] | 0x80, refusal))

    def _serve(self, pdu: bytes, now_ns: int) -> bytes | Refusal:
        function, rest = pdu[0], pdu[1:]
        match function:
            case 3 | 4 if len(rest) == 4:
                address, count = struct.unpack(">HH", rest)
                return self._read(function, address, count, now_ns)
            case 6 if len(rest) == 4:
                address, value = struct.unpack(">HH", rest)
                return self._write(address, value, now_ns) or pdu
            case 16 if len(rest) == 7:
                address, count, length, value = struct.unpack(">HHBH", rest)
                if (count, length) != (1, 2):
                    return Refusal.VALUE
                return self._write(address, value, now_ns) or bytes(pdu[:5])
            case 16 if len(rest) > 7:
                return Refusal.ADDRESS  # more than one register can be written nowhere
            case 3 | 4 | 6 | 16:
                return Refusal.VALUE
        return Refusal.FUNCTION

    def _read(self, function: int, address: int, count: int, now_ns: int) -> bytes | Refusal:
        snapshot = self._newest()
        if snapshot is None:
            return Refusal.BUSY
        if snapshot.roster is not self._registers.roster:
            self._registers = Registers(snapshot.roster)
        other = self.other
        age_ns, alive = other.age_ns(now_ns), other.alive(now_ns)
        moment = Moment(snapshot, now_ns, 0, other.value, other.count, age_ns, alive)
        try:
            found = self._registers.read(moment, address, count)
        except LookupError:
            return Refusal.ADDRESS
        return bytes((function, len(found))) + found

    def _write(self, address: int, value: int, now_ns: int) -> Refusal | None:
        if address != HEARTBEAT:
            return Refusal.ADDRESS
        self.other.wrote(value, now_ns)
        return None


@dataclass(eq=False)
class Server:
    """The connections of the masters. `port` is where it listens."""

    desk: Desk
    clock: Clock
    port: int = 0
    masters: dict[asyncio.StreamWriter, int] = field(default_factory=dict)  # → when it last asked
    heard: asyncio.Event = field(default_factory=asyncio.Event)  # something was written
    _turn_ns: int = 0  # when the bucket of requests is full again

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self.masters) >= MASTERS_MAX:
            self._drop(min(self.masters, key=lambda one: self.masters[one]))
        self.masters[writer] = self.clock.monotonic_ns()
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            writer.transport.abort()
        finally:
            self._drop(writer)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False where what comes is no Modbus."""
        head = await reader.readexactly(7)
        transaction, protocol, length, unit = struct.unpack(">HHHB", head)
        if protocol or not 2 <= length <= PDU_MAX + 1:
            return False
        pdu = await reader.readexactly(length - 1)
        await self._turn()
        self.masters[writer] = now = self.clock.monotonic_ns()
        beats = self.desk.other.count
        answer = self.desk.answer(unit, pdu, now)
        if self.desk.other.count != beats:
            self.heard.set()
        writer.write(struct.pack(">HHHB", transaction, 0, len(answer) + 1, unit) + answer)
        async with asyncio.timeout(ANSWER_S):
            await writer.drain()
        return True

    async def _turn(self) -> None:
        """Wait until one more request may be served (a leaky bucket as a meter, ITU-T I.371)."""
        now = self.clock.monotonic_ns()
        self._turn_ns = max(self._turn_ns, now) + NS // REQUESTS_S
        await self.clock.sleep_until(self._turn_ns - BURST * NS // REQUESTS_S)

    def _drop(self, writer: asyncio.StreamWriter) -> None:
        self.masters.pop(writer, None)
        writer.close()

    def drop_all(self) -> None:
        for writer in list(self.masters):
            self._drop(writer)

    async def watch(self) -> None:
        """Say in the log when the other side falls silent, and when it is back. Until cancelled."""
        other = self.desk.other
        while True:
            self.heard.clear()
            await self.heard.wait()
            log.info("local Modbus: the other side's heartbeat (register %d) is there", HEARTBEAT)
            while other.alive(self.clock.monotonic_ns()):
                await self.clock.sleep_until((other.changed_ns or 0) + other.limit_ns + 1)
            log.warning("local Modbus: the other side's heartbeat (register %d) stands still", HEARTBEAT)

    def gauges(self) -> Mapping[str, float]:
        return {
            "requests_total": self.desk.requests,
            "refused_total": self.desk.refused,
            "masters": len(self.masters),
            "other_alive": self.desk.other.alive(self.clock.monotonic_ns()),
            "other_heartbeats_total": self.desk.other.count,
        }


@asynccontextmanager
async def serve(listen: str, heartbeat_s: float, newest: Newest, clock: Clock) -> AsyncIterator[Server]:
    """Answer masters at `listen` (host:port) for as long as the context is open. Raises OSError."""
    server = Server(Desk(newest, OtherSide(int(heartbeat_s * NS))), clock)
    host, _, port = listen.rpartition(":")
    listener = await asyncio.start_server(server.connected, host.strip("[]"), int(port), limit=PDU_MAX + 7)
    server.port = listener.sockets[0].getsockname()[1]
    watching = asyncio.create_task(server.watch()) if server.desk.other.limit_ns else None
    try:
        yield server
    finally:
        if watching is not None:
            watching.cancel()
        listener.close()
        server.drop_all()
