"""A line of Modbus devices as a source: polled on an absolute schedule, written with read-back."""

import asyncio
import logging
import math
import random
import zlib
from collections.abc import Mapping, Sequence

from edge_agent.image import Emit, Layout
from edge_agent.profile import Device, ModbusManners
from edge_agent.sources import Outcome, Written
from edge_agent.sources.modbus.address import Address, parse
from edge_agent.sources.modbus.breaker import Breaker
from edge_agent.sources.modbus.budget import Budgets, place_of
from edge_agent.sources.modbus.job import MS, Job, Unit, jobs_of
from edge_agent.sources.modbus.leases import Leases
from edge_agent.sources.modbus.link import Link
from edge_agent.sources.modbus.mbap import MbapLink
from edge_agent.sources.modbus.poll import Counters, Poller
from edge_agent.sources.modbus.rtu import RtuLink
from edge_agent.sources.modbus.schedule import Schedule
from edge_agent.sources.modbus.sunspec import all_placed
from edge_agent.sources.modbus.writer import Writer
from protos.clock import NS, Clock

log = logging.getLogger(__name__)


def link_to(address: Address, options: Mapping[str, str], clock: Clock, delay_ns: int = 0, guard: bool = True) -> Link:
    """The kind of line that an address means. `guard=False` is the negative control of a test."""
    if address.framed_as_rtu:
        return RtuLink(address, options, clock, delay_ns, guard)
    return MbapLink(address, options, clock, delay_ns, guard)


def manners_of(device: Device) -> ModbusManners:
    return device.profile.modbus or ModbusManners()


class Modbus:
    """The devices that share one line or one host. See `edge_agent.sources.Source`.

    Raises ValueError for a connection that cannot be understood, UnitError for a unit that is not its quantity's.
    """

    def __init__(
        self, line: str, devices: Sequence[Device], clock: Clock, guard: bool = True, aligned: bool = False
    ) -> None:
        self.name = line
        self._aligned = aligned  # polled where the control loop ticks
        self._clock = clock
        options = {key: value for device in devices for key, value in device.options.items()}
        delay = max((manners_of(device).connect_delay_ms for device in devices), default=0)
        self.link = link_to(parse(line, options), options, clock, delay * MS, guard)
        self._units: dict[int, Unit] = {}
        self._jobs: list[Job] = []
        for device in devices:
            unit = self._unit_of(device)
            unit.jobs.extend(jobs := jobs_of(device, unit))
            self._jobs.extend(jobs)
        self._devices = {device.name: device for device in devices}
        self._specs = {device.name: {spec.name: spec for spec in device.profile.points} for device in devices}
        self._writer = Writer(self.link, clock, Budgets(file=place_of(line)))
        self._leases = Leases()
        self._held = asyncio.Event()  # something new is held
        self._counters = Counters()
        self._schedule: Schedule | None = None

    def _unit_of(self, device: Device) -> Unit:
        manners = manners_of(device)
        if device.unit not in self._units:
            chance = random.Random(zlib.crc32(f"{self.name}/{device.unit}".encode()))  # noqa: S311  jitter
            self._units[device.unit] = Unit(
                device.unit, Breaker(chance), manners.timeout_ms * MS, manners.pause_ms * MS
            )
        return self._units[device.unit]

    def wants(self) -> Sequence[tuple[str, tuple[str, ...]]]:
        return [(job.device.name, tuple(spec.name for spec in job.numeric[: job.shown])) for job in self._jobs]

    async def run(self, layouts: Sequence[Layout], emit: Emit) -> None:
        for job, layout in zip(self._jobs, layouts, strict=True):
            job.layout = layout
        poller = Poller(self.link, self._clock, emit, self._counters)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._refresh(), name=f"leases {self.name}")
                if self._jobs:
                    tasks.create_task(self._poll(poller), name=f"poll {self.name}")
        finally:
            self.link.drop()

    async def _poll(self, poller: Poller) -> None:
        clock = self._clock
        periods = [job.period_ns for job in self._jobs]
        self._schedule = schedule = Schedule(periods, clock.monotonic_ns(), self.name, self._aligned)
        while True:
            due, number = schedule.first()
            if due > clock.monotonic_ns():
                await clock.sleep_until(due)
            await poller.cycle(self._jobs[number])
            schedule.done(clock.monotonic_ns())

    async def write(self, device: str, point: str, value: float) -> Written:
        written = await self._write(device, point, value)
        lease_s = float(self._devices[device].options.get("lease_s", 0)) if device in self._devices else 0
        if lease_s and written.outcome is not Outcome.REJECTED:
            self.hold(device, point, value, lease_s)
        return written

    async def actuate(self, device: str, point: str, value: float) -> Written:
        return await self._write(device, point, value, again=True)

    def hold(self, device: str, point: str, value: float, timeout_s: float) -> None:
        """Write the point again at half of the device's own timeout, until `release`."""
        self._leases.hold((device, point), value, int(timeout_s * NS), self._clock.monotonic_ns())
        self._held.set()

    def release(self, device: str, point: str) -> None:
        self._leases.release((device, point))

    async def _write(self, device: str, point: str, value: float, again: bool = False) -> Written:
        if device not in self._devices:
            return Written(Outcome.REJECTED, math.nan, f"no device {device} on {self.name}")
        by_name = self._specs[device]
        if point not in by_name:
            return Written(Outcome.REJECTED, math.nan, f"{device} has no point {point}")
        spec = by_name[point]
        scale = spec.register.scale_from if spec.register else ""
        unit = self._units[self._devices[device].unit]
        specs = all_placed((spec, by_name[scale]) if scale else (spec,), unit.models)
        if len(specs) < 1 + bool(scale):
            return Written(Outcome.REJECTED, math.nan, f"{device} has not shown the SunSpec model of {point}")
        return await self._writer.write(unit, specs, value, again)

    async def _refresh(self) -> None:
        """Rewrite what is held when it is due."""
        clock = self._clock
        while True:
            self._held.clear()
            due = self._leases.next_ns()
            waits: list[asyncio.Future[object]] = [asyncio.ensure_future(self._held.wait())]
            if due is not None:
                waits.append(asyncio.ensure_future(clock.sleep_until(due)))
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
            for (device, point), value in self._leases.take(clock.monotonic_ns()):
                written = await self._write(device, point, value, again=True)
                if written.outcome in (Outcome.REJECTED, Outcome.UNKNOWN):
                    log.warning("%s/%s is held at %g but: %s", device, point, value, written.why)

    def gauges(self) -> Mapping[str, float]:
        counts: dict[str, float] = {name: getattr(self._counters, name) for name in Counters.__slots__}
        return counts | {
            "overruns": self._schedule.overruns if self._schedule else 0,
            "writes": self._writer.writes,
            "reconnects": max(0, self.link.reconnects),
            "strays": self.link.strays,
            "open_breakers": sum(unit.breaker.open for unit in self._units.values()),
        }
