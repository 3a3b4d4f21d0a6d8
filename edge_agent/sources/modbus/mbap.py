"""The line over TCP or TLS: transaction ids tell answers apart; one that was never asked for means out of step."""

from collections.abc import Mapping

from edge_agent.sources.modbus.address import Address
from edge_agent.sources.modbus.faults import Garbled
from edge_agent.sources.modbus.framing import Request, Verdict, answers, parse_mbap
from edge_agent.sources.modbus.link import Link
from edge_agent.sources.modbus.port import Wire
from protos.clock import Clock

STRIDE = 40_503  # ids of neighbours differ in many bits, so that a damaged id is hardly another's
INVERSE = pow(STRIDE, -1, 1 << 16)
REMEMBERED = 256  # requests whose late answers are known as such


class MbapLink(Link):
    """`check_ids=False` takes any transaction id: the negative control of a test."""

    def __init__(
        self,
        address: Address,
        options: Mapping[str, str],
        clock: Clock,
        connect_delay_ns: int = 0,
        check_ids: bool = True,
    ) -> None:
        super().__init__(address, options, clock, connect_delay_ns)
        self._check_ids = check_ids
        self._count = 0
        self._id = b"\0\0"

    def _send(self, wire: Wire, request: Request) -> None:
        self._count = self._count + 1 & 0xFFFF
        self._id = (self._count * STRIDE & 0xFFFF).to_bytes(2)
        wire.write(self._id + request.tail)

    def heard(self, data: bytes) -> None:
        request = self._request
        if request is not None and not self._stream and data[:2] == self._id and request.head:
            size = 9 + request.data  # the whole answer at once: nearly always
            if len(data) == size and data[2:9] == request.head:
                self._answer(data[7:])
                return
        self._stream += data
        self._take()

    def _take(self) -> None:
        while self._stream:
            parsed = parse_mbap(self._stream)
            if parsed.verdict is Verdict.MORE:
                return
            if parsed.verdict is Verdict.GARBAGE:
                self._out_of_step("bytes that are no Modbus frame")
                return
            self._stream = self._stream[parsed.size :]
            age = self._count - parsed.transaction * INVERSE & 0xFFFF
            if (age == 0 or not self._check_ids) and self._request is not None:
                if not answers(self._request, parsed.unit, parsed.pdu):
                    self._out_of_step("an answer of another form than was asked for")
                    return
                self._answer(parsed.pdu)
            elif age < REMEMBERED:
                self.strays += 1  # late, or repeated
            else:
                self._out_of_step("an answer to what was never asked")
                return

    def _out_of_step(self, why: str) -> None:
        self.strays += 1
        self.drop()
        self._fail(Garbled(why))
