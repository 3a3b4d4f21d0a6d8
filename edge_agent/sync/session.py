"""The rules of one session, without IO: what may be sent now, what is on its way, when the other side is dead.

Two cursors walk through the buffer, both upwards. The live one begins at what was newest when the session began; the
backlog one at the oldest, and ends where the live one began. Live goes first; backlog fills what is left of the
window, except a part that is kept free for live. Everything sent stays in the window until it is acked or refused.
What comes home late, out of a damaged buffer, has keys that both have passed: the backlog one then begins again.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from edge_agent.sync.bucket import Bucket
from edge_agent.sync.pace import Pace
from edge_agent.sync.settings import METERED_EVERY_S, Settings, dead_after_ms
from protos import sync_pb2
from protos.clock import NS
from protos.span import Span, join, of

Key = tuple[int, int]  # epoch, sequence

MS = 1_000_000
HEARTBEAT_MS = (200, 120_000)  # what a Welcome may ask of us
LIVE_SHARE = 4  # one in so many places of the window is kept for live
LIVE_BYTES = 4 << 20  # most live bytes on their way: a burst after a pause must not fill the memory
READ_BATCHES = 16  # batches fetched from the buffer at a time
READ_BYTES = 256 << 10  # and bytes: what a look at the backlog costs in memory
ACK_NS = 60 * NS  # heartbeats go on but nothing is acked: a new session may find a healthier aggregator
RESEND_SPANS = 10_000  # asked-for spans that wait; an aggregator asks for a hundred at a time
ALLOWANCE_SHARE = 24  # a metered link starts with one in so many parts of its day: a crash loop must not cost a fortune


@dataclass(slots=True)
class Flight:
    """One batch on its way."""

    size: int
    sent_ns: int
    live: bool


@dataclass(slots=True)
class Verdict:
    """What an ack settles in the buffer."""

    stored: list[Span] = field(default_factory=list)
    settled: list[Span] = field(default_factory=list)
    refused: list[tuple[Span, str]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.stored or self.settled or self.refused)

    def add(self, other: "Verdict") -> None:
        self.stored += other.stored
        self.settled += other.settled
        self.refused += other.refused


@dataclass(slots=True)
class Counts:
    """What happened on the link since the start of the agent."""

    sessions_total: int = 0
    failures_total: int = 0
    dead_peers_total: int = 0
    batches_sent_total: int = 0
    batches_acked_total: int = 0
    batches_refused_total: int = 0
    resent_on_request_total: int = 0
    renewals_total: int = 0
    orders_total: int = 0
    heartbeats_total: int = 0
    heartbeat_ns: int = 0  # monotonic, of the newest; 0: none yet
    last_error: str = ""


class Session:
    """One session. Times are monotonic ns; `start` is the key of the newest batch when it began."""

    def __init__(self, welcome: sync_pb2.Welcome, start: Key, settings: Settings, counts: Counts, now_ns: int) -> None:
        lowest, highest = HEARTBEAT_MS
        wished = welcome.heartbeat_ms or settings.heartbeat_ms
        self.heartbeat_ns = min(max(wished, lowest), highest) * MS
        self._dead_ns = dead_after_ms(self.heartbeat_ns)
        self.window_max = max(1, min(settings.window, welcome.window_batches or settings.window))
        self.batch_max = welcome.max_batch_bytes or 0  # 0: no limit told
        self.live_after: Key = start
        self.backlog_after: Key | None = (0, 0)  # None: all of it sent
        self._backlog_end = start
        self._unmarked = False  # a verdict is given that the buffer has not taken yet
        self._settings, self._counts = settings, counts
        self._flights: dict[Key, Flight] = {}
        self._live_bytes = self._backlog_bytes = 0
        self._pace = Pace()
        self._asked: deque[Span] = deque()
        self._heard_ns = now_ns
        self.beat_ns = now_ns + self.heartbeat_ns  # when our next heartbeat is due
        self._burst_ns = now_ns
        self.live_lag_ns = 0
        day = settings.allowance_mb_a_day * 1e6
        self._allowance = Bucket(day / 86_400, day / ALLOWANCE_SHARE, now_ns) if settings.metered else None

    # ---- the other side's life

    @property
    def dead_at_ns(self) -> int:
        return self._heard_ns + self._dead_ns

    @property
    def patience_s(self) -> float:
        return self._dead_ns / NS

    def heard(self, now_ns: int) -> None:
        """Any message is a sign of life."""
        self._heard_ns = now_ns

    def beat(self, now_ns: int) -> bool:
        """Whether a heartbeat is due; the next one is then a period away."""
        if now_ns < self.beat_ns:
            return False
        self.beat_ns = now_ns + self.heartbeat_ns
        return True

    def stuck(self, now_ns: int) -> bool:
        """Whether the oldest batch on its way has waited too long for its ack."""
        oldest = next(iter(self._flights.values()), None)
        return oldest is not None and now_ns - oldest.sent_ns > ACK_NS

    def deadline_ns(self, now_ns: int) -> int:
        """When the sender must look again even if nothing happens."""
        waits = [self.beat_ns]
        if self._allowance is not None and self._burst_ns > now_ns:
            waits.append(self._burst_ns)
        return min(waits)

    # ---- what may be sent

    @property
    def in_flight(self) -> int:
        return len(self._flights)

    def live_room(self, now_ns: int, *, urgent: bool = False) -> tuple[int, int]:
        """(batches, bytes) of live that may be fetched and sent now; (0, 0) for none. `urgent`: an alarm is there."""
        if self._allowance is not None and now_ns < self._burst_ns and not urgent:
            return 0, 0
        return self._room(self.window_max - self.in_flight, LIVE_BYTES - self._live_bytes)

    def burst_over(self, now_ns: int) -> None:
        """All live batches have been sent: a metered link rests until the next burst."""
        if self._allowance is not None and now_ns >= self._burst_ns:
            self._burst_ns = now_ns + int(METERED_EVERY_S * NS)

    def backlog_room(self, now_ns: int) -> tuple[int, int]:
        """The same for backlog and what was asked for again."""
        if self._allowance is not None and self._allowance.level(now_ns) <= 0:
            return 0, 0
        reserve = max(1, self.window_max // LIVE_SHARE) if self.window_max > 1 else 0
        if self._backlog_bytes and self._backlog_bytes >= self._pace.limit:
            return 0, 0
        return self._room(self.window_max - reserve - self.in_flight, self._pace.limit - self._backlog_bytes)

    def _room(self, batches: int, size: int) -> tuple[int, int]:
        if batches <= 0 or size <= 0:
            return 0, 0
        return min(batches, READ_BATCHES), min(size, READ_BYTES)

    def is_backlog(self, key: Key) -> bool:
        return key <= self._backlog_end

    def passed(self, key: Key, *, live: bool) -> None:
        """The cursor has left `key` behind."""
        if live:
            self.live_after = key
        else:
            self.backlog_after = key

    def backlog_done(self) -> None:
        self.backlog_after = None

    def walk_again(self, waiting: int, newest: Key) -> bool:
        """Begin the backlog anew when more than what is on its way and what live has still to send waits.

        `waiting` and `newest` are the buffer's. Only while nothing of it can be found that was sent before: all
        backlog has landed, all acks are in the buffer, and what flies of live lies above the walk's end.
        """
        epoch, sequence = self.live_after
        if self._unmarked or self._backlog_bytes or newest[0] != epoch:
            return False
        if waiting <= self.in_flight + newest[1] - sequence:
            return False
        first = min(self._flights, default=(epoch, sequence + 1))
        self.backlog_after, self._backlog_end = (0, 0), (first[0], first[1] - 1)
        return True

    def too_large(self, size: int) -> bool:
        return bool(self.batch_max) and size > self.batch_max

    def sent(self, key: Key, size: int, now_ns: int, *, live: bool) -> None:
        """Call before the write, so that no ack can be faster."""
        self._flights[key] = Flight(size, now_ns, live)
        self._counts.batches_sent_total += 1
        if live:
            self._live_bytes += size
        else:
            self._backlog_bytes += size
        if self._allowance is not None:
            self._allowance.take(size, now_ns)

    def flying(self, key: Key) -> bool:
        return key in self._flights

    # ---- what comes back

    def ack(self, ack: sync_pb2.Ack, now_ns: int) -> Verdict:
        """Take an ack; returns what the buffer must remember."""
        verdict = Verdict(list(of(ack.stored)), list(of(ack.settled)))
        for one in ack.refused:
            self._land((one.epoch, one.sequence), now_ns)
            self._counts.batches_refused_total += 1
            verdict.refused.append((Span(one.epoch, one.sequence, one.sequence), one.reason))
        landed = [key for key in self._flights if any(key in span for span in verdict.stored)]
        for key in landed:
            self._land(key, now_ns)
        self._counts.batches_acked_total += len(landed)
        self._unmarked = self._unmarked or bool(verdict)
        return verdict

    def marked(self) -> None:
        """The buffer has taken every verdict so far."""
        self._unmarked = False

    def _land(self, key: Key, now_ns: int) -> None:
        flight = self._flights.pop(key, None)
        if flight is None:
            return
        if flight.live:
            self._live_bytes -= flight.size
            self.live_lag_ns = now_ns - flight.sent_ns
        else:
            self._backlog_bytes -= flight.size
            self._pace.acked(flight.size, now_ns - flight.sent_ns)

    # ---- asked for again

    def ask(self, spans: Iterable[Span]) -> None:
        """The aggregator wants these again; beyond the limit it will ask again at the next session."""
        for one in spans:
            if len(self._asked) < RESEND_SPANS:
                self._asked.append(one)

    def ask_first(self, span: Span) -> None:
        """The rest of a piece, to be read next."""
        self._asked.appendleft(span)

    def next_asked(self, batches: int) -> Span | None:
        """The next piece to read from the buffer, at most `batches` long."""
        if not self._asked:
            return None
        span = self._asked.popleft()
        if len(span) > batches:
            self._asked.appendleft(Span(span.epoch, span.first + batches, span.last))
            span = Span(span.epoch, span.first, span.first + batches - 1)
        return span


def answered(span: Span, found: Sequence[int]) -> tuple[list[Span], Span | None]:
    """Of a piece that was asked for again and the sequences that the buffer gave: (no longer kept, still to read).

    A buffer gives the first ones when they are too many; only what lies before the last of them is known to be gone.
    """
    if not found:
        return [span], None
    last = max(found)
    gone = join((span.epoch, one) for one in range(span.first, last) if one not in found)
    return gone, Span(span.epoch, last + 1, span.last) if last < span.last else None


def stored_by(welcome: sync_pb2.Welcome, start: Key, floor: int) -> Verdict:
    """What a Welcome says is on file already, as far as it can be ours.

    A gateway whose disk was lost may have begun again in an epoch that an earlier life had used. It is told a floor
    when it enrols, or the aggregator has more of its epoch than it ever wrote: nothing of such an epoch is taken for
    ours. Those batches are sent, and the aggregator keeps aside what collides.
    """
    other_life = start[0] if reused(welcome, *start) else None
    stored, settled = (
        [one for one in of(said) if one.epoch >= floor and one.epoch != other_life]
        for said in (welcome.stored, welcome.settled)
    )
    return Verdict(stored, settled)


def reused(welcome: sync_pb2.Welcome, epoch: int, newest: int) -> bool:
    """Whether our epoch was used before, by a life of this gateway that it does not remember."""
    return any(one.epoch == epoch and one.last > newest for one in of(welcome.stored))
