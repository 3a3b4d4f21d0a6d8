"""One HTTP request as the operations read it: its preconditions (6.3.4), its @context (6.3.5), tenant, parameters."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec

from aggregator.api.ngsi.broker import Broker, Room
from aggregator.api.ngsi.context import Context
from aggregator.api.ngsi.errors import BadRequest, Bare, InvalidRequest, NotAcceptable, ResourceNotFound
from aggregator.api.ngsi.notices import SNAPSHOT
from aggregator.api.ngsi.words import DEFAULT_TENANT, is_uri

JSON, LD, GEO, PATCH = "application/json", "application/ld+json", "application/geo+json", "application/merge-patch+json"
TENANT = re.compile(r"[A-Za-z0-9_.~-]{1,100}\Z")
LINK = re.compile(r"<([^<>]*)>\s*((?:;[^,<]*)*)")
RELATION = "http://www.w3.org/ns/json-ld#context"


@dataclass(eq=False)
class Call:
    """`path`: the parts of the URL that name things. Everything that raises says what would be right."""

    broker: Broker
    method: str
    path: Sequence[str]
    url: str  # of the resource, below the host
    base: str  # scheme and host
    headers: Mapping[str, str]  # lower case
    query: str
    raw: bytes
    accept: str = JSON
    params: dict[str, str] = field(default_factory=dict)
    body: Any = None
    context: Context = field(init=False)

    def __post_init__(self) -> None:
        self.context = self.broker.contexts.core

    @property
    def tenant(self) -> str:
        """The tenant, or the inside of a snapshot. Raises BadRequest, ResourceNotFound."""
        name = self.headers.get("ngsild-tenant", DEFAULT_TENANT)
        if name and not TENANT.match(name):
            raise BadRequest(f"NGSILD-Tenant: {name!r}: write letters, digits, _ . ~ -")
        if (snapshot := self.headers.get("ngsild-snapshot")) is not None:
            if self.broker.store.document("snapshot", name, snapshot) is None:
                raise ResourceNotFound(f"NGSILD-Snapshot: {snapshot}: no such snapshot")
            return f"{SNAPSHOT}{snapshot}|{name}"
        return name

    def room(self, *, create: bool = False) -> Room:
        """Raises NonexistentTenant."""
        tenant = self.tenant
        return Room(self.broker, tenant) if tenant.startswith(SNAPSHOT) else self.broker.room(tenant, create=create)

    @property
    def options(self) -> set[str]:
        return {one.strip() for one in self.params.get("options", "").split(",") if one.strip()}

    def flag(self, name: str, usual: bool = False) -> bool:
        """Raises BadRequest."""
        given = self.params.get(name)
        if given not in (None, "true", "false"):
            raise BadRequest(f"{name}: {given!r}: write true or false")
        return usual if given is None else given == "true"

    def uri(self, place: int, what: str) -> str:
        """A part of the path that must be a URI. Raises BadRequest."""
        name = self.path[place]
        if not is_uri(name):
            raise BadRequest(f"{what} {name!r} is no URI")
        return name

    def read(self, known: Sequence[str], options: Sequence[str] = ()) -> None:
        """The parameters, each known. Raises InvalidRequest (6.3.20)."""
        try:
            pairs = parse_qsl(self.query, keep_blank_values=True, strict_parsing=False, errors="strict")
        except ValueError as error:
            raise InvalidRequest(f"the query string cannot be read: {error}") from error
        for name, value in pairs:
            if name not in known:
                raise InvalidRequest(f"{name}: no such parameter here; there are {', '.join(known) or 'none'}")
            if name in self.params:
                raise InvalidRequest(f"{name}: given twice; write it once, with commas")
            self.params[name] = value
        for one in self.options:
            if one not in options:
                raise InvalidRequest(f"options: {one!r}: there are {', '.join(options) or 'none'} here")

    def with_params(self, **changed: Any) -> str:
        """This URL with other parameters."""
        rest = {key: value for key, value in self.params.items() if key not in changed}
        return f"{self.url}?{urlencode(rest | changed, safe=',:;')}"

    def negotiate(self, *, geo: bool = False) -> None:
        """Choose what to answer with (6.3.4). Raises NotAcceptable."""
        offered = [JSON, LD, *([GEO] if geo else [])]
        self.accept = accepted(self.headers.get("accept", ""), offered)

    def take(self, *, spoken: bool = True) -> None:
        """Read the body and, where it is `spoken` in one, its @context (6.3.4, 6.3.5). Raises Bare and Problems."""
        if "content-length" not in self.headers:
            raise Bare(411)
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in (JSON, LD) and not (kind == PATCH and self.method == "PATCH"):
            raise Bare(415)
        try:
            self.body = msgspec.json.decode(self.raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequest(f"the body is no JSON: {error}") from error
        if not isinstance(self.body, dict | list):
            raise InvalidRequest("the body is neither an object nor an array")
        self.ld = kind == LD
        if not spoken:
            return
        if isinstance(self.body, dict):
            self.context = self.context_of(self.body)
        elif not self.ld:
            self.context = self.linked()

    ld: bool = False

    def context_of(self, given: Mapping[str, Any]) -> Context:
        """The @context of a body, or of one item of a batch. Raises BadRequest, LdContextNotAvailable."""
        if not self.ld:
            if "@context" in given:
                raise BadRequest("@context: with application/json it belongs into a Link header")
            return self.linked()
        if links(self.headers.get("link", "")):
            raise BadRequest("Link: with application/ld+json the @context belongs into the body")
        if "@context" not in given:
            raise BadRequest("@context is missing: with application/ld+json it belongs into the body")
        return self.broker.contexts.of(given["@context"])

    def linked(self) -> Context:
        """The @context of the Link header, or the core. Raises BadRequest, LdContextNotAvailable."""
        named = list(dict.fromkeys(links(self.headers.get("link", ""))))
        if len(named) > 1:
            raise BadRequest(f"Link: {len(named)} contexts; name one, which may be an array of others")
        return self.broker.contexts.of(named[0]) if named else self.broker.contexts.core


def links(header: str) -> list[str]:
    """The URLs of the contexts that a Link header names."""
    return [url.strip() for url, rest in LINK.findall(header) if RELATION in rest]


def accepted(header: str, offered: Sequence[str]) -> str:
    """The best of what is offered, the first of equals. Raises NotAcceptable."""
    best, weight = "", 0.0
    for one in offered:
        share = quality(header, one) if header.strip() else 1.0
        if share > weight:
            best, weight = one, share
    if not best:
        raise NotAcceptable(f"Accept: {header}: there are {', '.join(offered)}", availableRepresentations=list(offered))
    return best


def quality(header: str, kind: str) -> float:
    """How much a media type is wanted: the most specific range counts (RFC 7231, 5.3.2)."""
    found = (-1, 0.0)
    for part in header.split(","):
        name, *rest = (one.strip() for one in part.split(";"))
        exact = {kind: 2, kind.partition("/")[0] + "/*": 1, "*/*": 0}.get(name.lower(), -1)
        share = 1.0
        for one in rest:
            if one.lower().startswith("q="):
                try:
                    share = float(one[2:])
                except ValueError:
                    share = 0.0
        if exact > found[0]:
            found = (exact, share)
    return found[1] if found[0] >= 0 else 0.0
