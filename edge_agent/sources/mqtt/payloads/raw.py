"""The payload is the value, as text: `23.5`, `ON`. A topic per point, no path. Commands go to `<topic>/set`."""

from edge_agent.profile import Device, PointSpec
from edge_agent.sources.mqtt.payloads.kind import Kind, Place, spoken, told
from edge_agent.sources.mqtt.reading import NOTHING, PayloadError, Request

TEXT_MAX = 1024  # characters of a value: longer ones are no value


class Raw(Kind):
    def place(self, text: str) -> Place:
        if text:
            raise ValueError("a raw payload has no path, the whole of it is the value: remove it")
        return lambda value: value

    def open(self, payload: bytes) -> object:
        if len(payload) > TEXT_MAX:
            raise PayloadError(f"has {len(payload)} bytes, a raw value has {TEXT_MAX} at most")
        try:
            text = payload.decode().strip(" \t\r\n\0")
        except UnicodeDecodeError as error:
            raise PayloadError(f"is no text: {error}") from error
        return text or NOTHING

    def command(self, device: Device, spec: PointSpec, raw: float) -> Request:
        return Request(told(device, f"{self.topic(device, spec)}/set", spec.name), spoken(spec, raw).encode())
