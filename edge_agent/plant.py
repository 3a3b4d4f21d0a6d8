"""The acting side of a gateway, built of its configuration: what the control loop polls, runs and writes.

The loop polls the Modbus lines of the devices that it reads or writes by itself, aligned with its ticks; what it needs
of other sources is handed to it. Built anew on a reload.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_agent.cell import Cell, ControllerSpec, Output, TwinSpec
from edge_agent.config import ConfigError, Fault, Gateway
from edge_agent.config.faults import shown
from edge_agent.control import build as build_controller
from edge_agent.control.arbiter import in_order
from edge_agent.field import Field, assemble, lines_of, prompt_lines, resolve
from edge_agent.image import Layout
from edge_agent.profile import Device
from edge_agent.setpoint import Controller, Port, Predictor
from edge_agent.snapshot import Roster, TwinNames
from edge_agent.sources import SOURCES, Source
from edge_agent.twin.points import points_of, wrong_with
from protos.bundle import Bundle
from protos.clock import Clock

if TYPE_CHECKING:  # both load LiteRT, which only a gateway with a model pays for
    from edge_agent.twin.twins import Twins

TWINS, PREDICTOR = "edge_agent.twin.twins:Twins", "edge_agent.twin.predictor:TwinPredictor"
log = logging.getLogger(__name__)
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
    estimated: Mapping[str, Layout]  # twin → its points
    ports: Mapping[str, Port]  # of the twins' channels and inputs, by device/point
    twins: "Twins | None"
    controllers: Sequence[Controller]  # in the order of rank, then of the file
    targets: Sequence[Target]  # of each output


def periods_of(device: Device) -> Mapping[str, int]:
    """How often each point of a device is news at the latest, ns, by device/point."""
    stale_ns = int(device.profile.mqtt.stale_s * S) // STALE_PERIODS if device.profile.mqtt else 0
    own = device.period_ms * MS
    return {f"{device.name}/{p.name}": stale_ns or own or p.period_ms * MS for p in device.profile.points}


class Wires:
    """See `edge_agent.setpoint.Wiring`: names become places, faults are collected with their file and line."""

    def __init__(self, config: Gateway, image: Sequence[str], predictors: Mapping[str, Predictor | None]) -> None:
        self.period_ns = config.cell.period_ns
        self.outputs: Sequence[Output] = config.cell.outputs
        self.faults: list[Fault] = []
        self._file = config.file
        self._places = {name: place for place, name in enumerate(image)}
        self._periods = {name: period for device in config.devices for name, period in periods_of(device).items()}
        self._outputs = {output.name: place for place, output in enumerate(self.outputs)}
        self.predictors = predictors

    def port(self, spec: ControllerSpec, role: str) -> Port | None:
        name = spec.inputs.get(role)
        if name is None:
            return None
        if name not in self._places:
            known = [one for one in self._places if one.split("/")[0] == name.split("/")[0]]
            remedy = f"there are {', '.join(known)}" if known else "name a device or twin of this file, as device/point"
            self.fault(spec, f"inputs.{role}", name, "is no point of this gateway", remedy)
            return None
        return self.at(name, spec.stale_ns)

    def at(self, name: str, stale_ns: int) -> Port | None:
        """The place of a point; it counts as missing after `stale_ns`, 0: three of its periods."""
        if name not in self._places:
            return None
        period = max(self._periods.get(name, self.period_ns), self.period_ns)
        return Port(self._places[name], stale_ns or STALE_PERIODS * period)

    def ports(self, spec: ControllerSpec, prefix: str) -> Mapping[str, Port]:
        found = {role: self.port(spec, role) for role in spec.inputs if role.startswith(prefix)}
        return {role: port for role, port in found.items() if port is not None}

    def output(self, spec: ControllerSpec, role: str) -> int | None:
        return self._outputs.get(spec.outputs.get(role, ""))

    def predictor(self, twin: str) -> Predictor | None:
        return self.predictors.get(twin)

    def fault(self, spec: ControllerSpec, key: str, value: object, wrong: str, remedy: str) -> None:
        value = list(value) if isinstance(value, tuple) else value
        text = "" if value is None else shown(key, value)
        self.faults.append(Fault(self._file, spec.line, f"controller {spec.name}: {key}", text, wrong, remedy))


def controllers_of(config: Gateway, wires: Wires, bundles: Mapping[str, Bundle]) -> Sequence[Controller]:
    """The controllers of the file, by rank. Raises ConfigError with every fault of all of them.

    One that looks ahead with a twin that has no model waits until it has one; ranks below decide meanwhile.
    """
    found: list[Controller] = []
    twins = {one.name for one in config.cell.twins}
    for spec in config.cell.controllers:
        twin = spec.settings.get("twin")
        if twin in twins and twin not in bundles:
            log.warning("controller %s does not act: twin %s has no model", spec.name, twin)
        elif (controller := build_controller(spec, wires)) is not None:
            found.append(controller)
    if wires.faults:
        raise ConfigError(wires.faults)
    return in_order(found)


def build(
    config: Gateway, clock: Clock, around: Field, bundles: Mapping[str, Bundle], *, load_models: bool = True
) -> Plant:
    """Nothing is opened yet. `around` is the field that the agent's main loop polls, `bundles` what the twins run.

    Without `load_models` it only checks. Raises ConfigError, ValueError, ModelRefused.
    """
    lines = prompt_lines(config)
    own = [device for device in config.devices if device.connection in lines]
    sources: list[Source] = [
        resolve(SOURCES["modbus"])(line, devices, clock, aligned=True) for line, devices in lines_of(own).items()
    ]
    named = {point.partition("/")[0] for point in inputs_of(config.cell)}
    named |= {output.readback.partition("/")[0] for output in config.cell.outputs}
    mirrored = [layout for layouts in around.layouts for layout in layouts if layout.device in named]
    shown = {spec.name: tuple(points_of_twin(spec, config.cell, bundles)) for spec in config.cell.twins}
    field = assemble(sources, own, [*((one.device, one.points) for one in mirrored), *shown.items()])
    estimated = dict(zip(shown, field.also[len(mirrored) :], strict=True))
    wires = Wires(config, field.image.names, {})
    models = [(spec, bundles[spec.name]) for spec in config.cell.twins if spec.name in bundles]
    check_twins(config, models)
    ports = {point: port for spec, _ in models for point in spec.points.values() if (port := wires.at(point, 0))}
    twins: Twins | None = None
    if models and load_models:
        twins = resolve(TWINS)(models, ports, estimated)
        assert twins is not None
        wires.predictors = {name: twins.predictor(name) for name in twins.names}
    else:
        wires.predictors = {spec.name: resolve(PREDICTOR)(bundle) for spec, bundle in models}
    periods = {name: period for device in own for name, period in periods_of(device).items()}
    awaited = frozenset(
        layout
        for layouts in field.layouts
        for layout in layouts
        if periods[f"{layout.device}/{layout.points[0]}"] <= config.cell.period_ns
    )
    return Plant(
        cell=config.cell,
        field=field,
        mirrored=dict(zip(mirrored, field.also, strict=False)),
        awaited=awaited,
        estimated=estimated,
        ports=ports,
        twins=twins,
        controllers=controllers_of(config, wires, bundles),
        targets=[target_of(output.point, config.devices, field, around) for output in config.cell.outputs],
    )


def inputs_of(cell: Cell) -> Iterator[str]:
    for controller in cell.controllers:
        yield from controller.inputs.values()
    for twin in cell.twins:
        yield from twin.points.values()


def points_of_twin(spec: TwinSpec, cell: Cell, bundles: Mapping[str, Bundle]) -> Iterable[str]:
    """Those of its model; of a twin without one, those that controllers ask for: they stay BAD."""
    if spec.name in bundles:
        return points_of(spec, bundles[spec.name])
    return sorted({point.partition("/")[2] for point in inputs_of(cell) if point.partition("/")[0] == spec.name})


def check_twins(config: Gateway, models: Sequence[tuple[TwinSpec, Bundle]]) -> None:
    """Raises ConfigError with everything in which the file and the bundles disagree."""
    known = quantities(config)
    faults = [
        Fault(
            config.file,
            spec.line,
            f"twin {spec.name}: {one.key}",
            f'"{one.value}"' if one.value else "",
            one.wrong,
            one.remedy,
        )
        for spec, bundle in models
        for one in wrong_with(spec, bundle, known)
    ]
    if faults:
        raise ConfigError(faults)


def quantities(config: Gateway) -> Mapping[str, str]:
    """Device/point → its quantity."""
    return {f"{d.name}/{p.name}": p.quantity for d in config.devices for p in d.profile.points}


def fit_of(config: Gateway) -> Callable[[TwinSpec, Bundle], Sequence[str]]:
    """What a bundle is asked before it is installed: whether `check_twins` would let the gateway start with it."""
    known = quantities(config)
    return lambda spec, bundle: [
        f"{one.key} {one.value} {one.wrong}; {one.remedy}" for one in wrong_with(spec, bundle, known)
    ]


def target_of(name: str, devices: Sequence[Device], own: Field, around: Field) -> Target:
    device, _, point = name.partition("/")
    connection = next(one.connection for one in devices if one.name == device)
    for field, prompt in ((own, True), (around, False)):
        for source in field.sources:
            if source.name == connection:
                return Target(source, device, point, prompt)
    raise ValueError(f"{name}: no source writes it")


def roster(config: Gateway, bundles: Mapping[str, Bundle]) -> Roster:
    """What the numbers of a snapshot are of."""
    twins = [
        TwinNames.of(spec.name, points_of(spec, bundles[spec.name]), bundles[spec.name].manifest.period_ns)
        for spec in config.cell.twins
        if spec.name in bundles
    ]
    return Roster.of(config.cell, config.devices, twins)
