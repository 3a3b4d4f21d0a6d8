"""Device profiles: the tables of their keys.

A profile is a short TOML file. `[modbus]` or `[mqtt]` says how the device speaks and gives the points' common
settings; each of `points` is one measured or commanded quantity. Addresses are 0-based, as on the wire.
"""

from edge_agent.config.gateway import DOMAINS, NAME
from edge_agent.config.keys import REQUIRED, Key, Section
from edge_agent.profile import WORDS
from protos.vocabulary import QUANTITIES

ID = r"[a-z0-9]+(-[a-z0-9]+)*"
TYPES = {"bit": 0, **WORDS, "str": 0}  # type → registers; the length of a text is a key of its own
ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
PAYLOADS = ("json", "csv", "raw", "packed", "sparkplug", "tasmota", "shelly", "zigbee2mqtt", "chirpstack", "ttn")
NO_FUNCTION, NO_TYPE, NO_ORDER = 0, "", ""  # of a point: as [modbus] says

RANGE = Section(
    "checks.range",
    "what the quantity can be; outside it a value is BAD",
    (Key("min", "number", "least value in `unit`", None), Key("max", "number", "greatest value in `unit`", None)),
)
RATE = Section(
    "checks.rate",
    "how fast it can change",
    (Key("max_per_s", "number", "greatest change in `unit` per second", low=0),),
)
STUCK = Section(
    "checks.stuck",
    "for quantities that never rest",
    (Key("after_s", "number", "seconds without any change after which a value is doubted", low=1),),
)
SPIKE = Section(
    "checks.spike",
    "lone values far from their neighbours",
    (
        Key("sigmas", "number", "distance from the neighbours' median, in deviations", low=1),
        Key("floor", "number", "change in `unit` that is never a spike", None, low=0),
    ),
)
TIMING = Section(
    "checks.timing",
    "how far the device's own time may be from the time of receipt",
    (
        Key("max_ahead_s", "number", "seconds in the future", None, low=0),
        Key("max_behind_s", "number", "seconds in the past", None, low=0),
    ),
)
CHECKS = Section(
    "checks",
    "what is plausible; cleaning lowers the quality of what is not, and drops nothing",
    (
        Key("range", "table", RANGE.doc, None, section=RANGE, example="{ min = 0, max = 300 }"),
        Key("rate", "table", RATE.doc, None, section=RATE, example="{ max_per_s = 50 }"),
        Key("stuck", "table", STUCK.doc, None, section=STUCK, example="{ after_s = 3600 }"),
        Key("spike", "table", SPIKE.doc, None, section=SPIKE, example="{ sigmas = 6 }"),
        Key("timing", "table", TIMING.doc, None, section=TIMING, example="{ max_behind_s = 3600 }"),
    ),
)
MODBUS = Section(
    "[modbus]",
    "how the device speaks Modbus, and what its points have in common",
    (
        Key("function", "integer", "function code that reads the points", 3, choices=(1, 2, 3, 4)),
        Key("type", "text", "type of the points", "u16", choices=tuple(TYPES)),
        Key("order", "text", "order of the bytes of a 32-bit value on the wire", "ABCD", choices=ORDERS),
        Key("max_registers", "integer", "registers in one read", 125, 1, 125),
        Key("max_bits", "integer", "bits in one read", 2000, 1, 2000),
        Key("max_gap", "integer", "unused registers that are read along rather than asked around", 8, 0, 124),
        Key("one_value_per_request", "boolean", "reads must not cross the borders of values", False),
        Key("timeout_ms", "integer", "how long an answer may take", 1000, 20, 60_000),
        Key("connect_delay_ms", "integer", "rest after connecting", 0, 0, 60_000),
        Key("pause_ms", "integer", "rest between two requests", 0, 0, 10_000),
        Key(
            "max_clients",
            "integer",
            "connections its host takes; a file that needs more is refused; 0 for no limit",
            0,
            0,
            64,
        ),
        Key("float_invalid", "boolean", 'NaN means "no value"', True),
    ),
)
MQTT = Section(
    "[mqtt]",
    "how the device speaks MQTT",
    (
        Key("payload", "text", "convention of topics and payloads", "json", choices=PAYLOADS),
        Key("time_path", "text", "JSON path of the source time; empty takes the arrival", ""),
        Key("time_format", "text", "form of the source time", "unix", choices=("unix", "unix_ms", "iso", "local")),
        Key("stale_s", "number", "silence after which its values are doubted; 0 for three periods", 0, 0, 31 * 86400),
    ),
)
POINT = Section(
    "points",
    "one measured or commanded quantity",
    (
        Key("name", "text", "its name; part of the point's name in the history", pattern=NAME, example='"p_total"'),
        Key(
            "quantity",
            "text",
            "what it is, of those that `edge-agent devices quantities` lists; gives the internal unit",
            choices=tuple(QUANTITIES),
            example='"active_power"',
        ),
        Key("unit", "text", "unit on the wire, after scale and offset", "", example='"kW"'),
        Key("address", "integer", "0-based address of the first register or bit", None, 0, 65535, example="3059"),
        Key("model", "integer", "SunSpec model that `address` is an offset in; found wherever it is", 0, 0, 65534),
        Key(
            "function",
            "integer",
            "function code that reads it, if not [modbus] function",
            NO_FUNCTION,
            choices=(0, 1, 2, 3, 4),
        ),
        Key("type", "text", "type, if not [modbus] type", NO_TYPE, choices=(NO_TYPE, *TYPES)),
        Key("length", "integer", "registers of a text", 0, 0, 125),
        Key("order", "text", "order of the bytes, if not [modbus] order", NO_ORDER, choices=(NO_ORDER, *ORDERS)),
        Key(
            "mask",
            "integer",
            "bits of a bits16 or bits32 that are meant; 0 for all",
            0,
            0,
            0xFFFF_FFFF,
            example="0x0400",
        ),
        Key("scale_from", "text", "point that holds the power of ten to multiply by (SunSpec)", "", example='"W_SF"'),
        Key(
            "write_function",
            "integer",
            "function code that writes it; 0 where it cannot be written",
            0,
            choices=(0, 5, 6, 15, 16, 23),
        ),
        Key("topic", "text", "topic below the device's topic root; empty is the root itself", None),
        Key(
            "path",
            "text",
            "where in the payload: JSON path, CSV column, packed format, metric name",
            "",
            example='"ENERGY.Power"',
        ),
        Key("scale", "number", "value = raw × scale + offset", 1),
        Key("offset", "number", "value = raw × scale + offset", 0),
        Key("invalid", "numbers", 'raw values that mean "no value"', (), example="[0x8000]"),
        Key("enumeration", "names", "names of the values", {}, example='{ 0 = "off", 1 = "on" }'),
        Key("access", "text", "r read, w written, rw both", "r", choices=("r", "w", "rw")),
        Key("period_ms", "integer", "how often it is read; 0 as the profile says", 0, 0, 86_400_000),
        Key("checks", "table", CHECKS.doc, {}, section=CHECKS),
        Key("verify", "text", "what is still to be confirmed from a vendor document", ""),
    ),
)
PROFILE = Section(
    "a device profile",
    "a kind of device: its points, where they are on the wire, what is plausible for them",
    (
        Key("name", "text", "vendor and model", example='"Eastron SDM630"'),
        Key("domain", "text", "the domain it mostly serves", choices=DOMAINS),
        Key("category", "text", "the kind of thing it is", pattern=r"[A-Za-z0-9 ,/-]{2,60}", example='"energy meter"'),
        Key("grade", "text", "trust: A vendor document, B open driver, C secondary", choices=("A", "B", "C")),
        Key("source", "text", "the document or driver the facts come from"),
        Key("verify", "text", "what is still to be confirmed for the device as a whole", ""),
        Key("period_ms", "integer", "how often its points are read", 1000, 50, 86_400_000),
        Key("modbus", "table", MODBUS.doc, None, section=MODBUS),
        Key("mqtt", "table", MQTT.doc, None, section=MQTT),
        Key("points", "tables", POINT.doc, REQUIRED, section=POINT),
    ),
)
