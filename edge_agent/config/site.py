"""Reading a gateway's file: each key by its table, then what several keys say together, then the profiles."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from edge_agent.cell import Cell
from edge_agent.config.control import read_cell
from edge_agent.config.document import read_toml
from edge_agent.config.faults import Faults
from edge_agent.config.gateway import (
    DEVICES_MAX,
    SITE,
    AggregatorAddress,
    BufferLimits,
    Gateway,
    HealthPlaces,
    SyncLimits,
)
from edge_agent.config.keys import Place, read
from edge_agent.config.library import Library
from edge_agent.config.local import LocalPlaces, read_local
from edge_agent.profile import Broker, Device, Profile

OTHERS_MAY_READ = 0o004


def load(file: Path) -> Gateway:
    """The gateway that `file` describes. Raises ConfigError with every fault of it and of the profiles it names."""
    faults = Faults()
    document = read_toml(file, faults)
    if document is None:
        faults.check()
        raise AssertionError("a document that cannot be read has faults")
    table, place = document
    values = read(SITE, table, place)
    brokers = tuple(read_brokers(values["broker"], place))
    library = Library(own_profiles(values["gateway"], place))
    devices = tuple(read_devices(values["device"], place, library, [broker.name for broker in brokers]))
    check_lines(values["device"], place)
    check_addresses(values, place)
    cell = read_cell(values, place, devices, file.parent)
    state_dir = beside(file, values["gateway"]["state_dir"])
    local = read_local(values, place, devices, [broker.name for broker in brokers], state_dir)
    faults.check()
    return build(file, place, values, devices, brokers, cell, local, library)


def build(
    file: Path,
    place: Place,
    values: Mapping[str, Any],
    devices: tuple[Device, ...],
    brokers: tuple[Broker, ...],
    cell: Cell,
    local: LocalPlaces,
    library: Library,
) -> Gateway:
    about, health = values["gateway"], values["health"]
    return Gateway(
        file=file,
        id=about["id"],
        district=about["district"],
        name=about["name"] or about["id"],
        latitude=about["latitude"],
        longitude=about["longitude"],
        state_dir=beside(file, about["state_dir"]),
        tick_ms=about["tick_ms"],
        aggregator=AggregatorAddress(**values["aggregator"]),
        buffer=BufferLimits(**values["buffer"]),
        sync=SyncLimits(**values["sync"]),
        health=HealthPlaces(beside(file, health["textfile"]) if health["textfile"] else None, health["listen"]),
        devices=devices,
        brokers=brokers,
        cell=cell,
        local=local,
        files=(file, *library.read_files),
        lines=MappingProxyType({one.name: place.below("device", i).line for i, one in enumerate(devices)}),
    )


def beside(file: Path, name: str) -> Path:
    """A relative name in a configuration means: beside that configuration."""
    return (file.parent / name).absolute()


def secret_file(file: Path, name: str) -> Path:
    """Where a secret is: a systemd credential of that name, else a file beside the configuration."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY", "")
    if credentials and not Path(name).is_absolute() and (Path(credentials) / name).is_file():
        return Path(credentials) / name
    return beside(file, name)


def existing(key: str, table: Mapping[str, Any], place: Place, *, secret: bool = False) -> Path | None:
    """The file that `key` names, checked to be there and, if secret, not to be readable by everyone."""
    if not table[key]:
        return None
    path = secret_file(place.file, table[key])
    at = place.below(key)
    try:
        mode = path.stat().st_mode
        with path.open("rb"):
            pass
    except OSError as error:
        remedy = "write the secret there, mode 0600, or pass a systemd credential" if secret else "name the right file"
        at.fault(f"cannot be read: {error.strerror}", remedy, table[key])
        return None
    if secret and mode & OTHERS_MAY_READ and not str(path).startswith("/run/secrets/"):
        at.fault("can be read by everyone on this machine", f"chmod 600 {path}", table[key])
    return path


def own_profiles(about: Mapping[str, Any], place: Place) -> Path | None:
    if not about["profiles_dir"]:
        return None
    path = beside(place.file, about["profiles_dir"])
    if not path.is_dir():
        place.below("gateway", "profiles_dir").fault(
            "is no directory", "make it or remove the key", about["profiles_dir"]
        )
    return path


def check_addresses(values: Mapping[str, Any], place: Place) -> None:
    for section, key in (("aggregator", "address"), ("aggregator", "enrol_address"), ("health", "listen")):
        text = values[section][key]
        if text and not 1 <= int(text.rsplit(":", 1)[1]) <= 65535 and (section, text[-2:]) != ("health", ":0"):
            place.below(section, key).fault("has no valid port", "ports are 1 to 65535", text)


def read_brokers(tables: tuple[dict[str, Any], ...], place: Place) -> Iterator[Broker]:
    seen: set[str] = set()
    for number, table in enumerate(tables):
        at = place.below("broker", number)
        if table["name"] in seen:
            at.below("name").fault("is there twice", "name each broker once", table["name"])
        seen.add(table["name"])
        if bool(table["certificate_file"]) != bool(table["key_file"]):
            at.fault("has only one of certificate_file and key_file", "give both or none")
        for key in ("ca_file", "certificate_file", "key_file"):
            if table[key] and not table["tls"]:
                at.below(key).fault("has no use without TLS", "set tls = true or remove it", table[key])
        check_zone(table["zone"], at.below("zone"))
        files = {key: existing(key, table, at) for key in ("ca_file", "certificate_file")}
        secrets = {key: existing(key, table, at, secret=True) for key in ("password_file", "key_file")}
        yield Broker(**{**table, **files, **secrets})


def check_zone(zone: str, at: Place) -> None:
    try:
        ZoneInfo(zone)
    except (ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError; a directory is an OSError
        at.fault("is no time zone", 'name one of the IANA database, as "Europe/Berlin"', zone)
    except KeyError:
        at.fault("is no time zone", 'name one of the IANA database, as "Europe/Berlin"', zone)


def read_devices(
    tables: tuple[dict[str, Any], ...], place: Place, library: Library, brokers: list[str]
) -> Iterator[Device]:
    if len(tables) > DEVICES_MAX:
        place.below("device", DEVICES_MAX).fault(f"is beyond {DEVICES_MAX} devices", "share them among gateways")
    names: set[str] = set()
    for number, table in enumerate(tables):
        at = place.below("device", number)
        if table["name"] in names:
            at.below("name").fault("is there twice", "name each device once", table["name"])
        names.add(table["name"])
        profile = library.find(table["profile"], at.below("profile")) if table["profile"] else None
        if "://" in table["connection"]:
            check_address(table["connection"], at.below("connection"))
        if profile is not None:
            yield read_device(table, profile, at, brokers)


def check_lines(tables: tuple[dict[str, Any], ...], place: Place) -> None:
    """A serial port has one set of settings, whoever is on it."""
    known: dict[str, tuple[str, str]] = {}  # port → connection and device that came first
    for number, table in enumerate(tables):
        connection = canonical(table["connection"])
        if not connection.startswith("rtu://"):
            continue
        first, name = known.setdefault(connection.partition("?")[0], (connection, table["name"]))
        if connection != first:
            at = place.below("device", number, "connection")
            at.fault(f"has other settings than {name} on the same port", f"make both {first}", table["connection"])


def read_device(table: Mapping[str, Any], profile: Profile, at: Place, brokers: list[str]) -> Device:
    check_connection(table["connection"], profile, at.below("connection"), brokers)
    if profile.modbus is not None and table["topic"]:
        at.below("topic").fault("has no use for a Modbus device", "remove it", table["topic"])
    if wanted := table["points"]:
        profile = choose(profile, wanted, at.below("points"))
    same = {key: table[key] for key in ("name", "unit", "topic", "asset", "period_ms")}
    options = {**table["options"], **option_files(table["options"], at.below("options"))}
    connection = canonical(table["connection"])
    return Device(
        **same, profile=profile, connection=connection, domain=table["domain"] or profile.domain, options=options
    )


def canonical(connection: str) -> str:
    """The same text for the same line, so that its devices share one connection."""
    scheme, _, rest = connection.partition("://")
    if scheme == "rtu":
        path, _, query = rest.partition("?")
        return f"rtu://{path}?{'&'.join(sorted(query.split('&')))}" if query else connection
    if scheme in PORTS and ":" not in rest.rpartition("]")[2]:
        return f"{connection}:{PORTS[scheme]}"
    return connection


def option_files(options: Mapping[str, str], at: Place) -> dict[str, str]:
    """Options that name files, as whole paths; keys and passwords are secrets."""
    secret = ("key_file", "password_file")
    paths = {key: existing(key, options, at, secret=key in secret) for key in options if key.endswith("_file")}
    return {key: str(path) for key, path in paths.items() if path is not None}


def choose(profile: Profile, wanted: tuple[str, ...], at: Place) -> Profile:
    """The profile with these points only, and those that scale them."""
    by_name = {point.name: point for point in profile.points}
    for number, name in enumerate(wanted):
        if name not in by_name:
            at.below(number).fault(f"is no point of {profile.id}", f"it has {', '.join(by_name)}", name)
    scales = {p.register.scale_from for p in profile.points if p.register and p.name in wanted}
    kept = tuple(point for point in profile.points if point.name in wanted or point.name in scales)
    return replace(profile, points=kept)


def check_connection(text: str, profile: Profile, at: Place, brokers: list[str]) -> None:
    modbus = profile.modbus is not None
    if not text:
        return
    if modbus and "://" not in text:
        at.fault(
            f"is no Modbus address, and {profile.id} speaks Modbus", "as tcp://host:502 or rtu:///dev/ttyUSB0", text
        )
    elif not modbus and text not in brokers:
        known = f"known: {', '.join(brokers)}" if brokers else "add a [[broker]] with this name"
        at.fault(f"is no broker of this file, and {profile.id} speaks MQTT", known, text)


def check_address(text: str, at: Place) -> None:
    scheme, rest = text.split("://", 1)
    path, _, query = rest.partition("?")
    if "@" in path:
        at.fault("holds a secret", "give credentials by file in options", text)
    if scheme == "rtu":
        if not path.startswith("/"):
            at.fault("names no serial port", "as rtu:///dev/ttyUSB0?baud=9600&parity=N (three slashes)", text)
    else:
        try:
            parts = urlsplit(f"{scheme}://{path}")
            if parts.port == 0:
                raise ValueError("0 is no port")
        except ValueError:  # urlsplit's words for ports above 65535 and ports that are no number
            at.fault("has no valid port", "ports are 1 to 65535", text)
        else:
            if not parts.hostname:
                at.fault("names no host", f"as {scheme}://192.0.2.10:502", text)
    for setting in query.split("&") if query else ():
        name, equals, value = setting.partition("=")
        check_setting(name, value if equals else "", at, text)


PORTS = {"tcp": 502, "rtu+tcp": 502, "tls": 802}  # where an address names none
SETTINGS = {  # of a serial line, in the query of its address or in options
    "baud": tuple(str(rate) for rate in (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400)),
    "parity": ("N", "E", "O"),
    "stop": ("1", "2"),
    "bytes": ("7", "8"),
}


def check_setting(name: str, value: str, at: Place, text: str) -> None:
    if name not in SETTINGS:
        at.fault(f"has the unknown setting {name}", f"known: {', '.join(SETTINGS)}", text)
    elif value not in SETTINGS[name]:
        at.fault(f"has {name} = {value or 'nothing'}", f"one of {', '.join(SETTINGS[name])}", text)
