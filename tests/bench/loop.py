"""Ticks of the control loop that end more than a period late, while everything around the loop goes wrong.

Two gateways at once, one at 10 ms and one at 100 ms, each with ten devices of which one is dead and one slow, three
outputs that follow inputs, and an aggregator over mTLS. Each trouble has agents of its own; ticks that were never begun
count as late. The negative control is the agent whose loop writes to the disk inline, on a disk that stalls.
"""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.local import status
from tests.bench import Figure
from tests.bench.acting import ROOT, devices, site
from tests.bench.clocks import library as faketime
from tests.bench.cuts import temporary
from tests.bench.drain import fill
from tests.bench.gateway import BIN, verb, wait_for
from tests.bench.processes import running
from tests.simulators.disk_faults import DiskFaults
from tests.simulators.mqtt_broker import mosquitto_broker

SECONDS = {"full": 600.0, "ci": 30.0}
BACKLOG_H = {"full": 24.0, "ci": 6.0}
PERIODS_MS = (10, 100)
SHARE_MAX = 0.001  # at 10 ms
SETTLE_S = 3.0  # after the start: imports, first connections
FLOOD_HZ = 2000
BROKER = '[[broker]]\nname = "broker"\nhost = "127.0.0.1"\nport = {port}\n'
FLOODED = '[[device]]\nname = "flood"\nprofile = "flood"\nconnection = "broker"\ntopic = "flood"\n'
FLOOD_PROFILE = """
name = "A flood"
domain = "services"
category = "meter"
grade = "A"
source = "this benchmark"
points = [ { name = "v", quantity = "percentage", unit = "%", topic = "", path = "v" } ]
[mqtt]
payload = "json"
"""


@dataclass
class Gateway:
    """One agent of a trouble."""

    name: str
    period_ms: int
    folder: Path
    config: Path
    disk: DiskFaults
    process: "subprocess.Popen[bytes] | None" = None
    first: dict[str, float] = field(default_factory=dict)

    def gauges(self) -> dict[str, float]:
        report = status.ask(self.folder / "edge")
        assert report is not None
        found: Any = report["gauges"]
        return dict(found)

    def begin(self) -> None:
        self.first = self.gauges()

    def late(self) -> tuple[int, int]:
        """(late or never begun, due) since `begin`."""
        now = self.gauges()
        ticks, late, missed = (int(now[f"control_{k}_total"] - self.first[f"control_{k}_total"]) for k in ("ticks", "late", "missed"))  # fmt: skip  # noqa: E501
        return late + missed, ticks + missed


@dataclass
class Scene:
    """Both gateways at work, and what a trouble may do to them."""

    seconds: float
    gateways: Sequence[Gateway]
    aggregator: "subprocess.Popen[bytes]"
    broker_port: int

    def rest(self, share: float = 1.0) -> None:
        time.sleep(self.seconds * share)


def quiet(scene: Scene) -> None:
    scene.rest()


def draining(scene: Scene) -> None:
    """Until the backlog of the faster gateway is gone, at most the time of a trouble."""
    deadline = time.monotonic() + scene.seconds
    while time.monotonic() < deadline and scene.gateways[0].gauges()["buffer_backlog_batches"] > 10:
        time.sleep(0.25)


def disk_full(scene: Scene) -> None:
    for one in scene.gateways:
        one.disk.now("full")
    scene.rest()


def disk_stalls(scene: Scene) -> None:
    for one in scene.gateways:
        one.disk.now("stall 400")
    scene.rest()


def no_aggregator(scene: Scene) -> None:
    scene.aggregator.send_signal(signal.SIGSTOP)
    scene.rest(0.5)
    scene.aggregator.send_signal(signal.SIGKILL)
    scene.rest(0.5)


def flood(scene: Scene) -> None:
    count = int(FLOOD_HZ * scene.seconds)
    words = ["tests.simulators.mqtt_publisher", str(scene.broker_port), "flood", str(count), "1", str(FLOOD_HZ)]
    publisher = subprocess.Popen([sys.executable, "-m", *words], cwd=ROOT)
    scene.rest()
    publisher.kill()
    publisher.wait()


def clock_steps(scene: Scene) -> None:
    for offset in ("+86400", "-86400", "+0"):
        for one in scene.gateways:
            fresh = one.folder / "faketime.new"
            fresh.write_text(offset + "\n")
            fresh.replace(one.folder / "faketime")
        scene.rest(1 / 3)


TROUBLES: dict[str, Callable[[Scene], None]] = {
    "quiet": quiet,
    "backlog drains": draining,
    "disk full": disk_full,
    "fdatasync stalls 400 ms": disk_stalls,
    "aggregator stopped, then dead": no_aggregator,
    "MQTT flood": flood,
    "clock ±1 day": clock_steps,
}


def environment(trouble: str, gateway: Gateway) -> dict[str, str]:
    if trouble != "clock ±1 day":
        return gateway.disk.environment
    (gateway.folder / "faketime").write_text("+0\n")
    return {
        "LD_PRELOAD": str(faketime()),
        "FAKETIME_TIMESTAMP_FILE": str(gateway.folder / "faketime"),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_CACHE_DURATION": "1",
    }


def gateway(folder: Path, period_ms: int, ports: Sequence[int], head: str, broker: str) -> Gateway:
    folder.mkdir()
    text = site(folder, ports, period_ms=period_ms, outputs=3, head=head, tail=broker + FLOODED)
    name = f"gw-{period_ms}ms"
    text.write_text(text.read_text().replace("gw-bench", name))
    (folder / "profiles" / "flood.toml").write_text(FLOOD_PROFILE)
    return Gateway(name, period_ms, folder, text, DiskFaults(folder / "disk", folder / "edge"))


@contextmanager
def scene(folder: Path, trouble: str, seconds: float, backlog_h: float, command: Sequence[str]) -> Iterator[Scene]:
    """Everything started and settled; `command` runs an agent."""
    with ExitStack() as stack:
        broker = stack.enter_context(mosquitto_broker(folder / "broker"))
        state = folder / "aggregator"
        verb("aggregator", "init", state)
        file = state / "aggregator.toml"
        file.write_text(file.read_text().replace(":7443", ":0").replace(":7444", ":0"))
        process = stack.enter_context(running([BIN / "aggregator", "serve", file], folder / "aggregator.log"))
        wait_for(state / "endpoints.json", process, folder / "aggregator.log")
        ends = json.loads((state / "endpoints.json").read_text())
        head = f'[aggregator]\naddress = "{ends["sync"]}"\nenrol_address = "{ends["enrolment"]}"\n[buffer]\ncommit_ms = 1000\n'  # noqa: E501
        gateways = []
        for period_ms in PERIODS_MS:
            found = stack.enter_context(devices("--ports", "10", "--echo-ms", "53", "--slow", "9:0.3", "--dead", "10"))
            one = gateway(folder / str(period_ms), period_ms, found.ports, head, BROKER.format(port=broker.port))
            token = verb("aggregator", "enrol-token", one.name, "-c", file).strip()
            verb("edge-agent", "enrol", one.config, "--token", token)
            gateways.append(one)
        if backlog_h:
            asyncio.run(fill(gateways[0].folder / "edge", backlog_h, gateways[0].name))
        for one in gateways:
            words = [*command, str(one.config)]
            log = one.folder / "agent.log"
            one.process = stack.enter_context(running(words, log, environment(trouble, one), ROOT))
            wait_for(one.folder / "edge" / "status.sock", one.process, log)
        time.sleep(0.0 if backlog_h else SETTLE_S)
        yield Scene(seconds, gateways, process, broker.port)


def trial(trouble: str, seconds: float, backlog_h: float = 0.0, command: Sequence[str] = (str(BIN / "edge-agent"), "run")) -> Mapping[int, tuple[int, int]]:  # fmt: skip  # noqa: E501
    """(late, due) ticks by period of one trouble."""
    with temporary() as folder, scene(Path(folder), trouble, seconds, backlog_h, command) as now:
        for one in now.gateways:
            one.begin()
        TROUBLES[trouble](now)
        return {one.period_ms: one.late() for one in now.gateways}


def run(scale: str) -> Iterator[Figure]:
    seconds = SECONDS[scale]
    for trouble in TROUBLES:
        begun = time.monotonic()
        found = trial(trouble, seconds, BACKLOG_H[scale] if trouble == "backlog drains" else 0.0)
        (late, due), (slow_late, slow_due) = found[10], found[100]
        share = late / max(1, due)
        beside = {"late of": late, "ticks at 10 ms": due, "late at 100 ms": slow_late, "ticks at 100 ms": slow_due}
        yield Figure(
            f"loop, {trouble}",
            round(100 * share, 4),
            "% of ticks late at 10 ms",
            "≤ 0.1 % at 10 ms, 0 at 100 ms",
            share <= SHARE_MAX and slow_late == 0 and due > 0 and slow_due > 0,
            beside,
            time.monotonic() - begun,
        )
    inline = (sys.executable, "-m", "tests.simulators.syncing_loop")
    found = trial("fdatasync stalls 400 ms", min(seconds, 30.0), command=inline)
    late, due = found[10]
    beside = {"late at 100 ms": found[100][0], "ticks at 10 ms": due}
    worst = 100 * late / max(1, due)
    yield Figure("loop, negative control: fdatasync inline", round(worst, 1), "% late at 10 ms", "> 0.1 %", worst > 0.1 and found[100][0] > 0, beside)  # fmt: skip  # noqa: E501
