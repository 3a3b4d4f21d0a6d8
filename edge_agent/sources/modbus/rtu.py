"""The line with RTU frames, on a serial port or over TCP.

There is no transaction id, so an answer is taken only when nothing else can be what it is: the line was silent
before the request, unit, function, byte count and CRC match, and no earlier request of the same shape may still be
answered (`Ghosts`). Nothing is ever sent again by itself. After a fault the line is drained: what comes is read and
dropped until the line was silent.
"""

import asyncio
from collections.abc import Mapping

from edge_agent.sources.modbus.address import Address
from edge_agent.sources.modbus.faults import Garbled, Guarded
from edge_agent.sources.modbus.framing import ERROR, READS, Request, Verdict, answers, parse_rtu
from edge_agent.sources.modbus.ghosts import Ghosts
from edge_agent.sources.modbus.link import Link
from edge_agent.sources.modbus.port import Wire
from protos.clock import NS, Clock

DRAIN_NS = 30 * NS // 1000  # silence after a fault; USB adapters and converters hold bytes for up to 16 ms
GUARD_SHORT_NS = 25 * NS // 1000  # a guard that is cheaper to wait for than another request
OVERHEAD = 5  # bytes of an answer beside its data: unit, function, count, CRC


class RtuLink(Link):
    """`guard=False` neither drains nor remembers unanswered requests: the negative control of a test."""

    def __init__(
        self, address: Address, options: Mapping[str, str], clock: Clock, connect_delay_ns: int = 0, guard: bool = True
    ) -> None:
        super().__init__(address, options, clock, connect_delay_ns)
        self.ghosts = Ghosts(guard)
        self._guard = self._careful = guard
        self._silence_ns = int(address.silence_s * NS)
        self._damaged = False  # bytes came that are no frame: drop all until silence
        self._faulty = False  # the last request was not answered
        self._heard_ns = 0  # when the last byte came
        self._settling: asyncio.TimerHandle | None = None

    async def ask(self, request: Request, timeout_ns: int, pause_ns: int = 0) -> bytes:
        """As `Link.ask`; the timeout does not count the time that the frames need on the wire. Raises Guarded too."""
        characters = len(request.rtu) + OVERHEAD + request.data
        return await super().ask(request, timeout_ns + int(characters * self.address.character_s * NS), pause_ns)

    async def _ready(self, request: Request, timeout_ns: int, pause_ns: int) -> None:
        if not self._guard:
            return
        await super()._ready(request, timeout_ns, max(pause_ns, self._silence_ns))
        await self._drain(timeout_ns)
        if until := self.blocked_until(request):
            if until - self.clock.monotonic_ns() > GUARD_SHORT_NS:
                raise Guarded(until)
            await self.clock.sleep_until(until)
            await self._drain(timeout_ns)

    def blocked_until(self, request: Request) -> int:
        now = self.clock.monotonic_ns()
        return self.ghosts.blocked_until(request.shape, now) if request.pdu[0] in READS else 0

    async def _drain(self, timeout_ns: int) -> None:
        """Wait until the line was silent long enough, then forget what came. Raises Garbled if it never is."""
        give_up = self.clock.monotonic_ns() + max(timeout_ns, 4 * DRAIN_NS)
        while True:
            quiet = DRAIN_NS if self._faulty or self._stream or self._damaged else self._silence_ns
            now = self.clock.monotonic_ns()
            if (until := self._heard_ns + quiet) <= now:
                break
            if now > give_up:
                raise Garbled("the line is never silent")
            await self.clock.sleep_until(until)
        self._stream = b""
        self._damaged = False

    def _send(self, wire: Wire, request: Request) -> None:
        wire.write(request.rtu)

    def heard(self, data: bytes) -> None:
        self._heard_ns = self.clock.monotonic_ns()
        if self._damaged:
            self._settle_later()
            return
        self._stream += data
        while self._stream:
            parsed = parse_rtu(self._stream)
            if parsed.verdict is Verdict.MORE:
                return
            if parsed.verdict is Verdict.GARBAGE:
                self._stream = b""
                if self._guard:
                    self._damaged = True
                    self._settle_later()
                return
            self._stream = self._stream[parsed.size :]
            self._frame(parsed.unit, parsed.pdu)

    def _frame(self, unit: int, pdu: bytes) -> None:
        request = self._request
        if request is not None and self._waiting is not None and not self._waiting.done():
            ambiguous = bool(pdu[0] & ERROR) and self.ghosts.late_of(unit, self._heard_ns)
            if answers(request, unit, pdu) and not ambiguous:
                self.ghosts.answered(request.shape, self._heard_ns)
                self._answer(pdu)
                return
        self.strays += 1
        data = len(pdu) - 2 if pdu[0] in READS else 0
        self.ghosts.stray((unit, pdu[0] & ~ERROR, data), self._heard_ns)

    def _settle_later(self) -> None:
        """A damaged answer ends the wait as soon as the line is silent, not only at the timeout."""
        if self._settling is not None:
            self._settling.cancel()
        self._settling = asyncio.get_running_loop().call_later(DRAIN_NS / NS, self._settle)

    def _settle(self) -> None:
        self._settling = None
        if self._damaged:
            self._fail(Garbled("a damaged frame"))

    def _ended(self, request: Request, timeout_ns: int, answered: bool) -> None:
        super()._ended(request, timeout_ns, answered)
        self._faulty = not answered
        if not answered and request.pdu[0] in READS:
            self.ghosts.unanswered(request.shape, timeout_ns, self.last_ns)

    def drop(self) -> None:
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        super().drop()
