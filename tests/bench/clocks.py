"""Agents whose machine believes a wrong time: at boot, or all of a sudden. libfaketime, monotonic clocks untouched.

Each has forgotten the offset of its last boot and commits batches before it reaches the aggregator. Then: does TLS
come back without hands, is the order exact, and is every time in the city's history right within a second, or flagged?
"""

import asyncio
import csv
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from edge_agent.files import seal, unseal
from edge_agent.local import status
from protos.clock import NS, SystemClock
from tests.bench import Figure
from tests.bench.cuts import MOST, PROFILE, Row, batches, order, temporary, told
from tests.bench.gateway import BIN, verb, wait_for
from tests.bench.processes import running

BOOTS = {"1970": "@1970-01-01 00:00:30", "minus-30-days": "-30d", "plus-1-year": "+365d"}
STEPS = {"step-plus-1-hour": "+3600", "step-minus-1-hour": "-3600"}
DEVICES = 2
ALONE_S = 3.0  # polled and committed before the first contact
BACK_S = 45.0  # what coming back may take: a few attempts with full jitter
ON_S = {"ci": 6.0, "full": 20.0}  # of polling after contact, and after a step
RIGHT_S = 1.0
LOOK_S = 0.1
EPOCHS = 3  # that a gateway of a trial can have reached


@dataclass
class Agent:
    """One gateway and the file that tells its process the time."""

    name: str
    folder: Path
    config: Path
    back_s: float = float("inf")
    rows: list[tuple[int, int, str, str, int, str]] = field(default_factory=list)  # of the history

    @property
    def stamp(self) -> Path:
        return self.folder / "faketime"

    def tell(self, what: str) -> None:
        """Replaced in one step: libfaketime reads it at any moment."""
        fresh = self.folder / "faketime.new"
        fresh.write_text(what + "\n")
        fresh.replace(self.stamp)

    def forget(self) -> None:
        """As after a reboot: the floor is remembered, the offset of this boot is not."""
        file = self.folder / "edge" / "time.json"
        known = json.loads(unseal(file.read_bytes()))
        file.write_bytes(seal(json.dumps(known | {"boot_id": "0" * 32}).encode()))

    def connected(self) -> bool:
        report: Any = status.ask(self.folder / "edge") if (self.folder / "edge").exists() else None
        return bool(report) and float(report["gauges"]["sync_connected"]) == 1


def environment(agent: Agent, library: Path) -> dict[str, str]:
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(agent.stamp),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_CACHE_DURATION": "1",  # s; a look at the file at every call would cost more than the agent
    }


def make(folder: Path, name: str, addresses: dict[str, str], port: int, devices: Sequence[dict[str, Any]]) -> Agent:
    """A gateway's file; enrolled while its clock was right."""
    folder.mkdir()
    lines = [
        f'[gateway]\nid = "{name}"\ndistrict = "bench"\nstate_dir = "{folder}/edge"',
        f'[aggregator]\naddress = "127.0.0.1:{port}"\nenrol_address = "{addresses["enrolment"]}"',
        "[buffer]\ncommit_ms = 500",
    ]
    lines += [
        f'[[device]]\nname = "d{n}"\nprofile = "{PROFILE}"\nconnection = "{one["connection"]}"\nunit = {one["unit"]}'
        for n, one in enumerate(devices)
    ]
    (folder / "gateway.toml").write_text("\n".join(lines) + "\n")
    return Agent(name, folder, folder / "gateway.toml")


def library() -> Path:
    """Raises RuntimeError where libfaketime is not installed."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        raise RuntimeError("libfaketime is not installed: apt-get install libfaketime")
    return found[0]


def trial(folder: Path, command: Sequence[str | Path], names: dict[str, str], on_s: float) -> list[Agent]:
    """All agents at once, one aggregator, one link; what the history says of each."""
    state = folder / "aggregator"
    verb("aggregator", "init", state)
    file = state / "aggregator.toml"
    file.write_text(file.read_text().replace(":7443", ":0").replace(":7444", ":0").replace(":7480", ":0"))
    units = [f"{PROFILE}@{unit}" for unit in range(1, DEVICES * len(names) + 1)]
    agents: list[Agent] = []
    with ExitStack() as stack:
        _, devices = stack.enter_context(told([BIN / "edge-agent", "simulate", *units], len(units)))
        server = stack.enter_context(running([BIN / "aggregator", "serve", file], folder / "aggregator.log"))
        wait_for(state / "endpoints.json", server, folder / "aggregator.log")
        addresses = json.loads((state / "endpoints.json").read_text())
        link, places = stack.enter_context(told([sys.executable, "-m", "tests.simulators.link", addresses["sync"]], 1))
        for n, name in enumerate(names):
            own = devices[n * DEVICES : (n + 1) * DEVICES]
            agent = make(folder / name, name, addresses, places[0]["port"], own)
            token = verb("aggregator", "enrol-token", name, "-c", file).strip()
            verb("edge-agent", "enrol", agent.config, "--token", token)
            agent.forget()
            agent.tell(names[name] if name in BOOTS else "+0")
            agents.append(agent)
        order(link, "refuse")
        for agent in agents:
            env = environment(agent, library())
            process = stack.enter_context(running([*command, agent.config], agent.folder / "agent.log", env))
            wait_for(agent.folder / "edge" / "status.sock", process, agent.folder / "agent.log")
        time.sleep(ALONE_S)
        back(agents, order(link, "pass"))
        time.sleep(on_s)
        if steps := [agent for agent in agents if agent.name in STEPS]:
            for agent in steps:
                agent.tell(names[agent.name])
            time.sleep(on_s)
            order(link, "refuse")  # TLS must also come back under the stepped clock
            time.sleep(1.0)
            back(agents, order(link, "pass"))
            time.sleep(on_s / 2)
    read(folder, file, agents)
    return agents


def back(agents: Sequence[Agent], begun: float) -> None:
    """Wait until all are connected; the slower of several times counts."""
    waiting = list(agents)
    while waiting and time.monotonic() < begun + BACK_S:
        for agent in [one for one in waiting if one.connected()]:
            took = time.monotonic() - begun
            agent.back_s = took if agent.back_s == float("inf") else max(agent.back_s, took)
            waiting.remove(agent)
        time.sleep(LOOK_S)
    for agent in waiting:
        agent.back_s = BACK_S


def read(folder: Path, config: Path, agents: Sequence[Agent]) -> None:
    """The history's rows per gateway: epoch, sequence, device, point, receive UTC ns, quality and reason."""
    file = folder / "history.csv"
    verb("aggregator", "export", file, "--from", "ever", "-c", config)
    by_name = {agent.name: agent for agent in agents}
    with file.open() as lines:
        for one in csv.DictReader(lines):
            at = int(np.datetime64(one["receive_time"].removesuffix("Z"), "ns").astype(np.int64))
            key = (int(one["epoch"]), int(one["sequence"]), one["device"], one["point"])
            if not one["text"]:
                by_name[one["gateway"]].rows.append((*key, at, f"{one['quality']} {one['reason']}"))


def judge(agent: Agent, offset_ns: int) -> dict[str, float]:
    """The history against the gateway's own disk, where each reading has its time on the untouched boot clock."""
    truth: dict[Row, list[int]] = defaultdict(list)
    for batch in asyncio.run(batches(agent.folder, agent.name, (EPOCHS, MOST))):
        for block in batch.blocks:
            for point in block.points:
                truth[batch.key.epoch, batch.key.sequence, block.device, point] += block.receive_ns.tolist()
    told: dict[Row, list[tuple[int, bool]]] = defaultdict(list)
    for epoch, sequence, device, name, at, code in agent.rows:
        told[epoch, sequence, device, name].append((at, "CLOCK" in code))
    flagged = wrong = 0
    worst_ns = 0
    for key, times in told.items():
        for (at, flag), true in zip(sorted(times), sorted(truth[key]), strict=True):
            error_ns = abs(at - true - offset_ns)
            flagged += flag
            if not flag:
                wrong += error_ns > RIGHT_S * NS
                worst_ns = max(worst_ns, error_ns)
    return {
        "rows": float(len(agent.rows)),
        "flagged": float(flagged),
        "wrong": float(wrong),
        "disorder": float(disorder(told)),
        "worst_s": round(worst_ns / NS, 4),
    }


def disorder(told: dict[Row, list[tuple[int, bool]]]) -> int:
    """How often a later batch of a point has an earlier unflagged time, or a sequence is missing."""
    series: dict[tuple[str, str], list[int]] = defaultdict(list)
    for key in sorted(told):
        series[key[2:]] += sorted(at for at, flag in told[key] if not flag)
    back = sum(int((np.diff(np.array(one, np.int64)) < 0).sum()) for one in series.values())
    batches_seen = sorted({key[:2] for key in told})
    gaps = sum(b[0] == a[0] and b[1] != a[1] + 1 for a, b in pairwise(batches_seen))
    return back + gaps


def run(scale: str) -> Iterator[Figure]:
    offset_ns = time.time_ns() - SystemClock().monotonic_ns()
    with temporary() as place:
        agents = trial(Path(place), [BIN / "edge-agent", "run"], BOOTS | STEPS, ON_S[scale])
        judged = [(agent, judge(agent, offset_ns)) for agent in agents]
    for agent, found in judged:
        yield Figure(
            "clocks",
            found["worst_s"],
            f"s, worst unflagged time error, {agent.name}",
            "order exact; time error ≤ 1 s after sync or flagged; TLS back without hands",
            agent.back_s < BACK_S and found["rows"] > 0 and not found["wrong"] + found["disorder"],
            {"back_s": round(agent.back_s, 1), **{key: found[key] for key in ("rows", "flagged", "wrong", "disorder")}},
        )
    yield control(offset_ns)


def control(offset_ns: int) -> Figure:
    """An agent that believes its wall clock stays out, or fills the history with wrong times."""
    wrong = {name: BOOTS[name] for name in ("1970", "minus-30-days")}
    with temporary() as place:
        agents = trial(Path(place), [sys.executable, "-m", "tests.simulators.credulous"], wrong, 1.0)
        bad = sum(agent.back_s >= BACK_S or judge(agent, offset_ns)["wrong"] > 0 for agent in agents)
    return Figure(
        "clocks",
        bad,
        "of 2 agents that believe their wall clock caught (negative control)",
        "2",
        bad == 2,
    )
