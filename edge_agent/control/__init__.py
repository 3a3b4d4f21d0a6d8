"""Deciding: controllers wish, the arbiter narrows in the order of rank, the guard has the last word.

CONTROLLERS     kinds of controllers, resolved on use; a new kind is one file and one line
settings        what a kind takes and how a `[[controller]]` is read: every fault at once
arbiter         what is left feasible after each controller, and whose wish it became
guard           the rules that no file can switch off: bounds, slew, minimum times, lapse to the safe value
"""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from importlib import import_module
from math import isinf

from edge_agent.cell import ControllerSpec
from edge_agent.cell import Setting as Given
from edge_agent.control.settings import Kind, Setting, bounds
from edge_agent.setpoint import Controller, Wiring

CONTROLLERS: dict[str, str] = {
    "interlock": "edge_agent.control.interlock:Interlock",
    "rule": "edge_agent.control.rule:Rule",
    "hysteresis": "edge_agent.control.hysteresis:Hysteresis",
    "pid": "edge_agent.control.pid:Pid",
    "schedule": "edge_agent.control.schedule:Schedule",
    "fixed": "edge_agent.control.fixed:Fixed",
    "mpc": "edge_agent.control.mpc:Mpc",
    "level": "edge_agent.control.level:Level",
    "volt_var": "edge_agent.control.volt_var:VoltVar",
    "battery": "edge_agent.control.battery:Battery",
    "ev": "edge_agent.control.ev:Ev",
    "ventilation": "edge_agent.control.ventilation:Ventilation",
    "lighting": "edge_agent.control.lighting:Lighting",
    "traffic": "edge_agent.control.traffic.controller:Traffic",
}


def resolve(kind: str) -> type[Kind]:
    module, name = CONTROLLERS[kind].split(":")
    found: type[Kind] = getattr(import_module(module), name)
    return found


def build(spec: ControllerSpec, wiring: Wiring) -> Controller | None:
    """The controller of `spec`; None after every fault in it has been told to `wiring`."""
    if spec.kind not in CONTROLLERS:
        close = get_close_matches(spec.kind, CONTROLLERS, 1, 0.6)
        remedy = f"did you mean {close[0]}?" if close else f"there are {', '.join(CONTROLLERS)}"
        wiring.fault(spec, "kind", spec.kind, "is no kind of controller", remedy)
        return None
    return resolve(spec.kind).build(spec, wiring)


def described(kinds: Iterable[str] = CONTROLLERS) -> Iterator[dict[str, object]]:
    """What each of `kinds` does without its inputs, its roles and settings: rows for people and programs."""
    for name in kinds:
        kind = resolve(name)
        yield row(name, "fallback", "", "", "", kind.FALLBACK)
        for part, roles in (("input", kind.INPUTS), ("output", kind.OUTPUTS)):
            for role, filled in roles.items():
                yield row(name, part, role, filled.unit, "" if filled.optional else "required", filled.doc)
        for setting, one in kind.SETTINGS.items():
            default = "required" if one.required else "" if one.default is None else shown(one.default)
            what = f"{one.doc} ({one.kind}{limits(one)})"
            yield row(name, "setting", setting, one.unit, default, what)


def row(kind: str, part: str, name: str, unit: str, default: str, what: str) -> dict[str, object]:
    return {"kind": kind, "part": part, "name": name, "unit": unit, "default": default, "what": what}


def shown(value: Given) -> str:
    """As in TOML."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(shown, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else f"{value:g}"


def limits(one: Setting) -> str:
    if one.choices:
        return f": {', '.join(one.choices)}"
    return "" if isinf(one.low) and isinf(one.high) else f", {bounds(one)}"
