"""`[web]` and `[oidc]` in the aggregator's configuration: where page and programs' interfaces are, and who vouches."""

import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Web:
    """`listen` empty: none of it. Without a certificate it is to be had on this machine only."""

    listen: str = ""  # host:port
    certificate: str = ""  # PEM, with `key`: TLS
    key: str = ""
    name: str = ""  # what browsers call it, as https://twin.example.org; empty: where it listens
    public: tuple[str, ...] = ()  # domain/quantity with * and ?, as "environment/pm25", that residents see at /public
    public_delay_s: float = 600.0  # so much later than operators: no live picture of anything that can be abused
    contexts_dir: str = ""  # further @contexts of the NGSI-LD API; index.json there says which URL each file has


FILES = ("certificate", "key", "contexts_dir")
KEYS: dict[str, type] = {one.name: one.type if one.type in (str, float) else list for one in fields(Web)}


def of(table: Mapping[str, Any], beside: Path) -> Web:
    """From a table whose values have no fault; files are named from `beside`."""
    found: dict[str, Any] = {key: tuple(one) if isinstance(one, list) else one for key, one in table.items()}
    found |= {name: str((beside / table[name]).resolve()) for name in FILES if table.get(name)}
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


# ---- [oidc]: people who sign in elsewhere


@dataclass(frozen=True, slots=True)
class Oidc:
    """`issuer` empty: nobody does. Whose role claim has none of the words below may not come in."""

    issuer: str = ""  # https://id.example.org/realms/city, exactly as its own metadata says it
    client_id: str = ""
    secret_file: str = ""  # what we show the issuer, in a file of its own: configurations are shown around
    authority: str = ""  # PEM of who vouches for the issuer's certificate; empty: those that browsers know
    name_claim: str = "preferred_username"
    role_claim: str = "groups"  # a text or a list of them; dots lead into objects, as realm_access.roles
    admins: tuple[str, ...] = ()  # words of the role claim; the first of these five that fits counts
    engineers: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    auditors: tuple[str, ...] = ()
    viewers: tuple[str, ...] = ()

    def role(self, words: Collection[str]) -> str:
        """Empty: none."""
        table = {
            "admin": self.admins,
            "engineer": self.engineers,
            "operator": self.operators,
            "auditor": self.auditors,
            "viewer": self.viewers,
        }
        return next((role for role, wanted in table.items() if set(wanted) & set(words)), "")


OIDC_KEYS: dict[str, type] = {one.name: str if one.type is str else list for one in fields(Oidc)}


def oidc_of(table: Mapping[str, Any], beside: Path) -> Oidc:
    """From a table whose values have no fault; files are named from `beside`."""
    found: dict[str, Any] = {key: tuple(one) if isinstance(one, list) else one for key, one in table.items()}
    found |= {key: str((beside / table[key]).resolve()) for key in ("secret_file", "authority") if table.get(key)}
    return Oidc(**found)


def oidc_fault(table: Mapping[str, Any]) -> tuple[str, str] | None:
    """Which key does not go with the others, and what to do."""
    issuer = str(table.get("issuer", ""))
    if not issuer:
        return None
    if not safe_address(issuer):
        return "issuer", "write an https address, as https://id.example.org"
    if not table.get("client_id"):
        return "client_id", "is missing: as the issuer knows us"
    if not any(table.get(one) for one in ("admins", "engineers", "operators", "auditors", "viewers")):
        return "issuer", 'nobody could come in: say which words give a role, as operators = ["control-room"]'
    return None


def safe_address(url: str) -> bool:
    """Whether what is said there is said to the right one alone: TLS, or this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and loopback(parts.hostname or ""))
