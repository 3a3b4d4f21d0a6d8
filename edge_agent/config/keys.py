"""Tables of keys: what a configuration may say. The loader, the JSON schema and the documentation all come of them.

A `Section` is a TOML table, a `Key` one of its keys with type, default, bounds and meaning. `read` checks a table
against its section, collects every fault and returns the values with the defaults filled in.
"""

import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.config.faults import Fault, Faults, is_secret, shown
from protos.lines import KeyPath, Lines

TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "texts": (list,),
    "numbers": (list,),
    "table": (dict,),
    "tables": (list,),
    "names": (dict,),  # integer → text
    "options": (dict,),  # text → text or integer
    "roles": (dict,),  # role → name
    "settings": (dict,),  # name → text, number, boolean or a list of them
}
WANTED = {
    "text": 'text in quotes, as "…"',
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "texts": 'a list of texts, as ["…", "…"]',
    "numbers": "a list of numbers, as [1, 2]",
    "table": "a table",
    "tables": "a list of tables",
    "names": 'numbers with their names, as { 0 = "off", 1 = "on" }',
    "options": 'names with texts or numbers, as { parity = "N" }',
    "roles": 'roles with names in quotes, as { value = "tank/level" }',
    "settings": "names with texts, numbers, true, false or lists of them, as { gain = 0.5 }",
}


class _Required:
    def __repr__(self) -> str:
        return "required"


REQUIRED = _Required()
CHOICES_SHOWN = 16  # in a message


@dataclass(frozen=True, slots=True)
class Key:
    name: str
    kind: str  # of TYPES
    doc: str
    default: Any = REQUIRED
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] | tuple[int, ...] = ()
    pattern: str = ""
    example: str = ""  # what to write; shown with a fault
    section: "Section | None" = None  # of a table or of each of the tables

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


@dataclass(frozen=True, slots=True)
class Section:
    name: str
    doc: str
    keys: tuple[Key, ...]

    def __getitem__(self, name: str) -> Key:
        return next(key for key in self.keys if key.name == name)


@dataclass(frozen=True, slots=True)
class Place:
    """Where in which file a table stands, and where its faults are collected."""

    file: Path
    index: Lines
    faults: Faults = field(default_factory=Faults)
    path: KeyPath = ()

    def below(self, *names: str | int) -> "Place":
        return Place(self.file, self.index, self.faults, (*self.path, *names))

    @property
    def key(self) -> str:
        words = [f"[{word}]" if isinstance(word, int) else f".{word}" for word in self.path]
        return "".join(words).removeprefix(".")

    @property
    def line(self) -> int:
        return self.index[self.path]

    def fault(self, wrong: str, remedy: str, value: object = None) -> None:
        last = next((word for word in reversed(self.path) if isinstance(word, str)), "")
        text = "" if value is None else shown(last, value)
        self.faults.found.append(Fault(self.file, self.line, self.key, text, wrong, remedy))


def read(section: Section, table: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """The values of `table` by key, defaults filled in; what is wrong goes to `place.faults` and gets the default."""
    values: dict[str, Any] = {}
    known = [key.name for key in section.keys]
    for name in table:
        if name not in known:
            unknown(name, table[name], known, section, place.below(name))
    for key in section.keys:
        if key.name in table:
            values[key.name] = read_key(key, table[key.name], place.below(key.name))
        elif key.required:
            place.below(key.name).fault("is missing", f"add it: {key.doc}{hint(key)}")
            values[key.name] = substitute(key)
        elif key.kind == "table" and key.section and key.default is not None:
            values[key.name] = read(key.section, {}, place.below(key.name))
        else:
            values[key.name] = float(key.default) if key.kind == "number" and key.default is not None else key.default
    return values


def unknown(name: str, value: object, known: Sequence[str], section: Section, place: Place) -> None:
    if is_secret(name):
        near = f"{name}_file"
        there = f"as {near}" if near in known else "where this part takes a file"
        place.fault("is a secret, which this file must not hold", f"write it to a file of mode 0600, named {there}", "")
        return
    close = difflib.get_close_matches(name, known, 1, 0.6) or [
        one for one in known if len(name) > 2 and one[: len(name)] == name
    ]
    remedy = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
    place.fault(f"is not a key of {section.name}", remedy, value)


def hint(key: Key) -> str:
    return f", as {key.name} = {key.example}" if key.example else ""


def substitute(key: Key) -> Any:
    """A value that lets the reading go on to the next fault; never returned to a caller of `load`."""
    if key.kind == "table" and key.section and key.default is not None:
        return {one.name: substitute(one) for one in key.section.keys}
    if key.default is not REQUIRED:
        return key.default
    plain = {"text": "", "integer": 0, "number": 0.0, "boolean": False, "texts": (), "numbers": (), "tables": ()}
    return plain.get(key.kind, {})


def read_key(key: Key, value: Any, place: Place) -> Any:
    fitting = isinstance(value, TYPES[key.kind]) and (key.kind == "boolean" or not isinstance(value, bool))
    if not fitting:
        place.fault(f"must be {WANTED[key.kind]}", f"{key.doc}{hint(key)}", value)
        return substitute(key)
    match key.kind:
        case "table" if key.section:
            return read(key.section, value, place)
        case "tables" if key.section:
            return tuple(read_tables(key.section, value, place))
        case "texts" | "numbers":
            return tuple(read_list(key, value, place))
        case "names":
            return dict(read_names(value, place))
        case "options":
            return dict(read_options(key.section, value, place))
        case "roles" | "settings":
            return dict(read_free(key, value, place))
    if wrong := out_of_bounds(key, value):
        place.fault(wrong, f"{key.doc}{hint(key)}", value)
        return substitute(key)
    return float(value) if key.kind == "number" else value


def out_of_bounds(key: Key, value: Any) -> str:
    if key.choices and value not in key.choices:
        known = [str(choice) for choice in key.choices if choice != ""]
        near = difflib.get_close_matches(str(value), known, 3, 0.5)
        listed = ", ".join(known) if len(known) <= CHOICES_SHOWN else f"{len(known)} words, see the JSON schema"
        return f"must be one of {listed}" + (f" (did you mean {' or '.join(near)}?)" if near else "")
    if isinstance(value, str):
        return "does not have the right form" if key.pattern and not re.fullmatch(key.pattern, value) else ""
    if not math.isfinite(value):
        return "must be a finite number"
    if not key.low <= value <= key.high:
        return f"must be at least {key.low}" if key.high == math.inf else f"must be between {key.low} and {key.high}"
    return ""


def read_tables(section: Section, tables: Sequence[Any], place: Place) -> Iterator[dict[str, Any]]:
    for number, table in enumerate(tables):
        at = place.below(number)
        if isinstance(table, dict):
            yield read(section, table, at)
        else:
            at.fault("must be a table", f"as {{ … }}, with the keys of {section.name}", table)


def read_list(key: Key, items: Sequence[Any], place: Place) -> Iterator[Any]:
    kind = (str,) if key.kind == "texts" else (int, float)
    for number, item in enumerate(items):
        at = place.below(number)
        if not isinstance(item, kind) or isinstance(item, bool):
            at.fault("does not belong in this list", f"{WANTED[key.kind]}: {key.doc}", item)
        elif wrong := out_of_bounds(key, item):
            at.fault(wrong, f"{key.doc}{hint(key)}", item)
        else:
            yield item if isinstance(item, str) else float(item)


def read_names(table: Mapping[str, Any], place: Place) -> Iterator[tuple[int, str]]:
    for name, value in table.items():
        if not re.fullmatch(r"-?\d{1,10}", name):
            place.below(name).fault("must be a whole number, as the device sends it", WANTED["names"], value)
        elif not isinstance(value, str):
            place.below(name).fault("must be a name in quotes", WANTED["names"], value)
        else:
            yield int(name), value


def read_free(key: Key, table: Mapping[str, Any], place: Place) -> Iterator[tuple[str, Any]]:
    """What only the part that gets it can judge; here each entry has the right form."""
    for name, value in table.items():
        items = value if isinstance(value, list) and key.kind == "settings" else [value]
        kinds = (str,) if key.kind == "roles" else (str, int, float)
        if not all(isinstance(item, kinds) for item in items):
            place.below(name).fault("does not have the right form", WANTED[key.kind], value)
        elif is_secret(name):
            place.below(name).fault("is a secret, which this file must not hold", f"use {name}_file", "")
        else:
            yield name, tuple(items) if isinstance(value, list) else value


def read_options(section: Section | None, table: Mapping[str, Any], place: Place) -> Iterator[tuple[str, str]]:
    """Settings by name, all as text; those of `section`, and any that begin with x_."""
    known = {key.name: key for key in section.keys} if section else {}
    for name, value in table.items():
        at = place.below(name)
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if is_secret(name):
            at.fault("is a secret, which this file must not hold", f"use {name}_file", "")
        elif not isinstance(value, str | int | float):
            at.fault("must be a text or a number", WANTED["options"], value)
        elif name in known and (wrong := out_of_bounds(known[name], text)):
            at.fault(wrong, f"{known[name].doc}{hint(known[name])}", value)
        elif name not in known and not name.startswith("x_"):
            close = difflib.get_close_matches(name, known, 1, 0.6)
            at.fault(
                "is no known option", f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}", value
            )
        else:
            yield name, text
