"""Hostile orders at a gateway's order desk that is killed again and again: what acts twice, and what should not act.

Orders are duplicated, delivered out of order, late, forged in five ways, meant for other gateways, revoked by
all-stops, and replayed after `kill -9`; the clock is synchronised for some of the time and for some it is not. The
actuator log says what began to act, and is judged by what was sent. Beside it the same with a check left out, which
must be wrong.
"""

import json
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aggregator.security import certificates
from protos import sync_pb2
from protos.link import DEAD_AFTER_MS
from tests.bench import Figure
from tests.simulators.issuer import NOW_NS, Issuer, as_gateway, as_server

DELIVERIES = {"full": 10_000, "ci": 1_000}
KILLS = {"full": 50, "ci": 8}
NS = 1_000_000_000
OUTPUTS, REPLAYED = 8, 25
TICK_EVERY = 5  # deliveries; what is between two ticks is judged together, as in a burst
CARELESS = ("fences", "time", "signature", "gateway")
AHEAD_NS = 3 * NS  # an order may come from so far in the future: the clocks' errors
GOAL = "≤ 1 execution each, 0 wrong"


@dataclass
class Sent:
    """An order that may act, and under which conditions."""

    order: sync_pb2.Order
    good: bool  # whole, ours, in range


@dataclass
class Attack:
    """Everything that was said to the desk, in order, with a clock of its own."""

    seed: int
    utc_ns: int = NOW_NS + NS
    synced: bool = True
    sent: dict[str, Sent] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    floor: int = 0
    stops: list[tuple[int, int]] = field(default_factory=list)  # (place in lines, fence)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.issuer = Issuer()
        self.strangers = [Issuer(), self.issuer_as(as_gateway), self.issuer_as(as_server)]
        self.held: list[sync_pb2.Order] = []
        self.kinds: list[tuple[float, Callable[[], None]]] = [
            (0.34, self.fresh),
            (0.16, self.repeated),
            (0.08, self.held_back),
            (0.08, self.late),
            (0.14, self.forged),
            (0.06, self.for_others),
            (0.04, self.beyond),
            (0.03, self.future),
            (0.02, self.all_stop),
            (0.05, self.clock_lost_or_found),
        ]

    def issuer_as(self, leaf: Any) -> Issuer:
        """A certificate of the right root for another use."""
        root = self.issuer
        return Issuer(leaf, _root_key=root._root_key, _middle_key=root._middle_key)

    def deliver(self) -> None:
        (act,) = self.chance.choices([kind for _, kind in self.kinds], [share for share, _ in self.kinds])
        act()
        self.utc_ns += self.chance.randrange(1, NS)

    # ---- what is delivered

    def fresh(self) -> None:
        order = self.make()
        if self.chance.random() < 0.25:
            self.held.append(order)
        else:
            self.say(order)

    def repeated(self) -> None:
        if self.sent:
            self.say(self.chance.choice(list(self.sent.values())[-60:]).order)

    def held_back(self) -> None:
        """After newer ones, or the first time at all."""
        if self.held:
            self.say(self.held.pop(self.chance.randrange(len(self.held))))

    def late(self) -> None:
        order = self.make(
            issued_utc_ns=self.utc_ns - 700 * NS,
            not_after_utc_ns=self.utc_ns - self.chance.randrange(1, 100 * NS),
            lifetime_ms=self.chance.choice((0, 10, 4000)),
        )
        self.say(order, good=False)

    def forged(self) -> None:
        order = self.make()
        how = self.chance.randrange(5)
        if how == 0:
            order.value = (order.value + 1) % 100
        elif how == 1:
            order.fence += 1_000_000
        elif how == 2:
            order.signature = bytes([order.signature[0] ^ 1]) + order.signature[1:]
        elif how == 3:
            self.chance.choice(self.strangers).sign(order)
        else:
            order.ClearField("chain")
        order.id += "-forged"
        self.say(order, good=False)

    def for_others(self) -> None:
        self.say(self.make(gateway="gw-2"), good=False)

    def beyond(self) -> None:
        self.say(self.make(value=self.chance.choice((-1.0, 100.5, float("nan"), float("inf")))), good=False)

    def future(self) -> None:
        """Its time may come: then it may act, once."""
        ahead = self.utc_ns + 60 * NS
        self.say(self.make(issued_utc_ns=ahead, not_after_utc_ns=ahead + 60 * NS))

    def all_stop(self) -> None:
        stop = self.issuer.stop(issued_utc_ns=self.utc_ns)
        self.tick()  # what was given before it acts before it
        self.floor = stop.fence
        self.stops.append((len(self.lines), stop.fence))
        self.lines.append(json.dumps({"stop": stop.SerializeToString().hex()}))

    def clock_lost_or_found(self) -> None:
        self.tick()  # what was judged by one clock is not blamed on the other
        self.synced = not self.synced
        self.lines.append(json.dumps({"synced": self.synced}))

    def make(self, **fields: object) -> sync_pb2.Order:
        given: dict[str, object] = {
            "value": self.chance.uniform(0, 100),
            "emergency": self.chance.random() < 0.2,
            "issued_utc_ns": self.utc_ns,
            "not_after_utc_ns": self.utc_ns + 600 * NS,
            "lifetime_ms": 600_000,
        }
        return self.issuer.order(f"d{self.chance.randrange(OUTPUTS)}/set", **(given | fields))  # type: ignore[arg-type]

    def say(self, order: sync_pb2.Order, *, good: bool = True) -> None:
        self.sent.setdefault(order.id, Sent(order, good))
        self.lines.append(json.dumps({"clock": self.utc_ns}))
        self.lines.append(json.dumps({"order": order.SerializeToString().hex()}))

    def tick(self) -> None:
        self.lines.append(json.dumps({"tick": True}))


class Victim:
    """The desk's process, which is started again after each kill."""

    def __init__(self, folder: Path, root: Path, careless: str) -> None:
        self._words = [sys.executable, "-m", "tests.simulators.order_taker", str(folder), str(root)]
        self._words += ["--careless", careless] if careless else []
        self._process = self._start()

    def _start(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(self._words, stdin=subprocess.PIPE, text=True)

    def say(self, lines: list[str]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("".join(f"{line}\n" for line in lines))
        self._process.stdin.flush()

    def kill(self, after_s: float) -> None:
        """In the middle of whatever it does."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(after_s)
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process = self._start()

    def end(self) -> None:
        self._process.communicate()
        if self._process.returncode:
            raise RuntimeError(f"the desk ended with {self._process.returncode}")


def assault(folder: Path, deliveries: int, kills: int, seed: int, careless: str = "") -> dict[str, float]:
    """Deliver; then judge the actuator log."""
    attack = Attack(seed)
    root = folder / "root.pem"
    root.write_bytes(certificates.pem(attack.issuer.root))
    victim = Victim(folder, root, careless)
    every = max(1, deliveries // (kills + 1))
    said, delivered = 0, 0
    while delivered < deliveries:
        attack.deliver()
        delivered += 1
        if delivered % TICK_EVERY == 0:
            attack.tick()
        if delivered % every == 0:
            victim.say(attack.lines[said:])
            victim.kill(attack.chance.uniform(0, 0.3))
            said = len(attack.lines)
            attack.lines += [json.dumps({"synced": attack.synced}), json.dumps({"clock": attack.utc_ns})]
            orders = [line for line in attack.lines[:said] if "order" in line][-REPLAYED:]
            attack.lines += [*orders, json.dumps({"tick": True})]
            delivered += len(orders)
    attack.tick()
    victim.say(attack.lines[said:])
    victim.end()
    return judge(attack, folder / "actuator.log") | {"deliveries": delivered, "kills": kills}


def judge(attack: Attack, log: Path) -> dict[str, float]:
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    times = Counter(row["id"] for row in rows)
    wrong = older = late = 0
    newest: dict[tuple[int, bool], int] = {}
    for row in rows:
        sent = attack.sent[row["id"]]
        order, place = sent.order, (row["output"], row["emergency"])
        same = (f"d{row['output']}/set", row["value"]) == (f"{order.device}/{order.point}", order.value)
        wrong += not sent.good or not same
        if row["synced"]:
            late += not order.issued_utc_ns - AHEAD_NS <= row["utc"] < order.not_after_utc_ns
        else:  # only the lifetime counts, less the time that a message may take
            late += order.lifetime_ms <= DEAD_AFTER_MS
        older += row["fence"] <= newest.get(place, 0)
        newest[place] = max(row["fence"], newest.get(place, 0))
    return {
        "twice": sum(count > 1 for count in times.values()),
        "wrong": wrong,
        "late": late,
        "older": older,
        "executed": len(times),
        "good": sum(sent.good for sent in attack.sent.values()),
    }


def faults(found: dict[str, float]) -> float:
    return found["twice"] + found["wrong"] + found["late"] + found["older"]


def run(scale: str) -> Iterator[Figure]:
    deliveries, kills = DELIVERIES[scale], KILLS[scale]
    with tempfile.TemporaryDirectory() as folder:
        found = assault(Path(folder), deliveries, kills, seed=1)
    lively = found["executed"] >= found["good"] / 4  # a desk that refuses everything would be right, and useless
    yield Figure("orders", faults(found), "orders", GOAL, faults(found) == 0 and lively, found)
    for careless in CARELESS:
        with tempfile.TemporaryDirectory() as folder:
            found = assault(Path(folder), DELIVERIES["ci"], KILLS["ci"], seed=2, careless=careless)
        goal = f"control: without the check of {careless} it is wrong"
        yield Figure("orders-control", faults(found), "orders", goal, faults(found) > 0, found)
