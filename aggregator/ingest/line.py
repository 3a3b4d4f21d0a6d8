"""What waits to be said to one gateway, merged so that a gateway that reads slowly costs little memory."""

import asyncio
from dataclasses import dataclass

from aggregator.limits import Bucket, Limits
from aggregator.stores import Arrival, Reject
from protos import sync_pb2
from protos.link import DEAD_AFTER_MS, HEARTBEAT_MS
from protos.span import Span, join, merge, ranges

SETTLING_MAX = 256  # ranges that wait for history one by one; beyond that neighbours are settled together
MESSAGES_MAX = 1_000  # other messages (orders, desired state): a gateway so far behind must reconnect
HEARTBEAT_MAX_MS = 60_000  # a gateway may wish for fewer beats, not for none
MS = 1_000_000
REFUSED_MAX = 10_000  # refusals that wait to be told

Key = tuple[int, int]


@dataclass(slots=True)
class Settling:
    """Stored, not yet in history. `position` is of its last batch in the log."""

    position: int
    epoch: int
    first: int
    last: int


class Line:
    """One stream's outgoing side, its meters, and the batches on their way into the log."""

    __slots__ = (
        "_beat",
        "_messages",
        "_news",
        "_priors",
        "_refusal",
        "_refused",
        "_settled",
        "_settling",
        "_stored",
        "batches",
        "beats_since_end",
        "bytes",
        "committing",
        "end_reason",
        "gateway",
        "greeted",
        "heard_ns",
        "heartbeat_ns",
        "not_after_ns",
        "serial",
        "spoke_ns",
        "throttled",
        "waiting",
        "writer",
    )

    def __init__(self, gateway: str, serial: str, not_after_ns: int, limits: Limits, now_ns: int) -> None:
        self.gateway, self.serial, self.not_after_ns = gateway, serial, not_after_ns
        self.heard_ns = self.spoke_ns = now_ns  # monotonic
        self.heartbeat_ns = HEARTBEAT_MS * MS
        self.greeted = False  # it has been welcomed: orders may follow
        self.throttled = False  # we are not reading: its silence says nothing
        self.waiting: list[Arrival | Reject] = []
        self.committing: asyncio.Task[None] | None = None
        self.batches = Bucket(limits.batches_per_s, limits.batches_burst, now_ns)
        self.bytes = Bucket(limits.bytes_per_s, limits.bytes_burst, now_ns)
        self.end_reason: str | None = None
        self.beats_since_end = 0
        self.writer: asyncio.Task[None] | None = None  # the stream's own task
        self._refusal: sync_pb2.Refusal | None = None
        self._stored: list[Key] = []
        self._settled: list[Span] = []
        self._refused: list[sync_pb2.Refused] = []
        self._settling: list[Settling] = []
        self._beat: sync_pb2.Heartbeat | None = None
        self._messages: list[sync_pb2.ToGateway] = []
        self._priors: dict[str, sync_pb2.Prior] = {}  # the newest of each domain
        self._news: asyncio.Future[None] | None = None  # made while the writer waits

    @property
    def dead_after_ns(self) -> int:
        """Silence after which this gateway is gone."""
        return self.heartbeat_ns * DEAD_AFTER_MS // HEARTBEAT_MS

    def wish(self, heartbeat_ms: int) -> int:
        """A gateway on a metered link wants to hear and say less; returns what it gets, in ms."""
        self.heartbeat_ns = min(max(heartbeat_ms, HEARTBEAT_MS), HEARTBEAT_MAX_MS) * MS
        return self.heartbeat_ns // MS

    def say(self, message: sync_pb2.ToGateway) -> None:
        """Queue a message of its own kind."""
        if len(self._messages) >= MESSAGES_MAX:
            self.end(f"does not read: {MESSAGES_MAX} messages wait")
        else:
            self._messages.append(message)
            self._wake()

    def stored(self, epoch: int, sequence: int, position: int, checkpoint: int) -> None:
        """Durable in the log at `position` (0: long settled)."""
        self._stored.append((epoch, sequence))
        if position <= checkpoint:
            self._settled.append(Span(epoch, sequence, sequence))
        else:
            self._settle_later(position, epoch, sequence)
        self._wake()

    def refused(self, epoch: int, sequence: int, reason: str) -> None:
        if len(self._refused) >= REFUSED_MAX:
            self.end(f"{REFUSED_MAX} of its batches were refused and it does not listen")
        self._refused.append(sync_pb2.Refused(epoch=epoch, sequence=sequence, reason=reason))
        self._wake()

    def settle(self, checkpoint: int) -> None:
        """History is durable up to this log position."""
        if done := [one for one in self._settling if one.position <= checkpoint]:
            self._settled += [Span(one.epoch, one.first, one.last) for one in done]
            self._settling = [one for one in self._settling if one.position > checkpoint]
            self._wake()

    def believe(self, prior: sync_pb2.Prior) -> None:
        """What the city believes; a newer one of the same domain replaces one that has not been sent yet."""
        self._priors[prior.domain] = prior
        self._wake()

    def beat(self, beat: sync_pb2.Heartbeat) -> None:
        self._beat = beat
        self._wake()

    def end(self, reason: str = "", *, final: bool = False) -> None:
        """Say what is left, then the reason if there is one, then hang up. The first reason stands."""
        if self.end_reason is None:
            self.end_reason = reason
            self._refusal = sync_pb2.Refusal(reason=reason, final=final) if reason else None
            self._wake()

    async def next(self) -> sync_pb2.ToGateway | None:
        """The next message; None when the stream is to end."""
        while True:
            if self._messages:
                return self._messages.pop(0)
            if self._stored or self._settled or self._refused:
                return self._ack()
            if self.end_reason is not None:
                refusal, self._refusal = self._refusal, None
                return sync_pb2.ToGateway(refusal=refusal) if refusal else None
            if self._beat is not None:
                beat, self._beat = self._beat, None
                return sync_pb2.ToGateway(heartbeat=beat)
            if self._priors:
                return sync_pb2.ToGateway(prior=self._priors.pop(next(iter(self._priors))))
            self._news = asyncio.get_running_loop().create_future()
            await self._news
            self._news = None

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _ack(self) -> sync_pb2.ToGateway:
        ack = sync_pb2.Ack(
            stored=ranges(join(self._stored)), settled=ranges(merge(self._settled)), refused=self._refused
        )
        self._stored, self._settled, self._refused = [], [], []
        self._beat = None  # an ack is as good a sign of life
        return sync_pb2.ToGateway(ack=ack)

    def _settle_later(self, position: int, epoch: int, sequence: int) -> None:
        crowded = len(self._settling) >= SETTLING_MAX
        for one in reversed(self._settling) if crowded else ():
            if (one.epoch, one.last) == (epoch, sequence - 1) and one.position < position:
                one.position, one.last = position, sequence
                return
        self._settling.append(Settling(position, epoch, sequence, sequence))
