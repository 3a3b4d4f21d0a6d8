"""Orders on their way: signed, sent once to each stream until answered, never late; an all-stop goes first."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from aggregator.ingest.dispatch import ANSWER_NS, Dispatch
from aggregator.ingest.line import Line
from aggregator.ingest.streams import Streams
from aggregator.limits import Limits
from aggregator.security import certificates
from aggregator.security.authority import create
from aggregator.security.order_signer import OrderSigner
from aggregator.stores.catalogue import Catalogue, Point
from aggregator.stores.orders import Orders
from protos import sync_pb2, tls
from protos.clock import SteppedClock
from protos.order import order_message, stop_message

NOW_NS = 1_800_000_000_000_000_000
MINUTE_NS = 60_000_000_000
NS = 1_000_000_000


class Post:
    """A dispatch with its table, streams and clock."""

    def __init__(self, folder: Path) -> None:
        self.clock = SteppedClock(0, NOW_NS)
        self.catalogue = Catalogue(folder / "catalogue.sqlite")
        self.catalogue.put_gateway("gw-1", "enrolled", NOW_NS)
        point = Point("gw-1", "pump", "valve", "%", "services", "percentage", "", True, False, True)
        self.catalogue.put_points("gw-1", "north", [point], b"")
        self.authority = create(folder / "ca", tls.utc(NOW_NS))
        self.orders, self.streams = Orders(self.catalogue), Streams(9)
        self.signer = OrderSigner(folder / "ca", self.authority, self.clock)
        self.dispatch = Dispatch(self.orders, self.streams, self.signer, self.clock)

    def join(self, *, greeted: bool = True) -> Line:
        line = Line("gw-1", "1", 2**62, Limits(), 0)
        line.greeted = greeted
        assert self.streams.join(line)
        return line

    def give(self, lasts_ns: int = MINUTE_NS) -> str:
        order = self.orders.give("gw-1", "pump/valve", 40.0, lasts_ns, "kim", self.clock.wall_ns()).id
        self.dispatch._read()  # as when another process had written
        return order

    def tick(self, after_ns: int = 0) -> None:
        asyncio.run(self.clock.advance(after_ns))
        asyncio.run(self.dispatch.tick())

    def fates(self) -> dict[str, str]:
        return {row.id: row.fate for row in self.orders.newest()}


def said(line: Line) -> list[sync_pb2.ToGateway]:
    messages, line._messages = line._messages, []
    return messages


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    one = Post(tmp_path)
    yield one
    one.catalogue.close()


def test_an_order_is_signed_and_sent_once_to_each_stream_until_answered(post: Post) -> None:
    line, order = post.join(), post.give()
    post.tick(NS)
    (message,) = said(line)
    sent = message.order
    assert (sent.id, sent.value, sent.lifetime_ms) == (order, 40.0, 59_000)
    tls.check_signed(order_message(sent), sent.signature, sent.chain, post.authority.root, tls.utc(NOW_NS))
    post.tick()
    assert not said(line)
    assert post.fates() == {order: "sent"}
    again = post.join()  # it came back before it had answered
    post.tick()
    assert [one.order.id for one in said(again)] == [order]
    post.dispatch.receipt("gw-1", sync_pb2.OrderReceipt(order_id=order, outcome="accepted", value=40.0))
    post.tick()
    assert post.fates() == {order: "accepted"}
    third = post.join()
    post.tick()
    assert not said(third)


def test_nothing_is_said_before_the_welcome(post: Post) -> None:
    line = post.join(greeted=False)
    post.give()
    post.tick()
    assert not said(line)
    line.greeted = True
    post.tick()
    assert said(line)


def test_never_delivered_late(post: Post) -> None:
    order = post.give()
    post.tick(MINUTE_NS)
    assert post.fates() == {order: "undelivered"}
    line = post.join()
    post.tick()
    assert not said(line)


def test_what_nobody_answers_is_unknown(post: Post) -> None:
    line, order = post.join(), post.give()
    post.tick()
    assert said(line)
    post.tick(MINUTE_NS + ANSWER_NS)
    assert post.fates() == {order: "unknown"}


def test_an_all_stop_goes_before_what_was_sent_and_not_answered(post: Post) -> None:
    line, order = post.join(), post.give()
    post.tick()
    said(line)
    (stop,) = post.orders.stop(["gw-1"], "kim", NOW_NS, "drill")
    post.dispatch._read()
    post.tick(MINUTE_NS // 2)
    (message,) = said(line)
    told = message.revoke_orders
    assert (told.fence, told.reason) == (stop.fence, "drill")
    tls.check_signed(stop_message(told), told.signature, told.chain, post.authority.root, tls.utc(NOW_NS))
    fresh = post.join()
    post.tick()
    assert [one.WhichOneof("body") for one in said(fresh)] == ["revoke_orders", "order"]
    assert post.fates()[order] == "sent"


def test_nonsense_from_a_gateway_is_dropped_and_counted(post: Post) -> None:
    order = post.give()
    for receipt in (
        sync_pb2.OrderReceipt(order_id=order, outcome="wonderful"),
        sync_pb2.OrderReceipt(order_id="x" * 65, outcome="applied"),
    ):
        post.dispatch.receipt("gw-1", receipt)
    post.dispatch.receipt("gw-2", sync_pb2.OrderReceipt(order_id=order, outcome="applied"))
    post.tick()
    assert post.dispatch.dropped_total == 2
    assert post.fates() == {order: "waiting"}


def test_the_signer_is_kept_over_a_restart_and_renewed_in_time(post: Post, tmp_path: Path) -> None:
    first = post.signer._chain[0]
    assert OrderSigner(tmp_path / "ca", post.authority, post.clock)._chain[0] == first
    assert (tmp_path / "ca" / "orders.pem").stat().st_mode & 0o077 == 0
    asyncio.run(post.clock.advance(61 * 86_400 * NS))
    order = sync_pb2.Order(id="a")
    post.signer.sign(order)
    renewed = tls.load_chain(order.chain)[0]
    assert certificates.serial(renewed) != certificates.serial(first)
    assert tls.uris(renewed) == [tls.ORDERS_URI]
