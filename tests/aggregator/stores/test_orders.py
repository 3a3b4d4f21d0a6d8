"""Orders in the catalogue: numbers that only grow, fates that only go forward, words that help."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aggregator.stores import StoreError
from aggregator.stores.catalogue import Catalogue, Point
from aggregator.stores.orders import Orders, Report
from protos.order import LONGEST_NS, stop_id

NOW_NS = 1_800_000_000_000_000_000
MINUTE_NS = 60_000_000_000


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    one = Catalogue(tmp_path / "catalogue.sqlite")
    for gateway in ("gw-1", "gw-2"):
        with one.act(NOW_NS, "test", "enrol", gateway):
            one.put_gateway(gateway, "enrolled", NOW_NS)
        points = [
            Point(gateway, "pump", name, "%", "services", "percentage", "", writable, False, True)
            for name, writable in (("valve", True), ("speed", False))
        ]
        one.put_points(gateway, "north", points, b"")
    yield one
    one.close()


@pytest.fixture
def orders(catalogue: Catalogue) -> Orders:
    return Orders(catalogue)


def give(orders: Orders, gateway: str = "gw-1", now_ns: int = NOW_NS) -> str:
    return orders.give(gateway, "pump/valve", 40.0, MINUTE_NS, "kim", now_ns).id


def report(orders: Orders, order: str, fate: str, gateway: str = "gw-1") -> str:
    orders.report([Report(gateway, order, fate, "so", None, NOW_NS)])
    return next(row.fate for row in orders.newest() if row.id == order)


def test_an_order_waits_and_is_in_the_audit(orders: Orders, catalogue: Catalogue) -> None:
    row = orders.give("gw-1", "pump/valve", 40.0, MINUTE_NS, "kim", NOW_NS, emergency=True, why="flood")
    assert orders.open() == [row]
    assert (row.fate, row.not_after_ns, row.fence) == ("waiting", NOW_NS + MINUTE_NS, NOW_NS // 1000)
    last = catalogue.audit()[-1]
    assert (last.actor, last.act, last.subject) == ("kim", "emergency order", "gw-1")
    assert "pump/valve = 40 for 60 s flood" in last.detail


def test_fences_grow_whatever_the_clock_does(orders: Orders) -> None:
    for now_ns in (NOW_NS, NOW_NS, NOW_NS - 10**15, NOW_NS + 10**15, NOW_NS):
        give(orders, now_ns=now_ns)
    fences = [row.fence for row in orders.open()]
    assert fences == sorted(set(fences))
    assert len(fences) == 5


@pytest.mark.parametrize(
    ("gateway", "point", "lasts_ns", "told"),
    [
        ("gw-9", "pump/valve", MINUTE_NS, "no such gateway"),
        ("gw-1", "pump/speed", MINUTE_NS, "what can: pump/valve"),
        ("gw-1", "valve", MINUTE_NS, "cannot be set"),
        ("gw-1", "pump/valve", 0, "at most 24 h"),
        ("gw-1", "pump/valve", LONGEST_NS + 1, "at most 24 h"),
    ],
)
def test_what_cannot_be_ordered_is_told(orders: Orders, gateway: str, point: str, lasts_ns: int, told: str) -> None:
    with pytest.raises(StoreError, match=told):
        orders.give(gateway, point, 1.0, lasts_ns, "kim", NOW_NS)
    assert not orders.newest()


def test_a_revoked_gateway_gets_no_orders(orders: Orders, catalogue: Catalogue) -> None:
    with catalogue.act(NOW_NS, "test", "revoke", "gw-1"):
        catalogue.put_gateway("gw-1", "revoked", NOW_NS)
    with pytest.raises(StoreError, match="no such gateway"):
        give(orders)


def test_fates_only_go_forward(orders: Orders) -> None:
    order = give(orders)
    orders.set(order, "sent", "", NOW_NS)
    fates = ["accepted", "applied", "clamped", "applied", "accepted", "expired", "applied", "rejected"]
    assert [report(orders, order, fate) for fate in fates] == [
        "accepted", "applied", "clamped", "applied", "applied", "expired", "expired", "rejected",
    ]  # fmt: skip


def test_nobody_speaks_for_another_gateway(orders: Orders) -> None:
    order = give(orders)
    assert report(orders, order, "applied", gateway="gw-2") == "waiting"


def test_an_all_stop_revokes_what_waits_and_waits_itself(orders: Orders) -> None:
    waiting, other = give(orders), give(orders, "gw-2")
    (stop,) = orders.stop(["gw-1"], "kim", NOW_NS, "drill")
    assert (stop.id, stop.stops) == (stop_id(stop.fence), True)
    fates = {row.id: row.fate for row in orders.newest()}
    assert fates == {waiting: "revoked", other: "waiting", stop.id: "waiting"}
    assert [row.id for row in orders.newest("gw-1")] == [stop.id, waiting]


def test_a_server_sees_what_a_verb_wrote(orders: Orders, catalogue: Catalogue) -> None:
    assert orders.changed()
    assert not orders.changed()
    verb = Catalogue(catalogue.path)
    give(Orders(verb))
    verb.close()
    assert orders.changed()
    assert not orders.changed()
