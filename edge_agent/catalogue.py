"""What the aggregator needs to know of every point: of the devices, of the twins, of what is decided."""

import hashlib
from collections.abc import Iterator, Mapping

from edge_agent.config import Gateway
from edge_agent.profile import Device
from edge_agent.recorder import DEVICE, DIGEST
from edge_agent.twin.points import points_of
from protos import telemetry_pb2 as telemetry
from protos.bundle import Bundle
from protos.vocabulary import internal_unit


def catalogue(config: Gateway, bundles: Mapping[str, Bundle]) -> telemetry.Catalogue:
    """Its digest changes when anything in it does. `bundles` are what the twins run."""
    points = [point for device in config.devices for point in of_device(device)]
    points += [*of_decisions(config), *of_twins(config, bundles)]
    message = telemetry.Catalogue(district=config.district, points=points)
    message.digest = hashlib.sha256(message.SerializeToString(deterministic=True)).digest()
    return message


def of_device(device: Device) -> Iterator[telemetry.Point]:
    for spec in device.profile.points:
        yield telemetry.Point(
            device=device.name,
            name=spec.name,
            unit=internal_unit(spec.quantity),
            domain=device.domain or device.profile.domain,
            quantity=spec.quantity,
            asset=device.asset,
            writable="w" in spec.access,
            text=spec.register is not None and spec.register.type == "str",
        )


def of_decisions(config: Gateway) -> Iterator[telemetry.Point]:
    """Each output as it was decided, under its own name; why, as texts of the same name, goes to the audit."""
    at = {f"{device.name}/{spec.name}": (device, spec) for device in config.devices for spec in device.profile.points}
    for output in config.cell.outputs:
        device, spec = at[output.point]
        yield telemetry.Point(
            device=DEVICE,
            name=output.name,
            unit=internal_unit(spec.quantity),
            domain=device.domain or device.profile.domain,
            quantity=spec.quantity,
            asset=device.asset,
        )
    if config.cell.outputs:
        yield telemetry.Point(device=DEVICE, name=DIGEST, unit="1", domain="safety", quantity="ratio")


def of_twins(config: Gateway, bundles: Mapping[str, Bundle]) -> Iterator[telemetry.Point]:
    devices = {device.name: device for device in config.devices}
    for spec in config.cell.twins:
        if spec.name not in bundles:
            continue
        home = devices[next(iter(spec.points.values())).partition("/")[0]]
        for name, quantity in points_of(spec, bundles[spec.name]).items():
            yield telemetry.Point(
                device=spec.name,
                name=name,
                unit=internal_unit(quantity),
                domain=home.domain or home.profile.domain,
                quantity=quantity,
                asset=home.asset,
            )
