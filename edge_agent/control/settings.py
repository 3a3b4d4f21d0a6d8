"""What a kind of controller takes: roles for its inputs and outputs, settings with units and bounds.

A kind says it in tables (`INPUTS`, `OUTPUTS`, `SETTINGS`); `Wired` reads one `[[controller]]` against them and tells
the wiring everything that is wrong, so that a file with ten faults is told all ten:

    fault   unknown role or setting (and the nearest known) · missing · of the wrong form · out of bounds
            · a point or an output that does not exist (the wiring's own) · what the kind refuses (`Wired.refuse`)
"""

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

from edge_agent.cell import ControllerSpec, Output
from edge_agent.cell import Setting as Given
from edge_agent.control.sense import Sense
from edge_agent.setpoint import Controller, Port, Rank, Wiring, Wish

FORMS: dict[str, tuple[tuple[type, ...], str]] = {
    "number": ((int, float), "a number"),
    "whole": ((int,), "a whole number"),
    "boolean": ((bool,), "true or false"),
    "text": ((str,), 'a text in quotes, as "…"'),
    "numbers": ((tuple,), "a list of numbers, as [1, 2]"),
    "texts": ((tuple,), 'a list of texts, as ["…", "…"]'),
}
ITEMS: dict[str, tuple[type, ...]] = {"numbers": (int, float), "texts": (str,)}


@dataclass(frozen=True, slots=True)
class Role:
    """What fills it and in which internal unit. A role that ends in * may be filled any number of times."""

    doc: str
    unit: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """A number, switch, text or list. A required one has no default; without either it may be left out."""

    doc: str
    unit: str = ""
    default: Given | None = None
    kind: str = "number"  # of FORMS
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    required: bool = False


class Kind(Protocol):
    """The class of a kind of controller, with all that a person needs to use it."""

    KIND: ClassVar[str]
    RANK: ClassVar[Rank]
    FALLBACK: ClassVar[str]
    BUMPLESS: ClassVar[bool]  # begins at the value that is applied; else it switches and the slew limit smooths
    INPUTS: ClassVar[Mapping[str, Role]]
    OUTPUTS: ClassVar[Mapping[str, Role]]
    SETTINGS: ClassVar[Mapping[str, Setting]]
    EXAMPLE: ClassVar[str]  # a whole [[controller]], as in a gateway's file

    @classmethod
    def build(cls, spec: ControllerSpec, wiring: Wiring) -> Controller | None:
        """The controller, or None after every fault has been told to `wiring`."""


@dataclass(frozen=True, slots=True)
class Slot:
    """An output that a controller may wish for."""

    index: int
    output: Output

    @property
    def span(self) -> float:
        return self.output.high - self.output.low

    def exactly(self, value: float, why: str, model: str = "") -> Wish:
        return Wish.exactly(self.index, min(max(value, self.output.low), self.output.high), why, model=model)

    def within(self, low: float, high: float, why: str) -> Wish:
        """An interval; the part of it that the output can do, or its nearest end."""
        least, most = self.output.low, self.output.high
        return Wish(self.index, min(max(low, least), most), max(min(high, most), least), why)


def matching(role: str, roles: Mapping[str, Role]) -> str:
    """The key of `roles` that `role` fills, "" for none; an exact name goes before a prefix."""
    if role in roles and not role.endswith("*"):
        return role
    starred = [key for key in roles if key.endswith("*") and role.startswith(key[:-1])]
    return max(starred, key=len, default="")


class Wired:
    """One controller's roles and settings. Build the controller only if it is `sound`."""

    def __init__(self, kind: type[Kind], spec: ControllerSpec, wiring: Wiring) -> None:
        self.name = spec.name
        self.period_ns = wiring.period_ns
        self._spec, self._wiring, self._kind = spec, wiring, kind
        self._blamed: set[str] = set()
        self.inputs = self._inputs(kind.INPUTS)
        self.outputs = self._outputs(kind.OUTPUTS)
        self._values = {name: self._value(name, one) for name, one in kind.SETTINGS.items()}
        self._unknown("settings", spec.settings, list(kind.SETTINGS))

    @classmethod
    def read(cls, kind: type[Kind], spec: ControllerSpec, wiring: Wiring) -> Self:
        return cls(kind, spec, wiring)

    @property
    def sound(self) -> bool:
        return not self._blamed

    def refuse(self, key: str, wrong: str, remedy: str, value: object = None) -> None:
        """Blame `key`, as "settings.low"; what is blamed already is not blamed again for what follows of it."""
        if key not in self._blamed:
            self._blamed.add(key)
            self._wiring.fault(self._spec, key, value, wrong, remedy)

    def require(self, holds: bool, keys: Sequence[str], wrong: str, remedy: str) -> None:
        """Refuse the first of the settings `keys` unless `holds`, or one of them is wrong by itself."""
        if not holds and not any(f"settings.{key}" in self._blamed for key in keys):
            self.refuse(f"settings.{keys[0]}", wrong, remedy, self._spec.settings.get(keys[0]))

    def reachable(self, key: str, value: float) -> None:
        """Refuse a value that one of the outputs can never have."""
        for slot in self.outputs.values():
            low, high = slot.output.low, slot.output.high
            if not low <= value <= high:
                self.refuse(key, f"is outside the output {slot.output.name}", f"{low:g} to {high:g}", value)

    def require_reachable(self, *names: str) -> None:
        for name in names:
            if self.has(name) and f"settings.{name}" not in self._blamed:
                self.reachable(f"settings.{name}", self.number(name))

    # what was read ---------------------------------------------------------------------------------------------

    @property
    def roles(self) -> Sequence[str]:
        """The inputs that were given, in the file's order, whether their points exist or not."""
        return list(self._spec.inputs)

    def sense(self, role: str) -> Sense:
        return Sense(self.inputs[role])

    def maybe(self, role: str) -> Sense | None:
        return Sense(self.inputs[role]) if role in self.inputs else None

    def senses(self, prefix: str) -> dict[str, Sense]:
        """Inputs of a starred role by what follows `prefix`, in the file's order."""
        mine = [role for role in self.inputs if matching(role, self._kind.INPUTS) == f"{prefix}*"]
        return {role.removeprefix(prefix): Sense(self.inputs[role]) for role in mine}

    def slot(self, role: str) -> Slot:
        return self.outputs[role]

    def slots(self, prefix: str) -> dict[str, Slot]:
        return {role.removeprefix(prefix): slot for role, slot in self.outputs.items() if role.startswith(prefix)}

    def has(self, name: str) -> bool:
        return self._values[name] is not None

    def number(self, name: str) -> float:
        value = self._values[name]
        return float(value) if isinstance(value, int | float) else math.nan

    def or_else(self, name: str, instead: float) -> float:
        return self.number(name) if self.has(name) else instead

    def whole(self, name: str) -> int:
        value = self._values[name]
        return int(value) if isinstance(value, int | float) else 0

    def ns(self, name: str) -> int:
        """A setting in seconds."""
        return round(self.number(name) * 1e9) if self.has(name) else 0

    def flag(self, name: str) -> bool:
        return self._values[name] is True

    def text(self, name: str) -> str:
        value = self._values[name]
        return value if isinstance(value, str) else ""

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._values[name]
        return tuple(one for one in value if isinstance(one, str)) if isinstance(value, tuple) else ()

    def numbers(self, name: str) -> tuple[float, ...]:
        value = self._values[name]
        return tuple(float(one) for one in value if not isinstance(one, str)) if isinstance(value, tuple) else ()

    # reading ---------------------------------------------------------------------------------------------------

    def _inputs(self, roles: Mapping[str, Role]) -> dict[str, Port]:
        ports = {}
        for role in self._filled("inputs", roles, self._spec.inputs):
            port = self._wiring.port(self._spec, role)
            if port is None:
                self._blamed.add(f"inputs.{role}")
            else:
                ports[role] = port
        return ports

    def _outputs(self, roles: Mapping[str, Role]) -> dict[str, Slot]:
        slots = {}
        for role in self._filled("outputs", roles, self._spec.outputs):
            index = self._wiring.output(self._spec, role)
            if index is None:
                self._blamed.add(f"outputs.{role}")
            else:
                slots[role] = Slot(index, self._wiring.outputs[index])
        return slots

    def _filled(self, table: str, roles: Mapping[str, Role], given: Mapping[str, str]) -> list[str]:
        """Every given role that the kind knows, in the file's order; what it needs besides is refused as missing."""
        self._unknown(table, [role for role in given if not matching(role, roles)], [*roles])
        known = [role for role in given if matching(role, roles)]
        for key, role in roles.items():
            if not role.optional and not any(matching(one, roles) == key for one in known):
                name = key.rstrip("*") or "level"
                self.refuse(f"{table}.{name}", "is missing", f"add it, as {table} = {{ {name} = … }}: {role.doc}")
        return known

    def _unknown(self, table: str, given: Sequence[str] | Mapping[str, Given], known: Sequence[str]) -> None:
        for name in given:
            if table != "settings" or name not in known:
                close = difflib.get_close_matches(name, [one.rstrip("*") for one in known], 1, 0.6)
                listed = f"{self._kind.KIND} has {', '.join(known)}" if known else f"{self._kind.KIND} has none"
                value = given[name] if isinstance(given, Mapping) else None
                remedy = f"did you mean {close[0]}?" if close else listed
                self.refuse(f"{table}.{name}", f"is not one of the {table} of a {self._kind.KIND}", remedy, value)

    def _value(self, name: str, one: Setting) -> Given | None:
        if name not in self._spec.settings:
            if one.required:
                self.refuse(f"settings.{name}", "is missing", f"add it: {one.doc}{in_unit(one)}")
            return one.default
        value = self._spec.settings[name]
        wrong, remedy = wrong_with(value, one)
        if wrong:
            self.refuse(f"settings.{name}", wrong, remedy, value)
            return one.default
        return value


def wrong_with(value: Given, one: Setting) -> tuple[str, str]:
    """What is wrong with `value` and what to write; ("", "") if nothing is."""
    forms, wanted = FORMS[one.kind]
    unit = in_unit(one)
    if not isinstance(value, forms) or (isinstance(value, bool) and one.kind != "boolean"):
        return "does not have the right form", f"{wanted}{unit}: {one.doc}"
    items = value if isinstance(value, tuple) else (value,)
    wanted_items = ITEMS.get(one.kind, forms)
    if not all(isinstance(item, wanted_items) for item in items):
        return "does not have the right form", f"{wanted}{unit}: {one.doc}"
    if one.choices and not all(item in one.choices for item in items):
        return "is not known", f"one of {', '.join(one.choices)}"
    for item in items:
        if isinstance(item, bool | str):
            continue
        if not (math.isfinite(item) and one.low <= item <= one.high):
            return "is out of bounds", f"{bounds(one)}{unit}: {one.doc}"
    return "", ""


def in_unit(one: Setting) -> str:
    """The unit of its value in words; that of the point itself is named as "of the input"."""
    return f" in {'the unit ' if one.unit.startswith('of ') else ''}{one.unit}" if one.unit else ""


def bounds(one: Setting) -> str:
    if math.isinf(one.high):
        return f"at least {one.low:g}" if math.isfinite(one.low) else "a finite number"
    return f"{one.low:g} to {one.high:g}" if math.isfinite(one.low) else f"at most {one.high:g}"
