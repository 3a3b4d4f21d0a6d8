"""A gateway's own file: who it is, where it keeps things, what it reads, where it sends."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_agent.cell import Cell
from edge_agent.config.control import ABOUT_ACTING
from edge_agent.config.keys import Key, Section
from edge_agent.config.local import ADDRESS, LOCAL, LocalPlaces
from edge_agent.profile import Broker, Device

ID = r"[a-z0-9][a-z0-9._-]{0,62}"  # as in certificates, topics and file names (protos/tls.py)
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
CONNECTION = r"(tcp|tls|rtu|rtu\+tcp|mqtt)://.+|" + NAME
DOMAINS = ("traffic", "energy", "environment", "services", "safety")
DEVICES_MAX = 2000  # of one gateway; beyond that the work belongs on several


@dataclass(frozen=True, slots=True)
class AggregatorAddress:
    address: str  # host:port of the sync listener; "" where the enrolment says it
    enrol_address: str  # host:port of the enrolment listener; "" where the token says it
    name: str  # DNS name that its certificate must carry


@dataclass(frozen=True, slots=True)
class BufferLimits:
    max_mb: int
    keep_days: float
    commit_ms: int
    commit_readings: int
    ballast_mb: int


@dataclass(frozen=True, slots=True)
class SyncLimits:
    window: int
    bandwidth_kbit: float  # 0: no cap
    metered: bool
    allowance_mb_a_day: float  # on a metered line
    heartbeat_s: float
    status_s: float
    trust_ntp: bool


@dataclass(frozen=True, slots=True)
class HealthPlaces:
    textfile: Path | None
    listen: str  # host:port; "" for none


@dataclass(frozen=True, slots=True)
class Gateway:
    """Everything that a gateway's file says, checked; profiles read and attached to their devices."""

    file: Path
    id: str
    district: str
    name: str
    latitude: float | None
    longitude: float | None
    state_dir: Path
    tick_ms: int
    aggregator: AggregatorAddress
    buffer: BufferLimits
    sync: SyncLimits
    health: HealthPlaces
    devices: tuple[Device, ...]
    brokers: tuple[Broker, ...]
    cell: Cell
    local: LocalPlaces
    files: tuple[Path, ...] = ()  # this file and the profiles read; what a hot reload watches
    lines: Mapping[str, int] | None = None  # line of each device, for messages that come later


GATEWAY = Section(
    "[gateway]",
    "who this gateway is",
    (
        Key(
            "id",
            "text",
            "the gateway's name in certificates and in the history; never changes",
            pattern=ID,
            example='"north-1"',
        ),
        Key("district", "text", "the district it belongs to", pattern=NAME, example='"north"'),
        Key("name", "text", "a name for people", ""),
        Key("latitude", "number", "where it stands, degrees WGS 84", None, -90, 90, example="52.52"),
        Key("longitude", "number", "where it stands, degrees WGS 84", None, -180, 180, example="13.40"),
        Key(
            "state_dir",
            "text",
            "directory of the buffer, keys and certificates",
            "/var/lib/citytwin",
            example='"/var/lib/citytwin"',
        ),
        Key("profiles_dir", "text", "directory of own device profiles, searched before those that come along", ""),
        Key("tick_ms", "integer", "how often readings are cleaned and put into the process image", 100, 10, 5000),
    ),
)
AGGREGATOR = Section(
    "[aggregator]",
    "where readings go; a gateway that never enrols works alone",
    (
        Key(
            "address",
            "text",
            "host:port of the aggregator's sync listener; empty takes what the enrolment brought",
            "",
            pattern=f"({ADDRESS})?",
            example='"twin.example.org:7443"',
        ),
        Key(
            "enrol_address",
            "text",
            "host:port of its enrolment listener; empty takes it from the token",
            "",
            pattern=f"({ADDRESS})?",
            example='"twin.example.org:7444"',
        ),
        Key("name", "text", "DNS name that its certificate must carry", "aggregator", pattern=NAME),
    ),
)
BUFFER = Section(
    "[buffer]",
    "what is kept on this machine's disk",
    (
        Key(
            "max_mb",
            "integer",
            "megabytes for readings; beyond it the oldest of the lowest class go first",
            2000,
            8,
            1_000_000,
        ),
        Key("keep_days", "number", "days of local history that are kept after the aggregator has them", 14, 0, 3650),
        Key(
            "commit_ms",
            "integer",
            "commit at least this often: what a power cut may cost, against bytes written",
            10_000,
            50,
            60_000,
        ),
        Key("commit_readings", "integer", "commit as soon as so many readings wait", 2000, 1, 100_000),
        Key(
            "ballast_mb",
            "integer",
            "a file given up when the disk is full, so that the gateway can still clean up",
            16,
            1,
            1024,
        ),
    ),
)
SYNC = Section(
    "[sync]",
    "how readings travel",
    (
        Key("window", "integer", "batches on their way without an answer", 64, 1, 1024),
        Key("bandwidth_kbit", "number", "cap on the line in kbit/s; 0 for none", 0, 0, 10_000_000),
        Key(
            "metered",
            "boolean",
            "the line costs by the byte: commit_ms is at least 10000, readings leave once a minute, alarms at once, the"
            " backlog within the allowance; a heartbeat each 30 s",
            False,
        ),
        Key(
            "allowance_mb_a_day",
            "number",
            "MB a day on a metered line; live readings may overdraw it",
            50,
            0,
            1_000_000,
        ),
        Key("trust_ntp", "boolean", "believe the kernel where it says that its clock is synchronised", True),
        Key("status_s", "number", "seconds between reports of how it is; metered lines take 600", 10, 1, 3600),
        Key("heartbeat_s", "number", "seconds between heartbeats; four missed ones end the connection", 1, 0.2, 60),
    ),
)
HEALTH = Section(
    "[health]",
    "where monitoring finds figures; both optional",
    (
        Key("textfile", "text", "file for node_exporter's textfile collector; empty for none", ""),
        Key(
            "listen",
            "text",
            "host:port of a Prometheus endpoint; empty for none",
            "",
            pattern=f"({ADDRESS})?",
            example='"127.0.0.1:9464"',
        ),
    ),
)
SECONDS = r"[0-9]{1,6}(\.[0-9]{1,3})?"
OPTIONS = Section(
    "options",
    "further settings of a device's connection; names that begin with x_ are for sources of your own",
    (
        Key(
            "baud",
            "text",
            "of a serial line",
            "",
            pattern="300|600|1200|2400|4800|9600|19200|38400|57600|115200|230400",
        ),
        Key("parity", "text", "of a serial line: N, E, O", "", pattern="[NEO]"),
        Key("stop", "text", "stop bits of a serial line", "", pattern="[12]"),
        Key("bytes", "text", "data bits of a serial line", "", pattern="[78]"),
        Key("ca_file", "text", "authorities that a device's TLS certificate may come from", ""),
        Key("certificate_file", "text", "own certificate for TLS", ""),
        Key("key_file", "text", "key of the own certificate", ""),
        Key("server_name", "text", "name in the device's certificate, if not the host", ""),
        Key(
            "lease_s",
            "text",
            "a device's own timeout: what was written is written again at half of it",
            "",
            pattern=SECONDS,
        ),
        Key("write_s", "text", "how long an MQTT device may take to confirm a command", "", pattern=SECONDS),
        Key("partial", "text", "true where a message may hold any part of the points", "", pattern="true|false"),
        Key("command_topic", "text", "topic of commands; {point} stands for the point", ""),
        Key("base", "text", "base topic of a Zigbee2MQTT of its own", ""),
        Key("decoder", "text", "profile whose payload decoder reads undecoded LoRaWAN data", ""),
        Key("f_port", "text", "LoRaWAN port of commands", "", pattern="[0-9]{1,3}"),
    ),
)
DEVICE = Section(
    "[[device]]",
    "one device: a profile at an address",
    (
        Key(
            "name",
            "text",
            "its name on this gateway; part of every point's name, so never change it",
            pattern=NAME,
            example='"feeder-3"',
        ),
        Key("profile", "text", "the kind of device; `edge-agent devices` lists them", example='"eastron-sdm630"'),
        Key(
            "connection",
            "text",
            "tcp://host:502, tls://host:802, rtu:///dev/ttyUSB0?baud=9600, rtu+tcp://host:502 or a [[broker]]'s name",
            pattern=CONNECTION,
            example='"tcp://192.0.2.10:502"',
        ),
        Key("unit", "integer", "Modbus unit id", 1, 0, 255),
        Key("topic", "text", "MQTT topic root of this device", "", example='"shellypro3em-aabbcc"'),
        Key("domain", "text", "domain, if not the profile's", "", choices=("", *DOMAINS)),
        Key(
            "asset",
            "text",
            "what it belongs to in the city: a feeder, a junction, a street",
            "",
            pattern=r"[A-Za-z0-9._/-]{0,128}",
        ),
        Key("period_ms", "integer", "read every point this often; 0 keeps the profile's periods", 0, 0, 86_400_000),
        Key("points", "texts", "only these points of the profile; empty takes all", ()),
        Key("options", "options", OPTIONS.doc, {}, section=OPTIONS, example="{ lease_s = 30 }"),
    ),
)
BROKER = Section(
    "[[broker]]",
    "an MQTT broker",
    (
        Key("name", "text", "its name, used as `connection` of devices", pattern=NAME, example='"cabinet"'),
        Key("host", "text", "host name or address", example='"127.0.0.1"'),
        Key("port", "integer", "port; 8883 is usual with TLS", 1883, 1, 65535),
        Key("tls", "boolean", "speak TLS", False),
        Key(
            "version",
            "integer",
            "5 for MQTT 5, 4 for MQTT 3.1.1, where the broker decides how much it sends before it is acknowledged "
            "(mosquitto: set its max_inflight_messages to 0, or 20 QoS-1 messages per commit get through)",
            5,
            choices=(4, 5),
        ),
        Key(
            "client_id",
            "text",
            "client id; empty makes one of the gateway and the broker",
            "",
            pattern=r"[A-Za-z0-9._-]{0,64}",
        ),
        Key("username", "text", "user name; empty for none", ""),
        Key(
            "password_file",
            "text",
            "file or systemd credential that holds the password",
            "",
            example='"broker-password"',
        ),
        Key("ca_file", "text", "authorities to trust, PEM; empty for the system's", ""),
        Key("certificate_file", "text", "own certificate, PEM; empty for none", ""),
        Key("key_file", "text", "key of the own certificate, PEM", ""),
        Key("keepalive_s", "integer", "seconds between pings", 30, 5, 3600),
        Key(
            "session_s",
            "integer",
            "seconds that the broker keeps our session while we are away",
            7 * 86400,
            0,
            2**32 - 1,
        ),
        Key("zone", "text", "time zone of devices that send local time without one", "UTC", example='"Europe/Berlin"'),
    ),
)
SITE = Section(
    "a gateway's file",
    "one gateway: who it is, what it reads, where it sends",
    (
        Key("gateway", "table", GATEWAY.doc, section=GATEWAY),
        Key("aggregator", "table", AGGREGATOR.doc, {}, section=AGGREGATOR),
        Key("buffer", "table", BUFFER.doc, {}, section=BUFFER),
        Key("sync", "table", SYNC.doc, {}, section=SYNC),
        Key("health", "table", HEALTH.doc, {}, section=HEALTH),
        *ABOUT_ACTING,
        Key("local", "table", LOCAL.doc, {}, section=LOCAL),
        Key("device", "tables", DEVICE.doc, (), section=DEVICE),
        Key("broker", "tables", BROKER.doc, (), section=BROKER),
    ),
)
