"""What a gateway is told: merged, in good order, bounded."""

import asyncio

from aggregator.ingest.line import MESSAGES_MAX, SETTLING_MAX, Line
from aggregator.limits import Limits
from protos import sync_pb2
from protos.span import Span, of


def line() -> Line:
    return Line("gw-1", "01", 2**62, Limits(), 0)


def say(one: Line, count: int) -> list[sync_pb2.ToGateway | None]:
    async def run() -> list[sync_pb2.ToGateway | None]:
        return [await asyncio.wait_for(one.next(), 1) for _ in range(count)]

    return asyncio.run(run())


def ack(message: sync_pb2.ToGateway | None) -> sync_pb2.Ack:
    assert message is not None
    return message.ack


def test_acks_are_merged_and_settled_by_the_checkpoint() -> None:
    one = line()
    for sequence in (3, 1, 2):
        one.stored(1, sequence, position=10 + sequence, checkpoint=11)
    one.refused(1, 9, "damaged")
    said = ack(say(one, 1)[0])
    assert list(of(said.stored)) == [Span(1, 1, 3)]
    assert list(of(said.settled)) == [Span(1, 1, 1)]
    assert [(item.sequence, item.reason) for item in said.refused] == [(9, "damaged")]
    one.settle(12)
    assert list(of(ack(say(one, 1)[0]).settled)) == [Span(1, 2, 2)]
    one.settle(13)
    assert list(of(ack(say(one, 1)[0]).settled)) == [Span(1, 3, 3)]


def test_what_waits_for_history_stays_small() -> None:
    one = line()
    for sequence in range(1, 10_000):
        one.stored(1, sequence, position=sequence, checkpoint=0)
    one.settle(SETTLING_MAX)
    assert list(of(ack(say(one, 1)[0]).settled)) == [Span(1, 1, SETTLING_MAX - 1)]
    one.settle(9_999)
    assert list(of(ack(say(one, 1)[0]).settled)) == [Span(1, SETTLING_MAX, 9_999)]


def test_the_end_comes_after_the_acks_and_says_why() -> None:
    one = line()
    one.beat(sync_pb2.Heartbeat(count=1))
    one.stored(1, 1, 1, 0)
    one.end("revoked", final=True)
    one.end("another reason")
    acked, refusal, nothing = say(one, 3)
    assert len(ack(acked).stored) == 1
    assert refusal is not None
    assert (refusal.refusal.reason, refusal.refusal.final) == ("revoked", True)
    assert nothing is None


def test_beats_do_not_pile_up() -> None:
    one = line()
    for count in range(100):
        one.beat(sync_pb2.Heartbeat(count=count))
    one.end()
    assert say(one, 1) == [None]


def test_a_gateway_that_never_reads_is_given_up() -> None:
    one = line()
    for _ in range(MESSAGES_MAX + 1):
        one.say(sync_pb2.ToGateway())
    assert one.end_reason is not None
    assert "does not read" in one.end_reason


def test_a_wish_for_fewer_beats_has_bounds() -> None:
    one = line()
    assert [one.wish(ms) for ms in (0, 5_000, 10**7)] == [1_000, 5_000, 60_000]
    assert one.dead_after_ns == 240 * 10**9
