"""Which orders may act: each promise a test, each refusal with words that the one who gave it understands."""

from dataclasses import replace
from datetime import timedelta

import pytest

from edge_agent.control.orders import FRESH_NS, TRAVEL_NS, Accepted, Fences, OrderBook, Refused
from protos import sync_pb2
from protos.clock import NS, Anchor
from protos.order import LONGEST_NS
from tests.edge.control.stage import OUTPUT
from tests.simulators.issuer import NOW, NOW_NS, Issuer, as_gateway, as_server

MONO_NS = 50 * NS
SYNCED = Anchor(bytes(16), NOW_NS - MONO_NS, NS // 100, "aggregator")
UNSYNCED = replace(SYNCED, offset_ns=-MONO_NS, error_ns=10**18, source="wall")
GATE = replace(OUTPUT, name="gate", point="lock/gate", high=1.0)
VALVE, ISSUER = "pump/valve", Issuer()


def book(issuer: Issuer = ISSUER, fences: Fences | None = None) -> OrderBook:
    return OrderBook("gw-1", (OUTPUT, GATE), issuer.check, fences)


def refusal(book: OrderBook, order: sync_pb2.Order, anchor: Anchor = SYNCED, now_ns: int = MONO_NS) -> str:
    with pytest.raises(Refused) as caught:
        book.accept(order, now_ns, anchor)
    return str(caught.value)


def test_a_good_order_is_accepted_until_its_end() -> None:
    order = ISSUER.order(VALVE, 40.0, why="peak")
    accepted = book().accept(order, MONO_NS, SYNCED)
    instruction = accepted.instruction
    assert (instruction.output, instruction.value, instruction.why) == (0, 40.0, "kim: peak")
    assert instruction.until_ns == MONO_NS + 600 * NS - SYNCED.error_ns
    assert not accepted.emergency
    assert accepted.fences.last == {VALVE: (order.fence, order.id)}


# ---- at most once, never older than the last


def test_rule_04_at_most_once() -> None:
    one, order = book(), ISSUER.order()
    one.accept(order, MONO_NS, SYNCED)
    assert "it was received before" in refusal(one, order)
    assert one.known(order)


def test_rule_04_never_older_than_the_last() -> None:
    one, older, newer = book(), ISSUER.order(), ISSUER.order()
    one.accept(newer, MONO_NS, SYNCED)
    assert f"order {newer.id} is newer" in refusal(one, older)
    assert not one.known(older)


def test_each_output_and_class_has_a_fence_of_its_own() -> None:
    one = book()
    first = [ISSUER.order(VALVE, 1.0), ISSUER.order("lock/gate", 1.0), ISSUER.order(VALVE, 2.0, emergency=True)]
    assert [one.accept(order, MONO_NS, SYNCED).emergency for order in reversed(first)] == [True, False, False]


def test_rule_23_an_all_stop_is_for_ever() -> None:
    one, before = book(), ISSUER.order()
    one.accept(before, MONO_NS, SYNCED)
    waiting, stop, after = ISSUER.order("lock/gate", 1.0), ISSUER.stop(), ISSUER.order("lock/gate", 1.0)
    assert one.stop(stop, MONO_NS, SYNCED).floor == stop.fence
    assert "was revoked by the all-stop" in refusal(one, waiting)
    assert one.accept(after, MONO_NS, SYNCED)
    assert one.stop(ISSUER.stop(fence=5), MONO_NS, SYNCED).floor == stop.fence  # an old one lowers nothing


def test_what_is_remembered_comes_back() -> None:
    one, order, stop = book(), ISSUER.order(), ISSUER.stop()
    one.accept(order, MONO_NS, SYNCED)
    one.stop(stop, MONO_NS, SYNCED)
    again = book(fences=Fences.unpack(one.fences.pack()))
    assert again.fences == one.fences
    assert "revoked" in refusal(again, order)


@pytest.mark.parametrize("damage", [b"", b"00000000 {}", b"\xff" * 40])
def test_without_its_memory_it_takes_no_order_until_a_fresh_all_stop(damage: bytes) -> None:
    one = book(fences=Fences.unpack(damage))
    assert "give an all-stop first" in refusal(one, ISSUER.order())
    old = ISSUER.stop(issued_utc_ns=NOW_NS - 2 * FRESH_NS)
    assert one.stop(old, MONO_NS, SYNCED).lost  # a replayed one could hide what came after it
    assert one.stop(ISSUER.stop(), MONO_NS, UNSYNCED).lost  # nobody can say that it is fresh
    one.stop(ISSUER.stop(), MONO_NS, SYNCED)
    assert one.accept(ISSUER.order(), MONO_NS, SYNCED)


# ---- never late


def test_rule_05_never_late() -> None:
    order = ISSUER.order(not_after_utc_ns=NOW_NS + 10 * NS)
    assert refusal(book(), order, now_ns=MONO_NS + 10 * NS) == "too late"
    assert refusal(book(), order, now_ns=MONO_NS + 10 * NS - SYNCED.error_ns) == "too late"  # it might be
    assert book().accept(order, MONO_NS + 9 * NS, SYNCED).instruction.until_ns < MONO_NS + 10 * NS


def test_never_from_the_future() -> None:
    order = ISSUER.order(issued_utc_ns=NOW_NS + 60 * NS)
    assert refusal(book(), order) == "issued in the future"


def test_rule_05_with_an_unsynced_clock_only_the_lifetime_counts() -> None:
    late = ISSUER.order(not_after_utc_ns=NOW_NS + 1, lifetime_ms=10_000)
    accepted = book().accept(late, MONO_NS, UNSYNCED)
    assert accepted.instruction.until_ns == MONO_NS + 10 * NS - TRAVEL_NS
    assert refusal(book(), ISSUER.order(lifetime_ms=0), UNSYNCED).startswith("the clock is not synchronised")
    assert refusal(book(), ISSUER.order(lifetime_ms=TRAVEL_NS // 10**6), UNSYNCED) == "too late"


# ---- never for another, never beyond what is declared


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"gateway": "gw-2"}, "for gateway 'gw-2', this is gw-1"),
        ({"point": "speed"}, "pump/speed is no output of this gateway: pump/valve, lock/gate"),
        ({"value": 100.5}, "100.5 is outside 0 to 100"),
        ({"value": float("nan")}, "nan is outside 0 to 100"),
        ({"value": float("inf")}, "inf is outside 0 to 100"),
        ({"id": ""}, "an id of 1 to 64"),
        ({"id": "x" * 65}, "an id of 1 to 64"),
        ({"id": "a\nb"}, "printable"),
        ({"fence": 0}, "fence 0"),
        ({"fence": 2**63}, "fence 9223372036854775808"),
        ({"why": "x" * 201}, "at most 200 characters"),
        ({"not_after_utc_ns": NOW_NS}, "ends after it was issued"),
        ({"not_after_utc_ns": NOW_NS + LONGEST_NS + 1}, "at most 24 h"),
    ],
)
def test_rule_04_refused_with_a_reason(fields: dict[str, object], told: str) -> None:
    order = ISSUER.order()
    for key, value in fields.items():
        setattr(order, key, value)
    if order.fence < 2**63:
        ISSUER.sign(order)
    assert told in refusal(book(), order)


# ---- signed by whoever may


@pytest.mark.parametrize(
    "field",
    ["id", "gateway", "device", "point", "value", "issued_utc_ns", "not_after_utc_ns", "lifetime_ms", "fence",
     "issuer", "emergency", "why"],
)  # fmt: skip
def test_rule_04_every_field_is_signed(field: str) -> None:
    order = ISSUER.order()
    before = getattr(order, field)
    setattr(order, field, not before if isinstance(before, bool) else before + type(before)(1))
    one = OrderBook(order.gateway, (replace(OUTPUT, point=f"{order.device}/{order.point}"),), ISSUER.check)
    assert "signature refused" in refusal(one, order)


def test_no_field_is_forgotten() -> None:
    """A field that is added to the message must be signed, or be named here."""
    known = set(sync_pb2.Order.DESCRIPTOR.fields_by_name) - {"signature", "chain"}
    marks = test_rule_04_every_field_is_signed.pytestmark  # type: ignore[attr-defined]
    assert known == set(marks[0].args[1])


@pytest.mark.parametrize(
    "impostor",
    [
        Issuer(),  # another root
        Issuer(leaf=as_gateway),
        Issuer(leaf=as_server),
    ],
    ids=["another root", "a gateway", "a server"],
)
def test_impostors_are_refused(impostor: Issuer) -> None:
    root = ISSUER if impostor.leaf is ISSUER.leaf else impostor
    assert "signature refused" in refusal(book(root), impostor.order())


def test_an_all_stop_must_be_signed_too() -> None:
    one, forged = book(), ISSUER.stop()
    forged.fence += 1
    with pytest.raises(Refused, match="signature refused"):
        one.stop(forged, MONO_NS, SYNCED)
    with pytest.raises(Refused, match="for gateway 'gw-2'"):
        one.stop(ISSUER.stop(gateway="gw-2"), MONO_NS, SYNCED)
    assert one.fences.floor == 0


@pytest.mark.parametrize("broken", ["", "no chain", "half"])
def test_without_a_whole_chain_nothing_is_signed(broken: str) -> None:
    order = ISSUER.order()
    leaf = order.chain[: order.chain.index(b"-----END CERTIFICATE-----") + 26]
    order.chain = {"": b"", "no chain": b"nonsense", "half": leaf}[broken]
    refusal(book(), order)


def test_an_expired_signer_signs_nothing_by_a_good_clock() -> None:
    old = Issuer(now=NOW - timedelta(days=200))
    assert "not valid at this time" in refusal(book(old), old.order())


def test_a_refused_order_leaves_no_trace() -> None:
    one = book()
    refusal(one, ISSUER.order(VALVE, 500.0))
    assert one.fences == Fences()
    assert isinstance(one.accept(ISSUER.order(), MONO_NS, SYNCED), Accepted)
