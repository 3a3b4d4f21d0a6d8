"""A whole server with a city: what a person approves in another process becomes an order that dispatch has in hand."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from aggregator.decisions.decision import Act, Decision, State, unpacked
from aggregator.decisions.steward import row_of
from aggregator.stores.catalogue import Catalogue, Point
from aggregator.stores.decisions import Decisions
from protos.clock import NS
from tests.aggregator.city.ponds import two_hills
from tests.aggregator.decisions.table import decided
from tests.aggregator.serving import prepare, serving

WAIT_S = 10.0


def for_now(now_ns: int) -> Decision:
    act = Act("gw-a", "pump/rate", "water_flow", 0.1, now_ns, now_ns + 600 * NS)
    one = replace(decided(1), acts=(act,), proposed_ns=now_ns, decide_by_ns=now_ns + 300 * NS, changed_ns=now_ns)
    return replace(one, needs=one.needs._replace(persons=1))


async def test_from_an_approval_to_an_order_in_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with two_hills(tmp_path, monkeypatch) as path:
        config = replace(prepare(tmp_path / "state"), city=path)
        catalogue = Catalogue(config.catalogue)
        catalogue.put_gateway("gw-a", "enrolled", 1)
        point = Point("gw-a", "pump", "rate", "m", "services", "water_flow", "", True, False, True)
        catalogue.put_points("gw-a", "north", [point], b"")
        decisions, now_ns = Decisions(catalogue), time.time_ns()
        one = for_now(now_ns)
        async with serving(config) as app:
            decisions.put(row_of(one), "planner", "a plan")
            approved = one.approve("ada", now_ns)
            assert decisions.change(row_of(approved, 1), "ada", "approve", "")
            async with asyncio.timeout(WAIT_S):
                while not app.dispatch._open:
                    await asyncio.sleep(0.05)
            (order,) = app.dispatch._open.values()
            assert (order.gateway, order.value, order.issuer) == ("gw-a", 0.1, "decision d-1")
            assert order.not_after_ns <= one.end_ns
            assert unpacked(decisions.get("d-1").content).state is State.DISPATCHED
            assert [told.order for told in decisions.told("d-1").values()] == [order.id]
        catalogue.close()
