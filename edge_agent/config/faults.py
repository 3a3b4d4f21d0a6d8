"""What is wrong in a configuration: where, what, and what to do about it. All of it at once.

ConfigError     one or more faults in a gateway's file or in a device profile; `faults` has them all
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

SHOWN_MAX = 60  # characters of a value in a message: enough to recognise it
SECRET_WORDS = ("password", "passwd", "secret", "token", "passphrase", "private")


def is_secret(key: str) -> bool:
    """Whether a value under this key must not be shown; the name of a file that holds one may be."""
    word = key.lower()
    return any(secret in word for secret in SECRET_WORDS) and not word.endswith("_file")


def shown(key: str, value: object) -> str:
    """`value` as in TOML, shortened; never a secret, nor the password inside an address."""
    if is_secret(key):
        return "***"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{ … }"
    if isinstance(value, list):
        return "[ … ]" if len(str(value)) > SHOWN_MAX else str(value).replace("'", '"')
    if isinstance(value, str):
        text = value
        scheme, between, rest = text.partition("://")
        if between and "@" in rest:
            text = f"{scheme}://***@{rest.rpartition('@')[2]}"
        return '"' + (text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "…") + '"'
    return str(value)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; `line` 0 where no line is to blame, `value` already in a form that may be shown."""

    file: Path
    line: int
    key: str
    value: str
    wrong: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " if self.line else f"{self.file}: "
        what = f"{self.key} = {self.value}: " if self.value else f"{self.key}: " if self.key else ""
        return f"{where}{what}{self.wrong}; {self.remedy}"


class ConfigError(Exception):
    """Every fault of a file and of the profiles it names, in the order of their lines."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: (str(fault.file), fault.line)))
        super().__init__("\n".join(str(fault) for fault in self.faults))


@dataclass(eq=False, slots=True)
class Faults:
    """Collects faults while a file is read to its end."""

    found: list[Fault] = field(default_factory=list)

    def check(self) -> None:
        """Raise ConfigError if anything was found."""
        if self.found:
            raise ConfigError(self.found)
