"""One TOML file as it is read: its values, the line of each, and the faults found so far."""

import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from aggregator.city import CityError
from aggregator.twin.part import Key
from protos.lines import KeyPath, Lines
from protos.units import UNITS, spelled

BYTES_MAX = 64 << 20  # 100,000 assets take 20 MB
FAULTS_MAX = 200  # told at once; a file with more was made by a program that is to be mended first
SHOWN_MAX = 60


@dataclass(eq=False, slots=True)
class Sheet:
    path: Path
    content: Mapping[str, Any]
    lines: Lines
    faults: list[tuple[int, str]] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> "Sheet":
        """Raises CityError for what is no TOML."""
        try:
            if path.stat().st_size > BYTES_MAX:
                raise CityError(f"{path}: larger than {BYTES_MAX >> 20} MiB; name the right file")
            text = path.read_bytes().decode().replace("\r\n", "\n")
            return cls(path, tomllib.loads(text), Lines(text))
        except OSError as error:
            raise CityError(f"{path}: {error.strerror}; name a city file that can be read") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise CityError(f"{path}: no TOML: {error}; mend this line or the one before it") from error

    def fault(self, at: KeyPath, value: object, wrong: str) -> None:
        """`wrong` says what is wrong; and what to do."""
        name = ".".join(str(one) for one in at if isinstance(one, str))
        shown = "" if value is None else f" = {_shown(value)}"
        self.faults.append((self.lines[at], f"{self.path}:{self.lines[at]}: {name}{shown}: {wrong}"))

    def check(self) -> None:
        """Raises CityError if anything was found."""
        if self.faults:
            told = [text for _, text in sorted(self.faults)]
            rest = [f"{self.path}: and {len(told) - FAULTS_MAX} more"] if len(told) > FAULTS_MAX else []
            raise CityError("\n".join([*told[:FAULTS_MAX], *rest]))

    def tables(self, at: KeyPath, value: object) -> list[tuple[KeyPath, Mapping[str, Any]]]:
        """The elements of an array of tables, each with its place."""
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            self.fault(at, value, f"write [[{'.'.join(str(one) for one in at)}]] for each")
            return []
        return [((*at, number), one) for number, one in enumerate(value)]

    def strangers(self, at: KeyPath, table: Mapping[str, Any], known: Iterable[str]) -> None:
        """A fault for every key that is not `known`."""
        known = list(known)
        for key in table:
            if key not in known:
                near = get_close_matches(key, known, 1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known) or 'none'}"
                self.fault((*at, key), None, f"no such key; {hint}")

    def text(self, at: KeyPath, table: Mapping[str, Any], key: str, default: str | None = "") -> str:
        """A text; `default` None says that it must be there."""
        value = table.get(key, default)
        if isinstance(value, str) and (value.strip() or value == default):
            return value
        self.fault((*at, key), value, "write a text")
        return ""

    def value(self, at: KeyPath, table: Mapping[str, Any], name: str, key: Key) -> float | str:
        """What `key` describes, in its unit; a fault and something of the right kind where there is none."""
        given = table.get(name, key.default)
        where = (*at, name)
        if key.words:
            if isinstance(given, str) and ("*" in key.words or given in key.words):
                return given
            self.fault(where, given, f"{key.doc}: write {'a text' if '*' in key.words else ' or '.join(key.words)}")
            return key.words[0]
        if given is None:
            self.fault(where, None, f"is missing: {key.doc}, {key.unit}")
            return max(key.low, 0.0) if math.isfinite(key.low) else 0.0
        number, wrong = number_of(given, key.unit)
        if not wrong and not key.low <= number <= key.high:
            wrong = f"{key.doc}: from {key.low:g} to {key.high:g} {key.unit}".replace(" to inf", " on")
        if wrong:
            self.fault(where, given, wrong)
        return number


def number_of(given: object, unit: str) -> tuple[float, str]:
    """A number in `unit` from 3, 3.5, true or "1.2 km"; and what is wrong with it, or nothing."""
    if isinstance(given, bool | int | float):
        number = float(given)
        return number, "" if math.isfinite(number) else "is no finite number; write one"
    example = f'a number in {unit}, or "5 {unit}"'
    number_text, _, unit_text = str(given).strip().partition(" ")
    try:
        number = float(number_text)
    except ValueError:
        return 0.0, f"write {example}"
    own, wanted = UNITS.get(spelled(unit_text.strip())), UNITS.get(spelled(unit))
    if own is None or wanted is None or own.dimension != wanted.dimension or not math.isfinite(number):
        same = ", ".join(name for name, one in UNITS.items() if wanted and one.dimension == wanted.dimension)
        return 0.0, f"not in {unit}: write {example}; units of it: {same}"
    return float((number * float(own.scale) + float(own.offset) - float(wanted.offset)) / float(wanted.scale)), ""


def _shown(value: object) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "…"
