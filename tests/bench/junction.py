"""One intersection through real Modbus registers: SUMO's road, a cabinet, and a whole agent with the traffic law.

The nets cologne1 and ingolstadt1 of the RESCO set, their hour of demand, five seeds of drivers. The road runs twenty
times as fast as a clock and waits for nobody; so does the agent's time. Beside it, on the same roads and seeds: the
net's fixed program, SUMO's actuated one (greens 5 to 50 s) and max-pressure at the better of two periods, straight
on libsumo. Every controller but max-pressure, which has 3 s, keeps the yellow of the net (5 s and 3 s).

Delay is timeLoss + departDelay, averaged over every trip of the file: one that has not arrived at the end counts with
what it lost until then, one that could not even enter with its wait. Published (IDQN) and earlier measured figures
count as partners too.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

from tests.bench import Figure
from tests.bench.gateway import wait_for
from tests.bench.processes import running
from tests.simulators.modbus import ROOT
from tests.simulators.sumo_road import SITES, missing

SPEED = 20
LOOK_S = 1.0
Process = subprocess.Popen[bytes]
AT_ONCE = 2  # roads, each with its agent
SEEDS = {"full": (21, 22, 23, 24, 25), "ci": (21,)}  # none of which the law was made with
SECONDS = {"full": 3600, "ci": 1200}
PUBLISHED = {  # IDQN: Ault and Sharon, NeurIPS 2021 Datasets; max-pressure, actuated: measured here earlier, SUMO 1.28
    "cologne1": {"idqn": 28.9, "earlier": 22.6},
    "ingolstadt1": {"idqn": 22.2, "earlier": 19.7},
}
GOAL = "below fixed, actuated, max-pressure and the published IDQN"
STATUS = ("stage", "next_stage", "stage_age", "min_green", "yellow", "all_red")
LOOPS = ("arrived", "departed", "covered", "standing")
DETECTORS = (*LOOPS, "between")  # and the radar's count
# Times are the road's: 60 s to read back are 3 s of the machine, whose own stalls are not the cabinet's faults
SITE = """[gateway]
id = "gw-junction"
district = "bench"
state_dir = "{folder}/edge"
[buffer]
commit_ms = 10000
[control]
period_ms = 500
record_ms = 60000
[[device]]
name = "cabinet"
profile = "citytwin-cabinet"
connection = "{connection}"
period_ms = 500
[[output]]
name = "request"
point = "cabinet/request"
safe = 0
ttl_s = 5
min = 0
max = 315
slew_per_s = 0
min_on_s = 0
min_off_s = 0
refresh_s = 5
lifetime_writes = 0
readback_s = 60
device_timeout_s = 15
[[controller]]
name = "crossing"
kind = "traffic"
stale_s = 5
inputs = {inputs}
outputs = {{ request = "request" }}
settings = {settings}
"""


@dataclass(frozen=True, slots=True)
class Driven:
    """What came of one hour with the agent."""

    mean_s: float
    entry_s: float
    unfinished: int
    refused: int
    followed: float  # share of the seconds in which the cabinet had a request
    late_s: float  # largest delay of the road against its own pace


def inline(table: Mapping[str, object]) -> str:
    return "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in table.items()) + " }"


def site_of(told: Mapping[str, Any], folder: Path, detectors: Sequence[str] = DETECTORS) -> str:
    """The gateway's file for the junction that the simulator describes: facts of the site, nothing tuned."""
    inputs = {name: f"cabinet/{name}" for name in STATUS}
    inputs |= {f"{kind}_{lane}": f"cabinet/{lane}_{kind}" for lane, kind in product(told["lanes"], detectors)}
    settings = {key: told[key] for key in ("lanes", "distance_m", "speed_m_s")}
    settings |= {f"stage_{number}": lanes for number, lanes in told["stages"].items()}
    return SITE.format(folder=folder, connection=told["connection"], inputs=inline(inputs), settings=inline(settings))


def json_lines(log: Path) -> Iterator[dict[str, Any]]:
    """SUMO may say something before and between."""
    for line in log.read_text().splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def drive(net: str, seed: int, seconds: int, detectors: Sequence[str] = DETECTORS) -> Driven:
    """One road with its cabinet, one agent that asks it. Raises RuntimeError with the logs when either fails."""
    with tempfile.TemporaryDirectory(prefix="junction-") as name:
        folder = Path(name)
        road_log, agent_log, config = folder / "road.log", folder / "agent.log", folder / "gateway.toml"
        words = [sys.executable, "-m", "tests.simulators.sumo_junction", "--net", net, "--seed", str(seed)]
        words += ["--speed", str(SPEED), "--seconds", str(seconds), "--ready", str(folder / "ready.json")]
        with running(words, road_log, cwd=ROOT) as road:
            wait_for(folder / "ready.json", road, road_log)
            config.write_text(site_of(json.loads((folder / "ready.json").read_text()), folder, detectors))
            agent: list[str | Path] = [sys.executable, "-m", "edge_agent.cli", "run", config, "--speed", str(SPEED)]
            with running(agent, agent_log, cwd=ROOT) as asking:
                wait_while(road, asking)
        found = list(json_lines(road_log))
        if road.returncode or not found:
            raise RuntimeError(f"{net}, seed {seed}: {road_log.read_text()}\n{agent_log.read_text()[-2000:]}")
        end = found[-1]
        followed = end["followed_s"] / seconds
        return Driven(end["mean_s"], end["entry_s"], end["unfinished"], end["refused"], followed, end["late_s"])


def wait_while(road: Process, agent: Process) -> None:
    """Until the road has ended, or the agent has, which must not."""
    while agent.poll() is None:
        try:
            road.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            continue
        return
    road.terminate()


def partners(net: str, seed: int, seconds: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="junction-") as name:
        log = Path(name) / "partners.log"
        words = [sys.executable, "-m", "tests.simulators.sumo_partners", "--net", net, "--seed", str(seed)]
        with running([*words, "--seconds", str(seconds)], log, cwd=ROOT) as process:
            process.wait()
        return next(json_lines(log))


def run(scale: str) -> Iterator[Figure]:
    if lacking := missing():
        unit = f"not run: {', '.join(lacking)} missing, pip install 'citytwin[sumo]'"
        yield Figure("junction", 0.0, unit, GOAL, ok=False)
        return
    seeds, seconds = SEEDS[scale], SECONDS[scale]
    cases = [(net, seed, seconds) for net, seed in product(SITES, seeds)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        driven = [pool.submit(drive, *case) for case in cases]
        counted = {net: pool.submit(drive, net, seeds[0], seconds, LOOPS) for net in SITES if scale == "full"}
        beside = [pool.submit(partners, *case) for case in cases]
        ours = {case: one.result() for case, one in zip(cases, driven, strict=True)}
        loops = {net: {"loops_only": one.result().mean_s} for net, one in counted.items()}
        theirs = {case: one.result() for case, one in zip(cases, beside, strict=True)}
    for net in SITES:
        own = [case for case in cases if case[0] == net]
        yield figure_of(net, [ours[case] for case in own], [theirs[case] for case in own], loops.get(net, {}))


def figure_of(net: str, ours: list[Driven], theirs: list[dict[str, float]], loops: Mapping[str, float]) -> Figure:
    """`loops`: our delay without the radar, where it was measured; it is told, not judged."""
    means = {name: fmean(one[name] for one in theirs) for name in theirs[0]}
    best = min(delay for name, delay in means.items() if name.startswith("max-pressure"))
    beside = {"fixed": means["fixed"], "actuated": means["actuated"], "max-pressure": best, **PUBLISHED[net]}
    delay = fmean(one.mean_s for one in ours)
    told = {
        "seeds": len(ours),
        "worst_seed": max(one.mean_s for one in ours),
        "entry": fmean(one.entry_s for one in ours),
        "unfinished": fmean(one.unfinished for one in ours),
        "refused": sum(one.refused for one in ours),
        "followed_%": 100 * fmean(one.followed for one in ours),
        "road_late": max(one.late_s for one in ours),
    }
    return Figure(
        name=f"junction-{net}",
        figure=round(delay, 2),
        unit="s of delay per trip",
        goal=GOAL,
        ok=delay < min(beside.values()),
        beside={key: round(value, 2) for key, value in {**beside, **loops, **told}.items()},
    )
