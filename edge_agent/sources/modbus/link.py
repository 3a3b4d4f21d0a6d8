"""One line to Modbus units: connects when needed, one request in flight, an answer or an error for each.

What frames look like and which bytes are the answer is told by its two kinds, `MbapLink` and `RtuLink`.
"""

import asyncio
import random
from abc import abstractmethod
from collections.abc import Mapping

from edge_agent.sources.modbus.address import Address
from edge_agent.sources.modbus.faults import NoAnswer, Refused
from edge_agent.sources.modbus.framing import ERROR, READS, Request
from edge_agent.sources.modbus.port import Wire, connect
from protos.clock import NS, Clock

CONNECT_S = 3.0  # longest wait for a connection
RETRY_S, RETRY_MAX_S = 0.25, 10.0  # full-jitter pause before a refused connection is tried again
SILENT_MAX = 3  # timeouts in a row after which a connection is taken for dead


def data_of(request: Request, pdu: bytes) -> bytes:
    """The data of an answer; the whole of it after the function code where it has no byte count. Raises Refused."""
    if pdu[0] & ERROR:
        raise Refused(pdu[1])
    return pdu[2:] if request.pdu[0] in READS else pdu[1:]


class Link(asyncio.Protocol):
    """Shared by the units of one line. `ask` may be called by several tasks; they take turns."""

    def __init__(self, address: Address, options: Mapping[str, str], clock: Clock, connect_delay_ns: int = 0) -> None:
        self.address = address
        self.clock = clock
        self.reconnects = -1  # the first connection is none
        self.strays = 0  # answers that matched nothing that was asked
        self._options = options
        self._delay_ns = connect_delay_ns
        self._lock = asyncio.Lock()
        self._wire: Wire | None = None
        self._waiting: asyncio.Future[bytes] | None = None
        self._request: Request | None = None
        self._stream = b""
        self._last_ns = 0  # when the line was last used
        self._silent = 0  # timeouts in a row
        self._refused = 0  # failed connections in a row
        self._retry_ns = 0
        self._chance = random.Random(address.host + address.path)  # noqa: S311  jitter

    async def ask(self, request: Request, timeout_ns: int, pause_ns: int = 0) -> bytes:
        """Send one request and wait for its answer's data. Raises Refused, NoAnswer and its kinds."""
        async with self._lock:
            if self._wire is None:
                await self._connect(timeout_ns)
            await self._ready(request, timeout_ns, pause_ns)
            wire = self._wire
            if wire is None:  # lost while we waited
                raise NoAnswer("the connection broke")
            return data_of(request, await self._exchange(wire, request, timeout_ns))

    async def _exchange(self, wire: Wire, request: Request, timeout_ns: int) -> bytes:
        loop = asyncio.get_running_loop()
        self._waiting = waiting = loop.create_future()
        self._request = request
        self._send(wire, request)
        timer = loop.call_later(timeout_ns / NS, self._expired, waiting)
        answered = False
        try:
            pdu = await waiting
            answered = True
            return pdu
        finally:
            timer.cancel()
            self._waiting = self._request = None
            self._last_ns = self.clock.monotonic_ns()
            self._ended(request, timeout_ns, answered)

    def _expired(self, waiting: "asyncio.Future[bytes]") -> None:
        if not waiting.done():
            self._silent += 1
            waiting.set_exception(NoAnswer("no answer in time"))

    def _answer(self, pdu: bytes) -> None:
        """The answer that is waited for has come."""
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
        try:
            async with asyncio.timeout(max(CONNECT_S, timeout_ns / NS)):
                self._wire = await connect(self.address, self._options, self)
        except (OSError, TimeoutError) as error:
            longest = min(RETRY_S * 2**self._refused, RETRY_MAX_S)
            self._refused += 1
            self._retry_ns = self.clock.monotonic_ns() + int(self._chance.uniform(0, longest) * NS)
            raise NoAnswer(f"cannot connect: {error or 'timeout'}") from error
        self._refused = self._silent = 0
        self._stream = b""
        self.reconnects += 1
        if self._delay_ns:
            await self.clock.sleep_until(self.clock.monotonic_ns() + self._delay_ns)

    async def _rest(self, pause_ns: int) -> None:
        """Keep the device's pause between two requests."""
        if pause_ns and (until := self._last_ns + pause_ns) > self.clock.monotonic_ns():
            await self.clock.sleep_until(until)

    def connection_lost(self, error: Exception | None) -> None:
        self._wire = None
        self._stream = b""
        self._fail(NoAnswer(f"the connection broke: {error or 'closed by the device'}"))

    def drop(self) -> None:
        """Close the connection; the next request opens another."""
        wire, self._wire = self._wire, None
        self._stream = b""
        if wire is not None:
            wire.close()

    @abstractmethod
    async def _ready(self, request: Request, timeout_ns: int, pause_ns: int) -> None:
        """Wait until the line may be used for this request. Raises NoAnswer kinds when it may not."""

    @abstractmethod
    def _send(self, wire: Wire, request: Request) -> None: ...

    @abstractmethod
    def _ended(self, request: Request, timeout_ns: int, answered: bool) -> None:
        """The request was answered, or is given up."""
