"""What the outputs do when whoever set them is gone: at their safe value within their TTL and one period, every time.

One gateway with three kinds of outputs on simulated devices over Modbus TCP, five of each: set by orders of a real
aggregator, by a controller on a twin, by a controller on a reading. Four things end them:

    central    the aggregator is stopped while its orders count; nobody can renew them
    nan        the inputs of the twins go where their model gives no numbers (it passed its trial)
    hung       the agent is stopped (SIGSTOP); the device's own timeout is what is left
    killed     the agent is killed (SIGKILL); likewise

Each event counts once for each of its five outputs. Their TTLs differ and are no multiples of the period. The control
is the same gateway with TTLs of an hour and devices without a timeout of their own, held to the same times: it must
fail every time.
"""

import contextlib
import io
import json
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aggregator.cli import main as aggregator_main
from aggregator.learning.bundling import Linear, make
from edge_agent.local import status
from edge_agent.rollout.shelf import Shelf
from edge_agent.rollout.state import Model, State
from protos.model import Manifest, Variable
from tests.bench import Figure
from tests.bench.acting import DEVICE, FOLLOW, OUTPUT, Devices, devices
from tests.bench.gateway import BIN, READY_S, verb, wait_for
from tests.bench.processes import running
from tests.simulators.bundles import signing_key, write_trust

EVENTS = {"full": 50, "ci": 3}  # of each kind
EACH = 5  # outputs of each kind
PERIOD_S = 0.1
TTLS_S = (0.31, 0.37, 0.43, 0.52, 0.67)
NEVER_S = 3600.0
ORDER_S = 4.0  # time enough to arrive
PATIENCE_S = 30.0
FRESH_S = PERIOD_S / 2  # an estimate is new in every tick; one that is not is no ground to act on
GOOD_S = 2.2  # holds a whole second of the rules' counting: three bad ones in a row would take the model away
TRIGGER = 2  # the register whose value the model cannot bear
ORDERED, ON_TWIN, ON_READING = (range(k * EACH, (k + 1) * EACH) for k in range(3))
PROFILE = """
name = "A device with a time-out of its own"
domain = "services"
category = "pump drive"
grade = "A"
source = "this benchmark"
points = [
  { name = "input", quantity = "water_level", unit = "m", scale = 0.001, address = 0 },
  { name = "trigger", quantity = "pump_speed", unit = "%", scale = 0.1, address = 2 },
  { name = "actuator", quantity = "pump_speed", unit = "%", scale = 0.1, address = 10, write_function = 6, \
    access = "rw" },
]
[modbus]
function = 3
type = "u16"
max_gap = 16
timeout_ms = 500
"""
TWIN = """
[[twin]]
name = "twin{k}"
bundle = "fragile.ctb"
points = {{ level = "d{k}/input", one = "d{k}/trigger", other = "d{k}/trigger" }}
"""


def fragile() -> bytes:
    """A twin that is right until its inputs leave zero: then ∞ − ∞ in single precision, which is no number."""
    manifest = Manifest(
        name="fragile",
        version="1",
        asset_class="fragile",
        period_ns=int(PERIOD_S * 1e9),
        states=(Variable.of("level", "water_level"),),
        channels=(Variable.of("level", "water_level"),),
        inputs=(Variable.of("one", "pump_speed"), Variable.of("other", "pump_speed")),
        made_at="2026-01-01T00:00:00Z",
    )
    unit = np.ones((1, 1))
    linear = Linear(
        A=unit,
        B=np.array([[1e38, -1e38]]),
        H=unit,
        Q=0.1 * unit,
        R=1e-4 * unit,
        x0=np.array([0.5]),
        u0=np.zeros(2),
        f0=np.array([0.5]),
        y0=np.array([0.5]),
        x_low=np.array([-10.0]),
        x_high=np.array([10.0]),
        u_sd=np.full(2, 1e-3),
    )
    return make(manifest, linear, card="# Fragile\n\nMade for figures.\n", keys=[signing_key()])


def write_register(port: int, address: int, value: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(struct.pack(">HHHBBHH", 1, 0, 6, 1, 6, address, value))
        line.recv(64)


@dataclass
class Outcome:
    """Of one kind of event: how long each output took to its safe value, beyond what it may take, seconds."""

    late_s: list[float] = field(default_factory=list)  # negative: in time

    @property
    def failed(self) -> int:
        return sum(one > 0 for one in self.late_s)


@dataclass
class Scene:
    folder: Path
    config: Path
    aggregator_config: Path
    aggregator: "subprocess.Popen[bytes]"
    devices: Devices
    stack: ExitStack
    agent: "subprocess.Popen[bytes]" = field(init=False)

    def start(self) -> None:
        self.agent = self.stack.enter_context(running([BIN / "edge-agent", "run", self.config], self.log))
        wait_for(self.folder / "edge" / "status.sock", self.agent, self.log)

    def restart(self, *, anew: bool = False) -> None:
        """`anew`: with the twins' model in service, though the rules took it back."""
        self.agent.kill()
        self.agent.wait()
        if anew:
            put_in_service(self.folder / "edge")
        (self.folder / "edge" / "status.sock").unlink(missing_ok=True)
        self.start()

    def gauges(self) -> dict[str, float]:
        report: Any = status.ask(self.folder / "edge")
        return dict(report["gauges"])

    @property
    def log(self) -> Path:
        return self.folder / "agent.log"

    def values(self) -> Sequence[int]:
        found: Sequence[int] = self.devices.ask()["actuators"]
        return found

    def until(self, which: range, wanted: Callable[[int], bool], patience_s: float = PATIENCE_S) -> bool:
        deadline = time.monotonic() + patience_s
        while not all(wanted(self.values()[k]) for k in which):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def acting(self, which: range) -> None:
        """Until all of these are away from their safe value."""
        if not self.until(which, lambda value: value != 0):
            raise RuntimeError(f"outputs never acted: {self.values()}\n{self.log.read_text()[-3000:]}")

    def judge(self, which: range, deadlines_s: Sequence[float]) -> list[float]:
        """How late each output was at its safe value, on the clock of `deadlines_s` (monotonic)."""
        self.until(which, lambda value: value == 0, max(deadlines_s) + 0.5 - time.monotonic())
        said, late = self.devices.ask(), []
        for k, deadline in zip(which, deadlines_s, strict=True):
            safe = said["actuators"][k] == 0
            late.append((said["log"][k][-1][0] if safe else said["now"] + NEVER_S) - deadline)
        return late

    def deadlines(self, which: range, begun_s: float) -> list[float]:
        return [begun_s + TTLS_S[k % EACH] + PERIOD_S for k in which]


def central(scene: Scene) -> list[float]:
    ends = []
    to_monotonic = time.monotonic() - time.time()
    for k in ORDERED:
        words = ["order", "gw-bench", f"d{k}/actuator", "40", "--for", f"{ORDER_S:g}s", "--json"]
        with contextlib.redirect_stdout(io.StringIO()) as said:
            assert aggregator_main([*words, "-c", str(scene.aggregator_config)]) == 0
        ends.append(json.loads(said.getvalue())["not_after_ns"] / 1e9 + to_monotonic)
    scene.acting(ORDERED)
    scene.aggregator.send_signal(signal.SIGSTOP)
    error_s = scene.gauges()["sync_clock_error_seconds"]  # as the gateway itself states: an order ends by its clock
    late = scene.judge(ORDERED, [end + PERIOD_S + error_s for end in ends])
    scene.aggregator.send_signal(signal.SIGCONT)
    return late


def nan(scene: Scene) -> list[float]:
    if not scene.until(ON_TWIN, lambda value: value != 0, GOOD_S):  # the rules did what they are there for
        scene.restart(anew=True)
    scene.acting(ON_TWIN)
    for k in ON_TWIN:
        write_register(scene.devices.ports[k], TRIGGER, 500)
    late = scene.judge(ON_TWIN, scene.deadlines(ON_TWIN, time.monotonic()))
    for k in ON_TWIN:
        write_register(scene.devices.ports[k], TRIGGER, 0)
    time.sleep(GOOD_S)
    return late


def hung(scene: Scene) -> list[float]:
    scene.acting(ON_READING)
    scene.agent.send_signal(signal.SIGSTOP)
    late = scene.judge(ON_READING, scene.deadlines(ON_READING, time.monotonic()))
    scene.restart()  # as the service manager's watchdog does
    return late


def killed(scene: Scene) -> list[float]:
    scene.acting(ON_READING)
    scene.agent.kill()
    late = scene.judge(ON_READING, scene.deadlines(ON_READING, time.monotonic()))
    scene.restart()
    return late


KINDS: dict[str, Callable[[Scene], list[float]]] = {"central": central, "nan": nan, "hung": hung, "killed": killed}


def site(folder: Path, ports: Sequence[int], ends: dict[str, Any], ttls_s: Sequence[float], timeout_s: float) -> Path:
    own = folder / "profiles"
    own.mkdir()
    (own / "prompt.toml").write_text(PROFILE)
    (folder / "fragile.ctb").write_bytes(fragile())
    trust = write_trust(folder / "trust.pem", signing_key())
    parts = [
        f'[gateway]\nid = "gw-bench"\ndistrict = "bench"\nstate_dir = "{folder}/edge"\nprofiles_dir = "{own}"',
        f'[aggregator]\naddress = "{ends["sync"]}"\nenrol_address = "{ends["enrolment"]}"',
        f'[control]\nperiod_ms = {PERIOD_S * 1000:.0f}\ntrust = ["{trust}"]',
    ]
    for k, port in enumerate(ports):
        parts.append(DEVICE.format(k=k, port=port, period_ms=int(PERIOD_S * 1000)))
        refresh = min(TTLS_S) / 2 if timeout_s else 0
        parts.append(OUTPUT.format(k=k, ttl_s=ttls_s[k % EACH], refresh_s=refresh, timeout_s=timeout_s))
        if k in ON_TWIN:
            parts.append(TWIN.format(k=k))
        if k in ON_READING:
            parts.append(FOLLOW.format(k=k, point=f"d{k}/input"))
        elif k in ON_TWIN:
            parts.append(FOLLOW.format(k=k, point=f"twin{k}/level") + f"stale_s = {FRESH_S}\n")
    file = folder / "gateway.toml"
    file.write_text("\n".join(parts))
    return file


@contextmanager
def gateway(folder: Path, ttls_s: Sequence[float], timeout_s: float) -> Iterator[Scene]:
    """Everything started; the twins' model is in service as if committed long ago."""
    with ExitStack() as stack:
        state = folder / "aggregator"
        verb("aggregator", "init", state)
        file = state / "aggregator.toml"
        file.write_text(file.read_text().replace(":7443", ":0").replace(":7444", ":0").replace(":7480", ":0"))
        server = stack.enter_context(running([BIN / "aggregator", "serve", file], folder / "aggregator.log"))
        wait_for(state / "endpoints.json", server, folder / "aggregator.log")
        words = ("--ports", str(3 * EACH), "--timeout-s", str(timeout_s))
        found = stack.enter_context(devices(*words))
        config = site(folder, found.ports, json.loads((state / "endpoints.json").read_text()), ttls_s, timeout_s)
        put_in_service(folder / "edge")
        verb(
            "edge-agent", "enrol", config, "--token", verb("aggregator", "enrol-token", "gw-bench", "-c", file).strip()
        )
        for port in found.ports:
            write_register(port, 0, 300)
        scene = Scene(folder, config, file, server, found, stack)
        scene.start()
        connected(scene)
        yield scene


def put_in_service(state_dir: Path) -> None:
    for k in ON_TWIN:
        shelf = Shelf(state_dir, f"twin{k}")
        shelf.open()
        shelf.keep(State(current=Model(shelf.put(fragile()), "fragile", "1", time.time_ns(), "this benchmark")))


def connected(scene: Scene) -> None:
    deadline = time.monotonic() + READY_S
    while '"connected": true' not in json.dumps(status.ask(scene.folder / "edge")):
        if time.monotonic() > deadline:
            raise RuntimeError(f"no link: {scene.log.read_text()[-3000:]}")
        time.sleep(0.1)


def play(events: int, ttls_s: Sequence[float], timeout_s: float) -> dict[str, Outcome]:
    outcomes = {kind: Outcome() for kind in KINDS}
    with (
        tempfile.TemporaryDirectory(prefix="citytwin-failsafe-") as name,
        gateway(Path(name), ttls_s, timeout_s) as scene,
    ):
        for kind, event in KINDS.items():  # the kills come last: after several, the agent starts without its models
            for _ in range(events):
                outcomes[kind].late_s += event(scene)
    return outcomes


def run(scale: str) -> Iterator[Figure]:
    outcomes = play(EVENTS[scale], TTLS_S, min(TTLS_S))
    control = play(1, [NEVER_S] * EACH, 0.0)
    trials = sum(len(one.late_s) for one in outcomes.values())
    failed = sum(one.failed for one in outcomes.values())
    believed = {
        kind: one.failed for kind, one in control.items() if kind != "central"
    }  # an order has an end of its own
    yield Figure(
        "failsafe",
        failed,
        f"outputs not safe in time, of {trials}",
        "1,000 failsafe trials (central lost, task hung, NaN model, agent killed): safe within TTL + 1 period in all",
        failed == 0 and all(count == EACH for count in believed.values()),
        {
            **{f"{kind}_worst_before_deadline_ms": round(-1e3 * max(one.late_s), 1) for kind, one in outcomes.items()},
            **{f"without_ttl_{kind}_failed_of_{EACH}": count for kind, count in believed.items()},
        },
    )
