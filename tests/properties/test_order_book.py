"""At most once and never back: for any deliveries, all-stops and kills, numbers that act only grow."""

from collections.abc import Sequence
from typing import Any

from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from edge_agent.control.orders import Fences, Last, OrderBook, Refused
from protos import sync_pb2
from protos.clock import NS, Anchor
from tests.edge.control.stage import OUTPUT

NOW_NS, MONO_NS = 1_800_000_000 * NS, 50 * NS
SYNCED = Anchor(bytes(16), NOW_NS - MONO_NS, 0, "aggregator")
UNSYNCED = Anchor(bytes(16), 0, 10**18, "wall")
SOME = settings(max_examples=100, deadline=None)
SEARCH = settings(max_examples=2000, deadline=None, phases=[Phase.generate], database=None)
# (what, fence, emergency, clock): few numbers, so that they meet
ACTS = st.lists(
    st.tuples(
        st.sampled_from(["order", "order", "order", "stop", "kill"]), st.integers(1, 12), st.booleans(), st.booleans()
    ),
    max_size=40,
)


def anybody(message: bytes, signature: bytes, chain: bytes, at_ns: int) -> None:
    """Signatures are another test's."""


def order(fence: int, emergency: bool) -> sync_pb2.Order:
    return sync_pb2.Order(
        id=f"order-{fence}",
        gateway="gw-1",
        device="pump",
        point="valve",
        value=5.0,
        issued_utc_ns=NOW_NS - NS,
        not_after_utc_ns=NOW_NS + 60 * NS,
        lifetime_ms=60_000,
        fence=fence,
        emergency=emergency,
    )


def faults(acts: Sequence[tuple[str, int, bool, bool]], kind: Any = OrderBook) -> set[str]:
    book, found = kind("gw-1", (OUTPUT,), anybody), set()
    newest: dict[bool, int] = {}
    floor = 0
    for what, fence, emergency, in_time in acts:
        anchor = SYNCED if in_time else UNSYNCED
        if what == "kill":  # after the fences were durable
            book = kind("gw-1", (OUTPUT,), anybody, Fences.unpack(book.fences.pack()))
        elif what == "stop":
            book.stop(sync_pb2.RevokeOrders(fence=fence, gateway="gw-1", issued_utc_ns=NOW_NS), MONO_NS, anchor)
            floor = max(floor, fence)
        else:
            try:
                book.accept(order(fence, emergency), MONO_NS, anchor)
            except Refused:
                if fence > max(floor, newest.get(emergency, 0)):
                    found.add("refused without need")
                continue
            if fence <= newest.get(emergency, 0):
                found.add("not newer")
            if fence <= floor:
                found.add("revoked")
            newest[emergency] = max(fence, newest.get(emergency, 0))
    return found


@SOME
@given(ACTS)
def test_numbers_that_act_only_grow(acts: list[tuple[str, int, bool, bool]]) -> None:
    assert not faults(acts)


class Forgetful(OrderBook):
    """The control: remembers nothing."""

    def _fenced(self, key: str, order: sync_pb2.Order) -> None:
        pass


def test_a_book_that_remembers_nothing_is_found_out() -> None:
    assert find(ACTS, lambda acts: faults(acts, Forgetful) == {"not newer", "revoked"}, settings=SEARCH)


@SOME
@given(st.binary(max_size=200))
def test_any_damage_of_its_memory_is_noticed(damage: bytes) -> None:
    assert Fences.unpack(damage).lost


@SOME
@given(st.data())
def test_every_flipped_bit_of_its_memory_is_noticed(data: st.DataObject) -> None:
    packed = bytearray(Fences(7, {"pump/valve": Last(9, "a")}).pack())
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert Fences.unpack(bytes(packed)).lost
