"""The JSON schemas of the configuration files, made of the same tables that the loader reads by.

`python -m edge_agent.config.schema` writes them to `firmware_configs/`; a test keeps them fresh. What one key says
is in the schema; what several keys say together (an address beyond the device, a unit of another quantity) is not.
"""

import json
import math
from pathlib import Path
from typing import Any

from edge_agent.config.gateway import SITE
from edge_agent.config.keys import Key, Section
from edge_agent.config.profiles import PROFILE

DRAFT = "https://json-schema.org/draft/2020-12/schema"
FILES = {"device.schema.json": PROFILE, "site.schema.json": SITE}
PLAIN = {"text": "string", "integer": "integer", "number": "number", "boolean": "boolean"}


def of_section(section: Section) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "description": section.doc,
        "properties": {key.name: of_key(key) for key in section.keys},
        "additionalProperties": False,
    }
    if required := [key.name for key in section.keys if key.required]:
        schema["required"] = required
    if section is PROFILE:  # a device speaks one of them
        schema["oneOf"] = [{"required": ["modbus"]}, {"required": ["mqtt"]}]
    return schema


def of_key(key: Key) -> dict[str, Any]:
    schema: dict[str, Any] = {"description": key.doc}
    match key.kind:
        case "table" if key.section:
            return of_section(key.section)
        case "tables" if key.section:
            schema |= {"type": "array", "items": of_section(key.section)}
            if key.required:
                schema["minItems"] = 1
            return schema
        case "texts":
            schema |= {"type": "array", "items": {"type": "string"}}
        case "numbers":
            schema |= {"type": "array", "items": {"type": "number"}}
        case "names":
            names = {"^-?[0-9]{1,10}$": {"type": "string"}}
            schema |= {"type": "object", "patternProperties": names, "additionalProperties": False}
        case "options":
            schema |= of_options(key.section)
        case "roles":
            schema |= {"type": "object", "additionalProperties": {"type": "string"}}
        case "settings":
            schema |= {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "array"]}}
        case _:
            schema |= {"type": PLAIN[key.kind]} | bounds(key)
    if not key.required and key.default is not None:
        schema["default"] = list(key.default) if isinstance(key.default, tuple) else key.default
    return schema


def of_options(section: Section | None) -> dict[str, Any]:
    """Texts, numbers, true and false; the form is said of the texts only."""
    plain = ["string", "number", "boolean"]
    keys = section.keys if section else ()
    return {
        "type": "object",
        "properties": {key.name: {"description": key.doc, "type": plain} | bounds(key) for key in keys},
        "patternProperties": {"^x_": {"type": plain}},
        "additionalProperties": False,
    }


def bounds(key: Key) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if key.choices:
        found["enum"] = list(key.choices)
    if key.pattern:
        found["pattern"] = f"^({key.pattern})$"
    if key.low != -math.inf:
        found["minimum"] = key.low
    if key.high != math.inf:
        found["maximum"] = key.high
    return found


def text(name: str) -> str:
    """The schema file of that name, as it should be on disk."""
    section = FILES[name]
    head = {"$schema": DRAFT, "title": section.name}
    return json.dumps(head | of_section(section), indent=2, ensure_ascii=False) + "\n"


def write(folder: Path) -> None:
    for name in FILES:
        (folder / name).write_text(text(name))


if __name__ == "__main__":
    write(Path(__file__).parents[2] / "firmware_configs")
