"""ChirpStack v4: the device's root is `application/<id>/device/<dev eui>`, its uplinks come in `event/up` below it.

`object` is there when the network server has a decoder for the device; otherwise `data` (base64) is decoded here if
the device is a Milesight. An uplink that comes again (same deduplicationId) is no reading. Commands are confirmed
downlinks with an `object`; a sleeping device takes them at its next uplink, so their outcome is mostly unknown.
After the integration messages of https://www.chirpstack.io/docs/chirpstack/integrations/events.html.
"""

import base64
import json
from collections import OrderedDict
from collections.abc import Sequence
from datetime import tzinfo

from edge_agent.profile import Device, PointSpec
from edge_agent.sources.mqtt import milesight, path
from edge_agent.sources.mqtt.limits import REPEATS_MAX
from edge_agent.sources.mqtt.payloads.kind import Kind, Moment, plain
from edge_agent.sources.mqtt.reading import PayloadError, Report, Request


class Seen:
    """The newest ids, to know an uplink that comes again."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()

    def again(self, one: str) -> bool:
        if one in self._ids:
            return True
        self._ids[one] = None
        if len(self._ids) > REPEATS_MAX:
            self._ids.popitem(last=False)
        return False


def unpack(encoded: object, device: Device) -> dict[str, object]:
    """The fields of a payload that the network server did not decode. Raises PayloadError."""
    channels = milesight.channels_of(device.options.get("decoder", device.profile.id))
    if channels is None:
        raise PayloadError("was not decoded by the network server: give the device a codec there")
    try:
        return milesight.decode(base64.b64decode(str(encoded), validate=True), channels)
    except ValueError as error:  # binascii.Error is one; letters beyond ASCII raise another
        raise PayloadError(f"has no base64 data: {error}") from error


class Chirpstack(Kind):
    whole = False

    def __init__(self, devices: Sequence[Device], zone: tzinfo) -> None:
        self.seen = Seen()
        super().__init__(devices, zone)

    def topic(self, device: Device, spec: PointSpec) -> str:
        suffix = spec.place.topic if spec.place and spec.place.topic else "event/up"
        return f"{self.root(device)}/{suffix}"

    def read(self, heard: str, payload: bytes, moment: Moment) -> Sequence[Report]:
        message = path.mapping(payload)
        fields = message.get("object")
        if fields is None and message.get("data"):
            fields = unpack(message["data"], self.device)
        elif fields is None:
            return ()  # an empty uplink: it only answers a downlink
        reports = self.pick(heard, fields, self.time_of(message, moment))
        again = "deduplicationId" in message and self.seen.again(str(message["deduplicationId"]))
        return () if again else reports

    def command(self, device: Device, spec: PointSpec, raw: float) -> Request:
        root = self.root(device)
        body = {
            "devEui": root.rpartition("/")[2],
            "confirmed": True,
            "fPort": int(device.options.get("f_port", "1")),
            "object": path.put(self.keys(spec), plain(raw)),
        }
        return Request(f"{root}/command/down", json.dumps(body).encode())
