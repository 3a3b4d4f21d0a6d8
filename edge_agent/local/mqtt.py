"""Estimates and decisions as MQTT messages: `root/estimate/<twin>/<state>` and `root/decision/<output>`, JSON.

QoS 0 and never retained: a broker must keep no decision for somebody who comes later. What changed is published at
most every `least_s`, what did not at least every `most_s`, so that silence means that nobody decides.
"""

import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from edge_agent.local.telling import Told, decisions, estimates
from edge_agent.snapshot import Snapshot
from protos.clock import NS, Clock

IDLE_NS = NS  # until somebody looks again whether a loop runs
PASSING = ("valid_ms", "not_after", "shown_age_s", "hand_s", "tick")  # what changes with time alone
WILD = str.maketrans("+#/\0", "____")  # not in a name that becomes one level of a topic

Newest = Callable[[], Snapshot | None]
Publish = Callable[[str, bytes], Awaitable[bool]]  # False: not connected; nobody got it


@dataclass(slots=True)
class News:
    """Which messages are due: rules without IO. Call `sent` for those that went out."""

    root: str
    least_ns: int
    most_ns: int
    published_total: int = 0
    _sent: dict[str, tuple[int, Told]] = field(default_factory=dict)  # topic → when, what

    def due(self, snapshot: Snapshot, now_ns: int) -> Iterator[tuple[str, Told]]:
        for topic, told in self._all(snapshot, now_ns):
            at_ns, before = self._sent.get(topic, (now_ns - self.most_ns, {}))
            changed = lasting(told) != before
            if now_ns - at_ns >= (self.least_ns if changed else self.most_ns):
                yield topic, told

    def sent(self, topic: str, told: Told, now_ns: int) -> None:
        self._sent[topic] = now_ns, lasting(told)
        self.published_total += 1

    def _all(self, snapshot: Snapshot, now_ns: int) -> Iterator[tuple[str, Told]]:
        for one in decisions(snapshot, now_ns):
            yield f"{self.root}/decision/{level(one['output'])}", one
        for one in estimates(snapshot, now_ns):
            yield f"{self.root}/estimate/{level(one['twin'])}/{level(one['state'])}", one


def level(name: object) -> str:
    return str(name).translate(WILD)


def lasting(told: Told) -> Told:
    return {key: value for key, value in told.items() if key not in PASSING}


async def run(publish: Publish, newest: Newest, clock: Clock, news: News) -> None:
    """Publish what is due, until cancelled. What could not be sent is still due at the next look."""
    while True:
        now_ns, snapshot = clock.monotonic_ns(), newest()
        if snapshot is None:
            await clock.sleep_until(now_ns + IDLE_NS)
            continue
        for topic, told in news.due(snapshot, now_ns):
            if not await publish(topic, json.dumps(told, allow_nan=False, separators=(",", ":")).encode()):
                break
            news.sent(topic, told, now_ns)
        await clock.sleep_until(max(now_ns + news.least_ns, snapshot.now_ns + snapshot.roster.period_ns))
