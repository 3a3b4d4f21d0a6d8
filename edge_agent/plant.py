"""The acting side of a gateway, built of its configuration: what the control loop polls, runs and writes.

The loop polls the Modbus lines of the devices that it reads or writes by itself, aligned with its ticks; what it needs
of other sources is handed to it. Built anew on a reload.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_agent.cell import Cell, ControllerSpec
from edge_agent.config import ConfigError, Fault, Gateway
from edge_agent.control import CONTROLLERS
from edge_agent.field import Field, assemble, lines_of, prompt_lines, resolve
from edge_agent.image import Layout
from edge_agent.profile import Device
from edge_agent.setpoint import Controller, Port, Predictor
from edge_agent.snapshot import Roster
from edge_agent.sources import SOURCES, Source
from protos.clock import Clock
from protos.vocabulary import internal_unit

MS, S = 1_000_000, 1_000_000_000
STALE_PERIODS = 3  # of a point, until it counts as missing


@dataclass(frozen=True, eq=False)
class Target:
    """Where an output is written: by the loop's own source, or by one of the agent's main loop."""

    source: Source
    device: str
    point: str
    prompt: bool  # the loop's own


@dataclass(frozen=True, eq=False)
class Plant:
    cell: Cell
    field: Field  # the loop's own lines; its image also has the mirrored points and the twins'
    mirrored: Mapping[Layout, Layout]  # layout of another source → its place in the loop's image
    awaited: frozenset[Layout]  # polled once in every tick
    controllers: Sequence[Controller]  # in the order of rank, then of the file
    targets: Sequence[Target]  # of each output


def periods_of(device: Device) -> Mapping[str, int]:
    """How often each point of a device is news at the latest, ns, by device/point."""
    stale_ns = int(device.profile.mqtt.stale_s * S) // STALE_PERIODS if device.profile.mqtt else 0
    own = device.period_ms * MS
    return {f"{device.name}/{p.name}": stale_ns or own or p.period_ms * MS for p in device.profile.points}


class Wires:
    """See `edge_agent.setpoint.Wiring`: names become places, faults are collected with their file and line."""

    def __init__(self, config: Gateway, image: Sequence[str], predictors: Mapping[str, Predictor]) -> None:
        self.period_ns = config.cell.period_ns
        self.outputs = config.cell.outputs
        self.faults: list[Fault] = []
        self._file = config.file
        self._places = {name: place for place, name in enumerate(image)}
        self._periods = {name: period for device in config.devices for name, period in periods_of(device).items()}
        self._outputs = {output.name: place for place, output in enumerate(self.outputs)}
        self._predictors = predictors

    def port(self, spec: ControllerSpec, role: str) -> Port | None:
        name = spec.inputs.get(role)
        if name is None:
            return None
        if name not in self._places:
            known = [one for one in self._places if one.split("/")[0] == name.split("/")[0]]
            remedy = f"there are {', '.join(known)}" if known else "name a device or twin of this file, as device/point"
            self.fault(spec, f"inputs.{role}", name, "is no point of this gateway", remedy)
            return None
        period = max(self._periods.get(name, self.period_ns), self.period_ns)
        return Port(self._places[name], spec.stale_ns or STALE_PERIODS * period)

    def ports(self, spec: ControllerSpec, prefix: str) -> Mapping[str, Port]:
        found = {role: self.port(spec, role) for role in spec.inputs if role.startswith(prefix)}
        return {role: port for role, port in found.items() if port is not None}

    def output(self, spec: ControllerSpec, role: str) -> int | None:
        return self._outputs.get(spec.outputs.get(role, ""))

    def predictor(self, twin: str) -> Predictor | None:
        return self._predictors.get(twin)

    def fault(self, spec: ControllerSpec, key: str, value: object, wrong: str, remedy: str) -> None:
        shown = "" if value is None else f'"{value}"' if isinstance(value, str) else str(value)
        self.faults.append(Fault(self._file, spec.line, f"controller {spec.name}: {key}", shown, wrong, remedy))


def controllers_of(config: Gateway, wires: Wires) -> Sequence[Controller]:
    """The controllers of the file, by rank. Raises ConfigError with every fault of all of them."""
    found: list[Controller] = []
    for spec in config.cell.controllers:
        if spec.kind not in CONTROLLERS:
            wires.fault(spec, "kind", spec.kind, "is no kind of controller", f"there are {', '.join(CONTROLLERS)}")
            continue
        controller: Controller | None = resolve(CONTROLLERS[spec.kind]).build(spec, wires)
        if controller is not None:
            found.append(controller)
    if wires.faults:
        raise ConfigError(wires.faults)
    return sorted(found, key=lambda one: one.RANK)


def build(config: Gateway, clock: Clock, around: Field) -> Plant:
    """Nothing is opened yet. `around` is the field that the agent's main loop polls. Raises ConfigError, ValueError."""
    lines = prompt_lines(config)
    own = [device for device in config.devices if device.connection in lines]
    sources: list[Source] = [
        resolve(SOURCES["modbus"])(line, devices, clock, aligned=True) for line, devices in lines_of(own).items()
    ]
    named = {name.partition("/")[0] for one in config.cell.controllers for name in one.inputs.values()}
    mirrored = [layout for layouts in around.layouts for layout in layouts if layout.device in named]
    field = assemble(sources, own, [(layout.device, layout.points) for layout in mirrored])
    wires = Wires(config, field.image.names, {})
    periods = {name: period for device in own for name, period in periods_of(device).items()}
    awaited = frozenset(
        layout
        for layouts in field.layouts
        for layout in layouts
        if periods[f"{layout.device}/{layout.points[0]}"] <= config.cell.period_ns
    )
    targets = [target_of(output.point, config.devices, field, around) for output in config.cell.outputs]
    controllers = controllers_of(config, wires)
    return Plant(config.cell, field, dict(zip(mirrored, field.also, strict=True)), awaited, controllers, targets)


def target_of(name: str, devices: Sequence[Device], own: Field, around: Field) -> Target:
    device, _, point = name.partition("/")
    connection = next(one.connection for one in devices if one.name == device)
    for field, prompt in ((own, True), (around, False)):
        for source in field.sources:
            if source.name == connection:
                return Target(source, device, point, prompt)
    raise ValueError(f"{name}: no source writes it")


def roster(config: Gateway, plant: Plant) -> Roster:
    """What the numbers of a snapshot are of."""
    specs = {f"{d.name}/{p.name}": p for d in config.devices for p in d.profile.points}
    points = tuple(output.point for output in config.cell.outputs)
    return Roster(
        outputs=tuple(output.name for output in config.cell.outputs),
        points=points,
        units=tuple(internal_unit(specs[point].quantity) for point in points),
        period_ns=config.cell.period_ns,
    )
