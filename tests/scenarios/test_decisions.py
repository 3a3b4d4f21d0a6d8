"""A decision's whole way: the twin's plan, a person's approval, orders, a register of a device, and receipts back."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aggregator.stores import StoreError
from aggregator.stores.city import CityStore
from tests.bench.gateway import agent
from tests.scenarios.test_orders import PATIENCE_S, Town, built

CITY = """
[city]
name = "One pond that often overflows"

[blueprint]
step_s = 10
noise_m = 0.05

[[blueprint.pond]]
id = "pond"
rim_m = 0.1
pump_m = 0.2

[[point]]
point = "gw-bench/d0/actuator"
asset = "pond"
quantity = "water_flow"
sets = true
scale = 0.01
"""
Row = dict[str, Any]


def decision(town: Town, name: str, reached: Callable[[Row], bool]) -> Row:
    """As it is once it is as wanted."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        (row,) = town.say("decisions", "show", name)
        if reached(row):
            return dict(row)
        time.sleep(0.1)
    raise AssertionError(
        f"not reached: {json.dumps(row)[:2000]}\n{(town.folder / 'aggregator.log').read_text()[-2000:]}"
    )


def kept(town: Town) -> bool:
    """Whether the server has kept a first checkpoint."""
    try:
        store = CityStore(town.aggregator.parent / "city.sqlite", read_only=True)
    except StoreError:
        return False
    try:
        return bool(store.checkpoints()[1])
    finally:
        store.close()


def test_a_plan_is_approved_carried_out_and_stopped(tmp_path: Path) -> None:
    city = tmp_path / "city.toml"
    city.write_text(CITY)
    with built(tmp_path, city) as town, agent(town.folder, town.gateway):
        town.connected()
        town.until(lambda _: kept(town))
        (row,) = town.say("decisions", "propose", "--horizon", "5m", "--as", "planner")
        name = row["decision"]
        assert name, row
        assert town.orders() == {}
        town.say("decisions", "approve", name, "--as", "ada")
        found = decision(town, name, lambda one: one["state"] == "effective")
        assert [one[0] for one in found["approvals"]] == ["ada"]
        orders = [row for row in town.orders().values() if row["issuer"] == f"decision {name}"]
        assert orders
        assert {one["fate"] for one in orders} <= {"applied", "sent", "accepted", "expired", "superseded"}
        first = found["orders"]["0"]["order"]
        value = next(row["value"] for row in orders if row["id"] == first)
        assert abs(value - found["acts"][0][3]) < 1e-9
        town.say("all-stop", "gw-bench", "--why", "drill is over")
        ended = decision(town, name, lambda one: one["state"] == "rejected")
        assert "drill is over" in ended["reason"]
        count = len(town.orders())
        time.sleep(2.5)  # the steward has looked twice since: nothing more is ordered
        assert len(town.orders()) == count
