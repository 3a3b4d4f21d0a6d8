"""Which entities are meant: ids, id pattern, types (4.17), attributes, q (4.9), geoquery (4.10), scopeQ (4.19)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aggregator.api.ngsi import geo, q
from aggregator.api.ngsi.context import Context
from aggregator.api.ngsi.errors import BadRequest
from aggregator.api.ngsi.geo import GeoQuery
from aggregator.api.ngsi.matching import Lookup, Query
from aggregator.api.ngsi.words import LEVEL, NGSI, Json, is_uri

SYSTEM = {NGSI + name for name in ("createdAt", "modifiedAt", "expiresAt", "deletedAt", "observedAt", "scope")}
IDS_MAX = 5_000
SCOPE_LEVEL = re.compile(rf"(\+|{LEVEL})\Z")
Groups = tuple[tuple[str, ...], ...]  # any of these, each all of them


@dataclass(frozen=True, eq=False)
class Selector:
    """An EntitySelector (5.2.33). No types: of any."""

    types: Groups = ()
    ids: frozenset[str] = frozenset()
    pattern: re.Pattern[str] | None = None

    def matches(self, name: str, kinds: Sequence[str]) -> bool:
        if self.types and not any(all(one in kinds for one in group) for group in self.types):
            return False
        if self.ids:  # takes precedence over the pattern
            return name in self.ids
        return self.pattern is None or bool(self.pattern.search(name))


@dataclass(frozen=True, eq=False)
class Selection:
    """All conditions must hold; of `selectors` one, of `attrs` one."""

    selectors: tuple[Selector, ...] = ()
    attrs: frozenset[str] = frozenset()
    query: Query | None = None
    geo: GeoQuery | None = None
    scope: "Scopes | None" = None
    every: bool = False  # type=*: all entities there are
    csf: Query | None = None

    @property
    def narrow(self) -> bool:
        """Whether it asks for less than everything, as 5.7.2.4 wants it."""
        return bool(
            self.every
            or any(one.types for one in self.selectors)
            or (self.attrs - SYSTEM)
            or (self.query is not None and self.query.names - SYSTEM)
            or self.geo is not None
        )

    def matches(self, entity: Json) -> bool:
        return (
            self.selects(entity["id"], entity["type"])
            and (not self.attrs or any(name in entity["attrs"] for name in self.attrs))
            and (self.query is None or self.query.matches(entity))
            and (self.geo is None or self.geo.matches(entity))
            and (self.scope is None or self.scope.matches(entity.get("scope", ())))
        )

    def selects(self, name: str, kinds: Sequence[str]) -> bool:
        return not self.selectors or any(one.matches(name, kinds) for one in self.selectors)

    @property
    def types(self) -> set[str] | None:
        """One of these every match has; nothing where any will do."""
        if not self.selectors or not all(one.types for one in self.selectors):
            return None
        return {group[0] for one in self.selectors for group in one.types}

    @property
    def ids(self) -> set[str] | None:
        if not self.selectors or not all(one.ids for one in self.selectors):
            return None
        return {name for one in self.selectors for name in one.ids}


def selection(given: Mapping[str, Any], context: Context, lookup: Lookup = lambda name: None) -> Selection:
    """From the parameters of a request, or from what a Query body means by them. Raises BadRequest."""
    kinds = given.get("type")
    pattern = q.pattern(given["idPattern"], "idPattern") if given.get("idPattern") else None
    ids = frozenset(names(given.get("id"), "id"))
    selectors = tuple(given.get("selectors", ()))
    if (kinds and kinds != "*") or ids or pattern:
        selectors += (Selector(types(kinds, context) if kinds and kinds != "*" else (), ids, pattern),)
    geoquery = None
    if any(key in given for key in ("georel", "geometry", "coordinates")):
        if not all(given.get(key) not in (None, "") for key in ("georel", "geometry", "coordinates")):
            raise BadRequest("a geoquery has all of georel, geometry and coordinates")
        prop = context.expand(given.get("geoproperty") or "location", "geoproperty")
        geoquery = geo.query(str(given["georel"]), given["geometry"], given["coordinates"], prop)
    return Selection(
        selectors,
        frozenset(context.expand(one, "attrs") for one in words(given.get("attrs"))),
        query(given.get("q"), context, given.get("expandValues"), lookup),
        geoquery,
        scopes(given["scopeQ"]) if given.get("scopeQ") else None,
        kinds == "*" or any(not one.types and not one.ids and not one.pattern for one in selectors),
        query(given.get("csf"), context, None, lookup, "csf"),
    )


def query(
    text: Any, context: Context, expand: Any = None, lookup: Lookup = lambda name: None, what: str = "q"
) -> Query | None:
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        raise BadRequest(f"{what}: write a text")
    made = Query(q.parse(text, what), context, frozenset(words(expand)), lookup)
    _ = made.names  # names that are none are told now
    return made


def words(given: Any) -> list[str]:
    """A list, or a text of them with commas between."""
    if given is None or given == "":
        return []
    listed = given if isinstance(given, list) else str(given).split(",")
    if not all(isinstance(one, str) and one.strip() for one in listed):
        raise BadRequest(f"{given!r}: write names with commas between")
    return [one.strip() for one in listed]


def names(given: Any, what: str) -> list[str]:
    found = words(given)
    if len(found) > IDS_MAX:
        raise BadRequest(f"{what}: {len(found)} of them, at most {IDS_MAX}")
    for one in found:
        if not is_uri(one):
            raise BadRequest(f"{what}: {one!r} is no URI")
    return found


def types(text: Any, context: Context) -> Groups:
    """A selection of types (4.17). Raises BadRequest."""
    if not isinstance(text, str) or not text.strip():
        raise BadRequest(f"type: {text!r}: write a name, or names with , | and (A;B)")
    return tuple(tuple(context.expand(one.strip(), "type") for one in group) for group in disjunction(text, "type"))


def disjunction(text: str, what: str) -> list[list[str]]:
    """a,b|(c;d) as [[a], [b], [c, d]]."""
    groups: list[list[str]] = []
    for part in re.findall(r"\([^()]*\)|[^(),|]+|[()]", text):
        inner = part[1:-1] if part.startswith("(") and part.endswith(")") and len(part) > 2 else part
        if inner is part and ((";" in part and what == "type") or part in "()"):
            raise BadRequest(f"{what}: {text!r}: write conjunctions in parentheses: (A;B)")
        groups.append([one.strip() for one in inner.split(";")])
    if not groups or not all(one for group in groups for one in group):
        raise BadRequest(f"{what}: {text!r}: a name is missing")
    return groups


@dataclass(frozen=True, eq=False)
class Scopes:
    """Any of these groups, all of a group (4.19)."""

    groups: Sequence[Sequence[re.Pattern[str]]]
    any_scope: bool = field(default=False)

    def matches(self, found: Sequence[str]) -> bool:
        paths = ["/" + one.strip("/") for one in found]
        if self.any_scope and paths:
            return True
        return any(all(any(one.match(path) for path in paths) for one in group) for group in self.groups)


def scopes(text: Any) -> Scopes:
    """Raises BadRequest."""
    if not isinstance(text, str) or not text.strip():
        raise BadRequest("scopeQ: write scopes as /Madrid/Gardens/#")
    groups = disjunction(text, "scopeQ")
    made = [[scope(one) for one in group] for group in groups]
    return Scopes(made, any(group == ["/#"] for group in groups))


def scope(text: str) -> re.Pattern[str]:
    """One scope with its wildcards: + for a level, /# at the end for everything below."""
    below = text.endswith("/#")
    levels = text.removesuffix("/#").strip("/").split("/") if text != "/#" else []
    if not all(SCOPE_LEVEL.match(one) for one in levels):
        raise BadRequest(f"scopeQ: {text!r}: write /level/level, + for any level, /# at the end for all below")
    path = "".join("/" + ("[^/]+" if one == "+" else re.escape(one)) for one in levels)
    return re.compile(path + (r"(/.*)?\Z" if below else r"\Z"))
