"""The whole gateway, wired in the order of flow: sources → cleaning → image → buffer → sync. One TaskGroup.

A task that fails is started again (`supervisor.py`) and delays nobody else. The service manager's watchdog is fed only
while every watched task makes progress.
"""

import asyncio
import gc
import logging
import signal
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial

from edge_agent import hardware, plant, precedence, systemd
from edge_agent.beside import Beside
from edge_agent.buffer import Buffer
from edge_agent.catalogue import catalogue
from edge_agent.config import ConfigError, Gateway, load
from edge_agent.control.desk import OrderDesk
from edge_agent.field import Field, build
from edge_agent.fitter import Fitter
from edge_agent.health import Health
from edge_agent.helm import MODELS, Helm
from edge_agent.image import Frame
from edge_agent.intake import Intake, Pace
from edge_agent.local import door, metrics, status, telling
from edge_agent.rollout import requests
from edge_agent.rollout.faults import RolloutFault
from edge_agent.rollout.models import Models
from edge_agent.snapshot import Central
from edge_agent.sources import Teller
from edge_agent.supervisor import Supervisor
from edge_agent.sync import Command, Sync, TrustedTime
from protos import sync_pb2
from protos.batch import Priority
from protos.bundle import FILE_BYTES_MAX, BundleError
from protos.clock import NS, Clock, SystemClock

log = logging.getLogger(__name__)
INTAKE_LATE_S = 30.0  # an intake that completes nothing for so long is stuck
BEAT_S = 5.0  # how often progress is judged where the service manager does not say
METERED_COMMIT_MS = 10_000  # least on a line that costs by the byte: a batch a second pays for its head each time
CONTROL_LATE_S = 30.0  # a control loop that completes no cycle for so long is stuck; its slowest period is 10 s
NEEDS_RESTART = ("id", "state_dir", "aggregator", "sync")  # of the file: they are fixed for the life of the agent
FLUSH_S = 10.0  # what the last commit may take; systemd waits 20, and the control loop takes up to 5 of them


@dataclass(eq=False)
class Agent:
    """Runs one gateway until told to stop."""

    config: Gateway
    clock: Clock = field(default_factory=SystemClock)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    reload: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.rebuild = asyncio.Event()  # like `reload`, without reading the file
        self.health = Health(self.clock)
        self._keep = Supervisor(self.health, self.clock).keep
        self.time = TrustedTime(self.config.state_dir / "time.json", self.clock)
        self.field: Field
        self.intake: Intake
        self.buffer: Buffer
        self.sync: Sync
        self.helm: Helm
        self.beside: Beside
        self.desk: OrderDesk

    async def run(self) -> None:
        """Run until `stop`; then stop the sources, commit what waits, close the buffer.

        Raises ValueError and ConfigError for what its own parts refuse, and BufferFault when the state directory
        cannot be used; without an identity it polls and keeps, and says what to do.
        """
        if self.config.cell.wanted:
            precedence.of_process()
        self.field = build(self.config, self.clock, self.time)
        self.config.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        async with AsyncExitStack() as stack:
            self.buffer = await Buffer.open(self.config.state_dir, self.config.id, self.clock, self.config.buffer)
            stack.push_async_callback(self.buffer.close)
            await self._take_models(stack)
            points = catalogue(self.config, self.fitter.bundles)
            self.sync = Sync.of(self.config, self.buffer, self.clock, self.time, points, self._status, self._command)
            self.desk = OrderDesk(
                self.config.id, self.config.state_dir, self.clock, self.sync, lambda: self.helm.tick()
            )
            self.helm = Helm(
                self.config,
                self.clock,
                self.sync.anchor,
                self._audit,
                self.fitter,
                self._keep,
                self.desk,
                self._central,
            )
            clean, pace = self.field.cleaning.apply, pace_of(self.config)
            self.intake = Intake(clean, self.field.image, self._commit, self.clock, pace, self.helm.mirror)
            self._watch()
            await stack.enter_async_context(status.serve(self.config.state_dir, self.report))
            if self.config.health.listen:
                host, _, port = self.config.health.listen.rpartition(":")
                await stack.enter_async_context(metrics.serve(host.strip("[]"), int(port), self.health.prometheus))
            await self._run_tasks()

    async def _take_models(self, stack: AsyncExitStack) -> None:
        """Take the twins' models in hand, and see whether the loop can be built: what it would refuse is told now."""
        self.fitter = Fitter(self.config, self.clock, self.rebuild.set)
        stack.callback(self.fitter.models.close)
        await self.fitter.prepare(self.config)
        stack.push_async_callback(self.fitter.models.leave)  # a faulty file is no crash of a model's
        plant.build(self.config, self.clock, self.field, self.fitter.bundles, load_models=False)
        door_is_for = partial(requests.answer, self.fitter.models)
        await stack.enter_async_context(door.serve(self.config.state_dir, requests.SOCKET, door_is_for, FILE_BYTES_MAX))

    async def _run_tasks(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            behind = [
                tasks.create_task(self._keep("sync", self.sync.run)),
                tasks.create_task(self._keep("health", self._beat)),
                tasks.create_task(self._keep("audit", self.helm.keep)),
                tasks.create_task(self._keep("orders", self.desk.run)),
            ]
            await self._run_field()
            for task in behind:
                task.cancel()

    async def _run_field(self) -> None:
        """The field side, built anew after each reload until the agent is told to stop; then commit what waits."""
        async with asyncio.TaskGroup() as tasks:
            intake = tasks.create_task(self._keep("intake", self.intake.run))
            while not self.stop.is_set():
                await self._run_one_field()
            intake.cancel()
        try:
            async with asyncio.timeout(FLUSH_S):
                await self.intake.flush()
                await self.helm.flush()
        except TimeoutError:
            log.error("the disk took nothing for %g s: %d readings are lost", FLUSH_S, self.intake.waiting())

    async def _run_one_field(self) -> None:
        """The field side of this configuration. What acts ends first: it may need the sources to leave outputs safe."""
        field = self.field
        self.intake.turn_to(field.cleaning.apply, field.image, pace_of(self.config))
        async with asyncio.TaskGroup() as tasks:
            acting = []
            if self.config.cell.wanted:
                self.health.watch("control", CONTROL_LATE_S)
                acting.append(tasks.create_task(self._keep("control", self._act)))
            else:
                self.helm.rest()
            sources = [
                tasks.create_task(self._keep(f"source {s.name}", partial(s.run, layouts, self.intake.emit)))
                for s, layouts in zip(field.sources, field.layouts, strict=True)
            ]
            self.beside = Beside(self.config, self.helm.snapshot, lambda: self.helm.hands, self._tell, self.clock)
            works = self.beside.works()
            acting += [tasks.create_task(self._keep(name, work)) for name, work in works.items()]
            systemd.notify("READY=1\nSTATUS=polling")
            log.info("polling %d devices", len(self.config.devices))
            await self._until_stop_or_reload()
            self.helm.stop(safe=self.stop.is_set(), after=self.config)
            for part in (acting, sources):
                await ended(part)
        for name in ("control", MODELS, *works, *(f"source {source.name}" for source in field.sources)):
            self.health.forget(name)

    def _central(self) -> Central:
        counts = self.sync.counts
        return Central(self.sync.connected, counts.heartbeats_total, counts.heartbeat_ns)

    async def _tell(self, broker: str, topic: str, payload: bytes) -> bool:
        """Say something over MQTT through the source that speaks with this broker."""
        source = next((one for one in self.field.sources if one.name == broker), None)
        return isinstance(source, Teller) and await source.tell(topic, payload)

    def _command(self, command: Command) -> None:
        """What the aggregator says besides acknowledging."""
        if isinstance(command, sync_pb2.Order | sync_pb2.RevokeOrders):
            self.desk.take(command)

    async def _act(self) -> None:
        await self.helm.run(self.config, self.field, self.intake)

    async def _until_stop_or_reload(self) -> None:
        while True:
            waits = [asyncio.create_task(one.wait()) for one in (self.stop, self.reload, self.rebuild)]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
            if self.stop.is_set():
                systemd.notify("STOPPING=1")
                return
            anew = self.reload.is_set()
            self.reload.clear()
            self.rebuild.clear()
            if await self._take_new_config(anew=anew):
                return

    async def _take_new_config(self, *, anew: bool) -> bool:
        """Build all of it again, after reading the file `anew`; a faulty one, or one that needs a restart, changes
        nothing and says why."""
        systemd.notify("RELOADING=1")
        try:
            new = await asyncio.to_thread(load, self.config.file) if anew else self.config
            if fixed := [k for k in NEEDS_RESTART if getattr(new, k) != getattr(self.config, k)]:
                raise ValueError(f"{', '.join(fixed)} needs a restart: systemctl restart citytwin-edge")
            field = build(new, self.clock, self.time)
            await self._take_new_models(new, field)
        except (ConfigError, ValueError, RolloutFault, BundleError) as error:
            log.error("reload refused, the old configuration stays:\n%s", error)
            return False
        finally:
            systemd.notify("READY=1")
        self.config, self.field = new, field
        self.sync.renew_catalogue(catalogue(new, self.fitter.bundles))
        log.info("reloaded %s", new.file)
        return True

    async def _take_new_models(self, new: Gateway, field: Field) -> None:
        """Have the fitter go on with those of `new`. What it raises leaves the fitter where it was."""
        try:
            await self.fitter.prepare(new)
            plant.build(new, self.clock, field, self.fitter.bundles, load_models=False)
        except (ConfigError, ValueError, RolloutFault, BundleError):
            await self.fitter.prepare(self.config)
            raise
        finally:
            self.fitter.settle()

    async def _commit(self, frames: Sequence[Frame]) -> bool:
        sequence = await self.buffer.append(frames, Priority.TELEMETRY, self.sync.anchor())
        self.health.progress("intake")
        return sequence > 0

    async def _audit(self, frames: Sequence[Frame]) -> None:
        await self.buffer.append(frames, Priority.AUDIT, self.sync.anchor())

    def _watch(self) -> None:
        self.health.watch("intake", INTAKE_LATE_S)
        self.health.parts.update(
            buffer=self.buffer.gauges,
            sync=self.sync.gauges,
            field=lambda: self.field.gauges(),
            intake=self._intake_gauges,
            control=lambda: self.helm.gauges(),
            models=self.fitter.models.gauges,
            local=lambda: self.beside.gauges(),
            orders=self.desk.gauges,
            hardware=lambda: hardware.facts(self.config.state_dir),
        )

    def _intake_gauges(self) -> dict[str, float]:
        return {
            "received_total": self.intake.received,
            "dropped_total": self.intake.dropped,
            "waiting": self.intake.waiting(),
        }

    async def _beat(self) -> None:
        """Feed the watchdog while every watched task makes progress; write the metrics file."""
        period = systemd.watchdog_s() or BEAT_S
        while True:
            if not self.intake.waiting():
                self.health.progress("intake")  # nothing to commit is no fault of the intake
            if self.helm.progressed():
                self.health.progress("control")  # only a completed cycle counts
            if late := self.health.late():
                log.error("no progress: %s; the watchdog is not fed", ", ".join(late))
            else:
                systemd.notify("WATCHDOG=1")
            if self.config.health.textfile is not None:
                metrics.write(self.config.health.textfile, self.health.prometheus())
            await self.clock.sleep_until(self.clock.monotonic_ns() + int(period * NS))

    def report(self) -> dict[str, object]:
        """What `edge-agent status` shows."""
        return {
            "gateway": self.config.id,
            "running": True,
            "epoch": self.buffer.epoch,
            "sequence": self.buffer.newest,
            "link": self.sync.report(),
            "control": self._told(),
            **self.health.report(),
        }

    def _told(self) -> Mapping[str, object] | None:
        snapshot = self.helm.snapshot()
        return None if snapshot is None else telling.report(snapshot, self.clock.monotonic_ns())

    def _status(self) -> sync_pb2.Status:
        return status_of(self.config.district, self.health, self.fitter.models)


def status_of(district: str, health: Health, models: Models) -> sync_pb2.Status:
    """What the aggregator is told now and then: how the gateway is, and its models."""
    status = sync_pb2.Status(gauges=health.gauges(), facts={"district": district})
    for twin, vitals in models.told().items():
        status.gauges.update(vitals.gauges(twin))
        status.facts.update(vitals.facts(twin))
    return status


def pace_of(config: Gateway) -> Pace:
    """How often the gateway commits: as its file says; on a metered line after 10 s or more, or `commit_readings`."""
    limits = config.buffer
    least_ms = METERED_COMMIT_MS if config.sync.metered else 0
    return Pace(config.tick_ms, max(limits.commit_ms, least_ms), limits.commit_readings)


async def ended(tasks: Sequence["asyncio.Task[None]"]) -> None:
    """Cancel them and wait until they have ended."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


async def serve(config: Gateway, clock: Clock) -> None:
    """Run the agent until SIGTERM or SIGINT; SIGHUP reloads the configuration."""
    agent = Agent(config, clock)
    gc.freeze()  # what was loaded stays for ever: the collector need not look through it again and again
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, agent.stop.set)
    loop.add_signal_handler(signal.SIGHUP, agent.reload.set)
    await agent.run()
