"""Zigbee2MQTT: one document per device in `zigbee2mqtt/<friendly name>`, whose name may hold "/".

The longest configured name takes a topic alone. A document holds what is known of the device, so an absent field is
no reading. `<name>/availability` = offline, as text or as document, is a death. Commands go to `<name>/set`. After
https://www.zigbee2mqtt.io/guide/usage/mqtt_topics_and_messages.html.
"""

import json
from collections.abc import Sequence

from edge_agent.profile import Device, PointSpec
from edge_agent.sources.mqtt import path
from edge_agent.sources.mqtt.payloads.kind import Kind, Moment, plain, told
from edge_agent.sources.mqtt.reading import BAD_DEAD, UNKNOWN, Report, Request


class Zigbee2mqtt(Kind):
    whole = False
    exclusive = True
    base = "zigbee2mqtt"

    def root(self, device: Device) -> str:
        own_base = device.options.get("base")  # an instance with another base_topic
        return f"{own_base}/{device.topic}" if own_base else super().root(device)

    def availability(self) -> str:
        return f"{self.root(self.device)}/availability"

    def filters(self) -> Sequence[str]:
        return (*self.slots, self.availability())

    def read(self, heard: str, payload: bytes, moment: Moment) -> Sequence[Report]:
        if heard != self.availability():
            return super().read(heard, payload, moment)
        state: object = payload.decode(errors="replace")
        if payload.startswith(b"{"):
            state = path.mapping(payload).get("state")
        if state != "offline":
            return ()
        return [Report(group, [UNKNOWN], None, BAD_DEAD) for group in self.groups]

    def command(self, device: Device, spec: PointSpec, raw: float) -> Request:
        value = spec.enumeration.get(int(raw)) or plain(raw)
        body = json.dumps(path.put(self.keys(spec), value)).encode()
        return Request(told(device, f"{self.root(device)}/set", spec.name), body)
