"""What a route is: one row of a literal table, from which come routing, checks, OpenAPI and the matrix of roles.

A handler is a plain function, which runs in a small pool of threads since stores block, or a coroutine, which must not.
It gets a `Call` whose query and body are checked already, and gives what `msgspec` can write as JSON, or a Response.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from starlette.requests import HTTPConnection, Request

from aggregator.access.roles import Role, Roles
from aggregator.api.parts import Parts
from aggregator.api.problem import Fault, Invalid

SAFE = ("GET", "HEAD", "OPTIONS")
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks. `how`: session, token, or nobody; `csrf` is what a session's unsafe requests must bring."""

    name: str
    role: Role
    how: str
    csrf: str = ""


NOBODY = Identity("", Role.PUBLIC, "nobody")


class Gate(Protocol):
    """Tells who asks, and whether a request that changes something was meant."""

    async def who(self, connection: HTTPConnection) -> Identity:
        """NOBODY for who brings no credentials. Raises Unauthenticated for credentials that are none."""

    def check_unsafe(self, request: Request, who: Identity) -> None:
        """Raises Denied for a request that another site may have made (CSRF)."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, checked."""

    who: Identity
    parts: Parts
    path: Mapping[str, str]
    query: Any
    body: Any
    request: Request


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    path: str
    handler: Callable[[Call], Any]
    roles: Roles
    summary: str
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    answer: Any = None  # a type that msgspec knows; None where the handler makes the Response
    status: int = 200
    media: str = JSON  # of an answer that the handler makes


class Empty(msgspec.Struct, frozen=True):
    """No parameters."""


def checked(kind: type[msgspec.Struct], given: Mapping[str, Any], *, text: bool, place: str) -> Any:
    """`given` as a Struct of this kind; `text`: as from a query string. Raises Invalid with every fault."""
    faults, values = [], {}
    known = {one.encode_name: one for one in msgspec.structs.fields(kind)}
    faults += [
        Fault(f"{place}{name}", f"no such name; there are {', '.join(known) or 'none'}", str(value))
        for name, value in given.items()
        if name not in known
    ]
    for name, one in known.items():
        if name not in given:
            if one.required:
                faults.append(Fault(f"{place}{name}", "is missing"))
            continue
        try:
            values[one.name] = msgspec.convert(given[name], one.type, strict=not text)
        except msgspec.ValidationError as error:
            faults.append(Fault(f"{place}{name}", str(error), str(given[name])))
    if faults:
        raise Invalid("; ".join(f"{one.at}: {one.wrong}" for one in faults), faults)
    try:
        return kind(**values)
    except (ValueError, TypeError) as error:  # of __post_init__: how values fit together
        raise Invalid(str(error), [Fault(place, str(error))]) from error
