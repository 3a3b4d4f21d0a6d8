"""One line to Modbus units: connects when needed, one request in flight, an answer or an error for each.

What frames look like and which bytes are the answer is told by its two kinds, `MbapLink` and `RtuLink`.
"""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping

from edge_agent.sources.modbus.address import Address
from edge_agent.sources.modbus.faults import NoAnswer, Refused
from edge_agent.sources.modbus.framing import ERROR, Request
from edge_agent.sources.modbus.port import Wire, connect
from protos.clock import NS, Clock

CONNECT_S = 3.0  # longest wait for a connection
RETRY_S, RETRY_MAX_S = 0.25, 10.0  # full-jitter pause before a refused connection is tried again
SILENT_MAX = 3  # timeouts in a row after which a connection is taken for dead


class Ear(asyncio.Protocol):
    """Tells a link what one connection says, until the link has left it: a connection may end long after."""

    def __init__(self, link: "Link") -> None:
        self.lost = False
        self._link: Link | None = link

    def leave(self) -> None:
        self._link = None

    def data_received(self, data: bytes) -> None:
        if self._link is not None:
            self._link.heard(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        if self._link is not None:
            self._link.lost(error)


class Link(ABC):
    """Shared by the units of one line. `ask` may be called by several tasks; they take turns."""

    def __init__(self, address: Address, options: Mapping[str, str], clock: Clock, connect_delay_ns: int = 0) -> None:
        self.address = address
        self.clock = clock
        self._loop: asyncio.AbstractEventLoop
        self.reconnects = -1  # the first connection is none
        self.strays = 0  # answers that matched nothing that was asked
        self._options = options
        self._delay_ns = connect_delay_ns
        self._lock = asyncio.Lock()
        self._wire: Wire | None = None
        self._ear = Ear(self)
        self._waiting: asyncio.Future[bytes] | None = None
        self._request: Request | None = None
        self._stream = b""
        self.last_ns = 0  # when the line was last used: an answer came, or was given up
        self._silent = 0  # timeouts in a row
        self._refused = 0  # failed connections in a row
        self._retry_ns = 0
        self._deadline = 0.0  # of the request in flight, in the loop's time
        self._timer: asyncio.TimerHandle | None = None
        self._careful = False  # the line needs more than the device's pause before a request
        self._chance = random.Random(address.host + address.path)  # noqa: S311  jitter

    async def ask(self, request: Request, timeout_ns: int, pause_ns: int = 0) -> bytes:
        """Send one request and wait for its answer's data. Raises Refused, NoAnswer and its kinds."""
        async with self._lock:
            if self._wire is None:
                await self._connect(timeout_ns)
            if pause_ns or self._careful:
                await self._ready(request, timeout_ns, pause_ns)
            if self._wire is None:  # lost while we waited
                raise NoAnswer("the connection broke")
            self._waiting = self._loop.create_future()
            self._request = request
            self._send(self._wire, request)
            self._set_deadline(timeout_ns)
            answered = False
            try:
                pdu = await self._waiting
                answered = True
            finally:
                self._waiting = self._request = None
                self._ended(request, timeout_ns, answered)
        if pdu[0] & ERROR:
            raise Refused(pdu[1])
        return pdu[2:] if request.data else pdu[1:]

    def _set_deadline(self, timeout_ns: int) -> None:
        """Fail the request when its time is over. One timer serves many requests: it is moved on when it fires."""
        self._deadline = self._loop.time() + timeout_ns / NS
        if self._timer is not None and self._timer.when() > self._deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(self._deadline, self._expire)

    def _expire(self) -> None:
        self._timer = None
        if self._waiting is None or self._waiting.done():
            return
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._expire)
            return
        self._silent += 1
        self._waiting.set_exception(NoAnswer("no answer in time"))

    def _answer(self, pdu: bytes) -> None:
        """The answer that is waited for has come."""
        self.last_ns = self.clock.monotonic_ns()
        self._silent = 0
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(pdu)

    def _fail(self, error: NoAnswer) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)

    async def _connect(self, timeout_ns: int) -> None:
        now = self.clock.monotonic_ns()
        if now < self._retry_ns:
            raise NoAnswer("not connected; waiting before the next attempt")
        self._loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(max(CONNECT_S, timeout_ns / NS)):
                self._ear = ear = Ear(self)
                wire = await connect(self.address, self._options, ear)
        except (OSError, TimeoutError) as error:
            longest = min(RETRY_S * 2**self._refused, RETRY_MAX_S)
            self._refused += 1
            self._retry_ns = self.clock.monotonic_ns() + int(self._chance.uniform(0, longest) * NS)
            raise NoAnswer(f"cannot connect: {error or 'timeout'}") from error
        if ear.lost:
            raise NoAnswer("the connection was closed at once")
        self._wire = wire
        self._refused = self._silent = 0
        self._stream = b""
        self.reconnects += 1
        if self._delay_ns:
            await self.clock.sleep_until(self.clock.monotonic_ns() + self._delay_ns)

    @abstractmethod
    def heard(self, data: bytes) -> None:
        """Bytes came; `_answer`, `_fail` or `drop` as they deserve."""

    def lost(self, error: Exception | None) -> None:
        """The connection ended, and not by us."""
        self._wire = None
        self._stream = b""
        self._fail(NoAnswer(f"the connection broke: {error or 'closed by the device'}"))

    def drop(self) -> None:
        """Close the connection; the next request opens another."""
        wire, self._wire = self._wire, None
        self._ear.leave()
        self._stream = b""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if wire is not None:
            wire.close()

    async def _ready(self, request: Request, timeout_ns: int, pause_ns: int) -> None:
        """Wait until the line may be used for this request. Raises NoAnswer kinds when it may not."""
        if pause_ns and (until := self.last_ns + pause_ns) > self.clock.monotonic_ns():
            await self.clock.sleep_until(until)

    def blocked_until(self, request: Request) -> int:
        """Until when (ns) this request is held back, because a late answer could be taken for its own; 0: it is not."""
        return 0

    @abstractmethod
    def _send(self, wire: Wire, request: Request) -> None: ...

    def _ended(self, request: Request, timeout_ns: int, answered: bool) -> None:
        """The request was answered, or is given up."""
        if not answered:
            self.last_ns = self.clock.monotonic_ns()
        if self._silent >= SILENT_MAX:
            self.drop()
