"""Watch the city live: every gateway's rate, backlog and clock, and the values that arrived last. Ctrl-C ends it.

    aggregator watch -c aggregator.toml
    aggregator watch --once --json           one look, for programs

It reads the log beside the running server and disturbs nothing. A rate is what arrived during the last ten seconds.
"""

import argparse
import asyncio
import json
from collections import deque
from dataclasses import dataclass, field

from aggregator import config
from aggregator.projections.latest import Latest, Sample
from aggregator.screen import Screen, fail
from aggregator.stores import StoreError
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.history import pieces
from aggregator.stores.history.archive import Archive
from aggregator.stores.log import SqliteLog
from aggregator.verbs import gateways
from protos import quality
from protos.batch import BatchError, decode
from protos.clock import NS, SystemClock
from protos.tls import utc

PERIOD_NS = NS  # between two looks
RATE_NS = 10 * NS  # a rate is over so long: commits come once a second, so less would flicker
ROWS_MAX = 512  # of the log at a time
COLUMNS = ("gateway", "state", "lag s", "backlog", "clock ±ms", "readings")  # with the rate: 80 columns wide


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--values", type=int, default=15, help="how many of the freshest values (%(default)s)")
    parser.add_argument("--once", action="store_true", help="look once and end")
    parser.add_argument("--json", action="store_true", help="with --once: one JSON document")
    config.argument(parser)


def run(args: argparse.Namespace) -> int:
    try:
        return asyncio.run(watch(args))
    except (config.ConfigError, StoreError) as error:
        return fail(error)


@dataclass(eq=False)
class View:
    """What is known of the newest values and rates; follows the log from where history ends."""

    settings: config.Config
    log: SqliteLog
    latest: Latest = field(default_factory=Latest)
    after: int = 0
    arrivals: deque[tuple[int, str, int]] = field(default_factory=deque)  # (arrival ns, gateway, readings)
    units: dict[str, str] = field(default_factory=dict)

    async def look(self, now_ns: int) -> None:
        while rows := await self.log.read(self.after, ROWS_MAX):
            for row in rows:
                self.after = row.position
                self.arrivals.append((row.received_ns, row.gateway, row.readings))
                try:
                    self.latest.take(row, pieces.cut(row, decode(row.blob)))
                except BatchError:
                    continue  # the history projection reports it
        while self.arrivals and self.arrivals[0][0] < now_ns - RATE_NS:
            self.arrivals.popleft()

    def rate(self, gateway: str) -> float:
        return sum(count for _, one, count in self.arrivals if one == gateway) / (RATE_NS / NS)

    def fleet(self) -> list[dict[str, object]]:
        catalogue = Catalogue(self.settings.catalogue, read_only=True)
        try:
            self.units = {f"{p.gateway}/{p.device}/{p.name}": p.unit for p in catalogue.points()}
            table = gateways.table(self.settings, catalogue)
        finally:
            catalogue.close()
        return [
            {name: row[name] for name in COLUMNS} | {"readings/s": round(self.rate(str(row["gateway"])), 1)}
            for row in table
        ]

    def freshest(self, count: int, now_ns: int) -> list[dict[str, object]]:
        return [self.value(one, now_ns) for one in spread(self.latest.freshest(50 * count), count)]

    def value(self, one: Sample, now_ns: int) -> dict[str, object]:
        return {
            "point": str(one.point),
            "value": short(one.value),
            "unit": self.units.get(str(one.point), ""),
            "quality": quality.text(one.code),
            "age s": round((now_ns - one.source_ns) / NS, 1),
            "source time": f"{utc(one.source_ns):%H:%M:%S}",
        }


def short(value: float) -> float:
    """Three digits after the point, whole numbers whole: an exponent says nothing to people."""
    return int(value) if value.is_integer() else round(value, 3)  # NaN and infinities stay


def spread(samples: list[Sample], count: int) -> list[Sample]:
    """Of many fresh samples, `count` with as many different devices as there are."""
    turn: dict[str, int] = {}
    keyed = []
    for sample in samples:
        device = f"{sample.point.gateway}/{sample.point.device}"
        turn[device] = turn.get(device, 0) + 1
        keyed.append((turn[device], str(sample.point), sample))
    return [sample for _, _, sample in sorted(keyed, key=lambda one: one[:2])[:count]]


async def watch(args: argparse.Namespace) -> int:
    settings, clock = config.load(args.config), SystemClock()
    log = SqliteLog(settings.log, read_only=True)
    view = View(settings, log)
    try:
        archive = Archive(settings.history)
        view.latest.load(archive.latest())
        view.after = archive.checkpoint
        archive.close()
    except StoreError:
        view.after = 0  # nothing in history yet: the log has it all
    try:
        with Screen(live=not args.once) as screen:
            while True:
                now_ns = clock.wall_ns()
                await view.look(now_ns)
                fleet, values = await asyncio.to_thread(view.fleet), view.freshest(args.values, now_ns)
                if args.once and args.json:
                    print(json.dumps({"gateways": fleet, "freshest": values}))
                else:
                    screen.draw({"gateways": fleet, "freshest values": values})
                if args.once:
                    return 0
                await clock.sleep_until(clock.monotonic_ns() + PERIOD_NS)
    finally:
        await log.close()
