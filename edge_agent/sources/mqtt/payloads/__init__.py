"""Kinds of payload by the name that a profile gives in `[mqtt] payload`; resolved on use. A new kind is one file here,
one line in this table and one case folder for its battery."""

from importlib import import_module

from edge_agent.sources.mqtt.payloads.kind import Kind

PAYLOADS: dict[str, str] = {
    "json": "json:Json",
    "csv": "csv:Csv",
    "raw": "raw:Raw",
    "packed": "packed:Packed",
    "sparkplug": "sparkplug:Sparkplug",
    "tasmota": "tasmota:Tasmota",
    "shelly": "shelly:Shelly",
    "zigbee2mqtt": "zigbee2mqtt:Zigbee2mqtt",
    "chirpstack": "chirpstack:Chirpstack",
    "ttn": "ttn:Ttn",
}


def resolve(name: str) -> type[Kind]:
    """The class of a kind. Raises KeyError; configurations are checked before."""
    module, _, cls = PAYLOADS[name].partition(":")
    found: type[Kind] = getattr(import_module(f"{__name__}.{module}"), cls)
    return found
