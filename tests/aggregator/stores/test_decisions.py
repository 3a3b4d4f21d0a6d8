"""Decisions beside orders: a change, its orders and the audit are one, and only the first of two that have read."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from aggregator.stores import StoreError
from aggregator.stores.catalogue import Catalogue, Point
from aggregator.stores.decisions import DecisionRow, Decisions, Wish
from aggregator.stores.orders import Orders, Report

NOW_NS = 1_800_000_000_000_000_000
MINUTE_NS = 60_000_000_000
ROW = DecisionRow("d-1", "energy", "proposed", False, 0, NOW_NS, NOW_NS, "{}")
VALVE = "pump/valve"


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    one = Catalogue(tmp_path / "catalogue.sqlite")
    for gateway in ("gw-1", "gw-2"):
        with one.act(NOW_NS, "test", "enrol", gateway):
            one.put_gateway(gateway, "enrolled", NOW_NS)
        one.put_points(
            gateway, "", [Point(gateway, "pump", "valve", "%", "x", "percentage", "", True, False, True)], b""
        )
    yield one
    one.close()


def wish(act: int, gateway: str = "gw-1", point: str = VALVE) -> Wish:
    return Wish(act, gateway, point, 40.0, MINUTE_NS, "peak")


def test_only_the_first_of_two_changes_it(catalogue: Catalogue) -> None:
    decisions = Decisions(catalogue)
    decisions.put(ROW, "planner", "a plan")
    (read,) = decisions.open()
    assert read.version == 1
    assert decisions.change(replace(read, state="dispatched"), "a", "dispatched", "", [wish(0)])
    assert not decisions.change(replace(read, state="dispatched"), "b", "dispatched", "", [wish(0)])
    assert len(Orders(catalogue).newest()) == 1
    assert [one.act for one in catalogue.audit() if one.subject == "d-1"] == ["propose", "dispatched"]
    order = Orders(catalogue).newest()[0]
    Orders(catalogue).report([Report("gw-1", order.id, "applied", "so", 40.0, NOW_NS)])
    assert decisions.told("d-1") == {0: (order.id, "applied", "so")}
    assert (decisions.get("d-1").state, decisions.get("d-1").version) == ("dispatched", 2)


def test_an_order_that_cannot_be_leaves_everything_as_it_was(catalogue: Catalogue) -> None:
    decisions = Decisions(catalogue)
    decisions.put(ROW, "planner", "")
    (read,) = decisions.open()
    with pytest.raises(StoreError, match="cannot be set"):
        decisions.change(
            replace(read, state="dispatched"), "a", "dispatched", "", [wish(0), wish(1, point="pump/none")]
        )
    assert decisions.open() == [read]
    assert Orders(catalogue).newest() == []


def test_what_is_withdrawn(catalogue: Catalogue) -> None:
    """What waits goes no more; what is out is revoked, where nobody else's order stands."""
    decisions, orders = Decisions(catalogue), Orders(catalogue)
    decisions.put(ROW, "planner", "")
    (read,) = decisions.open()
    decisions.change(read, "a", "dispatched", "", [wish(0), wish(1, "gw-2")])
    mine = {row.gateway: row for row in orders.newest()}
    orders.report([Report(gateway, row.id, "applied", "", 40.0, NOW_NS) for gateway, row in mine.items()])
    decisions.change(replace(read, version=2), "a", "look after", "", [wish(2)])
    kim = orders.give("gw-2", VALVE, 0.0, MINUTE_NS, "kim", NOW_NS)
    ended = replace(read, version=3, state="rejected", over=True)
    assert decisions.change(ended, "a", "rejected", "halted", withdraw=True)
    fates = {row.id: row.fate for row in orders.newest()}
    assert fates[kim.id] == "waiting"
    assert fates[mine["gw-2"].id] == "applied"  # until its end, which is near
    assert sorted(row.gateway for row in orders.newest() if row.stops) == ["gw-1"]
    assert list(fates.values()).count("revoked") == 1
    assert decisions.stops() == {}  # nobody's all-stop: other decisions go on
    orders.stop(["gw-2"], "kim", NOW_NS + 1, "smoke")
    assert decisions.stops() == {"gw-2": (NOW_NS + 1, "kim smoke")}
    assert decisions.open() == []
    assert decisions.newest()[0].over


def test_limits_that_help(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    decisions = Decisions(catalogue)
    monkeypatch.setattr("aggregator.stores.decisions.OPEN_MAX", 1)
    decisions.put(ROW, "planner", "")
    with pytest.raises(StoreError, match="1 decisions are open"):
        decisions.put(replace(ROW, id="d-2"), "planner", "")
    monkeypatch.setattr("aggregator.stores.decisions.BYTES_MAX", 1)
    with pytest.raises(StoreError, match="plan less"):
        decisions.put(replace(ROW, id="d-3"), "planner", "")
    assert decisions.enrolled() == 2
