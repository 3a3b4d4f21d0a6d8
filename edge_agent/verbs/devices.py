"""The kinds of devices that are known: list them, or show one with its points and what is still to be confirmed.

edge-agent devices                               all profiles
edge-agent devices list water                    those with that word in id, name, domain or category
edge-agent devices show eastron-sdm630           its points, addresses, units, checks
edge-agent devices new my-meter > my-meter.toml  a profile to fill in
edge-agent devices quantities flow               what can be measured, and the units that it may come in
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from edge_agent.config import ConfigError, Library
from edge_agent.profile import PointSpec, Profile
from edge_agent.screen import fail, show
from protos import units
from protos.vocabulary import QUANTITIES

BLANK = """\
#:schema ../device.schema.json

name = "Vendor Model"
domain = "energy"             # traffic energy environment services safety
category = "energy meter"
grade = "C"                   # A vendor document seen, B from an open driver, C secondary
source = "document, page"

verify = "what a vendor document must still confirm; needed with grade C"

# `edge-agent check --keys --profile` explains every key, `edge-agent devices quantities` lists what can be measured.
points = [
  { name = "p", quantity = "active_power", unit = "kW", address = 0, checks = { range = { min = 0, max = 100 } } },
  # { name = "t", quantity = "temperature", unit = "degC", address = 2, type = "i16", scale = 0.1, invalid = [0x8000] },
  # { name = "mode", quantity = "state", address = 8, type = "u16", enumeration = { 0 = "off", 1 = "on" } },
  # { name = "set", quantity = "percentage", unit = "%", address = 9, type = "u16", access = "rw", write_function = 6 },
]

[modbus]                      # or [mqtt] payload = "json", and topic and path instead of address
function = 3                  # 3 holding registers, 4 input registers; addresses are 0-based, as on the wire
type = "f32"
order = "ABCD"                # CDAB when the low word comes first
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", nargs="?", choices=("list", "show", "new", "quantities"), default="list")
    parser.add_argument("what", nargs="?", default="", metavar="ID|WORD", help="profile id, or a word to look for")
    parser.add_argument("--profiles", type=Path, metavar="DIR", help="directory of own profiles, searched first")
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    library = Library(args.profiles)
    if args.action == "new":
        print(BLANK, end="")
        return 0
    if args.action == "quantities":
        rows = [one for one in quantities() if args.what.lower() in " ".join(one.values()).lower()]
        show(rows, as_json=args.json, title="what can be measured")
        return 0
    try:
        if args.action == "show":
            if not args.what:
                return fail("show: name a profile, as edge-agent devices show eastron-sdm630")
            return show_one(library.get(args.what), args.json)
        profiles = [library.get(name) for name in library.ids()]
    except ConfigError as error:
        return fail(error)
    word = args.what.lower()
    found = [row for row in map(summary, profiles) if word in " ".join(map(str, row.values())).lower()]
    if not args.json:  # a terminal is 80 columns wide
        wide = ("name", "domain", "speaks", "writes")
        found = [{key: value for key, value in row.items() if key not in wide} for row in found]
    show(found, as_json=args.json, title="device profiles")
    return 0


def quantities() -> Iterator[dict[str, str]]:
    """Every quantity with its internal unit, and what else values of it may come in."""
    for name, one in QUANTITIES.items():
        others = [unit for unit in units.units_of(name) if unit != one.unit]
        yield {"quantity": name, "unit": one.unit, "also in": " ".join(others), "what": one.doc}


def summary(profile: Profile) -> dict[str, object]:
    return {
        "id": profile.id,
        "name": profile.name,
        "domain": profile.domain,
        "category": profile.category,
        "speaks": "modbus" if profile.modbus else profile.mqtt.payload if profile.mqtt else "",
        "points": len(profile.points),
        "writes": sum("w" in point.access for point in profile.points),
        "grade": profile.grade,
        "to confirm": bool(profile.verify) + sum(bool(point.verify) for point in profile.points),
    }


def show_one(profile: Profile, as_json: bool) -> int:
    if as_json:
        print(json.dumps(asdict(profile)))
        return 0
    print(
        f"{profile.id}: {profile.name}\n{profile.domain}, {profile.category}; grade {profile.grade}: {profile.source}"
    )
    if profile.verify:
        print(f"to confirm: {profile.verify}")
    show([row(point) for point in profile.points], as_json=False)
    return 0


def row(point: PointSpec) -> dict[str, object]:
    bounds = point.checks.get("range", {})
    ends = [f"{bounds[end]:g}" if end in bounds else "" for end in ("min", "max")]
    return {
        "point": point.name,
        "quantity": f"{point.quantity}, {point.unit}" if point.unit else point.quantity,
        "where": where(point),
        "range": " … ".join(ends) if bounds else "",
        "access": point.access,
        "to confirm": point.verify,
    }


def where(point: PointSpec) -> str:
    if point.register is None:
        return " ".join(filter(None, (point.place.topic, point.place.path))) if point.place else ""
    register = point.register
    order = "" if register.order == "ABCD" or register.type in ("bit", "u16", "i16") else f" {register.order}"
    scale = f" × {point.scale:g}" if point.scale != 1 else f" × 10^{register.scale_from}" if register.scale_from else ""
    start = (
        f"model {register.model}+{register.address}" if register.model else f"{register.function}:{register.address}"
    )
    return f"{start} {register.type}{order}{scale}"
