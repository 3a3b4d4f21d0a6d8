"""The rules of one stream, without IO: who may say what when, what a batch must be, and which clock it goes by."""

from collections.abc import Iterable

from aggregator.limits import NS, Limits
from aggregator.stores import Arrival, Reject
from aggregator.stores.catalogue import DETAIL_MAX, ClockRow
from aggregator.stores.received import missing, without
from protos import sync_pb2, telemetry_pb2
from protos.batch import BatchError, Header, Key, peek
from protos.clock import Anchor
from protos.link import PROTOCOL
from protos.span import Span

INT_MAX = 2**63 - 1  # what the stores can hold
UNKNOWN_NS = 100 * 365 * 86_400 * NS  # error of a clock of which nothing is known
DELAY_MAX_NS = 10 * NS  # how late a Hello may arrive and still be news about the gateway's clock
AHEAD_MAX_NS = NS // 2  # how far a Hello can seem to come from the future: the two clocks' reading errors
RESEND_MAX = 100  # ranges asked for at a time; the rest at the next connection
WELCOME_RANGES_MAX = 1_000  # newest ranges told; older ones the gateway has long forgotten


class Breach(Exception):
    """The gateway broke a rule of the stream, which ends. `final`: trying again does not help."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.final = reason, final


class Session:
    """One stream of one gateway. `clocks` are the readings on file, of this boot and earlier ones."""

    def __init__(self, gateway: str, limits: Limits, clocks: Iterable[ClockRow] = ()) -> None:
        self.gateway, self._limits = gateway, limits
        self.hello: sync_pb2.Hello | None = None
        self._clocks = {one.boot_id: one for one in clocks}
        self._heard_offset_ns = 0  # UTC - monotonic by the Hello: the offset plus its delay

    def admit(self, message: sync_pb2.FromGateway, utc_ns: int) -> str:
        """The kind of a message that may come now. Raises Breach."""
        kind: str | None = message.WhichOneof("body")
        if message.gateway != self.gateway:
            told = message.gateway[:64]
            raise Breach(f"message in the name of {told!r} on the stream of {self.gateway!r}", final=True)
        if kind is None:
            raise Breach("message without a body that this version knows")
        if self.hello is None:
            if kind != "hello":
                raise Breach(f"{kind} before hello")
            self._greet(message.hello, utc_ns)
        elif kind == "hello":
            raise Breach("hello twice")
        return kind

    def judge(self, batch: telemetry_pb2.Batch, received_ns: int) -> Arrival | Reject:
        """A batch as it goes into the log, or why it cannot. Only the header is read; the body stays packed."""
        if not (0 < batch.epoch <= INT_MAX and 0 < batch.sequence <= INT_MAX):
            raise Breach(
                f"batch {batch.epoch}/{batch.sequence}: epoch and sequence are from 1 to 2**63 - 1", final=True
            )
        try:
            reason, header = "", self._header(batch)
        except BatchError as error:
            reason = str(error)[:DETAIL_MAX] or type(error).__name__
        if reason:
            return Reject(self.gateway, batch.epoch, batch.sequence, received_ns, reason, batch.blob)
        offset_ns, error_ns = self.clock(header.anchor)
        return Arrival(header.key, received_ns, offset_ns, error_ns, header.readings, batch.blob)

    def clock(self, anchor: Anchor) -> tuple[int, int]:
        """(offset, error) of the boot that a batch was written in: the better of what is on file and what it says."""
        known = self._clocks.get(anchor.boot_id)
        own_error = anchor.error_ns if 0 <= anchor.error_ns < UNKNOWN_NS else UNKNOWN_NS
        if known is not None and known.error_ns <= own_error:
            return known.offset_ns, known.error_ns
        return anchor.offset_ns, own_error

    def take_clock(self, reading: sync_pb2.ClockReading) -> ClockRow:
        """A gateway's reading of its own clock against ours, its error widened where the Hello contradicts it."""
        assert self.hello is not None
        if len(reading.boot_id) != 16 or reading.error_ns < 0:
            raise Breach("clock reading: boot id of 16 bytes, error not negative", final=True)
        error_ns = min(reading.error_ns, UNKNOWN_NS)
        if reading.boot_id == self.hello.boot_id:
            delay_ns = self._heard_offset_ns - reading.offset_ns
            if not -AHEAD_MAX_NS - error_ns <= delay_ns <= DELAY_MAX_NS + error_ns:
                error_ns = min(abs(delay_ns), UNKNOWN_NS)
        row = ClockRow(reading.boot_id, reading.offset_ns, error_ns, reading.source[:16])
        known = self._clocks.get(row.boot_id)
        # a fresh reading of the running boot counts even when a little worse: clocks drift
        if known is None or row.boot_id == self.hello.boot_id or row.error_ns < known.error_ns:
            self._clocks[row.boot_id] = row
        return self._clocks[row.boot_id]

    def lost(self, stored: list[Span], unavailable: list[Span]) -> list[Span]:
        """What the gateway once had acknowledged and we no longer have, as after a restore; empty in normal life."""
        assert self.hello is not None
        epoch, before = self.hello.waiting_epoch, self.hello.waiting_sequence
        if not epoch:
            return []
        gaps = missing(stored, epoch, before)
        for older in sorted({one.epoch for one in stored if one.epoch < epoch}):
            gaps += missing(stored, older, max(one.last for one in stored if one.epoch == older) + 1)
        return without(sorted(gaps), unavailable)[:RESEND_MAX]

    def _greet(self, hello: sync_pb2.Hello, utc_ns: int) -> None:
        if hello.protocol != PROTOCOL:
            raise Breach(
                f"protocol {hello.protocol}: this aggregator speaks {PROTOCOL}; update the older side", final=True
            )
        if len(hello.boot_id) != 16 or not 0 < hello.epoch <= INT_MAX:
            raise Breach("hello: boot id of 16 bytes, epoch from 1", final=True)
        self.hello, self._heard_offset_ns = hello, utc_ns - hello.monotonic_ns

    def _header(self, batch: telemetry_pb2.Batch) -> Header:
        if len(batch.blob) > self._limits.batch_bytes:
            raise BatchError(f"batch of {len(batch.blob)} bytes: at most {self._limits.batch_bytes}")
        header = peek(batch.blob)
        key = Key(self.gateway, batch.epoch, batch.sequence)
        if header.key != key:
            told = header.key
            raise BatchError(f"its own key is {told.gateway[:64]}/{told.epoch}/{told.sequence}, the envelope's another")
        if header.raw_bytes > self._limits.batch_raw_bytes:
            raise BatchError(f"unpacks to {header.raw_bytes} bytes: at most {self._limits.batch_raw_bytes}")
        return header
