"""A wiring for controllers on their own: points and outputs by name, every fault collected as one line."""

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from edge_agent.cell import ControllerSpec, Output
from edge_agent.setpoint import Port, Predictor
from protos.clock import NS

STALE_PERIODS = 3


def output(name: str = "out", low: float = 0.0, high: float = 100.0, **more: Any) -> Output:
    declared: dict[str, Any] = {
        "point": f"device/{name}",
        "safe": min(max(0.0, low), high),
        "ttl_ns": 5 * NS,
        "slew_per_s": float("inf"),
        "min_on_ns": 0,
        "min_off_ns": 0,
        "refresh_ns": 0,
        "lifetime_writes": 0,
        "readback_ns": 2 * NS,
    }
    return Output(name=name, low=low, high=high, **declared | more)


def spec_of(table: Mapping[str, Any]) -> ControllerSpec:
    """A `[[controller]]` as TOML gives it, without the checks of the configuration."""
    settings = {key: tuple(one) if isinstance(one, list) else one for key, one in table.get("settings", {}).items()}
    return ControllerSpec(
        table["name"],
        table["kind"],
        table.get("inputs", {}),
        table.get("outputs", {}),
        settings,
        round(table.get("stale_s", 0) * NS),
    )


def specs_in(text: str) -> list[ControllerSpec]:
    return [spec_of(table) for table in tomllib.loads(text)["controller"]]


class Wires:
    """Every point is news once in `point_period_ns`, so it is stale after three of them."""

    def __init__(
        self,
        points: Sequence[str],
        outputs: Sequence[Output],
        *,
        period_ns: int = NS,
        point_period_ns: int = NS,
        predictors: Mapping[str, Predictor] | None = None,
    ) -> None:
        self.period_ns = period_ns
        self.outputs = outputs
        self.faults: list[str] = []
        self._points = list(points)
        self._stale_ns = STALE_PERIODS * point_period_ns
        self._predictors = predictors or {}

    def port(self, spec: ControllerSpec, role: str) -> Port | None:
        name = spec.inputs.get(role)
        if name is None:
            return None
        if name not in self._points:
            self.fault(spec, f"inputs.{role}", name, "is no point", f"there are {', '.join(self._points)}")
            return None
        return Port(self._points.index(name), spec.stale_ns or self._stale_ns)

    def ports(self, spec: ControllerSpec, prefix: str) -> Mapping[str, Port]:
        found = {role: self.port(spec, role) for role in spec.inputs if role.startswith(prefix)}
        return {role: port for role, port in found.items() if port is not None}

    def output(self, spec: ControllerSpec, role: str) -> int | None:
        names = [one.name for one in self.outputs]
        name = spec.outputs.get(role)
        if name is None:
            return None
        if name not in names:
            self.fault(spec, f"outputs.{role}", name, "is no output", f"there are {', '.join(names)}")
            return None
        return names.index(name)

    def predictor(self, twin: str) -> Predictor | None:
        return self._predictors.get(twin)

    def fault(self, spec: ControllerSpec, key: str, value: object, wrong: str, remedy: str) -> None:
        self.faults.append(f"{spec.name}: {key} = {value!r}: {wrong}; {remedy}")
