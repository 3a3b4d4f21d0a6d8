"""Deciding: controllers wish, the arbiter narrows in the order of rank, the guard has the last word.

CONTROLLERS     kinds of controllers, resolved on use; a new kind is one file and one line
settings        what a kind takes and how a `[[controller]]` is read: every fault at once
arbiter         what is left feasible after each controller, and whose wish it became
guard           the rules that no file can switch off: bounds, slew, minimum times, lapse to the safe value
"""

from difflib import get_close_matches
from importlib import import_module

from edge_agent.cell import ControllerSpec
from edge_agent.control.settings import Kind
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
