"""Bad models brought to a gateway that acts at 10 ms: all refused, each for a reason, and the loop goes on undisturbed.

Through the agent's own door come damaged, unsigned and exchanged files, and files that a trusted key has signed with
something wrong inside: crafted, cut, in floating point, of other shapes, with other golden pairs, with random bits
changed. One whose outputs are the good one's bit for bit on 4,096 inputs (a bit of a name) is not bad. The control
loads the same networks in its own process: it dies of some and runs others that compute something else.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.local import door, status
from edge_agent.rollout.bundles import read_bundle
from edge_agent.rollout.requests import SOCKET
from edge_agent.rollout.shelf import Shelf
from edge_agent.rollout.state import Model, State
from protos.bundle import Bundle, BundleError
from tests.bench import Figure
from tests.bench.acting import devices, site
from tests.bench.gateway import agent
from tests.simulators.bad_bundles import KEY, good_bundle, inner, outer
from tests.simulators.trusting import ends

CUTS = {"full": 40, "ci": 4}
FLIPS = {"full": 400, "ci": 16}
AT_ONCE = 8  # then the loop is watched alone for a while: what else the machine does counts for both
QUIET_S = 4.0
COUNTS = ("control_ticks_total", "control_late_total", "control_missed_total")
PERIOD_MS = 10
TWIN = "echo0"
LATE_SHARE_MAX = 0.001  # more than between the trials: what the figure `loop` allows at this period
SETTLE_S = 5.0


@dataclass
class Tried:
    """What became of the bundles that were brought."""

    reasons: Counter[str] = field(default_factory=Counter)
    accepted: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    slowest_s: float = 0.0

    def bring(self, folder: Path, name: str, data: bytes) -> None:
        begun = time.monotonic()
        file = folder / "brought.ctb"
        file.write_bytes(data)
        try:
            body = read_bundle(file)
        except BundleError as error:
            self.reasons[type(error).__name__] += 1
            return
        request = {"do": "install", "twin": TWIN, "why": name, "again": True}
        answer = door.ask(folder / "edge", SOCKET, request, body)
        assert answer is not None, f"the agent died of {name}"
        self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
        if answer["ok"]:
            self.accepted.append(name)
            door.ask(folder / "edge", SOCKET, {"do": "rollback", "twin": TWIN, "why": name})
            return
        self.reasons[answer["kind"]] += 1
        if len(answer["said"]) < 10:
            self.unclear.append(name)


@dataclass
class Ticks:
    """How many of the loop's ticks were late or never begun, and how many were due, while `watching`."""

    late: int = 0
    due: int = 0

    @property
    def share(self) -> float:
        return self.late / self.due

    @contextmanager
    def watching(self, folder: Path) -> Iterator[None]:
        first = gauges(folder)
        yield
        now = gauges(folder)
        ticks, late, missed = (int(now[name] - first[name]) for name in COUNTS)
        if not ticks > 0:
            raise RuntimeError(f"the loop did not act: {now}")
        self.late += late + missed
        self.due += ticks + missed


def gauges(folder: Path) -> dict[str, float]:
    report: Any = status.ask(folder / "edge")
    return dict(report["gauges"])


def put_in_service(state_dir: Path, data: bytes) -> None:
    """As if it had been committed long ago: what is brought now goes into the shadow beside it."""
    shelf = Shelf(state_dir, TWIN)
    shelf.open()
    shelf.keep(State(current=Model(shelf.put(data), "tank", "1", time.time_ns(), "this benchmark")))


def network(data: bytes) -> bytes:
    found = Bundle.open(data, [KEY.public_key()]).network
    assert found is not None
    return found


def run(scale: str) -> Iterator[Figure]:
    good = good_bundle(PERIOD_MS)
    inside = list(inner(good, CUTS[scale], FLIPS[scale]))
    tried, busy, quiet = Tried(), Ticks(), Ticks()
    with tempfile.TemporaryDirectory(prefix="citytwin-bad-models-") as name, devices("--echo-ms", "53") as found:
        folder = Path(name)
        config = site(folder, found.ports, period_ms=PERIOD_MS, outputs=1, twins=1)
        put_in_service(folder / "edge", good)
        with agent(folder, config):
            time.sleep(SETTLE_S)
            brought = [*outer(good), *inside]
            for begin in range(0, len(brought), AT_ONCE):
                with busy.watching(folder):
                    for what, data in brought[begin : begin + AT_ONCE]:
                        tried.bring(folder, what, data)
                with quiet.watching(folder):
                    time.sleep(QUIET_S)
    yield judge(tried, inside, network(good), busy, quiet)


def undisturbed(busy: Ticks, quiet: Ticks) -> bool:
    """Whether the trials made no more ticks late than the loop has by itself on this machine, beside its figure."""
    return busy.share <= quiet.share + LATE_SHARE_MAX


def judge(tried: Tried, inside: list[tuple[str, bytes]], good: bytes, busy: Ticks, quiet: Ticks) -> Figure:
    control = dict(zip([name for name, _ in inside], ends([good, *(network(data) for _, data in inside)]), strict=True))
    bad = [name for name in tried.accepted if control.get(name) != "same"]
    died = sum(end.startswith("died") or end == "endless" for end in control.values())
    wrong = sum(end == "different" for end in control.values())
    return Figure(
        "bad-models",
        len(bad) + len(tried.unclear),
        f"bad models accepted, or refused without a reason, of {sum(tried.reasons.values()) + len(bad)}",
        "all refused, loop undisturbed; without the trial at least one kills the agent or runs",
        not bad and not tried.unclear and undisturbed(busy, quiet) and died + wrong > 0,
        {
            **{f"refused_{kind}": count for kind, count in sorted(tried.reasons.items())},
            "not_bad_bit_for_bit": len(tried.accepted) - len(bad),
            "loop_undisturbed": undisturbed(busy, quiet),
            "late_10ms_ticks": busy.late,
            "of_ticks": busy.due,
            "late_%": round(100 * busy.share, 3),
            "loop_alone_late": quiet.late,
            "loop_alone_of_ticks": quiet.due,
            "loop_alone_late_%": round(100 * quiet.share, 3),
            "slowest_trial_s": round(tried.slowest_s, 2),
            "without_trial_died": died,
            "without_trial_ran_differently": wrong,
        },
    )
