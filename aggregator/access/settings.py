"""`[web]` in the aggregator's configuration: where the page and the programs' interfaces are, and for whom."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Web:
    """`listen` empty: none of it. Without a certificate it is to be had on this machine only."""

    listen: str = ""  # host:port
    certificate: str = ""  # PEM, with `key`: TLS
    key: str = ""
    name: str = ""  # what browsers call it, as https://twin.example.org; empty: where it listens


KEYS: dict[str, type] = {one.name: one.type if isinstance(one.type, type) else str for one in fields(Web)}


def of(table: Mapping[str, Any], beside: Path) -> Web:
    """From a table whose values have no fault; files are named from `beside`."""
    found = dict(table)
    found |= {name: str((beside / table[name]).resolve()) for name in ("certificate", "key") if table.get(name)}
    return Web(**found)


def fault(table: Mapping[str, Any]) -> tuple[str, str] | None:
    """Which key does not go with the others, and what to do."""
    listen, safe = str(table.get("listen", "")), bool(table.get("certificate") and table.get("key"))
    if bool(table.get("certificate")) != bool(table.get("key")):
        return "certificate" if table.get("certificate") else "key", "goes with the other one: name both files"
    if listen and not safe and not loopback(listen.rpartition(":")[0].strip("[]")):
        return "listen", "without TLS only this machine may be listened on: 127.0.0.1:7480, or name certificate and key"
    return None


def address(web: Web, listening: str) -> str:
    """As a browser is given it; `listening` is host:port."""
    return web.name.rstrip("/") or f"http{'s' if web.certificate else ''}://{listening}"


def loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
