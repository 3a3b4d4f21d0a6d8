"""The field side of a gateway, built of its configuration: sources in flow with cleaning, image and intake.

Rebuilt as a whole on a reload; the buffer and the sync behind it stay as they are, so no reading is lost.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from edge_agent.cleaning import Cleaning
from edge_agent.config import Gateway
from edge_agent.image import Image, Layout, lay_out
from edge_agent.profile import Device
from edge_agent.sources import SOURCES, Source
from protos import telemetry_pb2 as telemetry
from protos.clock import Clock
from protos.vocabulary import internal_unit


@dataclass(frozen=True, eq=False)
class Field:
    """Sources, the layouts each was given, the image over all of them, and the checks of its points."""

    sources: tuple[Source, ...]
    layouts: tuple[tuple[Layout, ...], ...]  # of each source
    image: Image
    cleaning: Cleaning

    def gauges(self) -> dict[str, float]:
        total: dict[str, float] = {}
        for source in self.sources:
            for name, value in source.gauges().items():
                total[name] = total.get(name, 0.0) + value
        return total


def resolve(kind: str) -> Any:
    """The class that the table of sources names; loaded only when a gateway has such a device."""
    module, name = SOURCES[kind].split(":")
    return getattr(import_module(module), name)


def lines_of(devices: Iterable[Device]) -> dict[str, list[Device]]:
    """Modbus devices by the line or host that they share."""
    lines: dict[str, list[Device]] = {}
    for device in devices:
        if device.profile.modbus is not None:
            lines.setdefault(device.connection, []).append(device)
    return lines


def sources_of(config: Gateway, clock: Clock) -> list[Source]:
    sources: list[Source] = []
    for line, devices in lines_of(config.devices).items():
        sources.append(resolve("modbus")(line, devices, clock))
    for broker in config.brokers:
        devices = [d for d in config.devices if d.profile.mqtt is not None and d.connection == broker.name]
        sources.append(resolve("mqtt")(config.id, broker, devices, clock))
    return sources


def build(config: Gateway, clock: Clock) -> Field:
    """Nothing is opened yet. Raises ValueError, with every fault of the part that found it, for what only the parts
    themselves can judge: a payload path, the limits of a check."""
    sources = sources_of(config, clock)
    wanted = [list(source.wants()) for source in sources]
    placed, image = lay_out([one for wants in wanted for one in wants])
    each = iter(placed)
    layouts = tuple(tuple(next(each) for _ in wants) for wants in wanted)
    specs = {f"{d.name}/{p.name}": p for d in config.devices for p in d.profile.points}
    return Field(tuple(sources), layouts, image, Cleaning([specs[name] for name in image.names]))


def catalogue(config: Gateway) -> telemetry.Catalogue:
    """What the aggregator needs to know of every point; its digest changes when any of it does."""
    points = [point for device in config.devices for point in points_of(device)]
    message = telemetry.Catalogue(district=config.district, points=points)
    message.digest = hashlib.sha256(message.SerializeToString(deterministic=True)).digest()
    return message


def points_of(device: Device) -> Sequence[telemetry.Point]:
    return [
        telemetry.Point(
            device=device.name,
            name=spec.name,
            unit=internal_unit(spec.quantity),
            domain=device.domain or device.profile.domain,
            quantity=spec.quantity,
            asset=device.asset,
            writable="w" in spec.access,
            text=spec.register is not None and spec.register.type == "str",
        )
        for spec in device.profile.points
    ]
