"""A small town whose pumps wear: real gateways that keep real tanks (Modbus) by a twin, an aggregator, a rollout.

The engine of the rollout runs in this process on the aggregator's own stores. Bundles are carried by hand: by each
gateway's door for models, as `edge-agent models install` brings them. Nothing else is put in or looked at on the way.
"""

import asyncio
import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aggregator.learning.bundling import Linear, make
from aggregator.projections import fleet
from aggregator.rollout.engine import Engine
from aggregator.rollout.plan import Rollout, State, unpacked
from aggregator.rollout.policy import Policy
from aggregator.rollout.reports import reports
from aggregator.stores import StoreError
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.rollouts import Rollouts
from edge_agent.local import door
from edge_agent.rollout.requests import SOCKET
from protos import vitals
from protos.clock import SystemClock
from protos.model import Manifest, Variable
from tests.bench.gateway import BIN, verb, wait_for
from tests.bench.processes import running
from tests.simulators.bundles import signing_key, write_trust
from tests.simulators.worn_tank import DRAIN, LIFT

Floats = npt.NDArray[np.float64]
ROOT = Path(__file__).parents[2]
PERIOD_S, TWIN = 0.2, "level"
BAND_M = 0.15  # around what the level is to be, once the step has settled: the control KPI's band
TICK_S = 0.5
QUICK = Policy(shadow_gateways=2, shadow_s=8, wave_s=8, wave_max_s=240, device_s=90, retries=1, look_s=1)
CAREFUL = "shadow_s = 6\nprobation_s = 8\nsteps = 20\n"
CARELESS = CAREFUL + "margin = 1e9\nnis_max = 1e9\nshare = 1\n"  # a gateway that takes everything
PROFILE = """
name = "A tank with a pump"
domain = "services"
category = "pump drive"
grade = "A"
source = "this benchmark"
points = [
  { name = "level", quantity = "water_level", unit = "m", scale = 0.0001, address = 0 },
  { name = "wanted", quantity = "water_level", unit = "m", scale = 0.0001, address = 1 },
  { name = "speed", quantity = "pump_speed", unit = "%", scale = 0.1, address = 10, write_function = 6, access = "rw" },
]
[modbus]
function = 3
type = "u16"
max_gap = 16
timeout_ms = 500
"""
GATEWAY = """
[gateway]
id = "{name}"
district = "{district}"
state_dir = "{folder}/edge"
profiles_dir = "{folder}"
[aggregator]
address = "{sync}"
enrol_address = "{enrolment}"
[buffer]
commit_ms = 1000
[sync]
status_s = 1
[control]
period_ms = 200
record_ms = 200
trust = ["{trust}"]
[control.trial]
{trial}
[[device]]
name = "tank"
profile = "worn-tank"
connection = "tcp://127.0.0.1:{port}"
period_ms = 200
[[output]]
name = "pump"
point = "tank/speed"
safe = 33
ttl_s = 2
min = 0
max = 100
slew_per_s = 0
min_on_s = 0
min_off_s = 0
refresh_s = 0
lifetime_writes = 0
readback_s = 2
[[controller]]
name = "keep"
kind = "pid"
inputs = {{ input = "level/level", setpoint = "tank/wanted" }}
outputs = {{ output = "pump" }}
settings = {{ gain = 120, integral_s = 5 }}
[[twin]]
name = "level"
bundle = "{bundle}"
points = {{ level = "tank/level", speed = "tank/speed" }}
"""


def linear(a: float, b: float, f0: float, *, q: float = 2e-5, r: float = 4e-6, y0: float = 1.0) -> Linear:
    """level⁺ = f0 + a (level − 1) + b (speed − 33.3); measured with an offset where y0 is not 1."""
    one = np.ones((1, 1))
    return Linear(
        A=a * one,
        B=b * one,
        H=one,
        Q=q * one,
        R=r * one,
        x0=np.array([1.0]),
        u0=np.array([33.3]),
        f0=np.array([f0]),
        y0=np.array([y0]),
        x_low=np.array([0.0]),
        x_high=np.array([6.0]),
        u_sd=np.array([30.0]),
    )


def designed() -> Linear:
    """As the pumps were when they were new."""
    return linear(1 - PERIOD_S * DRAIN / 2, PERIOD_S * LIFT, 1.0)


def bundle(model: Linear, version: str) -> bytes:
    manifest = Manifest(
        name="tank",
        version=version,
        asset_class="level-tank",
        period_ns=int(PERIOD_S * 1e9),
        states=(Variable.of("level", "water_level"),),
        channels=(Variable.of("level", "water_level"),),
        inputs=(Variable.of("speed", "pump_speed"),),
        made_at="2026-01-01T00:00:00Z",
    )
    return make(manifest, model, card="# Tank\n\nA tank with a pump.\n", keys=[signing_key()])


@dataclass
class ByHand:
    """A director that walks: `Director` by the door of each gateway."""

    folders: dict[str, Path]

    def desire(self, gateway: str, one: Rollout, slot: str) -> None:
        if slot == "service":
            said = self._ask(gateway, {"do": "apply", "twin": one.twin, "digest": one.digest})
            if said["ok"]:  # it was held in its shadow
                return
        request = {"do": "install", "twin": one.twin, "why": f"rollout {one.id}", "again": False}
        self._ask(gateway, request | {"hold": slot == "shadow"}, Path(one.target).read_bytes())

    def withdraw(self, gateway: str, one: Rollout) -> None:
        shelf = json.loads(verb("edge-agent", "models", "list", "--json", "-c", self.folders[gateway] / "gateway.toml"))
        slots = {row["slot"]: row["digest"] for row in shelf["models"]}
        if one.digest == slots.get("candidate", slots.get("current")):
            self._ask(gateway, {"do": "rollback", "twin": one.twin, "why": one.reason or "withdrawn"})

    def _ask(self, gateway: str, request: dict[str, Any], body: bytes = b"") -> Any:
        answer = door.ask(self.folders[gateway] / "edge", SOCKET, request, body)
        if answer is None:
            raise StoreError(f"{gateway} does not answer")
        return answer


@dataclass
class Town:
    folder: Path
    config: Path
    gateways: dict[str, Path]
    plants: "subprocess.Popen[str]"
    policy: Policy
    levels: list[list[float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = self.config.parent
        self.catalogue = Catalogue(self.state / "catalogue.sqlite")
        self.rollouts = Rollouts(self.catalogue)
        watch: Callable[[str], Any] = lambda twin: reports(twin, self.catalogue.gateways(), self.presence())  # noqa: E731
        self.engine = Engine(self.rollouts, ByHand(self.gateways), watch, self.policy, SystemClock())

    def presence(self) -> dict[str, fleet.Presence]:
        return fleet.read(self.state / "fleet.json")

    def told(self) -> dict[str, vitals.ModelVitals]:
        found = {name: vitals.read(one.gauges, one.facts).get(TWIN) for name, one in self.presence().items()}
        return {name: one for name, one in found.items() if one is not None}

    def plant(self, word: str = "?") -> list[dict[str, float]]:
        assert self.plants.stdin is not None
        assert self.plants.stdout is not None
        self.plants.stdin.write(f"{word}\n")
        self.plants.stdin.flush()
        answer: list[dict[str, float]] = json.loads(self.plants.stdout.readline())
        self.levels.append([one["worst"] for one in answer])
        return answer

    def worst(self) -> float:
        """The largest distance of a settled level from what it was to be, since this was last asked, m."""
        self.plant()
        found = max(max(row) for row in self.levels)
        self.levels.clear()
        return found

    def live(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.step()

    def step(self) -> None:
        """Half a second of the engine and the plants."""
        due = time.monotonic() + TICK_S
        asyncio.run(self.engine.tick())
        self.plant()
        asyncio.run(SystemClock().sleep_until(time.monotonic_ns() + max(0, int((due - time.monotonic()) * 1e9))))

    def roll(self, data: bytes, name: str) -> str:
        """Begin a rollout of this bundle, as `aggregator models rollout` does."""
        file = self.folder / f"{name}.ctb"
        file.write_bytes(data)
        said = verb("aggregator", "models", "rollout", file, "--twin", TWIN, "--json", "-c", self.config)
        return str(json.loads(said)["id"])

    def until(self, rollout: str, *states: State, seconds: float = 420.0) -> Rollout:
        deadline = time.monotonic() + seconds
        while True:
            one = unpacked(self.rollouts.get(rollout).content)
            if one.state in states:
                return one
            if time.monotonic() > deadline:
                raise TimeoutError(f"{rollout} is {one.state} in wave {one.wave_name}: {one.reason} {one.members}")
            self.step()

    def digests(self) -> set[str]:
        """What any gateway has in service or on trial, by its own shelf."""
        found = set()
        for folder in self.gateways.values():
            shelf = json.loads(verb("edge-agent", "models", "list", "--json", "-c", folder / "gateway.toml"))
            found |= {row["digest"] for row in shelf["models"] if row["slot"] in ("current", "candidate")}
        return found

    def nis(self, seconds: float) -> float:
        """Mean NIS per channel over the next seconds, of what is in service anywhere."""
        before = self.told()
        self.live(seconds)
        after = self.told()
        pairs = [(before[name], after[name]) for name in after if name in before]
        judged = sum(new.judged_total - old.judged_total for old, new in pairs)
        return sum(new.nis_total - old.nis_total for old, new in pairs) / max(judged, 1.0)

    def history(self, seconds: int) -> dict[str, Floats]:
        """Of each gateway, from the aggregator's history: rows of (time s, level, speed), steps of PERIOD_S."""
        file = self.folder / "history.csv"
        verb("aggregator", "export", file, "--from", f"{seconds}s", "--force", "-c", self.config)
        table: dict[str, dict[int, dict[str, float]]] = {}
        with file.open() as rows:
            for row in csv.DictReader(rows):
                if row["device"] == "tank" and row["value"]:
                    at = table.setdefault(row["gateway"], {}).setdefault(ns_of(row["source_time"]), {})
                    at[row["point"]] = float(row["value"])
        return {
            gateway: np.array([[t / 1e9, at["level"], at["speed"]] for t, at in sorted(found.items()) if len(at) == 3])
            for gateway, found in table.items()
        }


def ns_of(utc: str) -> int:
    return int(np.datetime64(utc.removesuffix("Z"), "ns").astype(np.int64))


def identified(history: Sequence[Floats]) -> Linear:
    """Least squares of one step on pairs that are one period apart."""
    before = np.concatenate([one[:-1] for one in history])
    after = np.concatenate([one[1:] for one in history])
    good = np.abs(after[:, 0] - before[:, 0] - PERIOD_S) < PERIOD_S / 4
    features = np.column_stack([np.ones(good.sum()), before[good, 1] - 1.0, before[good, 2] - 33.3])
    (f0, a, b), *_ = np.linalg.lstsq(features, after[good, 1], rcond=None)
    residual = float(np.var(after[good, 1] - features @ (f0, a, b)))
    r = 4e-6
    return linear(float(a), float(b), float(f0), q=max(residual - r * (1 + a * a), 1e-6), r=r)


def free_run(model: Linear, one: Floats) -> float:
    """RMSE, m, of the model that is let run from the first level on, with the speeds that really were."""
    x, errors = one[0, 1], []
    for k in range(len(one) - 1):
        steps = max(round((one[k + 1, 0] - one[k, 0]) / PERIOD_S), 1)
        for _ in range(steps):
            x = model.f0[0] + model.A[0, 0] * (x - 1.0) + model.B[0, 0] * (one[k, 2] - 33.3)
        errors.append(x - one[k + 1, 1])
    return float(np.sqrt(np.mean(np.square(errors))))


@contextmanager
def town(folder: Path, gateways: int, *, careful: bool = True, gates: bool = True) -> Iterator[Town]:
    """`careful` false: gateways that take everything; `gates` false: a rollout that promotes everything."""
    (folder / "worn-tank.toml").write_text(PROFILE)
    trust = write_trust(folder / "trust.pem", signing_key())
    (folder / "designed.ctb").write_bytes(bundle(designed(), "1"))
    state = folder / "aggregator"
    verb("aggregator", "init", state)
    config = state / "aggregator.toml"
    text = config.read_text()
    for port in (":7443", ":7444", ":7480"):
        text = text.replace(port, ":0")
    config.write_text(text)
    words = [sys.executable, "-m", "tests.simulators.worn_tank", "--ports", str(gateways)]
    with ExitStack() as stack:
        server = stack.enter_context(running([BIN / "aggregator", "serve", config], folder / "aggregator.log"))
        wait_for(state / "endpoints.json", server, folder / "aggregator.log")
        link = json.loads((state / "endpoints.json").read_text())
        plants = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        stack.callback(plants.wait, 10)
        assert plants.stdin is not None
        assert plants.stdout is not None
        stack.callback(plants.stdin.close)
        folders = {}
        for k, port in enumerate(json.loads(plants.stdout.readline())):
            name, own = f"gw-{k}", folder / f"gw-{k}"
            own.mkdir()
            (own / "worn-tank.toml").write_text(PROFILE)
            text = GATEWAY.format(
                name=name,
                district="east" if k % 2 else "west",
                folder=own,
                sync=link["sync"],
                enrolment=link["enrolment"],
                trust=trust,
                trial=CAREFUL if careful else CARELESS,
                port=port,
                bundle=folder / "designed.ctb",
            )
            (own / "gateway.toml").write_text(text)
            token = json.loads(verb("aggregator", "enrol-token", name, "--json", "-c", config))["token"]
            verb("edge-agent", "enrol", own / "gateway.toml", "--token", token)
            agent = stack.enter_context(running([BIN / "edge-agent", "run", own / "gateway.toml"], own / "agent.log"))
            wait_for(own / "edge" / "status.sock", agent, own / "agent.log")
            folders[name] = own
        found = Town(folder, config, folders, plants, replace(QUICK, gates=gates))
        stack.callback(found.catalogue.close)
        yield found


def served(found: Town, seconds: float = 60.0) -> None:
    """Until every gateway has a model in service and says so."""
    deadline = time.monotonic() + seconds
    while len([one for one in found.told().values() if one.current and not one.candidate]) < len(found.gateways):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no model in service everywhere: {found.told()}")
        found.step()
