"""What a kind of device is: its points, where they are on the wire, and what is plausible for them.

A profile is one TOML file under `firmware_configs/devices/`; these classes are what a source gets of it. Reading
and checking the files is in `edge_agent/config.py`; the JSON schema beside the files says the same to an editor.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

WORDS = {  # registers of each numeric type; a bit is no register
    "u16": 1,
    "i16": 1,
    "bcd16": 1,
    "bits16": 1,
    "u32": 2,
    "i32": 2,
    "f32": 2,
    "bcd32": 2,
    "bits32": 2,
    "u64": 4,
    "i64": 4,
    "f64": 4,
}


@dataclass(frozen=True, slots=True)
class Register:
    """A point's place on a Modbus device. Addresses are 0-based, as on the wire."""

    function: int  # 1 coils, 2 discrete inputs, 3 holding registers, 4 input registers
    address: int
    type: str  # bit u16 i16 u32 i32 u64 i64 f32 f64 bcd16 bcd32 bits16 bits32 str
    length: int = 0  # registers, of a str
    order: str = "ABCD"  # bytes of a 32-bit value as sent: ABCD CDAB BADC DCBA (64-bit alike, by words and bytes)
    mask: int = 0  # of bits16 and bits32: 0 for the whole word
    scale_from: str = ""  # name of the point that holds the power of ten (SunSpec)
    write_function: int = 0  # 5 6 15 16 23; 0: not writable
    model: int = 0  # SunSpec model that `address` is an offset in, its head included; 0: a plain address


@dataclass(frozen=True, slots=True)
class Field:
    """A point's place in an MQTT payload."""

    topic: str  # suffix or filter below the device's topic root; "" is the root itself
    path: str = ""  # JSON path, CSV column, packed format, Sparkplug metric name; by the profile's payload kind


@dataclass(frozen=True, slots=True)
class PointSpec:
    name: str
    quantity: str  # key of protos/vocabulary.py: gives the internal unit
    unit: str  # unit on the wire, after scale and offset
    register: Register | None = None
    place: Field | None = None
    scale: float = 1.0  # value = raw * scale + offset, in `unit`
    offset: float = 0.0
    invalid: tuple[float, ...] = ()  # raw values that mean "no value"
    enumeration: Mapping[int, str] = field(default_factory=dict)
    access: str = "r"  # r, w or rw
    period_ms: int = 1000
    checks: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # {"range": {"min": 0, "max": 300}, ...}
    verify: str = ""  # what is still to be confirmed from a vendor document


@dataclass(frozen=True, slots=True)
class ModbusManners:
    """What a Modbus device tolerates."""

    max_registers: int = 125  # in one read
    max_bits: int = 2000
    max_gap: int = 8  # unused registers read rather than starting another request
    one_value_per_request: bool = False
    timeout_ms: int = 1000
    connect_delay_ms: int = 0
    pause_ms: int = 0  # between two requests
    max_clients: int = 0  # connections its host takes, one for each port that this gateway reads; 0: no limit known
    float_invalid: bool = True  # NaN means "no value"


@dataclass(frozen=True, slots=True)
class MqttManners:
    """How a kind of MQTT device speaks."""

    payload: str = "json"  # json csv raw packed sparkplug tasmota shelly zigbee2mqtt chirpstack
    time_path: str = ""  # JSON path of the source time; "" uses the arrival
    time_format: str = "unix"  # unix unix_ms iso local
    stale_s: float = 0.0  # 0: three periods


@dataclass(frozen=True, slots=True)
class Profile:
    id: str  # file name without .toml: vendor-model
    name: str
    domain: str
    category: str  # energy meter, PV inverter, ...
    grade: str  # A vendor document, B open driver, C secondary
    source: str  # the document
    points: tuple[PointSpec, ...]
    modbus: ModbusManners | None = None
    mqtt: MqttManners | None = None
    verify: str = ""  # what is still to be confirmed for the device as a whole


@dataclass(frozen=True, slots=True)
class Device:
    """One device of a gateway: a profile at an address."""

    name: str
    profile: Profile
    connection: (
        str  # tcp://host:port  rtu:///dev/ttyUSB0?baud=9600  rtu+tcp://host:port  tls://host:802  mqtt broker name
    )
    unit: int = 1  # Modbus unit id
    topic: str = ""  # MQTT topic root
    domain: str = ""
    asset: str = ""
    period_ms: int = 0  # 0: the profile's own periods
    options: Mapping[str, str] = field(default_factory=dict)  # parity, ca_file, ... of the connection


@dataclass(frozen=True, slots=True)
class Broker:
    """An MQTT broker that devices of this gateway speak through. Secrets are files, read on connecting."""

    name: str
    host: str
    port: int = 1883
    tls: bool = False
    version: int = 5  # 5: MQTT 5; 4: MQTT 3.1.1, where the broker sets the window of unacknowledged messages
    client_id: str = ""  # "": gateway id and broker name; must stay the same for the session to be found again
    username: str = ""
    password_file: Path | None = None
    ca_file: Path | None = None  # None: the system's authorities
    certificate_file: Path | None = None
    key_file: Path | None = None
    keepalive_s: int = 30
    session_s: int = 7 * 86400  # how long the broker keeps what arrives while the gateway is away (MQTT 5)
    zone: str = "UTC"  # of devices that send local time without a zone (Tasmota)
