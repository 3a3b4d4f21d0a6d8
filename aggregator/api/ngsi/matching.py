"""What a query (q.py) says of an entity.

An instance satisfies a term; an entity does when any of its instances does (several datasetIds, several moments).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aggregator.api.ngsi.context import Context
from aggregator.api.ngsi.q import Both, Instant, Node, Path, Range, Term, moment, terms
from aggregator.api.ngsi.words import TIMES, VALUE, Json

Lookup = Callable[[str], Json | None]  # an entity by its id, for what follows relationships


@dataclass(frozen=True, eq=False)
class Query:
    """A parsed q with what is needed to read it: names by `context`; `expand`: whose values become URIs."""

    node: Node
    context: Context
    expand: frozenset[str] = frozenset()
    lookup: Lookup = lambda name: None

    @property
    def names(self) -> set[str]:
        """URIs of the Attributes that it speaks of, at first level."""
        return {self.context.expand(one.path.names[0]) for one in terms(self.node)}

    @property
    def depth(self) -> int:
        return max(one.path.depth for one in terms(self.node))

    def matches(self, entity: Json) -> bool:
        return self._matches(self.node, entity)

    def _matches(self, node: Node, entity: Json) -> bool:
        if isinstance(node, Both):
            found = (self._matches(part, entity) for part in node.parts)
            return all(found) if node.every else any(found)
        targets = self.targets(node.path, entity)
        if not node.operator:
            return any(True for _ in targets)
        values = node.values
        if node.path.names[-1] in self.expand:
            values = tuple(self.context.expand(str(one)) if isinstance(one, str) else one for one in values)
        return any(satisfies(kind, value, node, values) for kind, value in targets)

    def targets(self, path: Path, entity: Json) -> Iterator[tuple[str, Any]]:
        """(type of the Attribute, value) of everything that a path leads to."""
        first, *rest = path.names
        if not rest and not path.through and first in ("createdAt", "modifiedAt", "expiresAt") and first in entity:
            yield "Time", entity[first]
        found: Sequence[Json] = entity["attrs"].get(self.context.expand(first), ())
        if path.through is not None:
            yield from self._followed(found, path, path.through)
            return
        for one in found:
            yield from self._inside(one, tuple(rest), path.trail)

    def _inside(self, one: Json, names: tuple[str, ...], trail: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        if names:
            name, *rest = names
            for sub in one.get("attrs", {}).get(self.context.expand(name), ()):
                yield from self._inside(sub, tuple(rest), trail)
            if not rest and name in one and name != "attrs":
                yield ("Time" if name in TIMES else "Property"), one[name]
            return
        if "null" in one or one.get("type") not in VALUE:
            return
        kind, value = one["type"], one.get(VALUE[one["type"]])
        if kind == "LanguageProperty":
            value = value or {}
            wanted = value.values() if not trail or trail == ("*",) else [value[trail[0]]] if trail[0] in value else []
            for each in wanted:
                yield kind, each
            return
        for key in trail:
            if isinstance(value, dict) and key in value:
                value = value[key]
            elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
                value = value[int(key)]
            else:
                return
        yield kind, value

    def _followed(self, found: Sequence[Json], path: Path, through: Path) -> Iterator[tuple[str, Any]]:
        kinds = {self.context.expand(one) for one in path.types}
        for one in found:
            if one.get("type") not in ("Relationship", "ListRelationship"):
                continue
            value = one[VALUE[one["type"]]]
            for name in value if isinstance(value, list) else [value]:
                other = self.lookup(name)
                if other is not None and (not kinds or kinds & set(other["type"])):
                    yield from self.targets(through, other)


def satisfies(kind: str, value: Any, term: Term, values: Sequence[Any]) -> bool:
    each = value if isinstance(value, list) else [value]
    if term.pattern is not None:
        if not all(isinstance(one, str) for one in each):
            return False
        found = any(term.pattern.search(one) for one in each)
        return found if term.operator == "~=" else not found
    if term.operator == "==":
        return any(equal(one, wanted) for one in each for wanted in values) or any(value == wanted for wanted in values)
    if term.operator == "!=":
        return not any(equal(one, wanted) for one in each for wanted in values)
    if kind in ("Relationship", "ListRelationship"):
        return False
    return any(ordered(one, values[0], term.operator) for one in each)


def equal(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, Range):
        return ordered(value, wanted.low, ">=") and ordered(value, wanted.high, "<=")
    pair = comparable(value, wanted)
    return pair is not None and pair[0] == pair[1]


def ordered(value: Any, wanted: Any, operator: str) -> bool:
    pair = comparable(value, wanted)
    if pair is None or isinstance(pair[0], bool):
        return False
    low, high = pair
    if operator == ">":
        return bool(low > high)
    if operator == "<":
        return bool(low < high)
    return bool(low >= high if operator == ">=" else low <= high)


def comparable(value: Any, wanted: Any) -> tuple[Any, Any] | None:
    """Both as what they are, where that is the same; times as moments."""
    if isinstance(value, dict):
        value = value.get("@value", value)
    if isinstance(wanted, Instant):
        found = moment(value)
        return (found.ns, wanted.ns) if found and found.kind == wanted.kind else None
    if isinstance(value, bool) or isinstance(wanted, bool):
        return (value, wanted) if isinstance(value, bool) and isinstance(wanted, bool) else None
    if isinstance(value, (int, float)) and isinstance(wanted, (int, float)):
        return value, wanted
    if isinstance(value, str) and isinstance(wanted, str):
        found, other = moment(value), moment(wanted)
        if found and other and found.kind == other.kind:
            return found.ns, other.ns
        return value, str(wanted)
    return None
