"""Device profiles by id: those that come along, and own ones in a directory that is searched first.

Reading a profile checks each key by its table, then what several keys say together: a register must lie on the
device, its type must suit its function, a unit must be one of its quantity.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.config.document import read_toml
from edge_agent.config.faults import Fault, Faults
from edge_agent.config.keys import Place, read
from edge_agent.config.profiles import PROFILE, TYPES
from edge_agent.config.quantities import unit_fault
from edge_agent.profile import Field, ModbusManners, MqttManners, PointSpec, Profile, Register

BITS, REGISTERS = (1, 2), (3, 4)


# Beside our own package, in a checkout as in an installation.
SHIPPED = Path(__file__).parents[2] / "firmware_configs" / "devices"


@dataclass(eq=False)
class Library:
    """Profiles by id, each read once. `own` is searched before the shipped ones."""

    own: Path | None = None
    read_files: list[Path] = field(default_factory=list)
    _known: dict[str, Profile | None] = field(default_factory=dict)

    def ids(self) -> list[str]:
        return sorted({path.stem for path in self._files()})

    def file(self, name: str) -> Path | None:
        return next((path for path in self._files() if path.stem == name), None)

    def _files(self) -> Iterator[Path]:
        for folder in (self.own, SHIPPED):
            if folder is not None:
                yield from sorted(folder.glob("*.toml"))

    def find(self, name: str, place: Place) -> Profile | None:
        """The profile, for the key at `place`; faults of its file, and that there is none, go to its faults."""
        if name not in self._known:
            file = self.file(name)
            if file is None:
                place.fault("is no known profile", self._remedy(name), name)
                return None
            self.read_files.append(file)
            self._known[name] = read_profile(file, place.faults)
        return self._known[name]

    def _remedy(self, name: str) -> str:
        near = difflib.get_close_matches(name, self.ids(), 3, 0.5)
        return f"did you mean {' or '.join(near)}?" if near else "`edge-agent devices` lists those that are there"

    def get(self, name: str) -> Profile:
        """The profile. Raises ConfigError."""
        faults = Faults()
        file = self.file(name)
        if file is None:
            faults.found.append(Fault(Path(f"{name}.toml"), 0, "", "", "is no known profile", self._remedy(name)))
        found = read_profile(file, faults) if file else None
        faults.check()
        assert found is not None
        return found


def read_profile(file: Path, faults: Faults) -> Profile | None:
    """One profile; None when it has faults, which are then in `faults`."""
    document = read_toml(file, faults)
    if document is None:
        return None
    table, place = document
    before = len(faults.found)
    values = read(PROFILE, table, place)
    check_speech(values, table, place)
    names: dict[str, Mapping[str, Any]] = {}
    for number, point in enumerate(values["points"]):
        at = place.below("points", number)
        if point["name"] in names:
            at.below("name").fault("is there twice", "name each point once", point["name"])
        names.setdefault(point["name"], point)
    for number, point in enumerate(values["points"]):
        at = place.below("points", number)
        check_meaning(point, at)
        if values["modbus"] is not None:
            complete(point, values["modbus"])
            check_register(point, at)
            check_write(point, at)
            check_scale(point, names, at)
    return None if len(faults.found) > before else build(file.stem, values)


def check_speech(values: Mapping[str, Any], table: Mapping[str, Any], place: Place) -> None:
    if (values["modbus"] is None) == (values["mqtt"] is None):
        place.fault("a device speaks Modbus or MQTT", "give it [modbus] or [mqtt], one of them")
    if not values["points"] and "points" in table:
        place.below("points").fault("has no points", 'add one, as points = [{ name = "…", … }]')
    speech = "modbus" if values["modbus"] is not None else "mqtt"
    needed, other = ("address", "topic") if speech == "modbus" else ("topic", "address")
    for number, point in enumerate(values["points"]):
        at = place.below("points", number)
        if point[needed] is None:
            at.below(needed).fault("is missing", f"a point of a device with [{speech}] needs it")
        if point[other] is not None:
            at.below(other).fault(f"does not go with [{speech}]", "remove it", point[other])


def check_meaning(point: Mapping[str, Any], at: Place) -> None:
    if point["quantity"] and (wrong := unit_fault(point["quantity"], point["unit"])):
        why, _, remedy = wrong.partition("; ")
        at.below("unit").fault(why, remedy, point["unit"])
    if point["scale"] == 0:
        at.below("scale").fault("would make every value the same", "give the factor of the last digit, as 0.1", 0)
    bounds = point["checks"]["range"] or {}
    low, high = bounds.get("min"), bounds.get("max")
    if low is not None and high is not None and low > high:
        at.below("checks", "range", "min").fault(f"is above max = {high:g}", "exchange them", low)


def complete(point: dict[str, Any], common: Mapping[str, Any]) -> None:
    """Fill in what the points have in common."""
    point["type"] = point["type"] or common["type"]
    point["function"] = point["function"] or common["function"]
    point["order"] = point["order"] or common["order"]


def check_register(point: Mapping[str, Any], at: Place) -> None:
    kind, function = point["type"], point["function"]
    if (kind == "bit") != (function in BITS):
        wanted = "1 or 2 (or the type a register's)" if kind == "bit" else "3 or 4 (or the type bit)"
        at.below("function").fault(f"cannot read the type {kind}", f"make it {wanted}", function)
    if kind == "str" and not point["length"]:
        at.below("length").fault("is missing", "a text needs its length in registers")
    if kind != "str" and point["length"]:
        at.below("length").fault(f"does not go with the type {kind}", "remove it", point["length"])
    size = point["length"] or TYPES[kind] or 1
    if point["address"] is not None and point["address"] + size > 65536:
        at.below("address").fault(f"leaves no room for {size} registers", "the last address is 65535", point["address"])
    if point["mask"] and not kind.startswith("bits"):
        at.below("mask").fault(f"does not go with the type {kind}", "make it bits16 or bits32", point["mask"])
    if point["model"] and function != 3:
        at.below("model").fault(
            "does not go with the function", "SunSpec models are read by function 3", point["model"]
        )
    if point["mask"] > 0xFFFF and kind == "bits16":
        at.below("mask").fault("is wider than bits16", "make the type bits32", point["mask"])


def check_write(point: Mapping[str, Any], at: Place) -> None:
    how, kind = point["write_function"], point["type"]
    if ("w" in point["access"]) != bool(how):
        remedy = "give it access w or rw" if how else "add it: 5 or 15 for a bit, 6, 16 or 23 for registers"
        key = "access" if how else "write_function"
        at.below(key).fault("does not fit: writing needs both access and write_function", remedy, point[key])
    if how and (kind == "bit") != (how in (5, 15)):
        at.below("write_function").fault(f"cannot write the type {kind}", "5 or 15 bits, 6, 16, 23 registers", how)
    if how == 6 and TYPES[kind] > 1:
        at.below("write_function").fault(f"writes one register, {kind} has {TYPES[kind]}", "make it 16", how)
    if how and kind == "str":
        at.below("write_function").fault("texts are not written", "remove it", how)


def check_scale(point: Mapping[str, Any], names: Mapping[str, Mapping[str, Any]], at: Place) -> None:
    source = point["scale_from"]
    if not source:
        return
    if source not in names:
        near = difflib.get_close_matches(source, list(names), 1, 0.5)
        at.below("scale_from").fault(
            "is no point of this profile", f"did you mean {near[0]}?" if near else "add it", source
        )
    elif names[source]["scale_from"]:
        at.below("scale_from").fault("is itself scaled by another point", "name a point that is read as it is", source)


def build(name: str, values: Mapping[str, Any]) -> Profile:
    modbus, mqtt = values["modbus"], values["mqtt"]
    common = ("function", "type", "order")
    return Profile(
        id=name,
        name=values["name"],
        domain=values["domain"],
        category=values["category"],
        grade=values["grade"],
        source=values["source"],
        points=tuple(build_point(point, modbus is not None, values["period_ms"]) for point in values["points"]),
        modbus=ModbusManners(**{key: value for key, value in modbus.items() if key not in common}) if modbus else None,
        mqtt=MqttManners(**mqtt) if mqtt else None,
        verify=values["verify"],
    )


def build_point(point: Mapping[str, Any], on_modbus: bool, period_ms: int) -> PointSpec:
    places = ("function", "address", "type", "length", "order", "mask", "scale_from", "write_function", "model")
    same = ("name", "quantity", "unit", "scale", "offset", "invalid", "access", "verify")
    return PointSpec(
        **{key: point[key] for key in same},
        register=Register(**{key: point[key] for key in places}) if on_modbus else None,
        place=None if on_modbus else Field(point["topic"], point["path"]),
        enumeration=point["enumeration"],
        period_ms=point["period_ms"] or period_ms,
        checks={
            check: {key: number for key, number in settings.items() if number is not None}
            for check, settings in point["checks"].items()
            if settings is not None
        },
    )
