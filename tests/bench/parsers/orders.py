"""What a gateway hears of orders: messages as they come from the link, and its own memory of them."""

from google.protobuf.message import DecodeError

from edge_agent.control.orders import Fences, OrderBook, Refused
from protos import sync_pb2
from protos.clock import NS, Anchor
from tests.bench.parsers import Parser
from tests.edge.control.stage import OUTPUT
from tests.simulators.issuer import NOW_NS, Issuer

MONO_NS = 50 * NS
ANCHOR = Anchor(bytes(16), NOW_NS - MONO_NS, NS // 100, "aggregator")


def order() -> Parser:
    """An order: parsed, its signature checked, judged."""
    issuer = Issuer()

    def parse(data: bytes) -> object:
        return OrderBook("gw-1", (OUTPUT,), issuer.check).accept(sync_pb2.Order.FromString(data), MONO_NS, ANCHOR)

    seeds = [issuer.order().SerializeToString(), issuer.order(emergency=True, why="flood").SerializeToString()]
    return Parser(seeds, parse, (Refused, DecodeError))


def all_stop() -> Parser:
    issuer = Issuer()

    def parse(data: bytes) -> object:
        return OrderBook("gw-1", (OUTPUT,), issuer.check).stop(sync_pb2.RevokeOrders.FromString(data), MONO_NS, ANCHOR)

    return Parser([issuer.stop().SerializeToString()], parse, (Refused, DecodeError))


def unsigned() -> Parser:
    """The same behind the signature: an aggregator that signs nonsense."""

    def parse(data: bytes) -> object:
        book = OrderBook("gw-1", (OUTPUT,), lambda *_: None)
        return book.accept(sync_pb2.Order.FromString(data), MONO_NS, ANCHOR)

    return Parser([Issuer().order().SerializeToString()], parse, (Refused, DecodeError))


def memory() -> Parser:
    """The file of fences: any damage gives lost ones."""
    return Parser([Fences(7).pack(), Fences().pack()], Fences.unpack)
