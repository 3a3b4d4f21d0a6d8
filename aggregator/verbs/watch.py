"""Watch the city live: every gateway's rate, backlog and clock, and the values that arrived last. Ctrl-C ends it.

Where a city file is configured also its twin: how far each domain can be trusted, what is wrong, what is decided.

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
from aggregator.decisions.decision import Decision, unpacked
from aggregator.projections.latest import Latest, Sample
from aggregator.screen import Screen, fail
from aggregator.stores import StoreError
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.city import AlarmRow, CityStore
from aggregator.stores.decisions import Decisions
from aggregator.stores.history import pieces
from aggregator.stores.history.archive import Archive
from aggregator.stores.log import SqliteLog
from aggregator.verbs import gateways, selection
from aggregator.verbs.alarms import HIDDEN, PRIORITIES
from protos import quality
from protos.batch import BatchError, decode
from protos.clock import NS, SystemClock
from protos.tls import utc

PERIOD_NS = NS  # between two looks
RATE_NS = 10 * NS  # a rate is over so long: commits come once a second, so less would flicker
ROWS_MAX = 512  # of the log at a time
ALARMS_SHOWN, DECISIONS_SHOWN = 6, 3
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


def city(settings: config.Config) -> dict[str, list[dict[str, object]]]:
    """The twin, in three tables; none without a city, or before the server has begun with it."""
    if settings.city is None or not settings.twin.exists():
        return {}
    store = CityStore(settings.twin, read_only=True)
    catalogue = Catalogue(settings.catalogue, read_only=True)
    try:
        standing = [one for one in store.alarms() if one.state not in HIDDEN]
        decided = [unpacked(one.content) for one in Decisions(catalogue).newest(DECISIONS_SHOWN)]
        return {
            "twin": [domain_row(store, name) for name in store.domains()],
            f"alarms: {len(standing)}": [alarm_row(one) for one in standing[:ALARMS_SHOWN]],
            "decisions": [decision_row(one) for one in decided],
        }
    finally:
        catalogue.close()
        store.close()


def domain_row(store: CityStore, name: str) -> dict[str, object]:
    _, health = store.shown(name, "health") or (0, {})
    _, risks = store.shown(name, "risks") or (0, [])
    worst = risks[0] if risks else None
    return {
        "domain": name,
        "at": selection.iso(store.moment(name).t_ns)[11:19],
        "NIS": None if not health else round(health["nis_per_reading"], 2),
        "90 %": None if not health or not health["trials"] else f"{health['coverage_90']:.0%}",
        "worst risk": f"{worst['asset']}: {worst['what']} {worst['probability']:.0%}" if worst else "",
        "what to do": worst["action"] if worst else "",
    }


def alarm_row(one: AlarmRow) -> dict[str, object]:
    return {
        "priority": PRIORITIES[one.priority],
        "asset": one.asset,
        "condition": one.condition,
        "state": one.state,
        "since": selection.iso(one.since_ns)[11:19],
        "what to do": one.action,
    }


def decision_row(one: Decision) -> dict[str, object]:
    first = one.basis.expects[0]
    return {
        "decision": one.id,
        "state": one.state.value,
        "gains": f"{first.name} {first.without:.4g} → {first.planned:.4g}",
        "why": one.reason or one.basis.why,
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
                twin = await asyncio.to_thread(city, settings)
                if args.once and args.json:
                    print(json.dumps({"gateways": fleet, "freshest": values, **twin}, default=str))
                else:
                    screen.draw({"gateways": fleet, **twin, "freshest values": values})
                if args.once:
                    return 0
                await clock.sleep_until(clock.monotonic_ns() + PERIOD_NS)
    finally:
        await log.close()
