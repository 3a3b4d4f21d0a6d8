"""Binary structures: the path is order, type and offset, as `<h@4` (little-endian i16 at byte 4) or `>B@3.5` (bit 5
of byte 3). Types are those of Python's struct: b B h H i I q Q e f d."""

import re
import struct

from edge_agent.sources.mqtt.limits import PAYLOAD_MAX
from edge_agent.sources.mqtt.payloads.kind import Kind, Place
from edge_agent.sources.mqtt.reading import MISSING, PayloadError

FORM = re.compile(r"(?P<type>[<>][bBhHiIqQefd])@(?P<offset>\d{1,6})(\.(?P<bit>\d{1,2}))?")


class Packed(Kind):
    def place(self, text: str) -> Place:
        form = FORM.fullmatch(text)
        if form is None:
            raise ValueError("is no order, type and offset, as <h@4, >f@0, <B@3.5 (types b B h H i I q Q e f d)")
        layout, offset = struct.Struct(form["type"]), int(form["offset"])
        if form["bit"] is None:
            return lambda data: field(data, layout, offset)
        bit = int(form["bit"])
        if form["type"][1] not in "BHIQ" or bit >= 8 * layout.size:
            raise ValueError(f"has no bit {bit}: take B, H, I or Q, wide enough")
        return lambda data: raw >> bit & 1 if isinstance(raw := field(data, layout, offset), int) else raw

    def open(self, payload: bytes) -> object:
        if not 0 < len(payload) <= PAYLOAD_MAX:
            raise PayloadError(f"has {len(payload)} bytes, 1 to {PAYLOAD_MAX} can be")
        return payload


def field(data: object, layout: struct.Struct, offset: int) -> object:
    assert isinstance(data, bytes)
    if len(data) < offset + layout.size:
        return MISSING
    (raw,) = layout.unpack_from(data, offset)
    found: object = raw
    return found
