"""A line of Modbus devices as a source: polled on an absolute schedule, written with read-back."""

import random
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from edge_agent.image import Emit, Layout
from edge_agent.profile import Device, ModbusManners
from edge_agent.sources import Written
from edge_agent.sources.modbus.address import Address, parse
from edge_agent.sources.modbus.breaker import Breaker
from edge_agent.sources.modbus.job import MS, Job, Unit, jobs_of
from edge_agent.sources.modbus.link import Link
from edge_agent.sources.modbus.mbap import MbapLink
from edge_agent.sources.modbus.poll import Counters, Poller
from edge_agent.sources.modbus.rtu import RtuLink
from edge_agent.sources.modbus.schedule import Schedule
from protos.clock import Clock


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

    def __init__(self, line: str, devices: Sequence[Device], clock: Clock, guard: bool = True) -> None:
        self.name = line
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
        clock = self._clock
        if not self._jobs:
            return
        self._schedule = schedule = Schedule([job.period_ns for job in self._jobs], clock.monotonic_ns(), self.name)
        try:
            while True:
                due, job = schedule.first()
                if due > clock.monotonic_ns():
                    await clock.sleep_until(due)
                await poller.cycle(self._jobs[job])
                schedule.done(clock.monotonic_ns())
        finally:
            self.link.drop()

    async def write(self, device: str, point: str, value: float) -> Written:
        raise NotImplementedError

    def gauges(self) -> Mapping[str, float]:
        counts: dict[str, Any] = {name: getattr(self._counters, name) for name in Counters.__slots__}
        return counts | {
            "overruns": self._schedule.overruns if self._schedule else 0,
            "reconnects": max(0, self.link.reconnects),
            "strays": self.link.strays,
            "open_breakers": sum(unit.breaker.open for unit in self._units.values()),
        }
