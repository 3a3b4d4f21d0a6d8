"""The Things Stack v3: the root is `v3/<application>@<tenant>/devices/<device>`, uplinks come in `up`, QoS 0 only.

The server omits fields that are zero, false or empty in its own messages, so a missing `f_cnt` is 0; within
`decoded_payload` a missing field is taken as no reading, since a codec may as well not have sent it. An uplink that
comes again (same session and f_cnt) is no reading. After
https://www.thethingsindustries.com/docs/integrations/data-formats/.
"""

import json
from collections.abc import Sequence

from edge_agent.profile import Device, PointSpec
from edge_agent.sources.mqtt import path
from edge_agent.sources.mqtt.payloads.chirpstack import Chirpstack, unpack
from edge_agent.sources.mqtt.payloads.kind import Moment, plain
from edge_agent.sources.mqtt.reading import PayloadError, Report, Request


class Ttn(Chirpstack):
    def topic(self, device: Device, spec: PointSpec) -> str:
        suffix = spec.place.topic if spec.place and spec.place.topic else "up"
        return f"{self.root(device)}/{'up' if suffix == 'event/up' else suffix}"

    def read(self, heard: str, payload: bytes, moment: Moment) -> Sequence[Report]:
        message = path.mapping(payload)
        uplink = message.get("uplink_message")
        if not isinstance(uplink, dict):
            raise PayloadError("has no uplink_message")
        fields = uplink.get("decoded_payload")
        if fields is None and not uplink.get("frm_payload"):
            return ()
        if fields is None:
            fields = unpack(uplink["frm_payload"], self.device)
        reports = self.pick(heard, fields, self.time_of(message, moment))
        same = self.seen.again(f"{uplink.get('session_key_id', '')}/{uplink.get('f_cnt', 0)}")
        return () if same else reports

    def command(self, device: Device, spec: PointSpec, raw: float) -> Request:
        downlink = {
            "f_port": int(device.options.get("f_port", "1")),
            "decoded_payload": path.put(self.keys(spec), plain(raw)),
            "confirmed": True,
        }
        return Request(f"{self.root(device)}/down/push", json.dumps({"downlinks": [downlink]}).encode())
