"""Names: a point is `gateway/device/point`, everywhere. What a name may be made of is decided here, once.

Names go into file names, certificates, topics, URLs and logs; so they are plain: letters, digits, `.`, `_`, `-`,
beginning with a letter or a digit, at most 63 long (a DNS label). A gateway's id has no capitals, as it stands where
case is lost. Names are compared as they are.

    BadName         which name, what is wrong with it and what to write
"""

import re
from typing import NamedTuple

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
GATEWAY = r"[a-z0-9][a-z0-9._-]{0,62}"
LENGTH_MAX = 63
SEPARATOR = "/"
_NAME, _GATEWAY = re.compile(NAME), re.compile(GATEWAY)
_FOREIGN = re.compile(r"[^A-Za-z0-9._-]+")


class BadName(ValueError):
    """A name that cannot be used; the message says why and suggests one that can."""


def is_name(text: str, what: str = "") -> bool:
    return (_GATEWAY if what == "gateway" else _NAME).fullmatch(text) is not None


def check_name(text: str, what: str) -> str:
    """`text` itself. Raises BadName; `what` says whose name it is: gateway, device, point, ..."""
    if is_name(text, what):
        return text
    suggestion = suggest(text, what)
    remedy = f"write {suggestion!r}" if suggestion else "use letters, digits and . _ -"
    why = "is empty" if not text else f"is longer than {LENGTH_MAX}" if len(text) > LENGTH_MAX else "is not plain"
    raise BadName(f"{what} name {text[: 2 * LENGTH_MAX]!r} {why}; {remedy}")


def suggest(text: str, what: str = "") -> str:
    """A name near `text`, or nothing when none of it can stay."""
    plain = _FOREIGN.sub("-", text.lower() if what == "gateway" else text)
    return plain.strip("._-")[:LENGTH_MAX].rstrip("._-")


class Point(NamedTuple):
    """The full name of a point."""

    gateway: str
    device: str
    name: str

    @classmethod
    def parse(cls, text: str) -> "Point":
        """From `gateway/device/point`. Raises BadName."""
        parts = text.split(SEPARATOR)
        if len(parts) != 3:
            raise BadName(f"point {text[: 3 * LENGTH_MAX]!r} has {len(parts)} parts; write gateway/device/point")
        return cls(*(check_name(part, what) for part, what in zip(parts, ("gateway", "device", "point"), strict=True)))

    def __str__(self) -> str:
        return SEPARATOR.join(self)
