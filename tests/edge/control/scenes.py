"""For every kind of controller, a healthy situation and what it declares to do when an input fails.

A scene is the kind's own example with values for its roles. `healthy` and `fallback` say what is wished by role of the
output; {} is no wish at all. A new kind adds its scene here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from edge_agent.cell import ControllerSpec, Output, Setting
from edge_agent.control import CONTROLLERS, resolve
from edge_agent.image import Floats
from edge_agent.setpoint import Predictor
from tests.edge.control.plants import Foreseen
from tests.edge.control.wiring import output, specs_in

Wished = Mapping[str, float]
TIME = "time of day"  # what a kind reads of the view, besides its inputs


@dataclass(frozen=True)
class Failing:
    """What a role's failure leads to, in the scene or in one with other values."""

    fallback: Wished | None  # None: it goes on without, and wishes something
    values: Mapping[str, float] = field(default_factory=dict)
    healthy: Wished | None = None
    settles: int = 40  # ticks of 1 s from the failure to the fallback; longer where the kind has a lag
    bit: bool = False  # rests rightly: no check can call it stuck, and no value of it is a spike


@dataclass(frozen=True)
class Scene:
    values: Mapping[str, float]
    failing: Mapping[str, Failing]
    healthy: Wished | None = None  # None: some wish, whichever
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # output → low, high
    predictors: Mapping[str, Predictor] = field(default_factory=dict)
    settings: Mapping[str, Setting] = field(default_factory=dict)  # instead of the example's: shorter lags


class Reservoir(Foreseen):
    """x' = x + 0.002 · (pump − 10 · demand), metres and per cent, 1 s steps."""

    states: tuple[str, ...] = ("level",)
    inputs: tuple[str, ...] = ("pump", "demand")
    period_ns = 1_000_000_000

    def predict(self, x: Floats, u: Floats) -> Floats:
        change: Floats = 0.002 * (u[:, :1] - 10.0 * u[:, 1:])
        return x + change


NONE: Wished = {}
SCENES: dict[str, Scene] = {
    "interlock": Scene(
        {"level": 2.0, "leak": 0},
        {"level": Failing({"output": 0}), "leak": Failing({"output": 0}, bit=True)},
        healthy=NONE,
    ),
    "rule": Scene({"air": 1.0}, {"air": Failing(NONE)}, healthy={"output": 100}),
    "hysteresis": Scene({"input": 17.0}, {"input": Failing(NONE)}, healthy={"output": 100}),
    "pid": Scene({"input": 430_000.0}, {"input": Failing(NONE)}),
    "schedule": Scene({}, {TIME: Failing(NONE)}),
    "fixed": Scene({}, {}, healthy={"output": 20}),
    "mpc": Scene(
        {"level": 2.2, "demand": 3.0},
        {"level": Failing(NONE), "demand": Failing(NONE)},
        predictors={"tank": Reservoir()},
    ),
    "level": Scene(
        {"level": 2.0, "fault_a": 0, "fault_b": 0},
        {
            "level": Failing(NONE),
            "fault_a": Failing({"pump_a": 100, "pump_b": 0}, bit=True),
            "fault_b": Failing({"pump_a": 100, "pump_b": 0}, bit=True),
        },
        healthy={"pump_a": 100, "pump_b": 0},
    ),
    "volt_var": Scene(
        {"voltage_1": 245.0, "voltage_2": 245.0, "voltage_3": 245.0},
        {f"voltage_{phase}": Failing(NONE) for phase in (1, 2, 3)},
        ranges={"inverter-q": (-5_000.0, 5_000.0)},
    ),
    "battery": Scene(
        {"grid": 35_000.0, "state_of_charge": 50.0},
        {"grid": Failing(NONE), "state_of_charge": Failing({"output": 0})},
        ranges={"battery-power": (-15_000.0, 15_000.0)},
    ),
    "ev": Scene(
        {"grid": 11_000.0, "connected_1": 1, "connected_2": 0},
        {
            "grid": Failing(NONE),
            # the meter of the scene does not feel the cars: they get all that they can take
            "connected_1": Failing({"charger_1": 32, "charger_2": 0}, bit=True),
            "connected_2": Failing({"charger_1": 32, "charger_2": 32}, settles=80, bit=True),
        },
        healthy={"charger_1": 32, "charger_2": 0},
        ranges={"wallbox-1": (0.0, 32.0), "wallbox-2": (0.0, 32.0)},
    ),
    "ventilation": Scene(
        {"co2": 500.0, "co_north": 1_000.0, "co_south": 1_000.0},
        {
            "co2": Failing({"output": 57.5}),
            "co_north": Failing({"output": 100}),
            "co_south": Failing({"output": 100}),
        },
        healthy={"output": 15},
        settings={"smoothing_s": 5},
    ),
    "lighting": Scene(
        {"illuminance": 5_000.0, "traffic": 100.0, "presence_1": 1},
        {
            "illuminance": Failing({"light_1": 50, "light_2": 50}),
            "traffic": Failing({"light_1": 100, "light_2": 100}, {"illuminance": 5.0}, {"light_1": 50, "light_2": 50}),
            "presence_1": Failing(
                {"light_1": 100, "light_2": 100},
                {"illuminance": 5.0, "traffic": 900.0, "presence_1": 0},
                {"light_1": 50, "light_2": 50},
                bit=True,
            ),
        },
        healthy={"light_1": 0, "light_2": 0},
    ),
    "traffic": Scene(
        {
            "stage": 1,
            "next_stage": 2,
            "stage_age": 20,
            "min_green": 6,
            "yellow": 3,
            "all_red": 2,
            "arrived_main": 40,
            "departed_main": 38,
            "standing_main": 1,
            "between_side": 4,
        },
        {
            **{role: Failing(NONE, bit=True) for role in ("stage", "next_stage", "stage_age")},
            **{role: Failing(NONE, bit=True) for role in ("min_green", "yellow", "all_red")},
            **{role: Failing(None, bit=True) for role in ("arrived_main", "departed_main", "standing_main")},
            "between_side": Failing(None, bit=True),
        },
        ranges={"request": (0.0, 399.0)},
    ),
}


def spec_of_kind(kind: str) -> ControllerSpec:
    """The kind's own example; its inputs are stale after three periods."""
    (spec,) = specs_in(resolve(kind).EXAMPLE)
    return replace(spec, stale_ns=0, settings=dict(spec.settings) | dict(SCENES[kind].settings))


def outputs_of(kind: str, spec: ControllerSpec) -> list[Output]:
    ranges = SCENES[kind].ranges
    return [output(name, *ranges.get(name, (0.0, 100.0))) for name in dict.fromkeys(spec.outputs.values())]


def cases() -> list[tuple[str, str]]:
    """Every kind with every role that can fail."""
    return [(kind, role) for kind in CONTROLLERS if kind in SCENES for role in SCENES[kind].failing]


def dithered(value: float, tick: int) -> float:
    """A live sensor never rests: one part in ten thousand."""
    return value * (1.0 + 1e-4 * float(np.sin(tick)))
