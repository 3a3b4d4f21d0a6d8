"""How every gateway is: who is connected, its software, clock, backlog, certificate, and where its batches ended.

The live part is told by the streams and lost with the process (gateways say it again within seconds); the counters are
the log's own, kept in its transactions. A file beside the stores shows both to other processes.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from aggregator.stores import Counts
from aggregator.stores.catalogue import ClockRow, Gateway
from aggregator.stores.identities import Issued
from protos import sync_pb2

DAY_NS = 86_400 * 1_000_000_000


@dataclass(slots=True)
class Presence:
    """One gateway as the streams tell it. Times are UTC ns, 0 for never; gauges and facts are its own words."""

    connected: bool = False
    since_ns: int = 0  # connected or gone since
    why: str = ""  # it went
    software: str = ""
    wall_offset_ns: int = 0  # its wall clock less ours, by its hello: seconds of delay included
    clock_error_ns: int = -1  # bound of its UTC; -1: not told yet
    clock_source: str = ""
    backlog_batches: int = 0
    backlog_bytes: int = 0
    certificate_ns: int = 0  # not after, of the certificate it connected with
    live_ns: int = 0  # last live batch arrived
    batch_ns: int = 0  # last batch arrived
    status_ns: int = 0
    gauges: dict[str, float] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)


class Fleet:
    """Implements `aggregator.ingest.intake.Watcher`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._all: dict[str, Presence] = {}
        self._changed = True

    def __getitem__(self, gateway: str) -> Presence:
        return self._all.setdefault(gateway, Presence())

    def seen(self, gateway: str) -> Presence | None:
        """As it was told last; None: never since the server began."""
        return self._all.get(gateway)

    def versions(self) -> tuple[int, ...]:
        """Another one once a gateway came, went or told how it is."""
        return tuple(one.since_ns ^ one.status_ns for one in self._all.values())

    def joined(self, gateway: str, at_ns: int, not_after_ns: int, hello: sync_pb2.Hello) -> None:
        one = self._touch(gateway)
        one.connected, one.since_ns, one.why = True, at_ns, ""
        one.software, one.wall_offset_ns, one.certificate_ns = hello.software, hello.wall_ns - at_ns, not_after_ns
        one.backlog_batches, one.backlog_bytes = hello.backlog_batches, hello.backlog_bytes

    def left(self, gateway: str, at_ns: int, why: str) -> None:
        one = self._touch(gateway)
        one.connected, one.since_ns, one.why = False, at_ns, why

    def clock(self, gateway: str, row: ClockRow) -> None:
        one = self._touch(gateway)
        one.clock_error_ns, one.clock_source = row.error_ns, row.source

    def status(self, gateway: str, at_ns: int, status: sync_pb2.Status) -> None:
        one = self._touch(gateway)
        one.status_ns, one.gauges, one.facts = at_ns, dict(status.gauges), dict(status.facts)
        one.backlog_batches = int(one.gauges.get("backlog_batches", one.backlog_batches))
        one.backlog_bytes = int(one.gauges.get("backlog_bytes", one.backlog_bytes))

    def batch(self, gateway: str, at_ns: int, live: bool) -> None:
        one = self._touch(gateway)
        one.batch_ns = at_ns
        one.live_ns = at_ns if live else one.live_ns

    def save(self) -> None:
        """Show it to other processes: whole or not at all, and not for ever, so without a sync."""
        if self._changed:
            self._changed = False
            fresh = self._path.with_suffix(".new")
            fresh.write_text(json.dumps({gateway: asdict(one) for gateway, one in self._all.items()}))
            fresh.replace(self._path)

    def _touch(self, gateway: str) -> Presence:
        self._changed = True
        return self[gateway]


def read(path: Path) -> dict[str, Presence]:
    """What the server saved; nothing when none ran yet."""
    try:
        return {gateway: Presence(**one) for gateway, one in json.loads(path.read_text()).items()}
    except FileNotFoundError:
        return {}


def rows(
    gateways: list[Gateway],
    presence: Mapping[str, Presence],
    counts: Mapping[str, Counts],
    certificates: Mapping[str, Issued],
    recovering: set[str],
    now_ns: int,
) -> list[dict[str, object]]:
    """One row a gateway, for tables and JSON. Seconds and days are counted from `now_ns`, UTC."""
    return [
        _row(
            one,
            presence.get(one.id, Presence()),
            counts.get(one.id),
            certificates.get(one.id),
            one.id in recovering,
            now_ns,
        )
        for one in gateways
    ]


def _row(
    one: Gateway, live: Presence, count: Counts | None, issued: Issued | None, recovering: bool, now_ns: int
) -> dict[str, object]:
    state = "connected" if live.connected else "asks recovery" if recovering else one.state
    return {
        "gateway": one.id,
        "state": state,
        "district": one.district,
        "software": live.software or one.software,
        "lag s": seconds(now_ns, live.live_ns or (count.newest_ns if count else 0)),
        "backlog": live.backlog_batches if live.connected else None,
        "clock ±ms": None if live.clock_error_ns < 0 else round(live.clock_error_ns / 1e6, 1),
        "wall off s": round(live.wall_offset_ns / 1e9, 1) + 0.0 if live.since_ns else None,
        "cert days": round((issued.not_after_ns - now_ns) / DAY_NS, 1) if issued else None,
        "received": count.received if count else 0,
        "stored": count.stored if count else 0,
        "duplicate": count.duplicate if count else 0,
        "quarantined": count.quarantined if count else 0,
        "readings": count.readings if count else 0,
    }


def seconds(now_ns: int, then_ns: int) -> float | None:
    return round((now_ns - then_ns) / 1e9, 1) if then_ns else None
