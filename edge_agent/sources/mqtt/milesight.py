"""Milesight's payload in LoRaWAN uplinks: channel, type, value, again and again; little-endian.

Channels mean different things in different series, so each has its own table. An unknown channel ends the reading:
its length is not known. Facts of the tables are those of the vendor's user guides and published decoders
(Milesight-IoT/SensorDecoders); EM500-UDL's channel 03 82 is a distance, whatever older decoders call it.
"""

import struct
from collections.abc import Mapping

from edge_agent.sources.mqtt.reading import PayloadError

U8, I16, U16, U32 = "<B", "<h", "<H", "<I"
Channel = tuple[str, str, float]  # name, form, divisor
Channels = Mapping[tuple[int, int], Channel]

BATTERY: dict[tuple[int, int], Channel] = {(0x01, 0x75): ("battery", U8, 1)}
CLIMATE: dict[tuple[int, int], Channel] = {
    **BATTERY,
    (0x03, 0x67): ("temperature", I16, 10),
    (0x04, 0x68): ("humidity", U8, 2),
}
SERIES: dict[str, Channels] = {
    "am3": {
        **CLIMATE,
        (0x05, 0x00): ("pir", U8, 1),
        (0x06, 0xCB): ("light_level", U8, 1),
        (0x07, 0x7D): ("co2", U16, 1),
        (0x08, 0x7D): ("tvoc", U16, 1),
        (0x08, 0xE6): ("tvoc", U16, 1),
        (0x09, 0x73): ("pressure", U16, 10),
        (0x0A, 0x7D): ("hcho", U16, 100),
        (0x0B, 0x7D): ("pm2_5", U16, 1),
        (0x0C, 0x7D): ("pm10", U16, 1),
        (0x0D, 0x7D): ("o3", U16, 100),
        (0x0E, 0x01): ("beep", U8, 1),
    },
    "em300-di": {**CLIMATE, (0x05, 0x00): ("gpio", U8, 1), (0x05, 0xC8): ("pulse", U32, 1)},
    "em300": {**CLIMATE, (0x05, 0x00): ("contact", U8, 1), (0x06, 0x00): ("contact", U8, 1)},
    "em400-udl": {
        **BATTERY,
        (0x03, 0x67): ("temperature", I16, 10),
        (0x04, 0x82): ("distance", U16, 1),
        (0x05, 0x00): ("position", U8, 1),
    },
    "em500-udl": {**BATTERY, (0x03, 0x82): ("distance", U16, 1)},
    "em500-swl": {**BATTERY, (0x03, 0x77): ("water_level", U16, 1)},
    "ws302": {
        **BATTERY,
        (0x05, 0x5B): ("weighting", U8, 1),  # followed by three levels, see `decode`
    },
}
LEVELS = ("LAF", "LAeq", "LAFmax")  # after the weighting, u16 in 0.1 dB


def channels_of(model: str) -> Channels | None:
    """The table of a profile or decoder name, `milesight-am319`; None where it is no Milesight we know."""
    name = model.removeprefix("milesight-")
    if name == model:
        return None
    return next((SERIES[series] for series in sorted(SERIES, key=len, reverse=True) if name.startswith(series)), None)


def decode(data: bytes, channels: Channels) -> dict[str, object]:
    """Fields of an uplink by name. Raises PayloadError where a value is cut off or nothing is known."""
    fields: dict[str, object] = {}
    at = 0
    while at + 2 <= len(data) and (channel := channels.get((data[at], data[at + 1]))) is not None:
        name, form, divisor = channel
        at += 2
        forms = (form, U16, U16, U16) if name == "weighting" else (form,)
        if at + sum(map(struct.calcsize, forms)) > len(data):
            raise PayloadError(f"ends within {name}")
        for one, label in zip(forms, (name, *LEVELS), strict=False):
            (raw,) = struct.unpack_from(one, data, at)
            scale = 10 if label in LEVELS else divisor
            fields[label] = raw if scale == 1 else raw / scale
            at += struct.calcsize(one)
    if not fields:
        raise PayloadError(f"begins with an unknown channel: {data[:2].hex(' ')}")
    return fields
