"""Tasmota: the device's root is its Topic; `SENSOR`, `STATE` come below `tele/`, everything else below `stat/`.

`Time` is local time without a zone (the broker's `zone` says which). `tele/<topic>/LWT` = Offline is the last will:
the device is dead until it speaks again. Commands go to `cmnd/<topic>/<last name of the path>`, the answer comes in
`stat/<topic>/RESULT`. After https://tasmota.github.io/docs/MQTT/.
"""

from collections.abc import Sequence

from edge_agent.profile import Device, PointSpec
from edge_agent.sources.mqtt.payloads.kind import Kind, Moment, spoken, told
from edge_agent.sources.mqtt.reading import BAD_DEAD, UNKNOWN, MqttError, Report, Request

TELEMETRY = ("SENSOR", "STATE", "INFO1", "INFO2", "INFO3", "UPTIME")


class Tasmota(Kind):
    def root(self, device: Device) -> str:
        return device.topic.strip("/").removeprefix("tele/")

    def topic(self, device: Device, spec: PointSpec) -> str:
        suffix = spec.place.topic if spec.place and spec.place.topic else "SENSOR"
        if suffix.split("/")[0] in ("tele", "stat"):
            kind, _, suffix = suffix.partition("/")
            return f"{kind}/{self.root(device)}/{suffix}"
        return f"{'tele' if suffix in TELEMETRY else 'stat'}/{self.root(device)}/{suffix}"

    def will(self) -> str:
        return f"tele/{self.root(self.device)}/LWT"

    def filters(self) -> Sequence[str]:
        return (*self.slots, self.will())

    def whole_in(self, device: Device, topic: str) -> bool:
        return topic.startswith("tele/") and super().whole_in(device, topic)  # stat/ answers with what was asked

    def read(self, heard: str, payload: bytes, moment: Moment) -> Sequence[Report]:
        if heard != self.will():
            return super().read(heard, payload, moment)
        if payload != b"Offline":
            return ()
        return [Report(group, [UNKNOWN] * len(group.specs), None, BAD_DEAD) for group in self.groups]

    def command(self, device: Device, spec: PointSpec, raw: float) -> Request:
        names = [key for key in self.keys(spec) if isinstance(key, str)]
        if not names:
            raise MqttError(f"point {spec.name} has no path that names a command")
        return Request(told(device, f"cmnd/{self.root(device)}/{names[-1]}", spec.name), spoken(spec, raw).encode())
