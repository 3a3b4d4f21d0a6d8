"""The tables of a gateway's file about the controllers beside it: `[local.modbus]`, `[local.mqtt]`, `[local.grpc]`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent.config.keys import Key, Place, Section
from edge_agent.profile import Device

ADDRESS = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}"
LEVEL = r"[A-Za-z0-9][A-Za-z0-9._-]*"  # of a topic: no wildcards, none of the broker's own


@dataclass(frozen=True, slots=True)
class ModbusPlace:
    listen: str  # host:port; "" for none
    heartbeat_s: float  # 0: the other side is not watched


@dataclass(frozen=True, slots=True)
class MqttPlace:
    broker: str  # name of a [[broker]]; "" for none
    root: str
    least_s: float
    most_s: float


@dataclass(frozen=True, slots=True)
class LocalPlaces:
    modbus: ModbusPlace
    mqtt: MqttPlace
    socket: Path | None  # of the gRPC stream


MODBUS = Section(
    "[local.modbus]",
    "a Modbus TCP server with estimates and decisions; `edge-agent registers` prints its map",
    (
        Key(
            "listen",
            "text",
            "host:port of the server; empty for none. Modbus knows no passwords: listen in the cabinet's network only",
            "",
            pattern=f"({ADDRESS})?",
            example='"192.168.7.1:502"',
        ),
        Key(
            "heartbeat_s",
            "number",
            "the other side writes its heartbeat at least this often, or counts as gone; 0: is not watched",
            10,
            0,
            3600,
        ),
    ),
)
MQTT = Section(
    "[local.mqtt]",
    "estimates and decisions as JSON messages, never retained",
    (
        Key("broker", "text", "name of the [[broker]] to publish to; empty for none", "", example='"cabinet"'),
        Key(
            "root",
            "text",
            "what the topics begin with; empty makes citytwin/ and the gateway's id of it",
            "",
            pattern=f"({LEVEL}(/{LEVEL})*)?",
            example='"cabinet/north-1"',
        ),
        Key("least_s", "number", "no topic is published more often than this", 1, 0.05, 3600),
        Key("most_s", "number", "each topic is published at least this often, changed or not", 10, 0.1, 3600),
    ),
)
GRPC = Section(
    "[local.grpc]",
    "a gRPC service on a Unix socket: a stream of estimates and decisions, and a hand on the outputs",
    (
        Key(
            "socket",
            "text",
            "path of the socket, mode 0660; a relative one is in state_dir; empty for none. It takes 3 MiB of memory",
            "",
            example='"/run/citytwin/local.sock"',
        ),
    ),
)
LOCAL = Section(
    "[local]",
    "what the gateway offers the controllers beside it",
    (
        Key("modbus", "table", MODBUS.doc, {}, section=MODBUS),
        Key("mqtt", "table", MQTT.doc, {}, section=MQTT),
        Key("grpc", "table", GRPC.doc, {}, section=GRPC),
    ),
)


def read_local(
    values: Mapping[str, Any], place: Place, devices: Sequence[Device], brokers: Sequence[str], state_dir: Path
) -> LocalPlaces:
    """Where the gateway shows what it decides; what is wrong goes to `place.faults`."""
    table, about = values["local"], values["gateway"]
    at = place.below("local")
    check_listen(table["modbus"]["listen"], values["health"]["listen"], at.below("modbus", "listen"))
    mqtt = dict(table["mqtt"], root=table["mqtt"]["root"] or f"citytwin/{about['id']}")
    check_mqtt(mqtt, at.below("mqtt"), devices, brokers)
    socket = table["grpc"]["socket"]
    return LocalPlaces(ModbusPlace(**table["modbus"]), MqttPlace(**mqtt), state_dir / socket if socket else None)


def check_listen(text: str, other: str, at: Place) -> None:
    if not text:
        return
    port = int(text.rpartition(":")[2])
    if port > 65535:
        at.fault("has no valid port", "ports are 1 to 65535; 0 takes a free one", text)
    elif port and text == other:
        at.fault("is [health] listen already", "give each a port of its own", text)


def check_mqtt(table: Mapping[str, Any], at: Place, devices: Sequence[Device], brokers: Sequence[str]) -> None:
    name, root = table["broker"], table["root"]
    if name and name not in brokers:
        known = f"known: {', '.join(brokers)}" if brokers else "add a [[broker]] with this name"
        at.below("broker").fault("is no broker of this file", known, name)
    for device in devices:
        if device.connection == name and f"{device.topic}/".startswith(f"{root}/"):
            at.below("root").fault(
                f"holds the topic of {device.name}", "choose another: it would hear its own decisions", root
            )
    if table["least_s"] > table["most_s"]:
        at.below("most_s").fault(f"is less than least_s = {table['least_s']:g}", "give a longer time", table["most_s"])
