"""The field side of a gateway, built of its configuration: sources in flow with cleaning, image and intake.

Rebuilt as a whole on a reload; the buffer and the sync behind it stay as they are, so no reading is lost.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from edge_agent.cleaning import Cleaning
from edge_agent.config import Gateway
from edge_agent.image import Image, Layout, lay_out
from edge_agent.profile import Device
from edge_agent.sources import SOURCES, Source
from protos.clock import Clock
from protos.validity import Time


@dataclass(frozen=True, eq=False)
class Field:
    """Sources, the layouts each was given, the image over all of them, and the checks of its points."""

    sources: tuple[Source, ...]
    layouts: tuple[tuple[Layout, ...], ...]  # of each source
    also: tuple[Layout, ...]  # of the points that nobody polls
    image: Image
    cleaning: Cleaning

    def gauges(self) -> dict[str, float]:
        total: dict[str, float] = {}
        for source in self.sources:
            for name, value in source.gauges().items():
                total[name] = total.get(name, 0.0) + value
        return total


def resolve(place: str) -> Any:
    """The class that a table of plug-ins names, as module:class; loaded only when a gateway uses it."""
    module, name = place.split(":")
    return getattr(import_module(module), name)


def lines_of(devices: Iterable[Device]) -> dict[str, list[Device]]:
    """Modbus devices by the line that they share: one connection each. A line is called as its first device calls it.

    Raises ValueError for a host that would be given more connections than a profile's `max_clients` allows.
    """
    named: dict[tuple[str, str, int], str] = {}
    lines: dict[str, list[Device]] = {}
    for device in devices:
        if device.profile.modbus is not None:
            line = named.setdefault(ends_of(device.connection), device.connection)
            lines.setdefault(line, []).append(device)
    if faults := list(crowded(named, lines)):
        raise ValueError("\n".join(faults))
    return lines


def ends_of(connection: str) -> tuple[str, str, int]:
    """(serial port, host, TCP port): two connections with the same are one."""
    from edge_agent.sources.modbus.address import (
        parse,
    )  # only a gateway with Modbus devices needs all that comes with it

    address = parse(connection, {})
    return address.path, address.host, address.port


def crowded(named: Mapping[tuple[str, str, int], str], lines: Mapping[str, Sequence[Device]]) -> Iterator[str]:
    """Hosts with more connections of this gateway than one of their devices takes: its other ports count as well."""
    hosts: dict[str, list[str]] = {}
    for (_, host, _), line in named.items():
        if host:
            hosts.setdefault(host, []).append(line)
    for host, each in hosts.items():
        for device in (device for line in each for device in lines[line]):
            most = device.profile.modbus.max_clients if device.profile.modbus else 0
            if most and len(each) > most:
                yield (
                    f"device {device.name}: {host} takes {most} connections and this gateway would open {len(each)}"
                    f" ({', '.join(each)}); reach all its units over {most}, or poll some from another gateway"
                )


def prompt_lines(config: Gateway) -> set[str]:
    """The Modbus lines that the control loop polls itself: those of every device that it reads or writes."""
    cell = config.cell
    named = [point for output in cell.outputs for point in (output.point, output.readback)]
    named += [point for one in cell.controllers for point in one.inputs.values()]
    named += [point for one in cell.twins for point in one.points.values()]
    devices = {name.partition("/")[0] for name in named}
    modbus = [d for d in config.devices if d.profile.modbus is not None]
    ends = {ends_of(d.connection) for d in modbus if d.name in devices}
    return {d.connection for d in modbus if ends_of(d.connection) in ends}


def sources_of(config: Gateway, clock: Clock, time: Time | None) -> list[Source]:
    """All but the lines of the control loop."""
    sources: list[Source] = []
    prompt = prompt_lines(config)
    for line, devices in lines_of(config.devices).items():
        if line not in prompt:
            sources.append(resolve(SOURCES["modbus"])(line, devices, clock))
    for broker in config.brokers:
        devices = [d for d in config.devices if d.profile.mqtt is not None and d.connection == broker.name]
        sources.append(resolve(SOURCES["mqtt"])(config.id, broker, devices, clock, time=time))
    return sources


def build(config: Gateway, clock: Clock, time: Time | None = None) -> Field:
    """Nothing is opened yet; `time` judges brokers' certificates. Raises ValueError, with every fault of the part
    that found it, for what only the parts themselves can judge: a payload path, the limits of a check."""
    return assemble(sources_of(config, clock, time), config.devices)


Wanted = Sequence[tuple[str, tuple[str, ...]]]  # device, points


def assemble(sources: Sequence[Source], devices: Iterable[Device], also: Wanted = ()) -> Field:
    """A field of these sources; its image has room for the points of `also` behind theirs, which nobody polls."""
    wanted = [list(source.wants()) for source in sources]
    placed, image = lay_out([*(one for wants in wanted for one in wants), *also])
    each = iter(placed)
    layouts = tuple(tuple(next(each) for _ in wants) for wants in wanted)
    specs = {f"{d.name}/{p.name}": p for d in devices for p in d.profile.points}
    polled = image.names[: sum(len(one.points) for some in layouts for one in some)]
    return Field(tuple(sources), layouts, tuple(each), image, Cleaning([specs[name] for name in polled]))
