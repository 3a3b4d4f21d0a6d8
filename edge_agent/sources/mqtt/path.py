"""A place in a JSON document: `ENERGY.Power`, `em:0.a_voltage`, `rows[2].value`, `["a.b"].c`. A leading `$.` may be
there. A subset of RFC 9535: names and indexes only, so that a path always means at most one value."""

import json
import re
from collections.abc import Sequence
from typing import Any

from edge_agent.sources.mqtt.limits import DEPTH_MAX, PAYLOAD_MAX
from edge_agent.sources.mqtt.reading import MISSING, NOTHING, PayloadError

Keys = tuple[str | int, ...]
STEP = re.compile(r"""\[(?P<index>-?\d{1,6})\]|\[(?P<quoted>"[^"]+"|'[^']+')\]|\.?(?P<name>[^.\[\]"']+)""")


def parse(text: str) -> Keys:
    """The keys of a path, none for the whole document. Raises ValueError."""
    rest = text.removeprefix("$").lstrip() if text.startswith(("$.", "$[")) or text == "$" else text
    keys: list[str | int] = []
    at = 0
    while at < len(rest):
        step = STEP.match(rest, at)
        if step is None:
            raise ValueError(f"cannot be read from character {at + 1}: {rest[at : at + 20]!r}")
        if step["index"]:
            keys.append(int(step["index"]))
        else:
            keys.append(step["quoted"][1:-1] if step["quoted"] else step["name"])
        at = step.end()
    return tuple(keys)


def find(document: object, keys: Keys) -> object:
    """What is there, MISSING where the document has no such place, NOTHING for null."""
    here: Any = document
    for key in keys:
        if isinstance(key, int):
            if not isinstance(here, list) or not -len(here) <= key < len(here):
                return MISSING
        elif not isinstance(here, dict) or key not in here:
            return MISSING
        here = here[key]
    return NOTHING if here is None else here


def put(keys: Keys, value: object) -> object:
    """A document that holds `value` at `keys` and nothing else; indexes are not built."""
    for key in reversed(keys):
        value = {str(key): value}
    return value


def _constant(_: str) -> None:
    """NaN and Infinity are not JSON; devices that send them mean "no value"."""


_decode = json.JSONDecoder(parse_constant=_constant).decode


def document(payload: bytes) -> object:
    """The JSON document. Raises PayloadError for anything else, and beyond the limits of size and depth."""
    if len(payload) > PAYLOAD_MAX:
        raise PayloadError(f"has {len(payload)} bytes, the limit is {PAYLOAD_MAX}")
    try:
        found: object = _decode(payload.decode())
    except (ValueError, RecursionError) as error:
        raise PayloadError(f"is no JSON: {error}") from error
    if payload.count(b"{") + payload.count(b"[") > DEPTH_MAX and deeper(found, DEPTH_MAX):
        raise PayloadError(f"is nested deeper than {DEPTH_MAX}")
    return found


def deeper(found: object, limit: int) -> bool:
    level: Sequence[object] = [found]
    for _ in range(limit + 1):
        inner = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [value for values in inner for value in values]
        if not level:
            return False
    return True


def mapping(payload: bytes) -> dict[str, object]:
    """The JSON object. Raises PayloadError."""
    found = document(payload)
    if not isinstance(found, dict):
        raise PayloadError(f"is a JSON {type(found).__name__}, not an object")
    return found
