"""kill -9 at random points of agent, aggregator and both: nothing acknowledged is lost, nothing is there twice.

A reading counts as acknowledged once the agent has told its commit over its status socket. At the end both are stopped
in good order and the city's history is exported: every batch up to the newest told one must be there, with every
reading once. The negative control is the same with an aggregator that commits readings and cursor apart.
"""

import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.local import status
from tests.bench import Figure
from tests.bench.gateway import BIN, site, verb
from tests.bench.processes import running

KILLS = {"full": 1000, "ci": 60}
CONTROL = {"full": 60, "ci": 20}  # kills of the negative control
PROFILES = ("eastron-sdm120@1", "seeed-sensecap-one@2", "moxa-iologik-e1214@3")
COMMIT_MS = 200
LIFE_S = 1.2  # of a process between two kills, at most, beside its start
FIRST_COMMIT_S = 5.0  # the goal
PATIENCE_S = 30.0
SEED = 20261122


@dataclass
class Outcome:
    lost: int = 0
    twice: int = 0
    readings: int = 0
    starts_s: list[float] = field(default_factory=list)  # restart to first commit


class Trial:
    """One city under attack; the aggregator's address stays, so the agent finds it again."""

    def __init__(self, folder: Path, options: list[str]) -> None:
        self.folder, self.options = folder, options
        self.told: dict[int, int] = {}  # epoch → newest sequence told to us
        self.random = random.Random(SEED)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def prepare(self, stack: ExitStack) -> None:
        state = self.folder / "aggregator"
        verb("aggregator", "init", state)
        self.server = state / "aggregator.toml"
        self.server.write_text(
            self.server.read_text().replace(":7443", ":0").replace(":7444", ":0").replace(":7480", ":0")
        )
        lines = self.folder / "devices.jsonl"
        stack.enter_context(running([BIN / "edge-agent", "simulate", *PROFILES], lines))
        self.start("aggregator")
        ends = state / "endpoints.json"
        wait(lambda: ends.exists() and lines.exists() and lines.read_text().count("\n") >= len(PROFILES))
        addresses = json.loads(ends.read_text())
        text = self.server.read_text()
        for which in ("sync", "enrolment"):  # keep the ports over restarts
            text = text.replace("127.0.0.1:0", addresses[which], 1)
        self.server.write_text(text)
        found = [json.loads(line) for line in lines.read_text().splitlines()]
        devices = [(one["profile"], one["connection"], one["unit"]) for one in found]
        (self.folder / "devices").mkdir()
        self.config = site(self.folder, addresses, devices, 0, commit_ms=COMMIT_MS)
        token = verb("aggregator", "enrol-token", "gw-bench", "-c", self.server).strip()
        verb("edge-agent", "enrol", self.config, "--token", token)
        self.start("agent")
        self.first_commit(time.monotonic())

    def start(self, which: str) -> None:
        words = {
            "agent": [str(BIN / "edge-agent"), "run", str(self.folder / "gateway.toml")],
            "aggregator": [sys.executable, "-m", "tests.simulators.brisk", str(self.server), *self.options],
        }[which]
        with (self.folder / f"{which}.log").open("ab") as log:
            self.processes[which] = subprocess.Popen(words, stdout=log, stderr=log, cwd=Path(__file__).parents[2])

    def ask(self) -> dict[str, Any] | None:
        with suppress(OSError, json.JSONDecodeError):
            return status.ask(self.folder / "edge")
        return None

    def note(self) -> bool:
        """Remember what the agent says it committed; whether that is news."""
        report = self.ask()
        if report is None:
            return False
        epoch, sequence = int(report["epoch"]), int(report["sequence"])
        news = sequence > self.told.get(epoch, 0)
        self.told[epoch] = max(sequence, self.told.get(epoch, 0))
        return news

    def first_commit(self, since: float) -> float:
        wait(self.note)
        return time.monotonic() - since

    def kill(self, outcome: Outcome) -> None:
        victims = self.random.choice((["agent"], ["aggregator"], ["agent", "aggregator"]))
        time.sleep(self.random.uniform(0, LIFE_S))
        self.note()
        for which in victims:
            self.processes[which].send_signal(signal.SIGKILL)
        begun = time.monotonic()
        for which in victims:
            self.processes[which].wait()
            self.start(which)
        if "agent" in victims:
            outcome.starts_s.append(self.first_commit(begun))

    def drained(self) -> bool:
        report = self.ask()
        return report is not None and report["gauges"].get("buffer_backlog_batches", 1) == 0

    def finish(self, outcome: Outcome) -> None:
        """Stop both in good order and count in the history."""
        wait(self.drained)
        self.note()
        for which in ("agent", "aggregator"):
            self.processes[which].terminate()
            self.processes[which].wait(PATIENCE_S)
        export = self.folder / "all.jsonl"
        verb("aggregator", "export", export, "--from", "ever", "-c", self.server)
        batches: set[tuple[int, int]] = set()
        readings: Counter[tuple[str, str, str]] = Counter()
        with export.open() as lines:
            for line in lines:
                row = json.loads(line)
                batches.add((row["epoch"], row["sequence"]))
                readings[row["device"], row["point"], row["receive_time"]] += 1
        outcome.readings = readings.total()
        outcome.twice = sum(count - 1 for count in readings.values())
        wanted = {(epoch, n) for epoch, newest in self.told.items() for n in range(1, newest + 1)}
        outcome.lost = len(wanted - batches)

    def end(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()


def wait(done: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{done} took more than {PATIENCE_S:.0f} s")
        time.sleep(0.02)


def attack(kills: int, options: list[str]) -> Outcome:
    folder, outcome = Path(tempfile.mkdtemp(prefix="citytwin-kills-")), Outcome()
    trial = Trial(folder, options)
    try:
        with ExitStack() as stack:
            stack.callback(trial.end)
            trial.prepare(stack)
            for number in range(kills):
                trial.kill(outcome)
                if number % 20 == 19:
                    print(f"  {number + 1} of {kills} kills", file=sys.stderr, flush=True)
            trial.finish(outcome)
    except BaseException:
        print(f"kept for a look: {folder}", file=sys.stderr)
        raise
    shutil.rmtree(folder)
    return outcome


def run(scale: str) -> Iterator[Figure]:
    kills = KILLS[scale]
    good, bad = attack(kills, []), attack(CONTROL[scale], ["--two-transactions"])
    slowest = max(good.starts_s)
    yield Figure(
        "kills",
        good.lost + good.twice,
        f"batches lost + readings twice, of {good.readings} readings over {kills} kills",
        "0 acked readings lost, 0 duplicated; negative control (two transactions) fails",
        good.lost == good.twice == 0 and bad.lost + bad.twice > 0,
        {"lost": good.lost, "twice": good.twice, "control_lost": bad.lost, "control_twice": bad.twice},
    )
    goal = f"restart to first commit ≤ {FIRST_COMMIT_S:.0f} s"
    yield Figure("kills-restart", round(slowest, 2), "s, slowest restart", goal, slowest <= FIRST_COMMIT_S)
