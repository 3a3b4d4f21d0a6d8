"""An order's whole way: an operator's verb, aggregator, gateway, a register of a device, and its fate back."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from aggregator.cli import main
from edge_agent.local import status
from tests.bench import acting
from tests.bench.gateway import BIN, agent, verb, wait_for
from tests.bench.processes import running

PATIENCE_S = 60.0
POINT = "d0/actuator"
Row = dict[str, Any]


@dataclass
class Town:
    """One aggregator, and a gateway file with one output that a controller of its own keeps at the input's value."""

    folder: Path
    aggregator: Path
    gateway: Path
    device: acting.Devices

    def say(self, *words: str) -> Any:
        """A verb of the aggregator, in this process; its JSON."""
        with redirect_stdout(StringIO()) as said:
            assert main([*words, "--json", "-c", str(self.aggregator)]) == 0
        return json.loads(said.getvalue())

    def order(self, value: float, *words: str) -> str:
        return str(self.say("order", "gw-bench", POINT, str(value), *words)["id"])

    def orders(self) -> dict[str, Row]:
        return {row["id"]: row for row in self.say("orders")}

    def connected(self) -> None:
        """Until the gateway has said which points can be set."""
        self.until(lambda _: '"connected": true' in json.dumps(status.ask(self.folder / "edge")))

    def until(self, reached: Callable[[dict[str, Row]], bool]) -> dict[str, Row]:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if reached(rows := self.orders()):
                return rows
            time.sleep(0.05)
        raise AssertionError(f"not reached: {self.orders()}\n{(self.folder / 'agent.log').read_text()[-2000:]}")

    def fate(self, order: str, *fates: str) -> Row:
        return self.until(lambda rows: order in rows and rows[order]["fate"] in fates)[order]


@contextmanager
def aggregator(folder: Path, city: Path | None = None) -> Iterator[Path]:
    state = folder / "aggregator"
    with redirect_stdout(StringIO()):
        assert main(["init", str(state)]) == 0
    file = state / "aggregator.toml"
    text = file.read_text().replace(":7443", ":0").replace(":7444", ":0").replace(":7480", ":0")
    file.write_text(text if city is None else text.replace('# file = "city.toml"', f'file = "{city}"'))
    with running([BIN / "aggregator", "serve", file], folder / "aggregator.log") as server:
        wait_for(state / "endpoints.json", server, folder / "aggregator.log")
        yield file


@contextmanager
def built(folder: Path, city: Path | None = None) -> Iterator[Town]:
    """With a gateway that is enrolled."""
    with aggregator(folder, city) as file, acting.devices("--ports", "1", "--echo-ms", "600000") as device:
        addresses = json.loads((file.parent / "endpoints.json").read_text())
        link = f'[aggregator]\naddress = "{addresses["sync"]}"\nenrol_address = "{addresses["enrolment"]}"\n'
        gateway = acting.site(folder, device.ports, period_ms=100, head=link, outputs=1)
        found = Town(folder, file, gateway, device)
        verb("edge-agent", "enrol", gateway, "--token", found.say("enrol-token", "gw-bench")["token"])
        yield found


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with built(tmp_path) as found:
        yield found


def test_an_order_is_applied_and_taken_back(town: Town) -> None:
    with agent(town.folder, town.gateway) as process:
        town.connected()
        first = town.order(40, "--for", "5m", "--why", "drill")
        row = town.fate(first, "applied")
        assert (row["decided"], row["why"]) == (40.0, "drill")
        urgent = town.order(60, "--for", "5m", "--emergency")
        assert town.fate(urgent, "applied")["decided"] == 60.0
        assert town.fate(first, "clamped")["reason"].startswith("emergency-order decides")
        beyond = town.order(200, "--for", "5m")
        assert "is outside 0 to 100" in town.fate(beyond, "rejected")["reason"]
        town.say("all-stop", "gw-bench", "--why", "drill is over")
        assert "all-stop" in town.fate(urgent, "superseded")["reason"]
        town.fate(first, "superseded")
        again = town.order(30, "--for", "5m")
        town.fate(again, "applied")
        process.send_signal(signal.SIGKILL)
        process.wait()
    with agent(town.folder, town.gateway):
        assert "restarted" in town.fate(again, "expired")["reason"]


def test_what_cannot_be_delivered_in_time_is_never_delivered(town: Town) -> None:
    with agent(town.folder, town.gateway):
        town.connected()
    late = town.order(40, "--for", "1s")
    waits = town.order(50, "--for", "10m")
    assert "not there in time" in town.fate(late, "undelivered")["reason"]
    with agent(town.folder, town.gateway):
        assert town.fate(waits, "applied")["decided"] == 50.0
        assert town.orders()[late]["fate"] == "undelivered"
