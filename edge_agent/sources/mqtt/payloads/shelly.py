"""Shelly of generation 2 and later: JSON-RPC in `<id>/events/rpc`, whole components in `<id>/status/<component>`.

NotifyStatus is a delta: it is laid over the last full status, which is asked for after each connection
(Shelly.GetStatus, answered in `citytwin/<device>/rpc`). The path is component and field, `em:0.a_voltage`. A message
gives all points of the components that it touches; a field that was never told yet is not read, not faulty.
`<id>/online` = false is the last will. After https://shelly-api-docs.shelly.cloud/gen2/.
"""

import json
from collections.abc import Sequence
from datetime import tzinfo

from edge_agent.profile import Device, PointSpec
from edge_agent.sources.mqtt import path
from edge_agent.sources.mqtt.payloads.kind import Kind, Moment, plain
from edge_agent.sources.mqtt.reading import BAD_DEAD, MISSING, UNKNOWN, MqttError, PayloadError, Report, Request

DELTAS = ("NotifyStatus", "NotifyFullStatus")
SETTERS = {  # component and field → method, its argument
    ("switch", "output"): ("Switch.Set", "on"),
    ("light", "output"): ("Light.Set", "on"),
    ("light", "brightness"): ("Light.Set", "brightness"),
    ("cover", "current_pos"): ("Cover.GoToPosition", "pos"),
}


class Shelly(Kind):
    def __init__(self, devices: Sequence[Device], zone: tzinfo) -> None:
        self.status: dict[str, dict[str, object]] = {}  # by component, those of the profile only
        super().__init__(devices, zone)
        self.components = {component for component in self.slots if component}

    def topic(self, device: Device, spec: PointSpec) -> str:
        """Points are grouped by component; the topics are the same for all of them."""
        return str(self.keys(spec)[0]) if self.keys(spec) else ""

    def answer_topic(self) -> str:
        return f"citytwin/{self.device.name}/rpc"

    def filters(self) -> Sequence[str]:
        root = self.root(self.device)
        return (f"{root}/events/rpc", f"{root}/status/+", f"{root}/online", self.answer_topic())

    def greet(self) -> Sequence[Request]:
        call = {"id": 1, "src": self.answer_topic().removesuffix("/rpc"), "method": "Shelly.GetStatus"}
        return (Request(f"{self.root(self.device)}/rpc", json.dumps(call).encode()),)

    def take(
        self, heard: str, topic: str, payload: bytes, moment: Moment
    ) -> tuple[Sequence[Report], Sequence[Request]]:
        root = self.root(self.device)
        if heard == f"{root}/online":
            dead = payload == b"false"
            return ([Report(g, [UNKNOWN] * len(g.specs), None, BAD_DEAD) for g in self.groups] if dead else ()), ()
        message = path.mapping(payload)
        if heard == f"{root}/status/+":
            return self.overlay({topic.rpartition("/")[2]: message}, None), ()
        params = message.get("result" if heard == self.answer_topic() else "params")
        if heard != self.answer_topic() and message.get("method") not in DELTAS:
            return (), ()  # events: a button was pressed
        if not isinstance(params, dict):
            raise PayloadError("has no status")
        return self.overlay(params, self.time_of(params, moment)), ()

    def overlay(self, told: dict[str, object], utc_ns: int | None) -> list[Report]:
        """Lay a delta over the status; readings of every component that it touches."""
        reports = []
        for component in self.components & told.keys():
            fields = told[component]
            if not isinstance(fields, dict):
                raise PayloadError(f"component {component} is no object")
            known = self.status.setdefault(component, {})
            known.update(fields)
            for group, places in self.slots[component]:
                raws = [place({component: known}) for place in places]
                reports.append(Report(group, [UNKNOWN if raw is MISSING else raw for raw in raws], utc_ns))
        return reports

    def command(self, device: Device, spec: PointSpec, raw: float) -> Request:
        component, *fields = map(str, self.keys(spec))
        kind, _, number = component.partition(":")
        method, argument = SETTERS.get((kind, ".".join(fields)), ("", ""))
        if not method:
            raise MqttError(f"Shelly has no command for {'.'.join((component, *fields))}")
        value = bool(raw) if argument == "on" else plain(raw)
        call = {
            "id": 2,
            "src": self.answer_topic().removesuffix("/rpc"),
            "method": method,
            "params": {"id": int(number or 0), argument: value},
        }
        return Request(f"{self.root(device)}/rpc", json.dumps(call).encode())
