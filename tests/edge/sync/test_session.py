import pytest

from edge_agent.sync.pace import LEAST_BYTES, Pace
from edge_agent.sync.sender import bounded
from edge_agent.sync.session import ACK_NS, Counts, Session, answered, reused, stored_by
from edge_agent.sync.settings import METERED_EVERY_S, METERED_HEARTBEAT_MS, Settings
from protos import sync_pb2 as pb
from protos.clock import NS
from protos.link import STATUS_MAX
from protos.span import Span, ranges

START = (1, 100)


def session(settings: Settings | None = None, **welcome: int) -> Session:
    return Session(pb.Welcome(**welcome), START, settings or Settings(), Counts(), 0)  # type: ignore[arg-type]


def acked(*spans: Span) -> pb.Ack:
    return pb.Ack(stored=ranges(spans))


def test_the_window_is_the_smaller_of_both_wishes() -> None:
    assert session(window_batches=8).window_max == 8
    assert session(window_batches=800).window_max == 64
    assert session(window_batches=0).window_max == 64


def test_live_fills_the_window_and_backlog_leaves_room_for_live() -> None:
    one = session(window_batches=8)
    sent = 0
    while one.backlog_room(0)[0]:
        sent += 1
        one.sent((1, sent), 10, 0, live=False)
    assert sent == 6
    assert one.live_room(0)[0] == 2
    one.sent((1, 101), 10, 0, live=True)
    one.sent((1, 102), 10, 0, live=True)
    assert one.live_room(0) == (0, 0)


def test_a_window_of_one_still_moves_both() -> None:
    one = session(window_batches=1)
    assert one.backlog_room(0)[0] == 1
    assert one.live_room(0)[0] == 1


def test_an_ack_frees_the_window_and_is_to_be_remembered() -> None:
    one = session()
    for n in range(1, 5):
        one.sent((1, n), 10, 0, live=False)
    verdict = one.ack(acked(Span(1, 1, 3)), NS)
    assert one.in_flight == 1
    assert verdict.stored == [Span(1, 1, 3)]
    assert not one.flying((1, 2))
    assert one.flying((1, 4))


def test_a_refused_batch_leaves_the_window_with_its_reason() -> None:
    counts = Counts()
    one = Session(pb.Welcome(), START, Settings(), counts, 0)
    one.sent((1, 7), 10, 0, live=True)
    verdict = one.ack(pb.Ack(refused=[pb.Refused(epoch=1, sequence=7, reason="other bytes")]), NS)
    assert verdict.refused == [(Span(1, 7, 7), "other bytes")]
    assert (one.in_flight, counts.batches_refused_total) == (0, 1)


def test_an_ack_for_what_was_never_sent_changes_nothing() -> None:
    one = session()
    assert one.ack(acked(Span(9, 1, 2**63 - 1)), NS).stored
    assert one.in_flight == 0


def test_any_message_is_a_sign_of_life() -> None:
    one = session(heartbeat_ms=1000)
    assert one.dead_at_ns == 4 * NS
    one.heard(3 * NS)
    assert one.dead_at_ns == 7 * NS


def test_heartbeats_come_at_the_agreed_pace() -> None:
    one = session(heartbeat_ms=1000)
    assert not one.beat(NS - 1)
    assert one.beat(NS)
    assert one.beat_ns == 2 * NS


@pytest.mark.parametrize(("asked", "got_ms"), [(1, 200), (0, 1000), (4_000_000_000, 120_000)])
def test_a_mad_heartbeat_is_clamped(asked: int, got_ms: int) -> None:
    assert session(heartbeat_ms=asked).heartbeat_ns == got_ms * 1_000_000


def test_acks_that_do_not_come_end_the_session() -> None:
    one = session()
    one.sent((1, 1), 10, 0, live=True)
    assert not one.stuck(ACK_NS)
    assert one.stuck(ACK_NS + 1)


def test_backlog_on_the_way_shrinks_where_acks_are_slow() -> None:
    fast, slow = Pace(), Pace()
    for _ in range(50):
        fast.acked(10_000, NS // 100)
        slow.acked(10_000, NS)
    assert fast.limit > 500_000
    assert slow.limit == LEAST_BYTES


def test_backlog_always_may_send_one_batch() -> None:
    one = session()
    for n in range(200):
        one.sent((1, n), 10_000, 0, live=False)
        one.ack(acked(Span(1, n, n)), 2 * NS)
    assert one.backlog_room(0)[0] == 1 or one.backlog_room(0)[1] >= 1
    one.sent((1, 300), 10_000, 0, live=False)
    assert one.backlog_room(0) == (0, 0)


def test_what_is_asked_for_again_comes_in_pieces() -> None:
    one = session()
    one.ask([Span(1, 1, 40), Span(2, 5, 5)])
    pieces = []
    while (piece := one.next_asked(16)) is not None:
        pieces.append(piece)
    assert pieces == [Span(1, 1, 16), Span(1, 17, 32), Span(1, 33, 40), Span(2, 5, 5)]


def test_the_backlog_is_walked_again_when_more_waits_than_flies() -> None:
    one = session()
    one.backlog_done()
    one.sent((1, 101), 10, 0, live=True)
    one.passed((1, 101), live=True)
    assert not one.walk_again(1, (1, 101))
    assert not one.walk_again(3, (1, 103)), "two are for live to send"
    assert not one.walk_again(9, (2, 1)), "live has not come into the new epoch yet"
    assert one.walk_again(4, (1, 103))
    assert one.backlog_after == (0, 0)
    assert one.is_backlog((1, 100))
    assert not one.is_backlog((1, 101)), "it flies"


def test_the_walk_begins_again_only_when_nothing_can_be_sent_twice() -> None:
    one = session()
    one.sent((1, 7), 10, 0, live=False)
    one.backlog_done()
    assert not one.walk_again(9, START), "backlog flies"
    one.ack(acked(Span(1, 7, 7)), NS)
    assert not one.walk_again(9, START), "the buffer does not know of the ack"
    one.marked()
    assert one.walk_again(9, START)


def test_a_metered_link_sends_in_bursts_and_alarms_at_once() -> None:
    one = session(Settings(metered=True))
    assert one.live_room(0)[0]
    one.burst_over(0)
    assert one.live_room(NS) == (0, 0)
    assert one.live_room(NS, urgent=True)[0]
    due = int(METERED_EVERY_S * NS)
    assert one.deadline_ns(NS) <= due
    assert one.live_room(due)[0]


def test_a_metered_backlog_stays_within_its_allowance() -> None:
    one = session(Settings(metered=True, allowance_mb_a_day=24.0))
    sent = now = 0
    while now < 86_400 * NS:
        while one.backlog_room(now)[0]:
            sent += 50_000
            one.sent((1, sent), 50_000, now, live=False)
            one.ack(acked(Span(1, sent, sent)), now)
        now += 600 * NS
    assert 20e6 < sent < 26e6
    assert Settings(metered=True).heartbeat_ms == METERED_HEARTBEAT_MS


def test_a_slow_cap_asks_for_slower_heartbeats() -> None:
    assert Settings(bandwidth_kbit=64).heartbeat_ms > 1000
    assert Settings(bandwidth_kbit=10_000).heartbeat_ms == 1000


def test_what_a_welcome_has_on_file_is_ours_unless_the_epoch_was_used_before() -> None:
    welcome = pb.Welcome(stored=ranges([Span(1, 1, 50), Span(2, 1, 90)]), settled=ranges([Span(1, 1, 20)]))
    assert not reused(welcome, 2, 90)
    assert stored_by(welcome, (2, 90), floor=0).stored == [Span(1, 1, 50), Span(2, 1, 90)]
    assert reused(welcome, 2, 89)
    assert stored_by(welcome, (2, 89), floor=0).stored == [Span(1, 1, 50)]
    assert stored_by(welcome, (2, 90), floor=2).stored == [Span(2, 1, 90)]
    assert stored_by(welcome, (2, 90), floor=2).settled == []


def test_only_what_the_buffer_looked_at_is_called_gone() -> None:
    span = Span(3, 10, 19)
    assert answered(span, []) == ([span], None)
    assert answered(span, [10, 13]) == ([Span(3, 11, 12)], Span(3, 14, 19))
    assert answered(span, [12, 19]) == ([Span(3, 10, 11), Span(3, 13, 18)], None)


def test_a_status_with_too_much_to_tell_tells_what_it_may() -> None:
    much = pb.Status(gauges={f"g{n}": 1.0 for n in range(500)}, facts={"district": "north"})
    assert len(bounded(much).gauges) + len(bounded(much).facts) == STATUS_MAX
    little = pb.Status(gauges={"g": 1.0})
    assert bounded(little) is little
