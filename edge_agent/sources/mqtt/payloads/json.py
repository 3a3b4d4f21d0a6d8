"""JSON documents: a path per point, whole per topic. With the device's option `partial = "true"` a message may hold
any part of its points. Commands go to `<topic>/set` as a document that holds only the point."""

import json

from edge_agent.profile import Device, PointSpec
from edge_agent.sources.mqtt import path
from edge_agent.sources.mqtt.payloads.kind import Kind, plain, told
from edge_agent.sources.mqtt.reading import Request


class Json(Kind):
    def command(self, device: Device, spec: PointSpec, raw: float) -> Request:
        body = path.put(self.keys(spec), plain(raw))
        return Request(told(device, f"{self.topic(device, spec)}/set", spec.name), json.dumps(body).encode())
