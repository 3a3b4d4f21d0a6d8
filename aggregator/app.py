"""The wiring: builds every part in the order of flow, holds the one TaskGroup, ends all of it in good order."""

import asyncio
import fcntl
import hashlib
import json
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from aggregator import systemd
from aggregator.config import Config
from aggregator.ingest.dispatch import LOOK_NS, Dispatch
from aggregator.ingest.intake import Intake
from aggregator.ingest.line import Line
from aggregator.ingest.notary import Notary
from aggregator.ingest.servicer import Sync, add_sync, listener
from aggregator.ingest.streams import BEAT_NS, Streams
from aggregator.ledger.book import Book
from aggregator.limits import NS
from aggregator.projections.fleet import Fleet
from aggregator.projections.history import HistoryProjection
from aggregator.projections.ledger import LedgerProjection
from aggregator.projections.rebuild import rebuild_lost
from aggregator.security.admission import Admission, Peer
from aggregator.security.authority import OwnAuthority
from aggregator.security.enrolment import Enrolment, Renewal, add_enrolment, add_renewal
from aggregator.security.order_signer import OrderSigner
from aggregator.security.registrar import Registrar
from aggregator.security.server_identity import ServerIdentity
from aggregator.stores import Projection, StoreError
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.history.segments import SegmentHistory
from aggregator.stores.log import SqliteLog
from aggregator.stores.orders import Orders
from protos import sync_pb2
from protos.clock import Clock, SystemClock

if TYPE_CHECKING:
    from aggregator.api.server import Web
    from aggregator.decisions.steward import Steward
    from aggregator.projections.city import CityProjection
    from aggregator.stores.city import CityStore

LOG = logging.getLogger("aggregator")
WATCH_NS = 2 * NS  # how soon a verb's change (a revocation, an approval) is seen here
CHORES_NS = 3600 * NS  # certificates and old log rows
RETRY_NS = 1 * NS  # a part that failed begins again after this, doubled each time
RETRY_MAX_NS = 30 * NS
STOP_S = 3.0  # what a stream gets to take its last message
ENROLMENT_MESSAGE = 64 << 10  # bytes: a request and a chain
DAY_NS = 86_400 * NS


class App:
    """One aggregator. `run` returns after SIGTERM, SIGINT or `stop()`."""

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        """Raises StoreError, ConfigError, CityError, TlsError or OSError, each naming file and remedy."""
        self.config, self.clock = config, clock or SystemClock()
        self._lock = lock(config)
        self.catalogue = Catalogue(config.catalogue)
        self.authority = OwnAuthority.load(config.ca)
        self.identity = ServerIdentity(config.ca, self.authority, self._names(), self.clock)
        self.admission = Admission(self.authority, self.catalogue, self.clock)
        self.registrar = Registrar(
            self.authority, self.catalogue, self.clock, per_minute=config.limits.enrolments_per_minute
        )
        self.log = SqliteLog(config.log)
        self.fleet = Fleet(config.fleet)
        self.streams = Streams(config.limits.gateways)
        self.intake = Intake(self.log, self.catalogue, self.streams, self.fleet, config.limits, self.clock)
        signer = OrderSigner(config.ca, self.authority, self.clock)
        self.dispatch = Dispatch(Orders(self.catalogue), self.streams, signer, self.clock)
        self.intake.receipts = self.dispatch.receipt
        self.history = SegmentHistory(config.history, retention_days=config.retention_days)
        self.streams.settle(self.history.checkpoint)
        self._history = HistoryProjection(
            self.log,
            self.history,
            self.clock,
            settled=self.streams.settle,
            repair=lambda: rebuild_lost(self.history, self.log),
        )
        self.ledger = ledger_of(config, self.log, self.clock)
        self.notary = Notary(self.streams, self.ledger, self.catalogue.note, self.clock)
        self.intake.cosignatures = self.notary.heard
        self.projections: list[Projection] = [self._history, self.ledger]
        self.city: CityStore | None = None
        self._city: CityProjection | None = None
        self._told: Mapping[str, Sequence[sync_pb2.Prior]] = {}
        self.steward: Steward | None = None
        self._closing: list[Callable[[], None]] = [self.ledger.close]
        if config.city is not None:
            self._join_city(config.city)
        self.web: Web | None = None
        if config.web.listen:
            self._join_web()
        self.ports: dict[str, int] = {}
        self._stopping = asyncio.Event()

    def _join_city(self, file: Path) -> None:
        from aggregator.city.file import load  # what fuses is not kept in the memory of a server that does not
        from aggregator.projections.city import CityProjection
        from aggregator.stores.city import CityStore

        self.city = CityStore(self.config.twin, keep_steps=self.config.keep_steps)
        self._city = CityProjection(self.log, self.city, load(file), self.clock)
        self.projections.append(self._city)
        self._join_decisions()

    def _join_decisions(self) -> None:
        """On a connection of its own: so `dispatch` sees the orders that it gives, as those of any verb."""
        from aggregator.decisions.sight import verdict_of
        from aggregator.decisions.steward import Steward
        from aggregator.stores.city import CityStore
        from aggregator.stores.decisions import Decisions

        table, sight = Catalogue(self.config.catalogue), CityStore(self.config.twin, read_only=True)
        self._closing += [table.close, sight.close]
        self.steward = Steward(Decisions(table), self.config.decisions, verdict_of(sight), self.clock)

    def _join_web(self) -> None:
        from aggregator.api.parts import Parts  # nor what serves pages in one without them
        from aggregator.api.server import Web

        latest = self._history.latest
        self.web = Web(Parts(self.config, self.clock, self.fleet, self.streams, self.log, latest, self._city))
        self._closing.append(self.web.close)

    def stop(self) -> None:
        self._stopping.set()

    async def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until told to stop; `ready` is called once both listeners are open."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._close)
            await self._listen(stack)
            async with asyncio.TaskGroup() as group:
                parts = [group.create_task(self._kept_up(name, part), name=name) for name, part in self._parts()]
                ready()
                systemd.notify("READY=1")
                await self._stopping.wait()
                systemd.notify("STOPPING=1")
                LOG.info("stopping")
                for part in parts:
                    part.cancel()

    def _parts(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        return [
            ("heartbeat", lambda: self._every(BEAT_NS, self._beat)),
            ("watch", lambda: self._every(WATCH_NS, self._watch)),
            ("orders", lambda: self._every(LOOK_NS, self.dispatch.tick)),
            ("witnesses", self.notary.run),
            ("chores", lambda: self._every(CHORES_NS, self._chores)),
            *((one.name, one.run) for one in self.projections),
            *((("decisions", partial(self._every, NS, self.steward.tick)),) if self.steward else ()),
            *((("web", self.web.run),) if self.web else ()),
        ]

    async def _kept_up(self, name: str, part: Callable[[], Awaitable[None]]) -> None:
        """Run a part again after it failed, later each time: the other parts go on meanwhile."""
        pause_ns = RETRY_NS
        while True:
            began = self.clock.monotonic_ns()
            try:
                await part()
                return
            except Exception:
                LOG.exception("%s failed; again in %d s", name, pause_ns // NS)
            if self.clock.monotonic_ns() - began > RETRY_MAX_NS:
                pause_ns = RETRY_NS
            await self.clock.sleep_until(self.clock.monotonic_ns() + pause_ns)
            pause_ns = min(2 * pause_ns, RETRY_MAX_NS)

    async def _every(self, period_ns: int, act: Callable[[], Awaitable[None]]) -> None:
        due_ns = self.clock.monotonic_ns()
        while True:
            await act()
            due_ns = max(due_ns + period_ns, self.clock.monotonic_ns())
            await self.clock.sleep_until(due_ns)

    async def _beat(self) -> None:
        self.streams.beat(self.clock.monotonic_ns(), self.clock.wall_ns())
        systemd.notify("WATCHDOG=1")
        if self._city is not None and self._city.priors is not self._told:
            self._told = self._city.priors
            for line in self.streams:
                for prior in self._told.get(line.gateway, ()) if line.greeted else ():
                    line.believe(prior)

    async def _watch(self) -> None:
        """What other processes changed, and what is to be shown to them."""
        if self.catalogue.changed_elsewhere():
            self.admission.refresh()
        for gateway, why in self.streams.cut(self._ended):
            self.catalogue.note(self.clock.wall_ns(), "aggregator", "stream cut", gateway, why)
            LOG.warning("%s cut: %s", gateway, why)
        self.intake.flush()
        self.fleet.save()

    async def _chores(self) -> None:
        if self.identity.renew_if_due():
            self.catalogue.note(self.clock.wall_ns(), "aggregator", "renew server certificate", self.identity.serial)
            LOG.info("server certificate renewed, good until %s", self.identity.not_after)
        await self._trim()

    async def _trim(self) -> None:
        """Old rows that every projection has passed."""
        passed = min((one.checkpoint for one in self.projections), default=0)
        keep_ns = self.clock.wall_ns() - self.config.limits.log_days * DAY_NS
        if (before := await self.log.first_since(keep_ns, passed + 1)) > self.log.trimmed + 1:
            LOG.info("log: %d old batches trimmed", await self.log.trim(before))

    def _ended(self, line: Line) -> str:
        return self.admission.ended(Peer(line.gateway, line.serial, line.not_after_ns))

    async def _listen(self, stack: AsyncExitStack) -> None:
        config, limits = self.config, self.config.limits
        enrolment = Enrolment(self.registrar, self.authority, config.sync_address)
        server, self.ports["enrolment"] = listener(
            config.enrolment_listen,
            self.identity.credentials(clients=False),
            [add_enrolment(enrolment)],
            ENROLMENT_MESSAGE,
        )
        await server.start()
        stack.push_async_callback(server.stop, 0)
        sync = Sync(self.intake, self.streams, self.fleet, self.admission.check)
        renewal = Renewal(self.registrar, self.admission, self.authority, config.sync_address)
        server, self.ports["sync"] = listener(
            config.sync_listen,
            self.identity.credentials(clients=True),
            [add_sync(sync), add_renewal(renewal)],
            4 * limits.batch_bytes,  # what is over the limit but not absurd is quarantined and told, not cut
        )
        enrolment.sync_address = renewal.sync_address = config.sync_address or self.address("sync")
        await server.start()
        if self.web is not None:
            self.ports["web"] = self.web.port
        stack.push_async_callback(server.stop, STOP_S)
        stack.callback(self.streams.end_all, "the aggregator is stopping: come back")
        self._show_endpoints()

    def address(self, which: str) -> str:
        """host:port that a listener is on."""
        config = self.config
        listen = {"sync": config.sync_listen, "enrolment": config.enrolment_listen, "web": config.web.listen}[which]
        return f"{listen.rpartition(':')[0]}:{self.ports[which]}"

    def _show_endpoints(self) -> None:
        fresh = self.config.endpoints.with_suffix(".new")
        fresh.write_text(json.dumps({which: self.address(which) for which in self.ports} | {"pid": os.getpid()}))
        fresh.replace(self.config.endpoints)

    async def _close(self) -> None:
        await self.intake.drain()
        self.intake.flush()
        for gateway in [line.gateway for line in self.streams]:
            self.fleet.left(gateway, self.clock.wall_ns(), "the aggregator stopped")
        self.fleet.save()
        await self.log.close()
        self.history.close()
        if self.city is not None:
            self.city.close()
        for close in self._closing:
            close()
        self.catalogue.close()
        self.config.endpoints.unlink(missing_ok=True)
        self._lock.close()

    def _names(self) -> list[str]:
        """What gateways may dial: the configured names, and the hosts of every address."""
        config = self.config
        hosts = [
            one.rpartition(":")[0].strip("[]")
            for one in (config.sync_listen, config.sync_address, config.enrolment_listen, config.enrolment_address)
        ]
        return list(dict.fromkeys([*config.names, *(one for one in hosts if one not in ("", "0.0.0.0", "::"))]))  # noqa: S104


def lock(config: Config) -> TextIO:
    """Held while the server runs, so that two never write the same state. Raises StoreError."""
    if not config.catalogue.exists():
        raise StoreError(f"{config.state_dir}: no aggregator lives here; run `aggregator init {config.state_dir}`")
    file = open(config.state_dir / "lock", "a")  # noqa: SIM115
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise StoreError(f"{config.state_dir}: another aggregator runs on this state; stop it first") from error
    return file


def ledger_of(config: Config, log: SqliteLog, clock: Clock) -> LedgerProjection:
    """The ledger, begun with what the server is configured by. Raises StoreError."""
    with closing(Catalogue(config.catalogue)) as catalogue:
        policy = Path(config.record.policy) if config.record.policy else None
        for path in (config.path, config.city, policy):
            if path is not None and path.is_file():
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                catalogue.note_change(clock.wall_ns(), "aggregator", "configuration", path.name, f"sha256 {digest}")
    book = Book(config.ledger, config.record.origin, policy)
    table = Catalogue(config.catalogue, read_only=True)
    return LedgerProjection(log, table, book, clock, int(config.record.checkpoint_s * NS))
