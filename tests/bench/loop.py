"""Ticks of the control loop that end more than a period late, while everything around the loop goes wrong.

Two gateways at once, one at 10 ms and one at 100 ms. Each has ten devices (five are read in every tick, one of them is
dead and one slow), three outputs that follow inputs, one of them through a twin with an int8 network, MQTT, and an
aggregator over mTLS. Each trouble has agents of its own; ticks that never began count as late. The negative control is
the agent whose loop writes to the disk inline, on a disk that stalls.
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
from tests.bench.acting import ROOT, devices, echo_bundle, site
from tests.bench.cuts import temporary
from tests.bench.drain import fill
from tests.bench.gateway import BIN, verb, wait_for
from tests.bench.processes import resident_mib, running
from tests.simulators.mqtt_broker import mosquitto_broker
from tests.simulators.preloaded import ClockSteps, DiskFaults

SECONDS = {"full": 600.0, "ci": 30.0}
BACKLOG_H = {"full": 24.0, "ci": 6.0}
PERIODS_MS = (10, 100)
SHARE_MAX = 0.001  # at 10 ms
SETTLE_S = 3.0  # after the start: imports, first connections
FLOOD_HZ = 2000
DAY_S = 86_400
SWAP_S = 5.0
READY_S = 20.0  # until the loop ticks: a model's trial comes first
RESIDENT_MAX_MIB = 90
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
    clock: ClockSteps
    process: "subprocess.Popen[bytes] | None" = None
    resident_mib: float = 0.0
    first: dict[str, float] = field(default_factory=dict)
    begun: float = 0.0

    def environment(self, trouble: str) -> dict[str, str]:
        return self.clock.environment if TROUBLES[trouble] is clock_steps else self.disk.environment

    def gauges(self) -> dict[str, float]:
        report = status.ask(self.folder / "edge")
        assert report is not None
        found: Any = report["gauges"]
        return dict(found)

    def begin(self) -> None:
        deadline = time.monotonic() + READY_S
        while "control_ticks_total" not in (now := self.gauges()) and time.monotonic() < deadline:
            time.sleep(0.1)
        self.first, self.begun = now, time.monotonic()

    def late(self) -> tuple[int, int]:
        """(late or never begun, due) since `begin`."""
        now = self.gauges()
        assert self.process is not None
        self.resident_mib = resident_mib(self.process.pid)
        ticks, late, missed = (int(now[f"control_{k}_total"] - self.first[f"control_{k}_total"]) for k in ("ticks", "late", "missed"))  # fmt: skip  # noqa: E501
        expected = int((time.monotonic() - self.begun) * 1000 / self.period_ms)  # while a loop is built anew none ticks
        never = max(0, expected - ticks - missed - 2)
        return late + missed + never, ticks + missed + never


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
    for seconds in (DAY_S, -DAY_S, 0):
        for one in scene.gateways:
            one.clock.now(seconds)
        scene.rest(1 / 3)


def model_swap(scene: Scene) -> None:
    """A new model every five seconds: its trial in a process beside, then it steps beside the one in service."""
    for number in range(max(1, int(scene.seconds / SWAP_S))):
        due = time.monotonic() + SWAP_S
        for one in scene.gateways:
            bundle = one.folder / "next.ctb"
            bundle.write_bytes(echo_bundle(one.period_ms, f"{number + 2}"))
            verb("edge-agent", "models", "install", bundle, "--twin", "echo0", "--config", one.config)
        time.sleep(max(0.0, due - time.monotonic()))


TROUBLES: dict[str, Callable[[Scene], None]] = {
    "quiet": quiet,
    "backlog drains": draining,
    "disk full": disk_full,
    "fdatasync stalls 400 ms": disk_stalls,
    "aggregator stopped, then dead": no_aggregator,
    "MQTT flood": flood,
    "clock ±1 day": clock_steps,
    "model swap": model_swap,
}


def gateway(folder: Path, period_ms: int, ports: Sequence[int], head: str, broker: str) -> Gateway:
    folder.mkdir()
    text = site(
        folder, ports, period_ms=period_ms, outputs=3, twins=1, slower=range(3, 8), head=head, tail=broker + FLOODED
    )
    name = f"gw-{period_ms}ms"
    text.write_text(text.read_text().replace("gw-bench", name))
    (folder / "profiles" / "flood.toml").write_text(FLOOD_PROFILE)
    return Gateway(
        name, period_ms, folder, text, DiskFaults(folder / "disk", folder / "edge"), ClockSteps(folder / "clock")
    )


@contextmanager
def scene(folder: Path, trouble: str, seconds: float, backlog_h: float, command: Sequence[str]) -> Iterator[Scene]:
    """Everything started and settled; `command` runs an agent."""
    with ExitStack() as stack:
        broker = stack.enter_context(mosquitto_broker(folder / "broker"))
        state = folder / "aggregator"
        verb("aggregator", "init", state)
        file = state / "aggregator.toml"
        file.write_text(file.read_text().replace(":7443", ":0").replace(":7444", ":0").replace(":7480", ":0"))
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
            one.process = stack.enter_context(running(words, log, one.environment(trouble), ROOT))
            wait_for(one.folder / "edge" / "status.sock", one.process, log)
        time.sleep(0.0 if backlog_h else SETTLE_S)
        yield Scene(seconds, gateways, process, broker.port)


def trial(trouble: str, seconds: float, backlog_h: float = 0.0, command: Sequence[str] = (str(BIN / "edge-agent"), "run")) -> Mapping[int, tuple[int, int, float]]:  # fmt: skip  # noqa: E501
    """(late, due, resident MiB) ticks by period of one trouble."""
    with temporary() as folder, scene(Path(folder), trouble, seconds, backlog_h, command) as now:
        for one in now.gateways:
            one.begin()
        TROUBLES[trouble](now)
        return {one.period_ms: (*one.late(), one.resident_mib) for one in now.gateways}


def run(scale: str) -> Iterator[Figure]:
    seconds = SECONDS[scale]
    for trouble in TROUBLES:
        begun = time.monotonic()
        found = trial(trouble, seconds, BACKLOG_H[scale] if trouble == "backlog drains" else 0.0)
        (late, due, resident), (slow_late, slow_due, _) = found[10], found[100]
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
        if trouble == "quiet":
            yield Figure("loop-rss", round(resident, 1), "MiB resident, the whole agent with a model, Modbus, MQTT, sync", f"≤ {RESIDENT_MAX_MIB}", resident <= RESIDENT_MAX_MIB)  # fmt: skip  # noqa: E501
    inline = (sys.executable, "-m", "tests.simulators.syncing_loop")
    found = trial("fdatasync stalls 400 ms", min(seconds, 30.0), command=inline)
    late, due, _ = found[10]
    beside = {"late at 100 ms": found[100][0], "ticks at 10 ms": due}
    worst = 100 * late / max(1, due)
    yield Figure("loop, negative control: fdatasync inline", round(worst, 1), "% late at 10 ms", "> 0.1 %", worst > 0.1 and found[100][0] > 0, beside)  # fmt: skip  # noqa: E501
