"""The link to the aggregator breaks three ways while a real agent polls ten real devices; every reading is counted.

What is counted: each reading that the gateway had committed to its disk, against the aggregator's history, by batch,
device and point. A reading that was polled but not yet committed when the agent is killed is no acked one; how much
that was is told beside (`uncommitted_s`), as is whether polling itself went on (`polls_missed`).
"""

import asyncio
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from edge_agent.buffer import Buffer
from edge_agent.local import status
from protos.batch import Batch, decode
from protos.clock import SystemClock
from protos.span import Span
from tests.bench import Figure
from tests.bench.gateway import BIN, verb, wait_for
from tests.bench.processes import running

SECONDS = {"ci": 8.0, "full": 20.0}  # of each cut
DEVICES, PROFILE, GATEWAY = 10, "eastron-sdm630", "gw-cuts"
BEFORE_S = 4.0  # of good link before each cut
DRAIN_S = 90.0  # back-off and drain after a cut
COMMIT_MS = 500
LOOK_S = 0.1
DEAD_MAX_S = 5.0
MOST = 2**40 - 1
Row = tuple[int, int, str, str]  # epoch, sequence, device, point


@dataclass
class Broken:
    """One agent behind a link that can be cut."""

    folder: Path
    config: Path
    aggregator: Path
    link: "subprocess.Popen[str]"
    command: Sequence[str | Path]
    agent: "subprocess.Popen[bytes] | None" = None
    restarts: list[tuple[float, float]] = field(default_factory=list)  # killed at, running again at

    def order(self, what: str) -> float:
        return order(self.link, what)

    def report(self) -> dict[str, Any]:
        return status.ask(self.folder / "edge") or {}

    def gauge(self, name: str) -> float:
        return float(self.report().get("gauges", {}).get(name, 0.0))

    def until(self, what: Callable[[], bool], seconds: float) -> float | None:
        """Monotonic seconds at which `what()` was first seen true; None when it was not."""
        deadline = time.monotonic() + seconds
        while not what():
            if time.monotonic() > deadline:
                return None
            assert self.agent is not None
            with_patience(self.agent)
        return time.monotonic()


def order(link: "subprocess.Popen[str]", what: str) -> float:
    """Tell the link; monotonic seconds at which it was so."""
    assert link.stdin is not None
    assert link.stdout is not None
    link.stdin.write(what + "\n")
    link.stdin.flush()
    return float(json.loads(link.stdout.readline())["at"])


def with_patience(process: "subprocess.Popen[bytes]") -> None:
    """Let a little time pass; an agent that ends meanwhile is a failure of its own."""
    try:
        process.wait(LOOK_S)
    except subprocess.TimeoutExpired:
        return
    raise RuntimeError(f"the agent ended with {process.returncode}")


def site(folder: Path, addresses: dict[str, str], port: int, devices: Sequence[dict[str, Any]]) -> Path:
    lines = [
        f'[gateway]\nid = "{GATEWAY}"\ndistrict = "bench"\nstate_dir = "{folder}/edge"',
        f'[aggregator]\naddress = "127.0.0.1:{port}"\nenrol_address = "{addresses["enrolment"]}"',
        f"[buffer]\ncommit_ms = {COMMIT_MS}",
    ]
    lines += [
        f'[[device]]\nname = "d{n}"\nprofile = "{PROFILE}"\nconnection = "{one["connection"]}"\nunit = {one["unit"]}'
        for n, one in enumerate(devices)
    ]
    file = folder / "gateway.toml"
    file.write_text("\n".join(lines) + "\n")
    return file


@contextmanager
def told(words: Sequence[str | Path], lines: int) -> Iterator[tuple["subprocess.Popen[str]", list[dict[str, Any]]]]:
    """A process and the JSON lines that it prints first."""
    process = subprocess.Popen([*map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, [json.loads(process.stdout.readline()) for _ in range(lines)]
    finally:
        process.kill()
        process.communicate()


@contextmanager
def city(folder: Path, command: Sequence[str | Path]) -> Iterator[Broken]:
    """Devices, an aggregator, the link and an enrolled agent; `command` runs the agent on a configuration."""
    names = [f"{PROFILE}@{unit}" for unit in range(1, DEVICES + 1)]
    state = folder / "aggregator"
    verb("aggregator", "init", state)
    file = state / "aggregator.toml"
    file.write_text(file.read_text().replace(":7443", ":0").replace(":7444", ":0").replace(":7480", ":0"))
    with ExitStack() as stack:
        _, devices = stack.enter_context(told([BIN / "edge-agent", "simulate", *names], DEVICES))
        server = stack.enter_context(running([BIN / "aggregator", "serve", file], folder / "aggregator.log"))
        wait_for(state / "endpoints.json", server, folder / "aggregator.log")
        addresses = json.loads((state / "endpoints.json").read_text())
        link, places = stack.enter_context(told([sys.executable, "-m", "tests.simulators.link", addresses["sync"]], 1))
        config = site(folder, addresses, places[0]["port"], devices)
        token = verb("aggregator", "enrol-token", GATEWAY, "-c", file).strip()
        verb("edge-agent", "enrol", config, "--token", token)
        broken = Broken(folder, config, file, link, [*command, config])
        start(broken)
        try:
            yield broken
        finally:
            if broken.agent is not None:
                stop(broken.agent)


def start(broken: Broken) -> None:
    (broken.folder / "edge" / "status.sock").unlink(missing_ok=True)
    with (broken.folder / "agent.log").open("ab") as log:
        broken.agent = subprocess.Popen([*map(str, broken.command)], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    wait_for(broken.folder / "edge" / "status.sock", broken.agent, broken.folder / "agent.log")


def stop(agent: "subprocess.Popen[bytes]") -> None:
    agent.terminate()
    try:
        agent.wait(20)
    except subprocess.TimeoutExpired:
        agent.kill()
        agent.wait()


def cut(broken: Broken, how: str, seconds: float, *, kill: bool = False) -> dict[str, float]:
    """One cut and the way back; what was seen."""
    assert broken.agent is not None
    if broken.until(lambda: broken.gauge("sync_connected") == 1, 60) is None:
        raise RuntimeError("no connection before the cut: " + (broken.folder / "agent.log").read_text()[-2000:])
    time.sleep(BEFORE_S)
    begun = broken.order(how)
    seen = broken.until(lambda: broken.gauge("sync_connected") == 0, seconds)
    found = {"noticed_s": (seen - begun) if seen else float("inf")}
    if kill:
        time.sleep(max(0.0, begun + seconds / 2 - time.monotonic()))
        killed = time.monotonic()
        broken.agent.kill()
        broken.agent.wait()
        start(broken)
        broken.restarts.append((killed, time.monotonic()))
    time.sleep(max(0.0, begun + seconds - time.monotonic()))
    found["backlog"] = broken.gauge("buffer_backlog_batches")
    back = broken.order("pass")
    drained = broken.until(
        lambda: broken.gauge("sync_connected") == 1 and broken.gauge("buffer_backlog_batches") <= 2, DRAIN_S
    )
    found["drained_s"] = (drained - back) if drained else float("inf")
    return found


class Room:
    """The [buffer] section for a look into an agent's buffer after its end."""

    max_mb, keep_days, ballast_mb = 2000, 14.0, 16


async def batches(folder: Path, gateway: str, upto: tuple[int, int]) -> list[Batch]:
    """Everything committed on the gateway's own disk up to that key."""
    found: list[Batch] = []
    buffer = await Buffer.open(folder / "edge", gateway, SystemClock(), Room())
    for epoch in range(1, upto[0] + 1):
        first, last = 1, upto[1] if epoch == upto[0] else MOST
        while some := await buffer.read(Span(epoch, first, last)):
            first = some[-1].sequence + 1
            found += [decode(one.blob) for one in some]
    await buffer.close()
    return found


def committed(folder: Path, upto: tuple[int, int]) -> tuple[Counter[Row], dict[str, list[int]]]:
    """(readings per batch, device and point; receive times per device) of the gateway's own disk."""
    rows: Counter[Row] = Counter()
    times: dict[str, list[int]] = {}
    for batch in asyncio.run(batches(folder, GATEWAY, upto)):
        for block in batch.blocks:
            times.setdefault(block.device, []).extend(block.receive_ns.tolist())
            for point in block.points:
                rows[batch.key.epoch, batch.key.sequence, block.device, point] += len(block.receive_ns)
    return rows, times


def exported(broken: Broken, upto: tuple[int, int]) -> Counter[Row]:
    """Readings of the aggregator's history by the same key."""
    file = broken.folder / "history.csv"
    verb("aggregator", "export", file, "--from", "ever", "-c", broken.aggregator)
    rows: Counter[Row] = Counter()
    with file.open() as lines:
        for one in csv.DictReader(lines):
            key = (int(one["epoch"]), int(one["sequence"]))
            if key <= upto and not one["text"]:
                rows[*key, one["device"], one["point"]] += 1
    return rows


def gaps_s(times: dict[str, list[int]]) -> list[float]:
    """Seconds without a poll, beyond one and a half periods, of each device."""
    found: list[float] = []
    for one in times.values():
        steps = np.diff(np.unique(np.array(one, np.int64))) / 1e9
        found += [float(step) for step in steps if step > 1.5]
    return found


def count(broken: Broken) -> dict[str, float]:
    """Stop the agent and compare both ends."""
    assert broken.agent is not None
    report = broken.report()
    upto = (int(report["epoch"]), int(report["sequence"]))
    broken.until(lambda: broken.gauge("buffer_backlog_batches") == 0, DRAIN_S)
    rss = psutil.Process(broken.agent.pid).memory_info().rss / 2**20
    stop(broken.agent)
    there = exported(broken, upto)
    here, times = committed(broken.folder, upto)
    pauses = [again - killed for killed, again in broken.restarts]
    gaps = gaps_s(times)
    longest = max(gaps, default=0.0)
    return {
        "readings": float(here.total()),
        "lost": float((here - there).total()),
        "duplicated": float((there - here).total()),
        "polls_missed": float(max(0, len(gaps) - DEVICES * len(pauses))),
        "uncommitted_s": round(max(0.0, longest - sum(pauses) - 1.0), 2) if pauses else 0.0,
        "rss_mib": round(rss, 1),
    }


def temporary() -> "tempfile.TemporaryDirectory[str]":
    """On a disk, where commits cost what they cost."""
    return tempfile.TemporaryDirectory(dir="/var/tmp", ignore_cleanup_errors=True)


def run(scale: str) -> Iterator[Figure]:
    seconds = SECONDS[scale]
    yield from real(seconds)
    yield control(min(seconds, 8.0))


def real(seconds: float) -> Iterator[Figure]:
    with temporary() as place:
        with city(Path(place), [BIN / "edge-agent", "run"]) as broken:
            refused = cut(broken, "refuse", seconds)
            hole = cut(broken, "hole", seconds)
            killed = cut(broken, "refuse", seconds, kill=True)
            found = count(broken)
        beside = {key: found[key] for key in ("readings", "polls_missed", "uncommitted_s", "rss_mib")}
        beside |= {"drained_s": round(max(one["drained_s"] for one in (refused, hole, killed)), 2)}
        yield Figure(
            "cuts",
            found["lost"] + found["duplicated"],
            f"readings lost or duplicated in three cuts of {seconds:g} s",
            "0 lost, 0 duplicated in all three",
            found["lost"] == found["duplicated"] == 0 and found["readings"] > 0 and killed["backlog"] > 0,
            beside,
        )
        yield Figure(
            "cuts",
            round(hole["noticed_s"], 2),
            "s until a dead peer is seen (black hole)",
            "≤ 5 s by heartbeat",
            hole["noticed_s"] <= DEAD_MAX_S,
            {"refused_s": round(refused["noticed_s"], 2)},
        )


def control(seconds: float) -> Figure:
    """An agent that takes a batch for stored when it has written it to the socket must be caught losing readings."""
    careless = [sys.executable, "-m", "tests.simulators.careless"]
    with temporary() as place, city(Path(place), careless) as broken:
        cut(broken, "hole", seconds)
        found = count(broken)
    return Figure(
        "cuts",
        found["lost"],
        "readings lost by an agent that does not wait for acks (negative control)",
        "more than 0",
        found["lost"] > 0,
        {"readings": found["readings"]},
    )
